"""Looks after the daemon's loops from a thread of its own.

A dead loop is started again where that is safe; where it is not, the process is to end. The watchdog is fed
while no loop is stuck. A bug here ends this thread, which stops the watchdog and shows in ``/-/healthy``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from driftwatch.daemon.own_health.health_board import HealthBoard
from driftwatch.daemon.own_health.loops.heartbeat import Heartbeat, Moment
from driftwatch.daemon.own_health.own_health import LoopHealth

log = logging.getLogger(__name__)

#: Seconds between two looks at most.
_MAX_INTERVAL_SECONDS = 1.0
#: Of one look, which may start a web server again.
_STEP_SECONDS = 15.0
#: A wait that takes so many seconds longer than it should: the process stood still, and so did every loop.
_STANDSTILL_SECONDS = 5.0
#: Standstills that are remembered.
_MAX_STANDSTILLS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Revival:
    #: Names of loops that were dead and run again.
    restarted: tuple[str, ...] = ()
    #: Why the process has to end, as a sentence; empty when it goes on.
    lost: str = ""


class SupervisedPart(Protocol):
    """A part of the daemon with loops of its own; it answers from memory."""

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]: ...

    def revive(self) -> Revival:
        """Start loops again whose thread is dead."""


class LoopSupervisor:
    def __init__(
        self,
        parts: Sequence[SupervisedPart],
        board: HealthBoard,
        now: Callable[[], int],  # nanoseconds since 1970
        *,
        tick_seconds: float,
        feed_watchdog: Callable[[], None],
        end_process: Callable[[str], None],  # with the reason
    ) -> None:
        self._parts = parts
        self._board = board
        self._now = now
        self._tick_seconds = tick_seconds
        self._feed_watchdog = feed_watchdog
        self._end_process = end_process
        self._heartbeat = Heartbeat("supervisor", _STEP_SECONDS)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._stuck: dict[str, LoopHealth] = {}
        self._restarts: Counter[str] = Counter()
        #: (end on the monotonic clock, seconds), replaced as a whole.
        self._standstills: tuple[tuple[float, float], ...] = ()
        board.loops = self.loops

    def start(self) -> None:
        self._heartbeat.beat()
        self._thread = threading.Thread(target=self._run, name="supervise", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def loops(self) -> tuple[LoopHealth, ...]:
        moment = Moment(now=self._now(), tick_seconds=self._tick_seconds)
        loops = [loop for part in self._parts for loop in part.loops(moment)]
        if self._thread is not None:
            loops.append(self._heartbeat.health(moment))
        return tuple(
            replace(loop, restarts=self._restarts[loop.name], silent_seconds=self._silence(loop))
            for loop in loops
        )

    def _silence(self, loop: LoopHealth) -> float:
        # What stood still with the process is not stuck: it has its whole time beside that.
        began = time.monotonic() - loop.silent_seconds
        lost = (min(seconds, end - began) for end, seconds in self._standstills if end > began)
        return loop.silent_seconds - sum(lost)

    def look(self) -> None:
        """Revive dead loops, report stuck ones, and feed the watchdog when there is none."""
        for part in self._parts:
            revival = part.revive()
            for name in revival.restarted:
                self._note_restart(name)
            if revival.lost:
                log.critical("a loop is lost, the process ends", extra={"reason": revival.lost})
                self._board.troubles.begin("process", revival.lost, self._now())
                self._stopping.set()
                self._end_process(revival.lost)
                return
        stuck = {loop.name: loop for loop in self.loops() if loop.is_stuck}
        self._report(stuck)
        if not stuck:
            self._feed_watchdog()

    def _run(self) -> None:
        interval = min(self._tick_seconds, _MAX_INTERVAL_SECONDS)
        began = time.monotonic()
        while not self._stopping.wait(interval):
            self._note_standstill(time.monotonic() - began - interval)
            self._heartbeat.beat()
            self.look()
            began = time.monotonic()

    def _note_standstill(self, seconds: float) -> None:
        if seconds < _STANDSTILL_SECONDS:
            return
        standstill = (time.monotonic(), seconds)
        self._standstills = (*self._standstills, standstill)[-_MAX_STANDSTILLS:]
        log.warning("the process stood still", extra={"seconds": round(seconds, 1)})
        words = f"It stood still for {seconds:.0f} s, stopped or without a processor."
        self._board.troubles.note("process", words, self._now())

    def _note_restart(self, name: str) -> None:
        self._restarts[name] += 1
        words = "Its thread had ended; it was started again."
        log.error("a loop had ended and was started again", extra={"loop": name})
        self._board.troubles.note(f"loop {name}", words, self._now())

    def _report(self, stuck: dict[str, LoopHealth]) -> None:
        for name, loop in stuck.items():
            if name not in self._stuck:
                seconds = f"{loop.silent_seconds:.0f} s, expected within {loop.limit_seconds:.0f} s"
                log.error("a loop is stuck", extra={"loop": name, "silent": seconds})
                self._board.troubles.begin(f"loop {name}", f"No progress for {seconds}.", self._now())
        for name in self._stuck.keys() - stuck.keys():
            log.warning("a loop goes on again", extra={"loop": name})
            self._board.troubles.end(f"loop {name}", self._now())
        self._stuck = stuck
