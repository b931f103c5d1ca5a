"""What every detector is.

A detector module defines ``DETECTOR``, an object with the members of ``Detector``; its ``name`` is the
module's name. ``measure`` yields the gauge, ``streams`` what evidence is drawn from (often nothing). It owns
no threshold and never raises on data: what is undefined is a ``Statistic`` with ``undefined`` set.

A detector that works out all columns at once has ``drawn(reference, window, columns)`` too, which gives the
streams of these columns as arrays (``AtOnce``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, overload

from driftwatch import plugins
from driftwatch.summary.drawn import Drawn
from driftwatch.summary.reference import Reference
from driftwatch.summary.result import Score, Shares, Statistic
from driftwatch.summary.schema import Column
from driftwatch.summary.summary import Summary

Streams = Sequence[Shares | Score]


class Detector(Protocol):
    """Turns (reference, window summary) into a statistic; bigger means further away.

    ``joint`` detectors look at all columns together and are called with ``column`` None. ``default`` is
    False for a detector that runs only when a configuration names it. ``pools`` is False for one that speaks
    of whole windows and so has nothing to say of several that are judged together. ``evidence`` is False for
    one that only measures: its ``streams`` are always empty, and alone it could never page.
    """

    name: str
    joint: bool
    unit: str
    default: bool
    pools: bool
    evidence: bool

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """True when the detector can look at the column (None: jointly)."""

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """The gauge. Pure; never raises on data."""

    def streams(self, reference: Reference, window: Summary, column: str | None) -> Streams:
        """What evidence is drawn from: labels are the same for every window of one plan."""


class AtOnce:
    """What a detector mixes in that draws the streams of all columns at once."""

    def drawn(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Drawn:
        """The streams of these columns, in their order: labels are the same for every window of one plan."""
        raise NotImplementedError

    def streams(self, reference: Reference, window: Summary, column: str | None) -> Streams:
        """Those of one column."""
        return () if column is None else tuple(self.drawn(reference, window, [column]))


def drawn(detector: Detector, reference: Reference, window: Summary, columns: Sequence[str | None]) -> Drawn:
    """The streams of a detector on these columns, at once where it can."""
    if isinstance(detector, AtOnce):
        return detector.drawn(reference, window, [column for column in columns if column is not None])
    return Drawn.of(item for column in columns for item in detector.streams(reference, window, column))


@dataclass(frozen=True, kw_only=True, eq=False)
class Gauges(Sequence[Statistic]):
    """The gauges of one window, measured when they are first read: most of a history's are never."""

    reference: Reference
    window: Summary
    chosen: Sequence[tuple[Detector, str | None]]

    @cached_property
    def measured(self) -> tuple[Statistic, ...]:
        """One for each look."""
        return tuple(
            detector.measure(self.reference, self.window, column) for detector, column in self.chosen
        )

    @overload
    def __getitem__(self, place: int) -> Statistic: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Statistic]: ...

    def __getitem__(self, place: int | slice) -> Statistic | Sequence[Statistic]:
        return self.measured[place]

    def __len__(self) -> int:
        return len(self.chosen)


def all_detectors() -> tuple[Detector, ...]:
    """Every detector there is, by name."""
    return tuple(get(name) for name in plugins.names("detectors"))


def get(name: str) -> Detector:
    """The detector of that name. Raises ``ConfigError`` with a suggestion."""
    detector: Detector = plugins.load("detectors", name).DETECTOR
    return detector
