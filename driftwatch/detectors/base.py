"""The interface of a detector: base classes, and what they measure.

A detector module defines ``DETECTOR``, an object of a class derived from ``ColumnDetector`` or
``JointDetector``; its ``name`` is the module's name. ``measure`` is enough: it returns the gauge. ``streams``
returns the shares and scores for evidence, and ``BatchDetector`` is the optional fast form. A detector owns
no threshold and never raises on data: an undefined gauge is a ``Statistic`` with ``undefined`` set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain, groupby
from operator import itemgetter
from typing import cast, overload

from driftwatch.core import plugins
from driftwatch.detectors._pages.exchanged_columns import exchanged_with
from driftwatch.detectors._support import effect_text, p_values
from driftwatch.detectors._support.bases import (
    NO_REFERENCE_SAMPLE,
    NO_WINDOW_SAMPLE,
    BatchDetector,
    ColumnDetector,
    DetectorTraits,
    JointDetector,
    LevelDetector,
    OrderedDetector,
)
from driftwatch.detectors._support.column_batch import ONE_BIN, BinTable, ColumnBatch, batch_of
from driftwatch.detectors._support.column_pair import ColumnPair, pair_of
from driftwatch.detectors._support.new_values import new_levels, new_levels_of
from driftwatch.detectors._support.row_share import RowShareDetector
from driftwatch.detectors._support.window_context import (
    NOTHING_LEFT_OUT,
    LeftOut,
    ReferenceContext,
    WindowContext,
)
from driftwatch.errors import ConfigError
from driftwatch.results.gauges import Gauges
from driftwatch.results.results import Statistic
from driftwatch.results.streams import Streams

__all__ = [
    "NOTHING_LEFT_OUT",
    "NO_REFERENCE_SAMPLE",
    "NO_WINDOW_SAMPLE",
    "ONE_BIN",
    "BatchDetector",
    "BinTable",
    "ColumnBatch",
    "ColumnDetector",
    "ColumnPair",
    "Detector",
    "DetectorTraits",
    "JointDetector",
    "LeftOut",
    "LevelDetector",
    "OrderedDetector",
    "ReferenceContext",
    "RowShareDetector",
    "Target",
    "WindowContext",
    "WindowGauges",
    "all_detectors",
    "built_in_detectors",
    "default_detectors",
    "effect_text",
    "exchanged_with",
    "gauges_of",
    "get",
    "new_levels",
    "new_levels_of",
    "p_values",
    "pair_of",
    "requires_sums",
    "streams_of",
    "targets_by_detector",
    "traits_of",
]

Detector = ColumnDetector | JointDetector
#: A detector and the column it measures; None for a detector of all columns jointly.
Target = tuple[Detector, str | None]


def requires_sums(detectors: Iterable[Detector]) -> bool:
    return any(detector.sums for detector in detectors)


def targets_by_detector(
    context: WindowContext, targets: Sequence[Target]
) -> Sequence[tuple[Detector, tuple[str | None, ...]]]:
    """Group targets by detector; a tuple of targets is the same in window after window, so once for all."""
    if not isinstance(targets, tuple):
        return _group(targets)
    return context.reference_context.memo.last("targets", (targets,), lambda: _group(targets))


def _group(targets: Sequence[Target]) -> Sequence[tuple[Detector, tuple[str | None, ...]]]:
    groups = groupby(targets, itemgetter(0))
    return [(detector, tuple(column for _, column in group)) for detector, group in groups]


def streams_of(detector: Detector, context: WindowContext, columns: Sequence[str | None]) -> Streams:
    if isinstance(detector, JointDetector):
        return Streams.from_list(detector.streams(context))
    names = cast("Sequence[str]", columns)
    if isinstance(detector, BatchDetector):
        return detector.streams_all(batch_of(context, names))
    return Streams.from_list(item for name in names for item in detector.streams(pair_of(context, name)))


def gauges_of(detector: Detector, context: WindowContext, columns: Sequence[str | None]) -> Gauges:
    names = cast("Sequence[str]", columns)
    if isinstance(detector, BatchDetector):
        return detector.measure_all(batch_of(context, names))
    if isinstance(detector, JointDetector):
        statistics = [detector.measure(context)]
    else:
        statistics = [detector.measure(pair_of(context, name)) for name in names]
    return Gauges.from_statistics(detector.name, detector.unit, statistics)


class WindowGauges(Sequence[Statistic]):
    """Lazy gauges of one window: numbers are computed on first access, texts when they are read.

    Most gauges of a history are never read. The object holds the whole window: store a tuple of its gauges
    instead.
    """

    def __init__(self, context: WindowContext, targets: Sequence[Target]) -> None:
        self.context = context
        self._targets = targets

    @cached_property
    def numbers(self) -> tuple[Gauges, ...]:
        """One ``Gauges`` per detector, in the order of the targets."""
        groups = targets_by_detector(self.context, self._targets)
        return tuple(gauges_of(detector, self.context, columns) for detector, columns in groups)

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
        return len(self._targets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.statistics == tuple(other)

    def __hash__(self) -> int:
        return hash(self.statistics)


def all_detectors() -> tuple[Detector, ...]:
    """Return every detector but those that cannot be used, which are errors where they are named."""
    detectors = []
    for name in plugins.names("detectors"):
        with suppress(ConfigError):
            detectors.append(get(name))
    return tuple(detectors)


def built_in_detectors() -> tuple[Detector, ...]:
    return tuple(get(name) for name in plugins.built_in_names("detectors"))


def default_detectors() -> tuple[Detector, ...]:
    """Return the detectors that run where none is named. Raises ``ConfigError`` if any cannot be used."""
    detectors = (get(name) for name in plugins.names("detectors"))
    return tuple(detector for detector in detectors if detector.default)


def get(name: str) -> Detector:
    """Return the detector of this name. Raises ``ConfigError`` as ``plugins.load`` does."""
    detector: object = plugins.load("detectors", name).DETECTOR
    if not isinstance(detector, Detector):
        text = f"expected DETECTOR to be a ColumnDetector or JointDetector. Got {type(detector).__name__}."
        raise plugins.unusable("detectors", name, text)
    if detector.name != name:
        text = f'expected DETECTOR.name to be "{name}". Got "{detector.name}".'
        raise plugins.unusable("detectors", name, text)
    for trait, default in vars(DetectorTraits).items():
        value = getattr(detector, trait)
        is_trait = not trait.startswith("_") and isinstance(default, str | int)
        if is_trait and not isinstance(value, type(default)):
            text = f"expected DETECTOR.{trait} to be a {type(default).__name__}. Got {value!r}."
            raise plugins.unusable("detectors", name, text)
    return detector


def traits_of(name: str) -> DetectorTraits:
    """Return a detector's traits, the defaults if it is not installed (any more) or cannot be used."""
    if name in plugins.names("detectors"):
        with suppress(ConfigError):
            return get(name)
    return DetectorTraits()
