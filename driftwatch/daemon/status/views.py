"""The immutable views of monitors that exporter and web page show, from the history and the runner."""

from __future__ import annotations

from dataclasses import replace

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.windows import window_at
from driftwatch.daemon.status.monitor_slot import Slot, Tally
from driftwatch.daemon.status.selftest_view import selftest_view
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView
from driftwatch.monitor.check import Outcome
from driftwatch.results.verdict_json import verdict_from_json
from driftwatch.store.history import History
from driftwatch.summary.summary import Summary, total

_TRAIL = 400


def restored_view(slot: Slot, history: History, loaded_at: int) -> MonitorView:
    """A monitor's view from the history alone, before its first check of this process."""
    segments = tuple(_segment(slot, history, name) for name in slot.monitor.reference.plan.segments)
    return _assemble(slot, history, segments, loaded_at)


def unloaded_view(config: MonitorConfig, failure: str = "") -> MonitorView:
    """A monitor whose reference is not there yet: nothing is known, and that is what it shows."""
    return MonitorView(
        name=config.name,
        source_type=config.source.type,
        model_name=config.model.name,
        model_version=config.model.version,
        interval_seconds=config.window.length,
        reference=None,
        reference_loaded_at=None,
        segments=(),
        incidents=(),
        budget=str(config.alarm.false_pages),
        last_run_at=None,
        last_success_at=None,
        last_failure=failure,
        next_run_at=None,
        duration_seconds=None,
        read_seconds=None,
        decide_seconds=None,
        newest_row_at=None,
        checks=0,
        failures=(("reference_unusable", 1),) if failure else (),
        skipped=(),
        rejected=(),
        rows_read=0,
        late_rows=0,
        untimed_rows=None,
    )


def refreshed_view(old: MonitorView, slot: Slot, history: History, loaded_at: int) -> MonitorView:
    """The view after a check: the trail grows by what the check said, the rest is read anew."""
    if slot.outcome is None:
        return _assemble(slot, history, old.segments, loaded_at)
    segments = []
    for name in slot.monitor.reference.plan.segments:
        known = old.segment(name) or _segment(slot, history, name)
        segments.append(_advance(known, slot))
    return _assemble(slot, history, tuple(segments), loaded_at)


def _advance(known: SegmentView, slot: Slot) -> SegmentView:
    outcome = slot.outcome
    if outcome is not None and outcome.glance:
        return _glanced(known, outcome)
    verdict = next((v for v in outcome.verdicts if v.segment == known.segment), None) if outcome else None
    if outcome is None or verdict is None:
        return known
    trail = known.trail
    if outcome.final and (not trail or trail[-1][0] < verdict.window.end):
        trail = (*trail, (verdict.window.end, verdict.evidence, str(verdict.state), verdict.page))[-_TRAIL:]
    if not verdict.state.looked:
        return replace(known, verdict=verdict, trail=trail)
    return SegmentView(
        segment=known.segment,
        verdict=verdict,
        looked=verdict,
        looked_at=slot.tally.last_success_at,
        trail=trail,
        window=outcome.windows.get(known.segment),
    )


def _glanced(known: SegmentView, outcome: Outcome) -> SegmentView:
    """Newer gauges under the newest verdict: its state, evidence and pages stay."""
    window, shown = outcome.windows.get(known.segment), outcome.gauges.get(known.segment)
    if known.looked is None or window is None or shown is None:
        return known
    looked = replace(known.looked, window=window.span, rows=window.rows, statistics=shown)
    return replace(known, looked=looked, window=window)


def _segment(slot: Slot, history: History, name: str | None) -> SegmentView:
    config = slot.monitor.config
    verdicts = [verdict_from_json(item) for item in history.verdicts(config.name, name, limit=_TRAIL)]
    looked = next((v for v in reversed(verdicts) if v.state.looked), None)
    window: Summary | None = None
    if looked is not None:
        tiles = [history.tile(config.name, name, start, version) for start, version in looked.tiles]
        known = [tile.summary for tile in tiles if tile is not None]
        window = total(known) if known else None
    return SegmentView(
        segment=name,
        verdict=verdicts[-1] if verdicts else None,
        looked=looked,
        looked_at=None if looked is None else history.decided_at(config.name, name, looked.window.end),
        trail=tuple((v.window.end, v.evidence, str(v.state), v.page) for v in verdicts),
        window=window,
    )


def _assemble(slot: Slot, history: History, segments: tuple[SegmentView, ...], loaded_at: int) -> MonitorView:
    monitor, tally = slot.monitor, slot.tally
    config = monitor.config
    whole = next((view for view in segments if view.segment is None), None)
    looked_at = whole.looked_at if whole else None
    incidents = tuple(
        OpenIncident(
            key=item.key,
            kind=item.kind,
            segment=item.segment,
            columns=item.columns,
            opened_at=item.opened_at,
            onset=item.onset,
            muted_until=item.muted_until,
        )
        for item in history.incidents(config.name)
    )
    return replace(
        unloaded_view(config),
        reference=monitor.reference,
        reference_loaded_at=loaded_at,
        segments=segments,
        incidents=incidents,
        last_run_at=tally.last_run_at,
        last_success_at=tally.last_success_at or looked_at,
        last_failure=tally.last_failure,
        next_run_at=_next_run(slot),
        duration_seconds=tally.duration_seconds,
        read_seconds=tally.read_seconds,
        decide_seconds=_difference(tally),
        newest_row_at=tally.newest_row_at,
        checks=tally.checks,
        failures=tuple(sorted(tally.failures.items())),
        skipped=tuple(sorted(tally.skipped.items())),
        rejected=tuple(sorted(tally.rejected.items())),
        rows_read=tally.rows_read,
        late_rows=tally.late_rows,
        untimed_rows=tally.untimed_rows,
        selftest=selftest_view(monitor, history),
    )


def _difference(tally: Tally) -> float | None:
    if tally.duration_seconds is None or tally.read_seconds is None:
        return None
    return max(tally.duration_seconds - tally.read_seconds, 0.0)


def _next_run(slot: Slot) -> int | None:
    if slot.last_end is None:
        return None
    config = slot.monitor.config
    upcoming = window_at(slot.last_end, config.window.length, config.timezone)
    return max(upcoming.end + config.window.lag * NANOSECONDS, slot.not_before)
