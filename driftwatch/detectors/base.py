"""The interface of a detector.

A detector module defines ``DETECTOR``, an object with the members of ``Detector``; its ``name`` is the
module's name. ``measure`` returns the gauge, ``streams`` the shares and scores for evidence (often none). A
detector owns no threshold and never raises on data: an undefined gauge is a ``Statistic`` with ``undefined``
set.
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
    """A detector turns a reference and a window summary into a statistic; larger means further apart.

    ``joint`` detectors measure all columns together and are called with ``column`` None. ``default`` is False
    for a detector that runs only when a configuration names it. ``pools`` is False for one that measures
    whole windows: several windows judged together have no streams of it. ``evidence`` is False if ``streams``
    are always empty: such a detector alone could never page. ``sums`` is True if the sums of row samples are
    read, which cost a backtest more than all counts.
    """

    name: str
    joint: bool
    unit: str
    default: bool
    pools: bool
    evidence: bool
    sums: bool

    def applies(self, column: Column | None, reference: Reference) -> bool: ...

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Return the gauge of a column; this is pure and never raises on data."""

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """Return the streams of a window; labels are the same in every window of one plan."""


def requires_sums(detectors: Iterable[Detector]) -> bool:
    """Return whether any detector reads sums; one without the attribute ``sums`` may."""
    return any(getattr(detector, "sums", True) for detector in detectors)


class BatchDetector:
    """A detector that measures all columns at once; it is never joint."""

    def measure_all(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Gauges:
        """Return gauges in the order of ``columns``; this is pure and never raises on data."""
        raise NotImplementedError

    def streams_all(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Streams:
        """Return streams in the order of ``columns``; a detector overrides this or has ``evidence`` False."""
        return Streams.from_list(())

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Return the gauge of one column. Raises ``KeyError`` for an unwatched column."""
        if column is None:
            raise KeyError("this detector looks at one column, got None")
        return next(iter(self.measure_all(reference, window, [column])))

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        return () if column is None else tuple(self.streams_all(reference, window, [column]))


def columns_by_detector(
    reference: Reference, targets: Sequence[tuple[Detector, str | None]]
) -> Sequence[tuple[Detector, tuple[str | None, ...]]]:
    memo = reference.summary.memo
    # A tuple of targets is the same in window after window, so it is grouped once.
    entry = None if memo is None else memo.get("targets")
    if entry is None or entry[0] is not targets:
        groups = [
            (detector, tuple(column for _, column in group))
            for detector, group in groupby(targets, itemgetter(0))
        ]
        entry = targets, groups
        if memo is not None and isinstance(targets, tuple):
            memo["targets"] = entry
    grouped_columns: Sequence[tuple[Detector, tuple[str | None, ...]]] = entry[1]
    return grouped_columns


def streams_of(
    detector: Detector, reference: Reference, window: Summary, columns: Sequence[str | None]
) -> Streams:
    if isinstance(detector, BatchDetector):
        return detector.streams_all(reference, window, cast("Sequence[str]", columns))
    return Streams.from_list(
        item for column in columns for item in detector.streams(reference, window, column)
    )


def gauges_of(
    detector: Detector, reference: Reference, window: Summary, columns: Sequence[str | None]
) -> Gauges:
    if isinstance(detector, BatchDetector):
        return detector.measure_all(reference, window, cast("Sequence[str]", columns))
    statistics = [detector.measure(reference, window, column) for column in columns]
    return Gauges.from_statistics(detector.name, detector.unit, statistics)


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowGauges(Sequence[Statistic]):
    """Lazy gauges of one window: numbers are computed on first access, texts when they are read.

    Most gauges of a history are never read. The object holds the whole window: store a tuple of its gauges
    instead.
    """

    reference: Reference
    window: Summary
    targets: Sequence[tuple[Detector, str | None]]

    @cached_property
    def numbers(self) -> tuple[Gauges, ...]:
        """One ``Gauges`` per detector, in the order of ``targets``."""
        return tuple(
            gauges_of(detector, self.reference, self.window, columns)
            for detector, columns in columns_by_detector(self.reference, self.targets)
        )

    @cached_property
    def statistics(self) -> tuple[Statistic, ...]:
        return tuple(chain.from_iterable(self.numbers))

    @overload
    def __getitem__(self, index: int) -> Statistic: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Statistic]: ...

    def __getitem__(self, index: int | slice) -> Statistic | Sequence[Statistic]:
        return self.statistics[index]

    def __iter__(self) -> Iterator[Statistic]:
        return iter(self.statistics)

    def __len__(self) -> int:
        return len(self.targets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.statistics == tuple(other)

    def __hash__(self) -> int:
        return hash(self.statistics)


def all_detectors() -> tuple[Detector, ...]:
    return tuple(get(name) for name in plugins.names("detectors"))


def get(name: str) -> Detector:
    """Return the detector of this name. Raises ``ConfigError`` with a suggestion for an unknown name."""
    detector: Detector = plugins.load("detectors", name).DETECTOR
    return detector
