"""Builds the immutable views of monitors from the history and the runner."""

from __future__ import annotations

from dataclasses import replace

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.windows import window_at
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.daemon.status.selftest_view import selftest_view
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView
from driftwatch.daemon.status.tally import Tally
from driftwatch.monitor.check import Outcome
from driftwatch.monitor.incidents.updated_message import joined_lines, paged_again_at
from driftwatch.store.history import History
from driftwatch.store.outbox import message_from_json
from driftwatch.store.records import StoredIncident
from driftwatch.summary.summary import Summary, total

_TRAIL_WINDOWS = 400


def restored_view(slot: MonitorSlot, history: History, loaded_at: int) -> MonitorView:
    """Build a monitor's view from the history alone, before its first check in this process."""
    segments = tuple(_segment(slot, history, name) for name in slot.monitor.reference.plan.segments)
    return _assemble(slot, history, segments, loaded_at)


def unloaded_view(config: MonitorConfig, failure: str = "") -> MonitorView:
    """Build the view of a monitor without a loaded reference, whose values are unknown."""
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
        corrected_slices=0,
        owed_windows=None,
        patience_seconds=config.window.patience_seconds,
        untimed_rows=None,
    )


def refreshed_view(previous: MonitorView, slot: MonitorSlot, history: History, loaded_at: int) -> MonitorView:
    """Build the view after a check: its verdict extends the trail, the rest comes from history and runner."""
    if slot.is_outdated:
        slot.is_outdated = False
        return restored_view(slot, history, loaded_at)
    if slot.outcome is None:
        return _assemble(slot, history, previous.segments, loaded_at)
    segments = []
    for name in slot.monitor.reference.plan.segments:
        segment = previous.segment(name) or _segment(slot, history, name)
        segments.append(_advance(segment, slot))
    return _assemble(slot, history, tuple(segments), loaded_at)


def _advance(previous: SegmentView, slot: MonitorSlot) -> SegmentView:
    outcome = slot.outcome
    if outcome is not None and outcome.is_refresh:
        return _with_refreshed_gauges(previous, outcome)
    verdict = next((v for v in outcome.verdicts if v.segment == previous.segment), None) if outcome else None
    if outcome is None or verdict is None:
        return previous
    trail = previous.trail
    if not trail or trail[-1][0] < verdict.window.end:
        trail = (*trail, (verdict.window.end, verdict.evidence, str(verdict.state), verdict.page))[
            -_TRAIL_WINDOWS:
        ]
    if not verdict.state.has_data:
        return replace(previous, verdict=verdict, trail=trail)
    return SegmentView(
        segment=previous.segment,
        verdict=verdict,
        usable_verdict=verdict,
        usable_at=slot.tally.last_success_at,
        trail=trail,
        window=outcome.windows.get(previous.segment),
    )


def _with_refreshed_gauges(previous: SegmentView, outcome: Outcome) -> SegmentView:
    # The newest verdict's state, evidence and alerts stay.
    window, gauges = outcome.windows.get(previous.segment), outcome.gauges.get(previous.segment)
    if previous.usable_verdict is None or window is None or gauges is None:
        return previous
    verdict = replace(previous.usable_verdict, window=window.span, rows=window.rows, statistics=gauges)
    return replace(previous, usable_verdict=verdict, window=window)


def _segment(slot: MonitorSlot, history: History, name: str | None) -> SegmentView:
    config = slot.monitor.config
    rows = history.verdicts.newest(config.name, name, limit=_TRAIL_WINDOWS)
    decoded = (history.verdicts.decode(row) for row in rows)
    verdicts = [verdict for verdict in decoded if verdict is not None]
    usable = next((v for v in reversed(verdicts) if v.state.has_data), None)
    window: Summary | None = None
    usable_at: int | None = None
    if usable is not None:
        usable_at = history.verdicts.decided_at(config.name, name, usable.window.end)
        tiles = [history.tiles.get(config.name, name, start, version) for start, version in usable.tiles]
        summaries = [tile.summary for tile in tiles if tile is not None]
        window = total(summaries) if summaries else None
    return SegmentView(
        segment=name,
        verdict=verdicts[-1] if verdicts else None,
        usable_verdict=usable,
        usable_at=usable_at,
        trail=tuple((v.window.end, v.evidence, str(v.state), v.page) for v in verdicts),
        window=window,
    )


def _assemble(
    slot: MonitorSlot, history: History, segments: tuple[SegmentView, ...], loaded_at: int
) -> MonitorView:
    monitor, tally = slot.monitor, slot.tally
    config = monitor.config
    whole = next((view for view in segments if view.segment is None), None)
    usable_at = whole.usable_at if whole else None
    incidents = tuple(_open_incident(item) for item in history.incidents.of_monitor(config.name))
    return replace(
        unloaded_view(config),
        reference=monitor.reference,
        reference_loaded_at=loaded_at,
        segments=segments,
        incidents=incidents,
        last_run_at=tally.last_run_at,
        last_success_at=tally.last_success_at or usable_at,
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
        corrected_slices=tally.corrected_slices,
        owed_windows=history.owed.count(config.name),
        untimed_rows=tally.untimed_rows,
        stray_rows=tally.stray_rows,
        selftest=selftest_view(monitor, history.selftests),
    )


def _open_incident(stored: StoredIncident) -> OpenIncident:
    message = message_from_json(stored.content)
    return OpenIncident(
        key=stored.key,
        kind=stored.kind,
        segment=stored.segment,
        columns=stored.columns,
        opened_at=stored.opened_at,
        onset=stored.onset,
        muted_until=stored.muted_until,
        segments=stored.segments,
        joined=joined_lines(message),
        paged_again_at=paged_again_at(message),
        effects=message.effects,
    )


def _difference(tally: Tally) -> float | None:
    if tally.duration_seconds is None or tally.read_seconds is None:
        return None
    return max(tally.duration_seconds - tally.read_seconds, 0.0)


def _next_run(slot: MonitorSlot) -> int | None:
    if slot.last_end is None:
        return None
    config = slot.monitor.config
    upcoming = window_at(slot.last_end, config.window.length, config.timezone)
    return max(upcoming.end + config.window.lag * NANOSECONDS, slot.backoff.until)
