"""The runner's state of one monitor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.status.tally import Tally
from driftwatch.monitor.check import Monitor, Outcome
from driftwatch.monitor.past.look_again import Look
from driftwatch.monitor.succession.take_over import take_over

log = logging.getLogger(__name__)

#: Seconds: the first wait, doubled after each further failure, and the longest.
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 2.0, 600.0
#: Doublings after which every wait is the longest; an outage may have thousands of failures.
_MAX_DOUBLINGS = 9
#: Owed windows up to which all are looked at before each due window: the versions of thousands take a while.
MANY_OWED = 64


@dataclass(slots=True)
class Backoff:
    """The wait before a failed window is tried again, on the steady clock."""

    failures_in_row: int = 0
    #: Nanoseconds.
    until: int = 0

    def is_waiting(self, now: int) -> bool:
        # Not when a replay went back, which would prolong the wait.
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


class LookRound:
    """A round of looks at a monitor's owed windows, over several turns."""

    def __init__(self, monitor: Monitor, looks: Iterator[Look]) -> None:
        self.monitor = monitor
        self._looks = looks
        self.is_over = False

    def some(self, limit: int) -> Iterator[Look]:
        """Yield up to ``limit`` looks; the round is over too when it fails or is broken off."""
        self.is_over = True
        for _ in range(limit):
            look = next(self._looks, None)
            if look is None:
                return
            yield look
        self.is_over = False


@dataclass(slots=True)
class MonitorSlot:
    """The monitor's turn changes it; any other thread may hand over a replacement of the monitor.

    Waits are on the steady clock.
    """

    monitor: Monitor
    last_end: int | None
    #: That of the furthest decided window, while the clock is set back before it.
    furthest_end: int | None = None
    #: How far the time was ahead of the steady clock at the last turn, nanoseconds.
    clock_offset: int | None = None
    last_refresh: int = 0
    tally: Tally = field(default_factory=Tally)
    backoff: Backoff = field(default_factory=Backoff)
    #: Windows that wait for their rows, and the wait before they are looked at again.
    owed: int = 0
    owed_backoff: Backoff = field(default_factory=Backoff)
    looks: LookRound = field(init=False)
    #: When decided windows are searched for late rows again, on the steady clock, and the newest one at the
    #: last search.
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

    def __post_init__(self) -> None:
        self.looks = LookRound(self.monitor, iter(()))
        self.looks.is_over = True

    @property
    def is_looking(self) -> bool:
        # A replacement of the monitor begins another round.
        return not self.looks.is_over and self.looks.monitor is self.monitor

    @property
    def owes_many(self) -> bool:
        return self.owed > MANY_OWED

    def add_owed(self) -> None:
        self.owed += 1
        if not self.owes_many:
            self.owed_backoff.reset()

    def end_round(self, now: int, *, has_judged: bool) -> None:
        """Wait before the next round of looks. Raises ``StoreError``."""
        self.owed = self.monitor.history.owed.count(self.monitor.config.name)
        self.owed_backoff.extend(now)
        if has_judged:
            self.owed_backoff.reset()

    def owed_is_due(self, now: int, *, is_window_due: bool = False) -> bool:
        if self.backoff.is_waiting(now) or not (self.owed or self.is_looking):
            return False
        is_first = is_window_due and not self.owes_many
        return is_first or self.is_looking or not self.owed_backoff.is_waiting(now)

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
