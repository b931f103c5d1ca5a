"""The system clock and a replay clock. No other module reads the wall clock."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    def now(self) -> int:
        """Return the time in nanoseconds since 1970 UTC."""

    def steady(self) -> int:
        """Return nanoseconds on a clock that nobody sets; waits are measured by it."""

    @property
    def boot(self) -> str:
        """Return what names this run of ``steady``; empty: a replay, whose time is moved at will."""


def steady_now() -> int:
    """Return nanoseconds since the start of the machine, through suspends where the system counts them."""
    # Without it, a suspend is a jump of the wall clock against this one.
    number = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if number is None else time.clock_gettime_ns(number)


class SystemClock:
    def __init__(self) -> None:
        # A system that does not name its boots has no two that are known to be the same.
        self.boot = f"process at {time.time_ns()}"
        with suppress(OSError):
            self.boot = _BOOT_ID.read_text().strip()

    def now(self) -> int:
        return time.time_ns()

    def steady(self) -> int:
        return steady_now()


class ReplayClock:
    """A clock that stands still until ``set`` moves it, and runs at normal speed after ``release``.

    Its waits pass with the replayed time.
    """

    boot = ""

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

    def steady(self) -> int:
        return self.now()

    def set(self, moment: int) -> None:
        with self._lock:
            self._moment = moment

    def release(self) -> None:
        with self._lock:
            self._released_at = time.monotonic_ns()
