"""Measurement of one window: the input of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.outcomes.column_outcomes import NO_OUTCOMES, ColumnOutcomes
from driftwatch.results.results import Breakage, NewLevel, OtherPage, Statistic
from driftwatch.results.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    window: Span
    rows: int
    #: Seconds of ``window`` that are those of windows without rows, between others judged together.
    silence: float = 0.0
    #: Windows with rows among those judged together.
    windows: int = 1
    #: The number of the part of late rows; 0 is the window itself.
    part: int = 0
    #: Read only for the text of a page.
    statistics: Sequence[Statistic]
    streams: Streams
    breakages: Sequence[Breakage] = ()
    outcomes: ColumnOutcomes = NO_OUTCOMES
    new_levels: Sequence[NewLevel] = ()
    #: Season slot.
    slot: int = 0
    #: The user excluded the window, so it is not judged.
    excluded: bool = False
    #: The reference has no event times, so the baseline is learned from production alone.
    untimed_reference: bool = False
    #: Newest pages of the incidents that are open in other segments: a move may join one of them.
    other_pages: tuple[OtherPage, ...] = ()
    #: Owners of the joint detectors that read columns. They learn nothing from a window of which they leave
    #: columns out, nor from the one in which these were named.
    joint_readers: frozenset[str] = frozenset()
    #: Of these, the ones that cannot leave out the columns of open incidents, and sentences that say why.
    suspended_joint: frozenset[str] = frozenset()
    resting: tuple[str, ...] = ()
    #: Detectors whose effect describes a column if the strongest has none, the plainest first.
    effect_order: tuple[str, ...] = ()
    #: Gauge of the combined score, added by the decision.
    combined_statistics: tuple[Statistic, ...] = ()

    @property
    def length(self) -> int:
        """Nanoseconds of one window."""
        return round(self.seconds * NANOSECONDS / max(self.windows, 1))

    @property
    def seconds(self) -> float:
        """Seconds of the windows that had rows: theirs is the budget."""
        return self.window.seconds - self.silence
