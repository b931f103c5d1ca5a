"""The runner's state of one monitor."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.status.tally import Tally
from driftwatch.monitor.check import Monitor, Outcome
from driftwatch.monitor.succession.take_over import take_over

log = logging.getLogger(__name__)

#: Seconds: the first wait, doubled after each further failure, and the longest.
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 2.0, 600.0
#: Doublings after which every wait is the longest; an outage may have thousands of failures.
_MAX_DOUBLINGS = 9


@dataclass(slots=True)
class Backoff:
    """The wait before a failed window is tried again."""

    failures_in_row: int = 0
    #: Nanoseconds.
    until: int = 0

    def is_waiting(self, now: int) -> bool:
        # Not when the clock was set back, which would prolong the wait.
        return now < self.until <= now + int(MAX_BACKOFF_SECONDS * NANOSECONDS)

    def extend(self, now: int) -> None:
        seconds = MIN_BACKOFF_SECONDS * 2.0 ** min(self.failures_in_row, _MAX_DOUBLINGS)
        self.failures_in_row += 1
        self.until = now + int(min(seconds, MAX_BACKOFF_SECONDS) * NANOSECONDS)

    def reset(self) -> None:
        self.failures_in_row = 0

    def end(self) -> None:
        """End the wait, but not the row of failures."""
        self.until = 0


@dataclass(slots=True)
class MonitorSlot:
    """The monitor's turn changes it; any other thread may hand over a replacement of the monitor."""

    monitor: Monitor
    last_end: int | None
    last_refresh: int = 0
    tally: Tally = field(default_factory=Tally)
    backoff: Backoff = field(default_factory=Backoff)
    #: Windows that wait for their rows, and the wait before they are looked at again.
    owed: int = 0
    owed_backoff: Backoff = field(default_factory=Backoff)
    #: When decided windows are searched for late rows again, and the newest one at the last search.
    next_search: int | None = None
    searched_until: int | None = None
    #: Past windows were judged, so the view has to be read from the store.
    is_outdated: bool = False
    outcome: Outcome | None = None
    #: The newest turn: queued, running or done.
    running: Future[None] | None = None
    removed: bool = False
    #: The monitor is new or a replacement, and has not taken over what is open in the store.
    must_take_over: bool = False
    _replacement: Monitor | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def busy(self) -> bool:
        return self.running is not None and not self.running.done()

    def owed_is_due(self, now: int, *, is_window_due: bool) -> bool:
        if not self.owed or self.backoff.is_waiting(now):
            return False
        return is_window_due or not self.owed_backoff.is_waiting(now)

    def search_is_due(self, now: int) -> bool:
        return self.next_search is not None and now >= self.next_search

    def search_at(self, moment: int) -> None:
        self.next_search, self.searched_until = moment, self.last_end

    @property
    def has_replacement(self) -> bool:
        return self._replacement is not None

    def replace_monitor(self, monitor: Monitor) -> None:
        """Let ``monitor`` take over between two windows, at once when a window waits for a retry."""
        with self._lock:
            self._replacement = monitor
            self.backoff.end()
            self.owed_backoff.end()

    def take_replacement(self) -> None:
        with self._lock:
            if self._replacement is not None:
                self.monitor, self._replacement = self._replacement, None
                self.must_take_over = True

    def take_over(self, now: int) -> None:
        """Take over what is open in the store. Raises ``StoreError``."""
        self.monitor = take_over(self.monitor, now, log.info)
        self.must_take_over = False
