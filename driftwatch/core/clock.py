"""Clocks: the system's, and one that replays history. The only reading of the time is here."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Something that says what time it is."""

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()


class ReplayClock:
    """Stands still until it is moved; after ``release`` it runs on at normal speed."""

    def __init__(self, start: int) -> None:
        self._lock = threading.Lock()
        self._at = start
        self._since: int | None = None

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""
        with self._lock:
            return self._at if self._since is None else self._at + time.monotonic_ns() - self._since

    def set(self, moment: int) -> None:
        """Move to ``moment``."""
        with self._lock:
            self._at = moment

    def release(self) -> None:
        """From here on time passes."""
        with self._lock:
            self._since = time.monotonic_ns()
