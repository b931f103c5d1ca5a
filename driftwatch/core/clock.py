"""The system clock and a replay clock. No other module reads the wall clock."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Return the time in nanoseconds since 1970 UTC."""


class SystemClock:
    def now(self) -> int:
        return time.time_ns()


class ReplayClock:
    """A clock that stands still until ``set`` moves it, and runs at normal speed after ``release``."""

    def __init__(self, start: int) -> None:
        self._lock = threading.Lock()
        self._moment = start
        self._released_at: int | None = None

    def now(self) -> int:
        with self._lock:
            return (
                self._moment
                if self._released_at is None
                else self._moment + time.monotonic_ns() - self._released_at
            )

    def set(self, moment: int) -> None:
        with self._lock:
            self._moment = moment

    def release(self) -> None:
        with self._lock:
            self._released_at = time.monotonic_ns()
