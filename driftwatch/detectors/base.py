"""What every detector is.

A detector module defines ``DETECTOR``, an object with the members of ``Detector``; its ``name`` is the
module's name. ``measure`` yields the gauge, ``streams`` what evidence is drawn from (often nothing). It owns
no threshold and never raises on data: what is undefined is a ``Statistic`` with ``undefined`` set.

A detector that works out all columns at once has ``measured(reference, window, columns)`` and ``drawn`` too,
which give the gauges and the streams of these columns as arrays (``BatchDetector``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, groupby
from operator import itemgetter
from typing import Protocol, cast, overload

from driftwatch.core import plugins
from driftwatch.core.schema import Column
from driftwatch.results.gauges import Gauges
from driftwatch.results.results import Statistic
from driftwatch.results.streams import StreamList, Streams
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


class Detector(Protocol):
    """Turns (reference, window summary) into a statistic; bigger means further away.

    ``joint`` detectors look at all columns together and are called with ``column`` None. ``default`` is
    False for a detector that runs only when a configuration names it. ``pools`` is False for one that speaks
    of whole windows and so has nothing to say of several that are judged together. ``evidence`` is False for
    one that only measures: its ``streams`` are always empty, and alone it could never page. ``sums`` is True
    for one that reads the sums of row samples, which cost a backtest more than all counts.
    """

    name: str
    joint: bool
    unit: str
    default: bool
    pools: bool
    evidence: bool
    sums: bool

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """True when the detector can look at the column (None: jointly)."""

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """The gauge. Pure; never raises on data."""

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """What evidence is drawn from: labels are the same for every window of one plan."""


def reads_sums(chosen: Iterable[Detector]) -> bool:
    """Whether one of them reads the sums of row samples; a plugin that does not say may."""
    return any(getattr(detector, "sums", True) for detector in chosen)


class BatchDetector:
    """What a detector mixes in that works out all columns at once. It is never joint."""

    def measured(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Gauges:
        """The gauges of these columns, in their order. Pure; never raises on data."""
        raise NotImplementedError

    def drawn(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Streams:
        """The streams of these columns, in their order: labels are the same for every window of one plan.

        None: a detector that yields some says which, one that yields none sets ``evidence`` False.
        """
        return Streams.of(())

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """The gauge of one column. Raises ``KeyError`` for one the plan does not watch."""
        if column is None:
            raise KeyError("this detector looks at one column, got None")
        return next(iter(self.measured(reference, window, [column])))

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """Those of one column."""
        return () if column is None else tuple(self.drawn(reference, window, [column]))


def by_detector(
    reference: Reference, chosen: Sequence[tuple[Detector, str | None]]
) -> Sequence[tuple[Detector, tuple[str | None, ...]]]:
    """The columns that each detector looks at; a tuple of looks, the same for window after window, is taken
    apart once.
    """
    room = reference.summary.worked
    found = None if room is None else room.get("looks")
    if found is None or found[0] is not chosen:
        parts = [
            (detector, tuple(column for _, column in own)) for detector, own in groupby(chosen, itemgetter(0))
        ]
        found = chosen, parts
        if room is not None and isinstance(chosen, tuple):
            room["looks"] = found
    own: Sequence[tuple[Detector, tuple[str | None, ...]]] = found[1]
    return own


def drawn(
    detector: Detector, reference: Reference, window: Summary, columns: Sequence[str | None]
) -> Streams:
    """The streams of a detector on these columns, at once where it can."""
    if isinstance(detector, BatchDetector):
        return detector.drawn(reference, window, cast("Sequence[str]", columns))
    return Streams.of(item for column in columns for item in detector.streams(reference, window, column))


def measured(
    detector: Detector, reference: Reference, window: Summary, columns: Sequence[str | None]
) -> Gauges:
    """The gauges of a detector on these columns, at once where it can."""
    if isinstance(detector, BatchDetector):
        return detector.measured(reference, window, cast("Sequence[str]", columns))
    told = [detector.measure(reference, window, column) for column in columns]
    return Gauges.of(detector.name, detector.unit, told)


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowGauges(Sequence[Statistic]):
    """The gauges of one window: their numbers are worked out at the first asking, words when they are read.

    Most of a history's never are. It holds what it is measured from: who keeps it makes a tuple of it.
    """

    reference: Reference
    window: Summary
    chosen: Sequence[tuple[Detector, str | None]]

    @cached_property
    def numbers(self) -> tuple[Gauges, ...]:
        """Every number of them, as arrays: one part for each detector, in the order of the looks."""
        return tuple(
            measured(detector, self.reference, self.window, columns)
            for detector, columns in by_detector(self.reference, self.chosen)
        )

    @cached_property
    def told(self) -> tuple[Statistic, ...]:
        """One object for each look, with its words."""
        return tuple(chain.from_iterable(self.numbers))

    @overload
    def __getitem__(self, place: int) -> Statistic: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Statistic]: ...

    def __getitem__(self, place: int | slice) -> Statistic | Sequence[Statistic]:
        return self.told[place]

    def __iter__(self) -> Iterator[Statistic]:
        return iter(self.told)

    def __len__(self) -> int:
        return len(self.chosen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.told == tuple(other)

    def __hash__(self) -> int:
        return hash(self.told)


def all_detectors() -> tuple[Detector, ...]:
    """Every detector there is, by name."""
    return tuple(get(name) for name in plugins.names("detectors"))


def get(name: str) -> Detector:
    """The detector of that name. Raises ``ConfigError`` with a suggestion."""
    detector: Detector = plugins.load("detectors", name).DETECTOR
    return detector
