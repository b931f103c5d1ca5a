"""The log lines of checks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from driftwatch.core.schema import Span, iso
from driftwatch.results.results import Verdict

log = logging.getLogger(__name__)


def log_verdicts(verdicts: Sequence[Verdict], *, final: bool) -> None:
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
                "decided": final,
            },
        )


def log_late_rows(monitor: str, window: Span, rows: int) -> None:
    if rows:
        log.info("late rows", extra={"monitor": monitor, "window_end": iso(window.end), "rows": rows})


def log_retained_slices(monitor: str, window: Span, slices: int) -> None:
    if slices:
        extra = {"monitor": monitor, "window_end": iso(window.end), "slices": slices}
        log.warning("the source has fewer rows than were seen; what was seen is kept", extra=extra)


def log_untimed_rows(monitor: str, rows: int) -> None:
    if rows:
        extra = {"monitor": monitor, "rows": rows}
        log.warning("rows without a usable event time are in no window", extra=extra)


def log_stray_rows(monitor: str, before_history: int, future: int) -> None:
    if before_history or future:
        extra = {"monitor": monitor, "before_history": before_history, "future": future}
        log.warning("rows stamped before the history or in the future are in no window", extra=extra)
