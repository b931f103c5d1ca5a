"""Selects the metric samples of a snapshot and their labels."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from math import isfinite

from driftwatch.config.models import ExportConfig
from driftwatch.core.schema import NANOSECONDS, Unwatched
from driftwatch.daemon.own_health.own_health import OwnHealth
from driftwatch.daemon.status.column_order import by_contribution
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView, Snapshot
from driftwatch.notify.base import IncidentKind
from driftwatch.results.results import FileProblem, Reason, State, Statistic, Verdict
from driftwatch.store.records import StoreState

#: (family name, label values in the family's order, value).
Sample = tuple[str, tuple[str, ...], float]

MAX_LABEL_CHARS = 128
#: Further reasons are counted together as ``other``, so that the label stays bounded.
MAX_REASONS = 24

FAILURES = (
    Reason.SOURCE_UNAVAILABLE,
    Reason.SOURCE_TIMEOUT,
    Reason.READER_DIED,
    Reason.TOO_MANY_ROWS,
    Reason.ALL_FILES_UNREADABLE,
    Reason.UNDECODABLE,
    Reason.SCHEMA_MISMATCH,
    "reference_unusable",
    "store_error",
    "internal",
)
#: Reasons of skipped checks: windows beyond ``limits.catch_up`` after an outage.
SKIPPED = ("catch_up_limit",)
#: Why rows that were read are in no window.
_OUTSIDE_REASONS = ("untimed", "before_history", "future")
_UNSAFE = re.compile("[\ud800-\udfff\x00]")
_Counted = Iterable[tuple[str, int]]


def label(text: str) -> str:
    r"""Return a valid label value: at most 128 characters, UTF-8, no NUL; a changed text ends in a hash.

    The hash keeps shortened texts distinct: one duplicate invalidates the whole scrape.

    >>> label("age"), label("a\0b")
    ('age', 'a\\x00b~59b271ae')
    """
    clean = _UNSAFE.sub(lambda match: r"\x00" if match[0] == "\0" else "\ufffd", text)
    if clean == text and len(text) <= MAX_LABEL_CHARS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{clean[: MAX_LABEL_CHARS - 9]}~{digest}"


def segment_label(segment: str | None) -> str:
    """Return a segment's label: empty means all rows, so the level ``""`` gets a name."""
    if segment is None:
        return ""
    return label(segment) if segment else "(empty text)"


def process_samples(snapshot: Snapshot, python_version: str, dropped: int) -> Iterator[Sample]:
    yield "driftwatch_build_info", (snapshot.version, python_version), 1
    yield "driftwatch_config_last_reload_successful", (), snapshot.reload_successful
    yield from _moment(
        "driftwatch_config_last_reload_success_timestamp_seconds", (), snapshot.reload_success_at
    )
    yield "driftwatch_store_errors_total", (), snapshot.store_errors
    yield from _moment("driftwatch_scheduler_last_tick_timestamp_seconds", (), snapshot.scheduler_tick_at)
    yield "driftwatch_scheduler_ticks_lost_total", (), snapshot.scheduler_ticks_lost
    yield "driftwatch_checks_running", (), snapshot.checks_running
    yield from _own_health_samples(snapshot.own_health)
    yield "driftwatch_series_dropped", (), dropped
    for sink in snapshot.sinks:
        name = label(sink.name)
        yield "driftwatch_notifications_total", (name,), sink.delivered
        yield "driftwatch_notifications_pending", (name,), sink.pending
        yield from _counted("driftwatch_notifications_failed_total", name, sink.failed, ())


def _own_health_samples(health: OwnHealth) -> Iterator[Sample]:
    yield from _defined("driftwatch_check_oldest_seconds", (), health.oldest_check_seconds)
    for loop in health.loops:
        yield from _moment(
            "driftwatch_loop_last_progress_timestamp_seconds", (label(loop.name),), loop.last_progress_at
        )
        yield "driftwatch_loop_limit_seconds", (label(loop.name),), loop.limit_seconds
        yield "driftwatch_loop_restarts_total", (label(loop.name),), loop.restarts
    for state in StoreState:
        yield "driftwatch_store_state", (str(state),), state is health.store.state
    for table, count in health.damaged_rows:
        yield "driftwatch_store_damaged_rows_total", (table,), count
    yield "driftwatch_clock_jumps_total", (), health.clock.jumps


def health_samples(view: MonitorView, stale: frozenset[str | None]) -> Iterator[Sample]:
    """Yield the monitor's samples that ``export`` cannot omit."""
    name = view.name
    reference = view.reference
    short = "" if reference is None else reference.fingerprint[:12]
    model = (label(view.model_name), label(view.model_version))
    yield "driftwatch_monitor_info", (name, *model, view.source_type, short), 1
    if reference is not None:
        yield "driftwatch_reference_rows", (name,), reference.summary.rows
        yield "driftwatch_columns_watched", (name,), len(reference.plan.columns)
    yield from _moment("driftwatch_reference_loaded_timestamp_seconds", (name,), view.reference_loaded_at)
    yield from _check_samples(view)
    yield from _selftest_samples(view)
    yield from _counted("driftwatch_check_failures_total", name, view.failures, FAILURES)
    yield from _counted("driftwatch_checks_skipped_total", name, view.skipped, SKIPPED)
    yield from _counted("driftwatch_files_rejected_total", name, view.rejected, tuple(FileProblem))
    for segment in dict.fromkeys([None, *(item.segment for item in view.segments)]):
        yield from _incident_samples(view, segment)
    for item in view.segments:
        yield from _segment_samples(view, item, item.segment in stale)


def _check_samples(view: MonitorView) -> Iterator[Sample]:
    name = (view.name,)
    if view.last_run_at is not None:
        yield "driftwatch_check_success", name, _could_look(view)
    yield from _moment("driftwatch_check_last_run_timestamp_seconds", name, view.last_run_at)
    yield from _moment("driftwatch_check_last_success_timestamp_seconds", name, view.last_success_at)
    yield from _moment("driftwatch_check_next_run_timestamp_seconds", name, view.next_run_at)
    yield from _moment("driftwatch_window_newest_row_timestamp_seconds", name, view.newest_row_at)
    yield "driftwatch_check_interval_seconds", name, view.interval_seconds
    yield from _defined("driftwatch_check_duration_seconds", name, view.duration_seconds)
    yield from _defined("driftwatch_check_stage_duration_seconds", (*name, "read"), view.read_seconds)
    yield from _defined("driftwatch_check_stage_duration_seconds", (*name, "decide"), view.decide_seconds)
    yield "driftwatch_checks_total", name, view.checks
    yield "driftwatch_rows_read_total", name, view.rows_read
    yield "driftwatch_late_rows_total", name, view.late_rows
    yield "driftwatch_corrected_slices_total", name, view.corrected_slices
    yield from _defined("driftwatch_windows_owed", name, view.owed_windows)
    yield from _defined("driftwatch_untimed_rows", name, view.untimed_rows)
    if view.untimed_rows is not None and view.stray_rows is not None:
        outside_rows = (view.untimed_rows, *view.stray_rows)
        for reason, rows in zip(_OUTSIDE_REASONS, outside_rows, strict=True):
            yield "driftwatch_outside_rows", (*name, reason), rows


def _selftest_samples(view: MonitorView) -> Iterator[Sample]:
    if view.selftest is None:
        return
    for outcome, count in view.selftest.outcomes:
        yield "driftwatch_selftest_trials_total", (view.name, outcome), count
    yield from _defined("driftwatch_selftest_delay_windows_total", (view.name,), view.selftest.delay_windows)
    ended_at = view.selftest.measured_at
    yield from _moment("driftwatch_selftest_last_end_timestamp_seconds", (view.name,), ended_at)


def _could_look(view: MonitorView) -> bool:
    whole = view.segment(None)
    blind = whole is not None and whole.verdict is not None and not whole.verdict.state.has_data
    return not view.last_failure and not blind


def _incident_samples(view: MonitorView, segment: str | None) -> Iterator[Sample]:
    labels = (view.name, segment_label(segment))
    incidents = view.incidents_of(segment)
    for kind in IncidentKind:
        ends = [item.muted_until for item in incidents if item.kind == kind]
        yield "driftwatch_incident_open", (*labels, kind), len(ends)
        muted = [end for end in ends if end is not None]
        if muted and len(muted) == len(ends):
            # A timestamp instead of 0 or 1: no check runs when a mute ends.
            family = "driftwatch_incident_muted_until_timestamp_seconds"
            yield from _moment(family, (*labels, kind), min(muted))
    moved = [item for item in incidents if item.kind != IncidentKind.BLIND]
    if moved:
        since = min(item.opened_at if item.onset is None else item.onset for item in moved)
        yield from _moment("driftwatch_drift_since_timestamp_seconds", labels, since)


def _segment_samples(view: MonitorView, item: SegmentView, stale: bool) -> Iterator[Sample]:
    labels, current_verdict = (view.name, segment_label(item.segment)), view.current(item).verdict
    if item.verdict is not None and current_verdict is not None:
        for state in State:
            yield "driftwatch_state", (*labels, state), current_verdict.state is state
        for reason, count in _unwatched_counts(item.verdict):
            yield "driftwatch_columns_unwatched", (*labels, reason), count
    if item.usable_verdict is None:
        return
    yield from _moment("driftwatch_window_start_timestamp_seconds", labels, item.usable_verdict.window.start)
    yield from _moment("driftwatch_window_end_timestamp_seconds", labels, item.usable_verdict.window.end)
    if not stale:
        yield "driftwatch_window_rows", labels, item.usable_verdict.rows
        yield from _defined("driftwatch_evidence_ratio", labels, item.usable_verdict.evidence)
        for worst in item.usable_verdict.represented[:1]:
            yield "driftwatch_represented_ratio", labels, worst.share


def _unwatched_counts(verdict: Verdict) -> Iterator[tuple[str, int]]:
    if verdict.watched is None:
        return
    counts = Counter(item.reason for item in verdict.unwatched)
    if not verdict.state.has_data and counts:
        # Without data all columns share a reason, and the verdict lists some.
        counts[counts.most_common(1)[0][0]] += verdict.watched.of - counts.total()
    for reason in Unwatched:
        yield reason, counts[reason]


def column_samples(
    view: MonitorView, stale: frozenset[str | None], chosen: frozenset[str] | None
) -> Iterator[Sample]:
    # If ``chosen`` is None, all columns are published.
    for item in view.segments:
        if item.usable_verdict is None or item.segment in stale:
            continue
        labels = (view.name, segment_label(item.segment))
        for statistic in item.usable_verdict.statistics:
            if statistic.column is None or chosen is None or statistic.column in chosen:
                yield from _statistic_samples(labels, statistic)
        for column, share in missing_shares(item):
            if chosen is None or column in chosen:
                yield "driftwatch_column_missing_ratio", (*labels, label(column)), share


def _statistic_samples(labels: tuple[str, ...], item: Statistic) -> Iterator[Sample]:
    if item.column is None:
        family, labels = "joint", (*labels, item.detector)
    else:
        family, labels = "column", (*labels, label(item.column), item.detector)
    yield from _defined(f"driftwatch_{family}_statistic", labels, item.value)
    yield from _defined(f"driftwatch_{family}_p_value", labels, item.p_value)


def missing_shares(item: SegmentView) -> Iterator[tuple[str, float]]:
    """Yield (column, share of missing rows) of the published window, if its summary is available."""
    if item.window is None or item.usable_verdict is None or item.window.span != item.usable_verdict.window:
        return
    for column, counts in item.window.counts.items():
        if counts.rows:
            yield column, counts.missing / counts.rows


def select_columns(
    view: MonitorView, export: ExportConfig, published: frozenset[str]
) -> frozenset[str] | None:
    """Return the columns to publish; None means all.

    ``drifted`` drops a published column only when no drift or broken incident is open; ``top_k`` only when
    it leaves the first ``2 * top_k``.
    """
    if export.columns == "all":
        return None
    if export.columns == "none":
        return frozenset()
    # Series that come and go with every check would reset the timers of alerts.
    if export.columns == "drifted":
        named = {column for incident in view.incidents for column in incident.columns}
        for item in view.segments:
            if item.usable_verdict is not None:
                named.update(column.column for column in item.usable_verdict.named)
                named.update(breakage.column for breakage in item.usable_verdict.breakages)
        moved = any(incident.kind != IncidentKind.BLIND for incident in view.incidents)
        return frozenset(named) | (published if moved else frozenset())
    ranked: list[str] = []
    for item in view.segments:
        if item.usable_verdict is not None:
            ranked = list(dict.fromkeys([*ranked, *by_contribution(item.usable_verdict)]))
    retained = [column for column in ranked[: 2 * export.top_k] if column in published]
    return frozenset(list(dict.fromkeys([*retained, *ranked]))[: export.top_k])


def fair_shares(wanted: list[int], available: int) -> list[int]:
    """Divide ``available`` series so that a large request never shortens a smaller one (max-min fairness).

    >>> fair_shares([10, 2, 10], 12)
    [5, 2, 5]
    """
    shares = [0] * len(wanted)
    remaining = max(0, available)
    for rank, position in enumerate(sorted(range(len(wanted)), key=lambda index: wanted[index])):
        shares[position] = min(wanted[position], remaining // (len(wanted) - rank))
        remaining -= shares[position]
    return shares


def _moment(family: str, labels: tuple[str, ...], nanoseconds: int | None) -> Iterator[Sample]:
    if nanoseconds is not None:
        yield family, labels, nanoseconds / NANOSECONDS


def _defined(family: str, labels: tuple[str, ...], value: float | None) -> Iterator[Sample]:
    if value is not None and isfinite(value):
        yield family, labels, value


def _counted(family: str, name: str, counts: _Counted, reasons: Iterable[str]) -> Iterator[Sample]:
    totals = dict.fromkeys((str(reason) for reason in reasons), 0)
    for reason, count in counts:
        key = label(reason) if reason in totals or len(totals) < MAX_REASONS else "other"
        totals[key] = totals.get(key, 0) + count
    for key, count in totals.items():
        yield family, (name, key), count
