"""The clock of the daemon: it tells every thread the time that is believed, and people when it is not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from driftwatch.core.clock import Clock
from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.daemon.own_health.clock.clock_belief import (
    MAX_SLEW_SECONDS,
    PATIENCE_SECONDS,
    ClockBelief,
    Doubt,
)
from driftwatch.daemon.own_health.own_health import ClockHealth
from driftwatch.daemon.own_health.troubles import Troubles
from driftwatch.store.records import ClockReading

log = logging.getLogger(__name__)

#: Seconds in which nothing is deleted by a time that no row has confirmed.
_UNPROVEN_SECONDS = 86_400
#: Seconds between two stored readings.
_STORE_SECONDS = 3600
#: Nanoseconds between two readings of the steady clock, around one of the wall clock, that are one moment;
#: and readings tried: a thread may stand still in between.
_MAX_READING, _READINGS = 50_000_000, 20
_TROUBLE = "clock"


def _reading(clock: Clock) -> tuple[int, int]:
    """Return the steady time, and by how much the wall clock is ahead of it."""
    readings: list[tuple[int, int, int]] = []
    while len(readings) < _READINGS and (not readings or min(readings)[0] > _MAX_READING):
        start, wall, end = clock.steady(), clock.now(), clock.steady()
        readings.append((abs(end - start), end, wall - end))
    _, steady, offset = min(readings)
    return steady, offset


class TrustedClock:
    """Thread-safe, answers from memory; every answer is also a look at the clock."""

    def __init__(self, clock: Clock, troubles: Troubles | None = None) -> None:
        self._clock = clock
        self._troubles = troubles or Troubles()
        self._lock = threading.Lock()
        self._belief = ClockBelief(*_reading(clock), is_replayed=not clock.boot)
        # Monitors whose sources confirm the doubted time, and offsets of times that sources prove.
        self._witnesses: set[str] = set()
        self._proven_offsets: dict[str, int] = {}
        # When a source was asked and the reading stored, on the steady clock.
        self._asked_at: dict[str, int] = {}
        self._stored: tuple[int, int] | None = None

    @property
    def boot(self) -> str:
        return self._clock.boot

    def steady(self) -> int:
        return self._clock.steady()

    def now(self) -> int:
        return self._look()[1]

    def _look(self) -> tuple[int, int]:
        """Return the steady time and the one that all believe."""
        with self._lock:
            doubt = self._belief.doubt
            steady, offset = _reading(self._clock)
            words = self._belief.read(steady, offset)
            now = steady + self._belief.offset
            if self._belief.doubt is not doubt:
                self._witnesses.clear()
                self._proven_offsets.clear()
                self._asked_at.clear()
            self._note(doubt, words, now)
        # Outside the lock, since a log may be slow.
        if words:
            log.warning("%s", words)
        return steady, now

    def _note(self, previous: Doubt | None, words: str, now: int) -> None:
        # The caller holds the lock, so that troubles begin and end in their order.
        doubt = self._belief.doubt
        if doubt is not None and doubt is not previous:
            self._troubles.begin(_TROUBLE, _explained(doubt), now)
        elif doubt is None and previous is not None:
            self._troubles.end(_TROUBLE, now)
        elif words:
            self._troubles.note(_TROUBLE, f"{words[0].upper()}{words[1:]}.", now)

    def compare(self, stored: ClockReading | None, newest: int | None) -> None:
        """Compare the start's time with the store's: its reading of this boot, or else its newest time."""
        steady, now = self._look()
        is_new_boot = stored is None or stored.boot != self.boot
        if stored is not None:
            newest = max(stored.read_at, newest or 0)
        offset = None if newest is None else newest - steady
        if stored is not None and not is_new_boot:
            offset = stored.offset
        if offset is None or not self.boot:
            return
        words = f"the clock shows {iso(now)}, and the store's newest time is {iso(steady + offset)}"
        is_behind = now < steady + offset - MAX_SLEW_SECONDS * NANOSECONDS
        with self._lock:
            previous = self._belief.doubt
            self._belief.begin(steady, offset, is_new_boot=is_new_boot, words=words)
            self._note(previous, f"{words}: windows up to there are decided" if is_behind else "", now)
            is_doubted = self._belief.doubt is not None
        if is_behind or is_doubted:
            log.warning("%s", words, extra={"believed": not is_doubted})

    def offset(self, monitor: str) -> int:
        """Return by how much the monitor's time is ahead of the steady one."""
        self._look()
        with self._lock:
            belief = self._belief
            if belief.doubt is None:
                return belief.offset
            if monitor in self._witnesses:
                return belief.newest
            return max(belief.doubt.offset, self._proven_offsets.get(monitor, belief.doubt.offset))

    def is_new_boot(self) -> bool:
        with self._lock:
            return self._belief.doubt is not None and self._belief.doubt.is_new_boot

    def question(self, monitor: str, seconds: float) -> tuple[Doubt, Span] | None:
        """Return what is doubted and the span whose rows would confirm it; None within so many seconds."""
        steady, _ = self._look()
        with self._lock:
            doubt, asked_at = self._belief.doubt, self._asked_at.get(monitor)
            if doubt is None or monitor in self._witnesses:
                return None
            if asked_at is not None and steady - asked_at < seconds * NANOSECONDS:
                return None
            return doubt, Span(start=steady + doubt.offset, end=steady + self._belief.newest)

    def answer(self, monitor: str, doubt: Doubt, proven_until: int | None, *, is_confirmed: bool) -> None:
        """Take a source's rows as a witness that it is ``proven_until``, or the doubted time itself."""
        steady = self._clock.steady()
        with self._lock:
            # A newer doubt asks anew.
            if self._belief.doubt is doubt:
                self._asked_at[monitor] = steady
                if proven_until is not None:
                    self._proven_offsets[monitor] = proven_until - steady
                if is_confirmed:
                    self._witnesses.add(monitor)

    def settle(self, monitors: Iterable[str]) -> bool:
        """Believe what the sources of all monitors confirm; False while there is no time to decide by."""
        steady, _ = self._look()
        names = set(monitors)
        with self._lock:
            belief, doubt = self._belief, self._belief.doubt
            if doubt is not None and names and names <= self._witnesses:
                belief.believe()
                self._note(doubt, "", steady + belief.offset)
            return belief.is_usable(steady)

    def reading_to_store(self) -> ClockReading | None:
        """Return a believed reading that the store should have, once an hour and after each change."""
        steady, now = self._look()
        with self._lock:
            belief = self._belief
            if belief.doubt is not None or not self.boot:
                return None
            if self._stored is not None:
                offset, stored_at = self._stored
                is_same = abs(offset - belief.offset) <= MAX_SLEW_SECONDS * NANOSECONDS
                if is_same and steady - stored_at < _STORE_SECONDS * NANOSECONDS:
                    return None
            self._stored = belief.offset, steady
            return ClockReading(boot=self.boot, offset=belief.offset, read_at=now)

    @property
    def is_proven(self) -> bool:
        """Return False while a wrong time could delete what is stored."""
        steady, _ = self._look()
        with self._lock:
            since = self._belief.unproven_since
            is_old = since is None or steady - since >= _UNPROVEN_SECONDS * NANOSECONDS
            return self._belief.doubt is None and is_old

    def health(self) -> ClockHealth:
        self._look()
        with self._lock:
            doubt = self._belief.doubt
            words = "" if doubt is None else _explained(doubt)
            return ClockHealth(jumps=self._belief.jumps, doubt=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorClock:
    """The time by which one monitor's windows are decided."""

    trusted: TrustedClock
    monitor: str

    @property
    def boot(self) -> str:
        return self.trusted.boot

    def now(self) -> int:
        return self.trusted.steady() + self.trusted.offset(self.monitor)

    def steady(self) -> int:
        return self.trusted.steady()


def _explained(doubt: Doubt) -> str:
    return (
        f"{doubt.words[0].upper()}{doubt.words[1:]}. Windows that end in between are not decided until their "
        f"source has rows from there, or {PATIENCE_SECONDS // 60} minutes have passed."
    )
