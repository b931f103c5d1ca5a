"""Whether the wall clock is believed, as a function of its readings beside a steady clock.

A time that lies back is believed at once: it judges no window too early. One that lies ahead is doubted, and
time goes on from the old one, until sources have rows from the time between or it has stood for a while. A
time before this code was written is never believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftwatch.core.schema import NANOSECONDS, iso
from driftwatch.results.text_format import format_coarse_duration

#: Seconds by which two clocks may part between two readings without a jump: a leap second is none.
MAX_SLEW_SECONDS = 2
#: Seconds on the steady clock after which a time is believed that no row confirms.
PATIENCE_SECONDS = 600
#: 1 January 2026.
EARLIEST = 1_767_225_600 * NANOSECONDS

#: Jumps within the patience that are told apart.
_MAX_JUMPS = 60

_MAX_SLEW, _PATIENCE = MAX_SLEW_SECONDS * NANOSECONDS, PATIENCE_SECONDS * NANOSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    #: Wall minus steady clock, nanoseconds: of the time that windows are still decided by.
    offset: int
    #: (since when on the steady clock, offset that the wall clock was never behind since), both rising:
    #: each is believed when its patience is over, so that a clock that goes on jumping stops nothing.
    standing: tuple[tuple[int, int], ...]
    #: The machine started anew, and how far time went on since the store's newest one is not known.
    is_new_boot: bool
    words: str


class ClockBelief:
    """``offset`` is always that of the wall clock from the steady one, in nanoseconds."""

    def __init__(self, steady: int, offset: int, *, is_replayed: bool) -> None:
        self._is_replayed = is_replayed
        #: As believed, and as last read.
        self.offset = self.newest = offset
        self.doubt: Doubt | None = None
        self.jumps = 0
        #: When a time was last believed that no row confirmed, on the steady clock.
        self.unproven_since: int | None = None
        self.read(steady, offset)

    def read(self, steady: int, offset: int) -> str:
        """Take a reading, and return the jump, for people; empty when there was none."""
        jump, self.newest = offset - self.newest, offset
        has_jumped = abs(jump) > _MAX_SLEW
        self.jumps += has_jumped
        words = _jump_words(jump, steady + offset) if has_jumped else ""
        is_ahead = offset - self.deciding_offset > _MAX_SLEW and self.is_usable(steady)
        if self._is_impossible(steady, offset) or is_ahead:
            self._doubt_time(steady, words, has_jumped=has_jumped)
        else:
            self.believe()
        if self.doubt is not None and self.doubt.is_new_boot and not self._is_impossible(steady, offset):
            # What is shown and sent has the clock's time; only windows wait.
            self.offset = offset
        return words

    def begin(self, steady: int, offset: int, *, is_new_boot: bool, words: str) -> None:
        """Begin with the offset that the store is witness of."""
        is_behind = self.newest - offset < -_MAX_SLEW
        if self._is_replayed or abs(self.newest - offset) <= _MAX_SLEW:
            return
        self.jumps += not is_new_boot
        if is_behind and not self._is_impossible(steady, self.newest):
            return
        self.doubt = Doubt(
            offset=offset, standing=((steady, self.newest),), is_new_boot=is_new_boot, words=words
        )
        if not is_new_boot or self._is_impossible(steady, self.newest):
            self.offset = offset

    def believe(self) -> None:
        self.offset, self.doubt = self.newest, None

    def is_usable(self, steady: int) -> bool:
        """Return False while no time is known that windows could be decided by."""
        return not self._is_impossible(steady, self.deciding_offset)

    @property
    def deciding_offset(self) -> int:
        return self.offset if self.doubt is None else self.doubt.offset

    def _is_impossible(self, steady: int, offset: int) -> bool:
        return not self._is_replayed and steady + offset < EARLIEST

    def _doubt_time(self, steady: int, words: str, *, has_jumped: bool) -> None:
        doubt = self.doubt
        if doubt is None or has_jumped:
            self.doubt = Doubt(
                offset=self.deciding_offset,
                standing=self._standing(steady),
                is_new_boot=doubt is not None and doubt.is_new_boot,
                words=words or f"the clock shows {iso(steady + self.newest)}",
            )
            return
        since, offset = doubt.standing[0]
        if steady - since < _PATIENCE or self._is_impossible(steady, self.newest):
            return
        self.unproven_since = steady
        if len(doubt.standing) == 1:
            self.believe()
        else:
            self.offset = min(offset, self.newest)
            self.doubt = replace(doubt, offset=self.offset, standing=doubt.standing[1:])

    def _standing(self, steady: int) -> tuple[tuple[int, int], ...]:
        standing = () if self.doubt is None else self.doubt.standing[: _MAX_JUMPS - 1]
        earlier = (
            item for item in standing if item[1] <= self.newest and not self._is_impossible(steady, item[1])
        )
        return (*earlier, (steady, self.newest))


def _jump_words(jump: int, now: int) -> str:
    direction = "forward" if jump > 0 else "back"
    return (
        f"the wall clock jumped {format_coarse_duration(abs(jump) / NANOSECONDS)} {direction}, to {iso(now)}"
    )
