"""What was measured in one window, as the decision takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftwatch.core.schema import Span
from driftwatch.results.results import Breakage, Statistic
from driftwatch.results.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured in one window. ``slot`` is its season slot; an excluded window is not judged.

    ``untimed`` says that the reference has no time of its own, so that production alone teaches what is
    usual. ``statistics`` are read only where a page is worded; ``together`` is the gauge that the decision
    itself adds to them.
    """

    window: Span
    rows: int
    statistics: Sequence[Statistic]
    streams: Streams
    breakages: Sequence[Breakage] = ()
    slot: int = 0
    excluded: bool = False
    untimed: bool = False
    together: tuple[Statistic, ...] = ()
