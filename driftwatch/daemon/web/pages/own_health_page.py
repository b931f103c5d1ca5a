"""What the page about the daemon itself shows: what it cannot do now, and what it could not do lately."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.status.snapshot import MonitorView, Snapshot
from driftwatch.daemon.web.http.links import Links
from driftwatch.results import text_format

#: Monitors that are listed one by one; the fleet's page shows all.
_MAX_MONITORS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHealthPage:
    headline: str
    #: One of the three kinds of states.
    kind: str
    #: What it cannot do now, a sentence each.
    reasons: tuple[str, ...]
    #: (name of the count, value since the process started).
    counts: tuple[tuple[str, str], ...]
    #: (name, link, what could not be looked at).
    monitors: tuple[tuple[str, str, str], ...]
    n_more_monitors: int


def own_health_page(snapshot: Snapshot, links: Links) -> OwnHealthPage:
    reasons = present_reasons(snapshot)
    lately = [item for item in snapshot.own_health.troubles if item.ended_at is not None]
    if reasons:
        headline, kind = (
            f"{text_format.format_count(len(reasons), 'thing')} it cannot do now",
            text_format.MOVED,
        )
    elif lately:
        headline = f"well now; {text_format.format_count(len(lately), 'trouble')} since it started"
        kind = text_format.BLIND
    else:
        headline, kind = "nothing that it could not do since it started", text_format.SAME
    monitors = [
        (view.name, links.monitor(view.name), words)
        for view in snapshot.monitors
        if (words := _not_looked_at(view))
    ]
    return OwnHealthPage(
        headline=headline,
        kind=kind,
        reasons=reasons,
        counts=_counts(snapshot),
        monitors=tuple(monitors[:_MAX_MONITORS]),
        n_more_monitors=max(len(monitors) - _MAX_MONITORS, 0),
    )


def present_reasons(snapshot: Snapshot) -> tuple[str, ...]:
    """Return why the daemon does not do all of its work now; the banner of every page shows them."""
    health = snapshot.own_health
    reasons = (*health.unhealthy_reasons(), *health.not_ready_reasons())
    if health.clock.doubt:
        reasons = (*reasons, f"clock: {health.clock.doubt}")
    shown = {item.partition(":")[0] for item in reasons}
    current = [item for item in health.troubles if item.ended_at is None and item.subject not in shown]
    return (*reasons, *(f"{item.subject}: {item.words}" for item in current))


def _counts(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    health, age = snapshot.own_health, snapshot.own_health.oldest_check_seconds
    return (
        ("started", text_format.format_time(snapshot.started_at)),
        ("newest tick", text_format.format_relative_time(snapshot.scheduler_tick_at, snapshot.taken_at)),
        ("ticks lost", f"{snapshot.scheduler_ticks_lost:,}"),
        ("checks running", f"{snapshot.checks_running:,}"),
        ("oldest of them", "none" if age is None else text_format.format_coarse_duration(age)),
        ("store", str(health.store.state)),
        ("store errors", f"{snapshot.store_errors:,}"),
        ("clock jumps", f"{health.clock.jumps:,}"),
    )


def _not_looked_at(view: MonitorView) -> str:
    """Return what the daemon could not do for a monitor, as a list in words; empty when it did all."""
    parts = []
    if view.reference is None:
        parts.append("no reference is loaded")
    if view.last_failure:
        parts.append(view.last_failure.rstrip("."))
    if view.owed_windows:
        parts.append(f"{text_format.format_count(view.owed_windows, 'window')} owed")
    n_skipped = sum(count for _, count in view.skipped)
    if n_skipped:
        parts.append(f"{text_format.format_count(n_skipped, 'window')} skipped after an outage")
    n_files = sum(count for _, count in view.rejected)
    if n_files:
        parts.append(f"{text_format.format_count(n_files, 'file')} left out")
    return "; ".join(parts)


def seconds_text(nanoseconds: int | None, now: int) -> str:
    """Return the seconds since a moment."""
    return "not yet" if nanoseconds is None else f"{max(now - nanoseconds, 0) / NANOSECONDS:.0f} s ago"
