"""Which windows are due, and their checks on a bounded pool of workers; one check per monitor at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from driftwatch.core.clock import Clock
from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.core.windows import due, newest_closed, sliding, window_at
from driftwatch.daemon.status.monitor_slot import Slot as Slot
from driftwatch.errors import DataError, StoreError
from driftwatch.monitor.acknowledge import apply_pending
from driftwatch.monitor.check import Monitor, Outcome
from driftwatch.store.acknowledgements import Acknowledgements

log = logging.getLogger(__name__)

#: Decided windows that are looked at again for rows that came late.
LATE_WINDOWS = 2
#: Seconds before a window that could not be looked at is tried again: doubled each time, up to the last.
BACKOFF = (2.0, 600.0)
#: Windows a monitor that catches up checks before others get their turn.
TURN = 16


class Runner:
    """Checks every monitor's due windows in order. ``changed`` is called with a name after each change."""

    def __init__(
        self,
        clock: Clock,
        acknowledgements: Acknowledgements,
        changed: Callable[[str], None],
        *,
        workers: int,
        catch_up: int,
    ) -> None:
        self._clock = clock
        self._acknowledgements = acknowledgements
        self._changed = changed
        self.catch_up = catch_up
        self.workers = workers
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="check")
        self._slots: dict[str, Slot] = {}
        self.store_errors = 0

    def add(self, monitor: Monitor, last_end: int | None) -> None:
        """Watch a monitor, or go on with a new configuration of one."""
        with self._lock:
            known = self._slots.get(monitor.config.name)
            if known is None:
                self._slots[monitor.config.name] = Slot(monitor=monitor, last_end=last_end)
                return
            known.replacement = monitor
            known.not_before = 0

    def remove(self, name: str) -> None:
        """Stop watching a monitor; a running check of it ends and is kept."""
        with self._lock:
            slot = self._slots.pop(name, None)
            if slot is not None:
                slot.removed = True

    def slot(self, name: str) -> Slot | None:
        """One monitor's place; None when it is not watched."""
        with self._lock:
            return self._slots.get(name)

    def failed(self, name: str, reason: str, detail: str) -> None:
        """Count a failure outside of a check."""
        slot = self.slot(name)
        if slot is not None:
            slot.tally.failures[reason] += 1
            slot.tally.last_failure = detail

    def slots(self) -> list[Slot]:
        """Every monitor's place."""
        with self._lock:
            return list(self._slots.values())

    @property
    def running(self) -> int:
        """Checks going on."""
        return sum(1 for slot in self.slots() if slot.busy)

    def tick(self) -> None:
        """Start what is due. Cheap when nothing is."""
        now = self._clock.now()
        for slot in self.slots():
            with self._lock:
                if slot.busy or self._stopping.is_set():
                    continue
                waits = self._waits(slot, now)
                work = not waits and (self._due(slot, now) or self._glance(slot, now))
                if work or slot.replacement is not None or self._asked(slot):
                    slot.running = self._pool.submit(self._run, slot)

    @staticmethod
    def _waits(slot: Slot, now: int) -> bool:
        """True while backing off; not when the clock was set back, which would wait for that long."""
        return now < slot.not_before <= now + int(BACKOFF[1] * NANOSECONDS)

    def _asked(self, slot: Slot) -> bool:
        try:
            return bool(self._acknowledgements.pending(slot.monitor.config.name))
        except StoreError:
            return False

    def _due(self, slot: Slot, now: int) -> list[Span]:
        config = slot.monitor.config
        window = config.window
        windows = due(slot.last_end, now, window.length, window.lag, config.timezone)
        skipped = len(windows) - self.catch_up
        if skipped > 0:
            slot.tally.skipped["catch_up_limit"] += skipped
            windows = windows[skipped:]
            slot.last_end = windows[0].start
        return windows

    def _run(self, slot: Slot) -> None:
        name = slot.monitor.config.name
        again = False
        try:
            self._adopt(slot)
            self._acknowledge(slot)
            again = not self._waits(slot, self._clock.now()) and self._turn(slot)
        except StoreError as error:
            self.store_errors += 1
            log.error("the history failed", extra={"monitor": name, "error": str(error)})
            self._fail(slot, "store_error", str(error))
        except Exception as error:
            log.exception("check failed", extra={"monitor": name})
            self._fail(slot, "internal", f"{type(error).__name__}: {error}")
        # The next window may come in a day, and there may be a thousand monitors.
        slot.monitor.reference.forget()
        self._show(name)
        with self._lock:
            if again and not self._stopping.is_set():
                slot.running = self._pool.submit(self._run, slot)

    def _show(self, name: str) -> None:
        try:
            self._changed(name)
        except StoreError as error:
            self.store_errors += 1
            log.error("the history cannot be shown", extra={"monitor": name, "error": str(error)})
        except Exception:
            log.exception("the view failed", extra={"monitor": name})

    def _turn(self, slot: Slot) -> bool:
        """Check due windows in order; True when there are more and others should have their turn first."""
        for _ in range(TURN):
            windows = self._due(slot, self._clock.now())
            if self._stopping.is_set() or slot.removed:
                return False
            if not windows or not self._check(slot, windows[0]):
                self._refresh(slot)
                return False
            self._show(slot.monitor.config.name)
            if len(windows) == 1:
                self._late(slot, windows[0])
            self._adopt(slot)
        return True

    def _adopt(self, slot: Slot) -> None:
        with self._lock:
            if slot.replacement is not None:
                slot.monitor, slot.replacement = slot.replacement, None

    def _acknowledge(self, slot: Slot) -> None:
        before = slot.monitor.reference.fingerprint
        try:
            slot.monitor = apply_pending(slot.monitor, self._acknowledgements, self._clock.now())
        except StoreError:
            raise
        except Exception as error:
            # What a person asked for cannot be done; the checks must go on all the same.
            log.exception("acknowledgement failed", extra={"monitor": slot.monitor.config.name})
            slot.tally.failures["acknowledgement"] += 1
            slot.tally.last_failure = f"{type(error).__name__}: {error}"
        if slot.monitor.reference.fingerprint != before:
            log.info("reference rebased", extra={"monitor": slot.monitor.config.name})

    def _check(self, slot: Slot, window: Span) -> bool:
        """Check one window; False when it stays due and has to wait."""
        tally, started = slot.tally, self._clock.now()
        before = time.monotonic()
        outcome = slot.monitor.check(window, started)
        tally.checks += 1
        tally.last_run_at = started
        tally.duration_seconds = time.monotonic() - before
        tally.read_seconds = outcome.read_seconds
        tally.rows_read += outcome.rows_read
        tally.newest_row_at = outcome.newest_row or tally.newest_row_at
        self._untimed(slot, outcome)
        for item in outcome.verdicts[0].rejected_files:
            tally.rejected[str(item.problem)] += 1
        slot.outcome = outcome
        self._log(outcome)
        self._say_kept(slot.monitor.config.name, window, outcome.kept)
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
    def _untimed(slot: Slot, outcome: Outcome) -> None:
        """Remember, and say once, how many rows of the newest read have no usable event time."""
        if outcome.untimed is None:
            return
        if outcome.untimed and outcome.untimed != slot.tally.untimed_rows:
            extra = {"monitor": slot.monitor.config.name, "rows": outcome.untimed}
            log.warning("rows without a usable event time are in no window", extra=extra)
        slot.tally.untimed_rows = outcome.untimed

    def _late(self, slot: Slot, window: Span) -> None:
        config = slot.monitor.config
        earlier = window
        for _ in range(LATE_WINDOWS):
            earlier = window_at(earlier.start - 1, config.window.length, config.timezone)
            try:
                found = slot.monitor.late(earlier, self._clock.now())
            except DataError as error:
                slot.tally.failures["late_rows"] += 1
                log.warning("cannot look for late rows", extra={"monitor": config.name, "error": str(error)})
                return
            slot.tally.late_rows += found.rows
            if found.rows:
                extra = {"monitor": config.name, "window_end": iso(earlier.end), "rows": found.rows}
                log.info("late rows", extra=extra)
            self._say_kept(config.name, earlier, found.kept)

    @staticmethod
    def _say_kept(name: str, window: Span, kept: int) -> None:
        if kept:
            extra = {"monitor": name, "window_end": iso(window.end), "slices": kept}
            log.warning("the source has fewer rows than were seen; what was seen is kept", extra=extra)

    def _glance(self, slot: Slot, now: int) -> Span | None:
        """The sliding window whose gauges are due, when the gauges are refreshed within windows."""
        window = slot.monitor.config.window
        if window.step == window.length:
            return None
        end = newest_closed(now, window.step, window.lag, slot.monitor.config.timezone).end
        if end <= max(slot.last_glance, slot.last_end or 0):
            return None
        return sliding(end, window.length, window.step, slot.monitor.config.timezone)

    def _refresh(self, slot: Slot) -> None:
        span = self._glance(slot, self._clock.now())
        if span is None or self._stopping.is_set():
            return
        slot.last_glance = span.end
        outcome = slot.monitor.glance(span, self._clock.now())
        self._untimed(slot, outcome)
        if outcome.glance:
            slot.outcome = outcome
        else:
            slot.tally.failures[str(outcome.failure)] += 1

    def _fail(self, slot: Slot, reason: str, detail: str) -> None:
        slot.tally.failures[reason] += 1
        slot.tally.last_failure = detail
        seconds = min(BACKOFF[0] * 2.0**slot.failures_in_row, BACKOFF[1])
        slot.failures_in_row += 1
        slot.not_before = self._clock.now() + int(seconds * NANOSECONDS)

    def _log(self, outcome: Outcome) -> None:
        for verdict in outcome.verdicts:
            level = logging.WARNING if verdict.page or not verdict.state.looked else logging.INFO
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
        """Wait until no check is going on; False when the time is over first."""
        deadline = time.monotonic() + seconds
        for slot in self.slots():
            while (running := slot.running) is not None and slot.busy:
                if wait([running], timeout=max(deadline - time.monotonic(), 0.0)).not_done:
                    return False
        return True

    def stop(self, seconds: float) -> bool:
        """Start nothing more and wait for what is going on; an abandoned check commits nothing."""
        self._stopping.set()
        finished = self.wait_idle(seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)
        return finished
