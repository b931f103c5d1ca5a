"""Heartbeats of the daemon's loops, on the monotonic clock; asking for them waits for nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.own_health.own_health import LoopHealth

#: Seconds of a step that waits for the store, on a disk whose ``fsync`` takes several.
STORE_STEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a loop's health is looked at."""

    #: Nanoseconds since 1970.
    now: int
    tick_seconds: float

    def health(self, name: str, silent_seconds: float, step_seconds: float) -> LoopHealth:
        silence = max(silent_seconds, 0.0)
        return LoopHealth(
            name=name,
            last_progress_at=self.now - int(silence * NANOSECONDS),
            silent_seconds=silence,
            limit_seconds=step_seconds + 2 * self.tick_seconds,
        )


class Heartbeat:
    """Thread-safe: the state is replaced as a whole."""

    def __init__(self, name: str, step_seconds: float) -> None:
        self.name = name
        self._step_seconds = step_seconds
        self._state = (time.monotonic(), step_seconds)

    def beat(self, step_seconds: float | None = None) -> None:
        """Note progress; the next step may take so long, by default as long as usual."""
        self._state = (time.monotonic(), self._step_seconds if step_seconds is None else step_seconds)

    def health(self, moment: Moment) -> LoopHealth:
        beaten_at, step_seconds = self._state
        return moment.health(self.name, time.monotonic() - beaten_at, step_seconds)


class RunningSteps:
    """The running steps of one loop, several at a time; one without any is as good as making progress."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        # (begin, seconds it may take) by step.
        self._steps: dict[object, tuple[float, float]] = {}

    def begin(self, step: object, seconds: float) -> None:
        """Begin a step, or the next part of a running one."""
        with self._lock:
            self._steps[step] = (time.monotonic(), seconds)

    def end(self, step: object) -> None:
        with self._lock:
            self._steps.pop(step, None)

    def oldest_seconds(self) -> float | None:
        with self._lock:
            return max((time.monotonic() - began for began, _ in self._steps.values()), default=None)

    def health(self, moment: Moment) -> LoopHealth:
        """Return the health of the step that is nearest to its limit, or beyond it."""
        now = time.monotonic()
        with self._lock:
            steps = [(now - began, seconds) for began, seconds in self._steps.values()]
        age, seconds = max(steps, key=lambda item: item[0] - item[1], default=(0.0, 0.0))
        return moment.health(self.name, age, seconds)
