"""One monitor's turn: acknowledgements, due windows, late rows, gauges, the view.

A step that fails is logged and counted, and the next one runs: an acknowledgement that cannot be applied
stops no check, and neither does a view that cannot be built. Only a store that fails makes the checks wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import TypeVar

from driftwatch.core.clock import Clock
from driftwatch.core.schema import Span
from driftwatch.core.windows import window_at
from driftwatch.daemon.check_log import (
    log_late_rows,
    log_retained_slices,
    log_stray_rows,
    log_untimed_rows,
    log_verdicts,
)
from driftwatch.daemon.due_windows import backlog, due_refresh
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.errors import DataError, StoreError
from driftwatch.monitor.acknowledge import apply_acknowledgement
from driftwatch.monitor.reading import Reading
from driftwatch.store.acknowledgements import Acknowledgement, Acknowledgements

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Decided windows that are read again for late rows.
REREAD_WINDOWS = 2
#: Windows that a monitor catching up checks before other monitors get a worker.
WINDOWS_PER_TURN = 16


class Step(StrEnum):
    ACKNOWLEDGEMENT = "acknowledgement"
    CHECK = "check"
    LATE_ROWS = "search for late rows"
    REFRESH = "refresh of the gauges"
    VIEW = "view"


class Turn:
    def __init__(
        self,
        slot: MonitorSlot,
        clock: Clock,
        acknowledgements: Acknowledgements,
        show: Callable[[str], None],  # with the monitor's name
        *,
        catch_up: int,
        stopping: threading.Event,
    ) -> None:
        self._slot = slot
        self._clock = clock
        self._acknowledgements = acknowledgements
        self._show = show
        self._catch_up = catch_up
        self._stopping = stopping
        self._name = slot.monitor.config.name
        self.store_errors = 0

    def run(self) -> bool:
        """Run the steps; True means that more windows are due, but other monitors go first."""
        self._slot.take_replacement()
        self._run_step(Step.ACKNOWLEDGEMENT, self._acknowledge)
        has_more = self._run_step(Step.CHECK, self._check_due_windows)
        # The next window may be a day away, and there may be a thousand monitors.
        self._slot.monitor.drop_derived_arrays()
        self._update_view()
        return bool(has_more)

    def _run_step(self, step: Step, work: Callable[[], T]) -> T | None:
        """Return what the step returns; None when it failed."""
        try:
            return work()
        except StoreError as error:
            self.store_errors += 1
            log.error("the history failed", extra={"monitor": self._name, "step": step, "error": str(error)})
            self._count_failure(step, "store_error", str(error))
        except Exception as error:  # supervisor: a bug in one step stops neither other steps nor monitors
            log.exception("%s failed", step, extra={"monitor": self._name})
            reason = "acknowledgement" if step is Step.ACKNOWLEDGEMENT else "internal"
            self._count_failure(step, reason, f"{type(error).__name__}: {error}")
        return None

    def _count_failure(self, step: Step, reason: str, detail: str) -> None:
        if step is Step.VIEW:
            return
        self._slot.tally.count_failure(reason, detail)
        # An acknowledgement that cannot be applied is no reason to check later.
        if reason != "acknowledgement":
            self._slot.backoff.extend(self._clock.now())

    def _update_view(self) -> None:
        self._run_step(Step.VIEW, partial(self._show, self._name))

    def _acknowledge(self) -> None:
        # Answers to one incident keep their order; one without an incident answers all of them.
        waiting: set[str] = set()
        for acknowledgement in self._acknowledgements.pending(self._name):
            incident, n_store_errors = acknowledgement.incident, self.store_errors
            must_wait = bool(waiting) and (not incident or bool(waiting & {incident, ""}))
            step = partial(self._apply, acknowledgement)
            if must_wait or not self._run_step(Step.ACKNOWLEDGEMENT, step):
                waiting.add(incident)
            if self.store_errors > n_store_errors:
                return

    def _apply(self, acknowledgement: Acknowledgement) -> bool:
        slot = self._slot
        previous = slot.monitor.reference.fingerprint
        slot.monitor = apply_acknowledgement(slot.monitor, acknowledgement, self._clock.now())
        if slot.monitor.reference.fingerprint != previous:
            log.info("reference rebased", extra={"monitor": self._name})
        return True

    def _check_due_windows(self) -> bool:
        """Check due windows in order; True means that more are due but other monitors go first."""
        if self._slot.backoff.is_waiting(self._clock.now()):
            return False
        for _ in range(WINDOWS_PER_TURN):
            windows = self._due_windows()
            if self._stopping.is_set() or self._slot.removed:
                return False
            if not windows or not self._check(windows[0]):
                self._run_step(Step.REFRESH, self._refresh)
                return False
            self._update_view()
            if len(windows) == 1:
                self._run_step(Step.LATE_ROWS, partial(self._reread, windows[0]))
            self._slot.take_replacement()
        return True

    def _due_windows(self) -> tuple[Span, ...]:
        slot, config = self._slot, self._slot.monitor.config
        due = backlog(config.window, config.timezone, slot.last_end, self._clock.now(), self._catch_up)
        if due.skipped:
            slot.tally.skipped["catch_up_limit"] += due.skipped
            slot.last_end = due.windows[0].start
        return due.windows

    def _check(self, window: Span) -> bool:
        """Check one window; False means that it must be retried."""
        slot, started = self._slot, self._clock.now()
        began = time.monotonic()
        outcome = slot.monitor.check(window, started)
        slot.tally.count_check(outcome, started, time.monotonic() - began)
        slot.outcome = outcome
        self._report_untimed(outcome.reading.untimed_rows)
        self._report_strays(outcome.reading)
        log_verdicts(outcome.verdicts, final=outcome.final)
        log_retained_slices(self._name, window, outcome.reading.retained_slices)
        if outcome.final:
            slot.last_end = window.end
        if outcome.failure is not None:
            self._count_failure(Step.CHECK, str(outcome.failure), outcome.verdicts[0].detail)
            return outcome.final
        slot.backoff.reset()
        return True

    def _report_untimed(self, rows: int | None) -> None:
        if rows is None:
            return
        # Each new number is logged once.
        if rows != self._slot.tally.untimed_rows:
            log_untimed_rows(self._name, rows)
        self._slot.tally.untimed_rows = rows

    def _report_strays(self, reading: Reading) -> None:
        if reading.untimed_rows is None:
            return
        strays = (reading.before_history_rows, reading.future_rows)
        if strays != self._slot.tally.stray_rows:
            log_stray_rows(self._name, *strays)
        self._slot.tally.stray_rows = strays

    def _reread(self, window: Span) -> None:
        slot, earlier = self._slot, window
        config = slot.monitor.config
        for _ in range(REREAD_WINDOWS):
            earlier = window_at(earlier.start - 1, config.window.length, config.timezone)
            try:
                late_data = slot.monitor.reread_window(earlier, self._clock.now())
            except DataError as error:
                slot.tally.count_failure("late_rows")
                log.warning("cannot look for late rows", extra={"monitor": self._name, "error": str(error)})
                return
            slot.tally.late_rows += late_data.rows
            log_late_rows(self._name, earlier, late_data.rows)
            log_retained_slices(self._name, earlier, late_data.retained_slices)

    def _refresh(self) -> None:
        slot, config, now = self._slot, self._slot.monitor.config, self._clock.now()
        span = due_refresh(config.window, config.timezone, slot.last_end, slot.last_refresh, now)
        if span is None or self._stopping.is_set():
            return
        slot.last_refresh = span.end
        outcome = slot.monitor.refresh_gauges(span, now)
        self._report_untimed(outcome.reading.untimed_rows)
        if outcome.is_refresh:
            slot.outcome = outcome
        else:
            slot.tally.count_failure(str(outcome.failure))
