"""Runs due checks on a bounded pool of workers, one check per monitor at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from driftwatch.core.clock import Clock
from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.core.windows import due_windows, newest_closed_window, sliding_window, window_at
from driftwatch.daemon.status.monitor_slot import MonitorSlot as MonitorSlot
from driftwatch.errors import DataError, StoreError
from driftwatch.monitor.acknowledge import apply_pending
from driftwatch.monitor.check import Monitor, Outcome
from driftwatch.store.acknowledgements import Acknowledgements

log = logging.getLogger(__name__)

#: Decided windows that are read again for late rows.
REREAD_WINDOWS = 2
#: Seconds before a failed window is retried: the first wait, doubled each time, and the longest.
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 2.0, 600.0
#: Windows that a monitor catching up checks before other monitors get a worker.
WINDOWS_PER_TURN = 16


class Runner:
    def __init__(
        self,
        clock: Clock,
        acknowledgements: Acknowledgements,
        on_change: Callable[[str], None],  # with a monitor's name, after each change
        *,
        workers: int,
        catch_up: int,
    ) -> None:
        self._clock = clock
        self._acknowledgements = acknowledgements
        self._on_change = on_change
        self.catch_up = catch_up
        self.workers = workers
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="check")
        self._slots: dict[str, MonitorSlot] = {}
        self.store_errors = 0

    def add(self, monitor: Monitor, last_end: int | None) -> None:
        """Watch a monitor, or replace its configuration."""
        with self._lock:
            slot = self._slots.get(monitor.config.name)
            if slot is None:
                self._slots[monitor.config.name] = MonitorSlot(monitor=monitor, last_end=last_end)
                return
            slot.replacement = monitor
            slot.not_before = 0

    def remove(self, name: str) -> None:
        """Stop watching a monitor; its running check finishes and is recorded."""
        with self._lock:
            slot = self._slots.pop(name, None)
            if slot is not None:
                slot.removed = True

    def slot(self, name: str) -> MonitorSlot | None:
        with self._lock:
            return self._slots.get(name)

    def count_failure(self, name: str, reason: str, detail: str) -> None:
        slot = self.slot(name)
        if slot is not None:
            slot.tally.failures[reason] += 1
            slot.tally.last_failure = detail

    def slots(self) -> list[MonitorSlot]:
        with self._lock:
            return list(self._slots.values())

    @property
    def running(self) -> int:
        return sum(1 for slot in self.slots() if slot.busy)

    def tick(self) -> None:
        """Start every due check."""
        now = self._clock.now()
        for slot in self.slots():
            with self._lock:
                if slot.busy or self._stopping.is_set():
                    continue
                is_waiting = self._is_backing_off(slot, now)
                has_work = not is_waiting and (self._due_windows(slot, now) or self._due_refresh(slot, now))
                if has_work or slot.replacement is not None or self._has_acknowledgement(slot):
                    slot.running = self._pool.submit(self._run, slot)

    @staticmethod
    def _is_backing_off(slot: MonitorSlot, now: int) -> bool:
        # Not when the clock was set back, which would prolong the back-off.
        return now < slot.not_before <= now + int(MAX_BACKOFF_SECONDS * NANOSECONDS)

    def _has_acknowledgement(self, slot: MonitorSlot) -> bool:
        try:
            return bool(self._acknowledgements.pending(slot.monitor.config.name))
        except StoreError:
            return False

    def _due_windows(self, slot: MonitorSlot, now: int) -> list[Span]:
        config = slot.monitor.config
        window = config.window
        windows = due_windows(slot.last_end, now, window.length, window.lag, config.timezone)
        skipped = len(windows) - self.catch_up
        if skipped > 0:
            slot.tally.skipped["catch_up_limit"] += skipped
            windows = windows[skipped:]
            slot.last_end = windows[0].start
        return windows

    def _run(self, slot: MonitorSlot) -> None:
        name = slot.monitor.config.name
        has_more = False
        try:
            self._apply_replacement(slot)
            self._acknowledge(slot)
            has_more = not self._is_backing_off(slot, self._clock.now()) and self._check_due_windows(slot)
        except StoreError as error:
            self.store_errors += 1
            log.error("the history failed", extra={"monitor": name, "error": str(error)})
            self._fail(slot, "store_error", str(error))
        except Exception as error:
            log.exception("check failed", extra={"monitor": name})
            self._fail(slot, "internal", f"{type(error).__name__}: {error}")
        # The next window may be a day away, and there may be a thousand monitors.
        slot.monitor.drop_derived_arrays()
        self._show(name)
        with self._lock:
            if has_more and not self._stopping.is_set():
                slot.running = self._pool.submit(self._run, slot)

    def _show(self, name: str) -> None:
        try:
            self._on_change(name)
        except StoreError as error:
            self.store_errors += 1
            log.error("the history cannot be shown", extra={"monitor": name, "error": str(error)})
        except Exception:
            log.exception("the view failed", extra={"monitor": name})

    def _check_due_windows(self, slot: MonitorSlot) -> bool:
        """Check due windows in order; True means that more are due but other monitors go first."""
        for _ in range(WINDOWS_PER_TURN):
            windows = self._due_windows(slot, self._clock.now())
            if self._stopping.is_set() or slot.removed:
                return False
            if not windows or not self._check(slot, windows[0]):
                self._refresh(slot)
                return False
            self._show(slot.monitor.config.name)
            if len(windows) == 1:
                self._reread(slot, windows[0])
            self._apply_replacement(slot)
        return True

    def _apply_replacement(self, slot: MonitorSlot) -> None:
        with self._lock:
            if slot.replacement is not None:
                slot.monitor, slot.replacement = slot.replacement, None

    def _acknowledge(self, slot: MonitorSlot) -> None:
        previous = slot.monitor.reference.fingerprint
        try:
            slot.monitor = apply_pending(slot.monitor, self._acknowledgements, self._clock.now())
        except StoreError:
            raise
        except Exception as error:
            # The acknowledgement cannot be applied; the checks must go on.
            log.exception("acknowledgement failed", extra={"monitor": slot.monitor.config.name})
            slot.tally.failures["acknowledgement"] += 1
            slot.tally.last_failure = f"{type(error).__name__}: {error}"
        if slot.monitor.reference.fingerprint != previous:
            log.info("reference rebased", extra={"monitor": slot.monitor.config.name})

    def _check(self, slot: MonitorSlot, window: Span) -> bool:
        """Check one window; False means that it must be retried."""
        tally, started = slot.tally, self._clock.now()
        began = time.monotonic()
        outcome = slot.monitor.check(window, started)
        tally.checks += 1
        tally.last_run_at = started
        tally.duration_seconds = time.monotonic() - began
        tally.read_seconds = outcome.reading.read_seconds
        tally.rows_read += outcome.reading.rows_read
        tally.newest_row_at = outcome.reading.newest_row or tally.newest_row_at
        self._report_untimed(slot, outcome)
        for item in outcome.verdicts[0].rejected_files:
            tally.rejected[str(item.problem)] += 1
        slot.outcome = outcome
        self._log(outcome)
        self._report_retained(slot.monitor.config.name, window, outcome.reading.retained_slices)
        if outcome.final:
            slot.last_end = window.end
        if outcome.failure is not None:
            self._fail(slot, str(outcome.failure), outcome.verdicts[0].detail)
            return outcome.final
        tally.last_success_at = started
        tally.last_failure = ""
        slot.failures_in_row = 0
        return True

    @staticmethod
    def _report_untimed(slot: MonitorSlot, outcome: Outcome) -> None:
        if outcome.reading.untimed_rows is None:
            return
        # Each new number is logged once.
        if outcome.reading.untimed_rows and outcome.reading.untimed_rows != slot.tally.untimed_rows:
            extra = {"monitor": slot.monitor.config.name, "rows": outcome.reading.untimed_rows}
            log.warning("rows without a usable event time are in no window", extra=extra)
        slot.tally.untimed_rows = outcome.reading.untimed_rows

    def _reread(self, slot: MonitorSlot, window: Span) -> None:
        config = slot.monitor.config
        earlier = window
        for _ in range(REREAD_WINDOWS):
            earlier = window_at(earlier.start - 1, config.window.length, config.timezone)
            try:
                outcome = slot.monitor.reread_window(earlier, self._clock.now())
            except DataError as error:
                slot.tally.failures["late_rows"] += 1
                log.warning("cannot look for late rows", extra={"monitor": config.name, "error": str(error)})
                return
            slot.tally.late_rows += outcome.rows
            if outcome.rows:
                extra = {"monitor": config.name, "window_end": iso(earlier.end), "rows": outcome.rows}
                log.info("late rows", extra=extra)
            self._report_retained(config.name, earlier, outcome.retained_slices)

    @staticmethod
    def _report_retained(name: str, window: Span, slices: int) -> None:
        if slices:
            extra = {"monitor": name, "window_end": iso(window.end), "slices": slices}
            log.warning("the source has fewer rows than were seen; what was seen is kept", extra=extra)

    def _due_refresh(self, slot: MonitorSlot, now: int) -> Span | None:
        window = slot.monitor.config.window
        if window.step == window.length:
            return None
        end = newest_closed_window(now, window.step, window.lag, slot.monitor.config.timezone).end
        if end <= max(slot.last_refresh, slot.last_end or 0):
            return None
        return sliding_window(end, window.length, window.step, slot.monitor.config.timezone)

    def _refresh(self, slot: MonitorSlot) -> None:
        span = self._due_refresh(slot, self._clock.now())
        if span is None or self._stopping.is_set():
            return
        slot.last_refresh = span.end
        outcome = slot.monitor.refresh_gauges(span, self._clock.now())
        self._report_untimed(slot, outcome)
        if outcome.is_refresh:
            slot.outcome = outcome
        else:
            slot.tally.failures[str(outcome.failure)] += 1

    def _fail(self, slot: MonitorSlot, reason: str, detail: str) -> None:
        slot.tally.failures[reason] += 1
        slot.tally.last_failure = detail
        seconds = min(MIN_BACKOFF_SECONDS * 2.0**slot.failures_in_row, MAX_BACKOFF_SECONDS)
        slot.failures_in_row += 1
        slot.not_before = self._clock.now() + int(seconds * NANOSECONDS)

    def _log(self, outcome: Outcome) -> None:
        for verdict in outcome.verdicts:
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
                    "decided": outcome.final,
                },
            )

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no check is running; False means that ``seconds`` passed first."""
        deadline = time.monotonic() + seconds
        for slot in self.slots():
            while (running := slot.running) is not None and slot.busy:
                if wait([running], timeout=max(deadline - time.monotonic(), 0.0)).not_done:
                    return False
        return True

    def stop(self, seconds: float) -> bool:
        """Start no more checks and wait for running ones; an abandoned one commits nothing."""
        self._stopping.set()
        finished = self.wait_idle(seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)
        return finished
