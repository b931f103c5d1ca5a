"""The log lines and counts of checks and looks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from driftwatch.core.schema import Span, iso
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.daemon.status.tally import Tally
from driftwatch.monitor.past.look_again import Look
from driftwatch.monitor.reading import Reading
from driftwatch.results.results import Verdict

log = logging.getLogger(__name__)


def log_verdicts(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        level = logging.WARNING if verdict.page or not verdict.state.has_data else logging.INFO
        log.log(
            level,
            "checked",
            extra={
                "monitor": verdict.monitor,
                "segment": verdict.segment,
                "window_end": iso(verdict.window.end),
                "rows": verdict.rows,
                "state": str(verdict.state),
                "reason": str(verdict.reason),
                "evidence": verdict.evidence,
                "page": verdict.page,
                "decided": not verdict.owed,
                "late": verdict.late,
            },
        )


def log_late_rows(monitor: str, window: Span, rows: int, corrected_slices: int) -> None:
    extra = {"monitor": monitor, "window_end": iso(window.end)}
    if rows:
        log.info("late rows", extra={**extra, "rows": rows})
    if corrected_slices:
        log.info("rows were corrected; the verdict stays", extra={**extra, "slices": corrected_slices})


def log_retained_slices(monitor: str, window: Span, slices: int) -> None:
    if slices:
        extra = {"monitor": monitor, "window_end": iso(window.end), "slices": slices}
        log.warning("the source has fewer rows than were seen; what was seen is kept", extra=extra)


def report_outside_rows(name: str, tally: Tally, reading: Reading, *, with_strays: bool = True) -> None:
    """Note rows that were read and are in no window; each new number is logged once."""
    if reading.untimed_rows is None:
        return
    if reading.untimed_rows and reading.untimed_rows != tally.untimed_rows:
        extra = {"monitor": name, "rows": reading.untimed_rows}
        log.warning("rows without a usable event time are in no window", extra=extra)
    tally.untimed_rows = reading.untimed_rows
    strays = (reading.before_history_rows, reading.future_rows)
    if not with_strays:
        return
    if strays != tally.stray_rows and any(strays):
        extra = {"monitor": name, "before_history": strays[0], "future": strays[1]}
        log.warning("rows stamped before the history or in the future are in no window", extra=extra)
    tally.stray_rows = strays


def report_look(monitor: str, slot: MonitorSlot, look: Look, now: int) -> None:
    """Count and log a look at a past window."""
    late_data = look.late_data
    if late_data is not None:
        if late_data.error:
            slot.tally.count_failure("late_rows")
            log.warning("cannot look at a past window", extra={"monitor": monitor, "error": late_data.error})
        slot.tally.late_rows += late_data.rows
        slot.tally.corrected_slices += late_data.corrected_slices
        log_late_rows(monitor, look.window, late_data.rows, late_data.corrected_slices)
        log_retained_slices(monitor, look.window, late_data.retained_slices)
    outcome = look.outcome if late_data is None else late_data.outcome
    if outcome is None:
        return
    slot.tally.count_look(outcome, now)
    log_verdicts(outcome.verdicts)
    # What is shown comes from the store, since the window may be any of the past.
    slot.outcome, slot.is_outdated = None, True
