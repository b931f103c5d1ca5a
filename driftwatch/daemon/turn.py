"""One monitor's turn: open incidents, acknowledgements, due windows, late rows, gauges, the view.

A step that fails is logged and counted, and the next one runs: an acknowledgement that cannot be applied
stops no check, and neither does a view that cannot be built. Only a store that fails makes the checks wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from typing import TypeVar

from driftwatch.core.clock import Clock
from driftwatch.core.schema import Span
from driftwatch.core.windows import window_at
from driftwatch.daemon.check_log import (
    log_retained_slices,
    log_verdicts,
    report_look,
    report_outside_rows,
)
from driftwatch.daemon.due_windows import backlog, due_refresh, late_search_time
from driftwatch.daemon.status.monitor_slot import LookRound, MonitorSlot
from driftwatch.errors import DataError, StoreError
from driftwatch.monitor.acknowledge import apply_acknowledgement
from driftwatch.monitor.past.look_again import PASSING_FAILURES, Look, look_again, windows_to_reread
from driftwatch.store.acknowledgements import Acknowledgement, Acknowledgements

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Windows that a monitor catching up checks before other monitors get a worker.
WINDOWS_PER_TURN = 16


class Step(StrEnum):
    CLOCK = "look at the clock"
    TAKE_OVER = "taking over of open incidents"
    ACKNOWLEDGEMENT = "acknowledgement"
    CHECK = "check"
    OWED = "look at owed windows"
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
        look_at_clock: Callable[[], None] = lambda: None,
        beat: Callable[[], None] = lambda: None,  # called at the begin of each step, window and look
    ) -> None:
        self._slot = slot
        self._clock = clock
        self._acknowledgements = acknowledgements
        self._show = show
        self._catch_up = catch_up
        self._stopping = stopping
        self._look_at_clock = look_at_clock
        self._beat = beat
        self._name = slot.monitor.config.name
        self.store_errors = 0

    def run(self) -> bool:
        """Run the steps; True means that more windows are due, but other monitors go first."""
        slot, has_judged, has_more = self._slot, None, None
        self._run_step(Step.CLOCK, self._look_at_clock)
        if self._take_replacement():
            self._run_step(Step.ACKNOWLEDGEMENT, self._acknowledge)
            # Owed windows first, so that windows are judged in the order of time where there is a choice.
            if slot.owed_is_due(self._clock.steady(), is_window_due=bool(self._due_windows())):
                has_judged = self._run_step(Step.OWED, self._look_at_owed)
            if not (has_judged and slot.is_looking):
                has_more = self._run_step(Step.CHECK, self._check_due_windows)
                if slot.search_is_due(self._clock.steady()):
                    self._run_step(Step.LATE_ROWS, self._search_late_rows)
        # The next window may be a day away, and there may be a thousand monitors.
        slot.monitor.drop_derived_arrays()
        self._update_view()
        return bool(has_more) or (slot.is_looking and slot.owed_is_due(self._clock.steady()))

    def _take_replacement(self) -> bool:
        """Go on with a replacement of the monitor; False means that it cannot take over yet."""
        slot = self._slot
        slot.take_replacement()
        if slot.must_take_over and not slot.removed and not slot.backoff.is_waiting(self._clock.steady()):
            self._run_step(Step.TAKE_OVER, partial(slot.take_over, self._clock.now()))
        return not slot.must_take_over

    def _run_step(self, step: Step, work: Callable[[], T]) -> T | None:
        """Return what the step returns; None when it failed."""
        self._beat()
        try:
            return work()
        except StoreError as error:
            self.store_errors += 1
            log.error("the history failed", extra={"monitor": self._name, "step": step, "error": str(error)})
            self._count_failure(step, "store_error", str(error))
        except BaseException as error:  # supervisor: a bug, SystemExit too, in one step stops no other step
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
            self._slot.backoff.extend(self._clock.steady())

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
        if self._slot.backoff.is_waiting(self._clock.steady()):
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
                self._run_step(Step.LATE_ROWS, self._search_late_rows)
            if not self._take_replacement():
                return False
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
        self._beat()
        slot, started = self._slot, self._clock.now()
        began = time.monotonic()
        outcome = slot.monitor.check(window, started)
        slot.tally.count_check(outcome, started, time.monotonic() - began)
        slot.outcome = outcome
        report_outside_rows(self._name, slot.tally, outcome.reading)
        log_verdicts(outcome.verdicts)
        log_retained_slices(self._name, window, outcome.reading.retained_slices)
        slot.last_end = window.end
        if outcome.failure is None:
            slot.backoff.reset()
            return True
        slot.add_owed()
        slot.tally.count_failure(str(outcome.failure), outcome.verdicts[0].detail)
        if outcome.failure in PASSING_FAILURES:
            slot.backoff.extend(self._clock.steady())
            return False
        return True

    def _search_late_rows(self) -> None:
        """Search decided windows for late rows: several after a new one, between times the newest."""
        slot, now = self._slot, self._clock.now()
        config = slot.monitor.config
        if slot.last_end is None or slot.backoff.is_waiting(self._clock.steady()):
            return
        newest = window_at(slot.last_end - 1, config.window.length, config.timezone)
        windows = [newest]
        if slot.searched_until != slot.last_end:
            windows = windows_to_reread(newest, config.window, config.timezone, now)
        slot.search_at(late_search_time(config.window, self._clock.steady()))
        # A few owed windows cost nothing beside the decided ones.
        with_owed = not slot.owes_many
        has_judged = self._report_looks(look_again(slot.monitor, now, windows, with_owed=with_owed), now)
        if with_owed:
            slot.end_round(self._clock.steady(), has_judged=has_judged)

    def _look_at_owed(self) -> bool:
        """Look at so many owed windows; True means that one was judged. The next turn goes on with others."""
        slot, now = self._slot, self._clock.now()
        if not slot.is_looking:
            slot.looks = LookRound(slot.monitor, look_again(slot.monitor, now))
        has_judged = self._report_looks(slot.looks.some(WINDOWS_PER_TURN), now)
        if not slot.is_looking:
            slot.end_round(self._clock.steady(), has_judged=has_judged)
        return has_judged

    def _report_looks(self, looks: Iterator[Look], now: int) -> bool:
        """Report looks as they come; True means that an owed window was judged."""
        slot, has_judged = self._slot, False
        try:
            for look in looks:
                self._beat()
                report_look(self._name, slot, look, now)
                has_judged |= look.outcome is not None and look.outcome.failure is None
                if self._stopping.is_set() or slot.removed:
                    break
        except DataError as error:
            slot.tally.count_failure("late_rows")
            log.warning("cannot look at past windows", extra={"monitor": self._name, "error": str(error)})
        if slot.is_outdated:
            self._update_view()
        return has_judged

    def _refresh(self) -> None:
        slot, config, now = self._slot, self._slot.monitor.config, self._clock.now()
        span = due_refresh(config.window, config.timezone, slot.last_end, slot.last_refresh, now)
        if span is None or self._stopping.is_set():
            return
        slot.last_refresh = span.end
        outcome = slot.monitor.refresh_gauges(span, now)
        report_outside_rows(self._name, slot.tally, outcome.reading, with_strays=False)
        if outcome.is_refresh:
            slot.outcome = outcome
        else:
            slot.tally.count_failure(str(outcome.failure))
