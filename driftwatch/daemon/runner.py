"""Gives every monitor with due work a turn on a bounded pool of workers, one turn per monitor at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from driftwatch.core.clock import Clock
from driftwatch.daemon.due_windows import backlog, due_refresh, follow_clock, is_set_back
from driftwatch.daemon.own_health.clock.clock_watch import MonitorClock, TrustedClock
from driftwatch.daemon.own_health.clock.clock_witness import ASK_SECONDS, ask_source
from driftwatch.daemon.own_health.loops.heartbeat import Moment, RunningSteps
from driftwatch.daemon.own_health.loops.loop_supervisor import Revival
from driftwatch.daemon.own_health.loops.loop_threads import has_dead_thread
from driftwatch.daemon.own_health.own_health import LoopHealth
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.daemon.turn import Turn
from driftwatch.errors import StoreError
from driftwatch.monitor.check import Monitor
from driftwatch.store.acknowledgements import Acknowledgements

#: Reads of one step of a turn, each within ``limits.seconds``, and as long again for waiting until a reader
#: is free; seconds for judging what was read.
_READS_PER_STEP, _JUDGE_SECONDS = 3, 60.0


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
        self._clock = clock if isinstance(clock, TrustedClock) else TrustedClock(clock)
        self._acknowledgements = acknowledgements
        self._on_change = on_change
        self.catch_up = catch_up
        self.workers = workers
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="check")
        self._slots: dict[str, MonitorSlot] = {}
        self._removed: list[MonitorSlot] = []
        self.steps = RunningSteps("check")
        self.store_errors = 0

    def add(self, monitor: Monitor, last_end: int | None, owed: int = 0) -> None:
        """Watch a monitor with so many owed windows, or replace its configuration."""
        with self._lock:
            slot = self._slots.get(monitor.config.name)
            if slot is None:
                self._slots[monitor.config.name] = MonitorSlot(
                    monitor=monitor, last_end=last_end, owed=owed, must_take_over=True
                )
            else:
                slot.replace_monitor(monitor)

    def remove(self, name: str) -> None:
        """Stop watching a monitor; its running check finishes and is recorded."""
        with self._lock:
            slot = self._slots.pop(name, None)
            if slot is not None:
                slot.removed = True
                self._removed = [item for item in (*self._removed, slot) if item.busy]

    def slot(self, name: str) -> MonitorSlot | None:
        with self._lock:
            return self._slots.get(name)

    def slots(self) -> list[MonitorSlot]:
        with self._lock:
            return list(self._slots.values())

    @property
    def leaving(self) -> frozenset[str]:
        """Return removed monitors whose last check is still running."""
        with self._lock:
            return frozenset(slot.monitor.config.name for slot in self._removed if slot.busy)

    @property
    def running(self) -> int:
        return sum(1 for slot in self.slots() if slot.busy)

    def tick(self) -> None:
        """Start a turn of every monitor that has work."""
        slots = self.slots()
        if not self._clock.settle(slot.monitor.config.name for slot in slots):
            return
        for slot in slots:
            # It reads the store, and whoever asks how many checks run must not wait for that.
            if slot.busy or not self._has_work(slot):
                continue
            with self._lock:
                if not (slot.removed or self._stopping.is_set()):
                    slot.running = self._pool.submit(self._run_turn, slot)

    def _has_work(self, slot: MonitorSlot) -> bool:
        config = slot.monitor.config
        steady = self._clock.steady()
        now = steady + self._clock.offset(config.name)
        window, timezone = config.window, config.timezone
        is_due = not slot.backoff.is_waiting(steady) and (
            slot.must_take_over
            or is_set_back(slot, now)
            or self._clock.question(config.name, ASK_SECONDS) is not None
            or bool(backlog(window, timezone, slot.last_end, now, self.catch_up).windows)
            or slot.owed_is_due(steady)
            or slot.search_is_due(steady)
            or due_refresh(window, timezone, slot.last_end, slot.last_refresh, now) is not None
        )
        return is_due or slot.has_replacement or self._has_acknowledgement(config.name)

    def _has_acknowledgement(self, monitor: str) -> bool:
        try:
            return bool(self._acknowledgements.pending(monitor))
        except StoreError:
            return False

    def _run_turn(self, slot: MonitorSlot) -> None:
        seconds = 2 * _READS_PER_STEP * slot.monitor.config.limits.seconds + _JUDGE_SECONDS
        turn = Turn(
            slot,
            MonitorClock(trusted=self._clock, monitor=slot.monitor.config.name),
            self._acknowledgements,
            self._on_change,
            catch_up=self.catch_up,
            stopping=self._stopping,
            look_at_clock=partial(_look_at_clock, self._clock, slot),
            beat=partial(self.steps.begin, id(slot), seconds),
        )
        try:
            has_more = turn.run()
        finally:
            self.steps.end(id(slot))
        with self._lock:
            self.store_errors += turn.store_errors
            if has_more and not self._stopping.is_set():
                slot.running = self._pool.submit(self._run_turn, slot)

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]:
        return (self.steps.health(moment),)

    def revive(self) -> Revival:
        """A worker that ended took a check along, and nobody knows which: only a new process is whole."""
        if self._stopping.is_set() or not has_dead_thread(self._pool):
            return Revival()
        return Revival(lost="A thread that runs checks has ended.")

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


def _look_at_clock(clock: TrustedClock, slot: MonitorSlot) -> None:
    ask_source(clock, slot.monitor)
    follow_clock(slot, clock)
    reading = clock.reading_to_store()
    if reading is not None:
        slot.monitor.history.clock.write(reading)
