"""Base classes of detectors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Column
from driftwatch.detectors._support.column_batch import ColumnBatch, batch_of
from driftwatch.detectors._support.column_pair import ColumnPair
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.results.gauges import Gauges
from driftwatch.results.results import Statistic
from driftwatch.results.streams import StreamList, Streams
from driftwatch.summary.reference import Reference

_TOO_LARGE = "the values are too large to measure"
#: Why a joint detector has no value where a side has counts alone.
NO_REFERENCE_SAMPLE = "the reference has no row sample"
NO_WINDOW_SAMPLE = "the engine keeps no row sample of this window"


class DetectorTraits:
    """What a detector says about itself; no other room knows it by name."""

    #: The name of the module.
    name = ""
    unit = ""
    #: False for a detector that runs only when a configuration names it.
    default = True
    #: False for one that measures whole windows: several windows judged together have no streams of it.
    pools = True
    #: True if it has streams; a detector without could never page alone. Set by ``streams`` being defined.
    evidence = False
    #: True if it reads the sums of row samples, which cost a backtest more than all counts.
    sums = False
    #: The value is a share or distance in [0, 1] that means the same for every column, which orders columns.
    comparable = False
    #: The value is a share of rows, shown only where it changed.
    is_share = False
    #: Of several effects of a column the lowest rank is shown first: the plainest to read.
    display_rank = 100
    #: Name of a joint detector among columns.
    label = ""
    #: False if it needs windows of time: it says nothing of two samples.
    in_comparison = True
    #: Largest sample that a comparison gives it, in rows; None for no limit.
    max_sample_rows: int | None = None
    #: True if an open incident suspends it: a joint detector that reads suspended columns too.
    suspended_in_incident = False
    #: True if its streams leave out ``WindowContext.left_out`` instead; where they cannot, it has none.
    leaves_out_columns = False
    #: False if it sees only whether there is a value, or how values go together.
    reads_values = True
    #: False if its scores are compared with earlier windows of production alone.
    learns_from_reference = True

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        is_streaming = bool({"streams", "streams_all"} & vars(cls).keys())
        if cls.__module__ != __name__ and is_streaming and "evidence" not in vars(cls):
            cls.evidence = True


class ColumnDetector(ABC, DetectorTraits):
    """A detector that measures one column at a time."""

    joint: Literal[False] = False

    def applies(self, column: Column, reference: Reference) -> bool:
        return True

    @abstractmethod
    def measure(self, pair: ColumnPair) -> Statistic:
        """Return the gauge; larger means further apart. Pure, and never raises on data."""

    def streams(self, pair: ColumnPair) -> StreamList:
        """Return streams, whose labels are the same in every window."""
        return ()

    def page_fact(self, pair: ColumnPair) -> str:
        """Return what a page adds to the effect of the column's strongest detector; empty if little moved."""
        return ""

    def undefined(self, pair: ColumnPair, reason: str) -> Statistic:
        return Statistic(
            detector=self.name,
            column=pair.column.name,
            value=None,
            unit=self.unit,
            n_reference=pair.n,
            n_window=pair.m,
            undefined=reason,
        )

    def gauge(
        self, pair: ColumnPair, value: float, *, p_value: float | None = None, effect: str = ""
    ) -> Statistic:
        if not math.isfinite(value):
            return self.undefined(pair, _TOO_LARGE)
        return Statistic(
            detector=self.name,
            column=pair.column.name,
            value=float(value),
            unit=self.unit,
            p_value=p_value,
            effect=effect,
            n_reference=pair.n,
            n_window=pair.m,
        )

    def gauges(
        self,
        batch: ColumnBatch,
        value: Float64Array,
        *,
        effect: Callable[[int], str],
        undefined: dict[int, str],
        p_value: Float64Array | None = None,
        bracket: tuple[Float64Array, Float64Array] | None = None,
    ) -> Gauges:
        """Return gauges, NaN for columns that are ``undefined`` or whose value is not finite."""
        nan = np.full(len(value), np.nan)
        numbers = [value, nan if p_value is None else p_value, *(bracket or (nan, nan))]
        is_undefined = ~np.isfinite(value)
        if undefined or is_undefined.any():
            is_undefined[list(undefined)] = True
            for k in np.flatnonzero(is_undefined).tolist():
                undefined.setdefault(k, _TOO_LARGE)
            numbers = [np.where(is_undefined, np.nan, array) for array in numbers]
        return Gauges(
            detector=self.name,
            unit=self.unit,
            columns=batch.names,
            value=numbers[0],
            p_value=numbers[1],
            low=numbers[2],
            high=numbers[3],
            n_reference=batch.n,
            n_window=batch.m,
            effect=effect,
            undefined=undefined,
        )


class OrderedDetector(ColumnDetector):
    """A detector of columns on a numeric grid: numeric, datetime, text (length) and vector (norm)."""

    def applies(self, column: Column, reference: Reference) -> bool:
        return column.kind.ordered


class LevelDetector(ColumnDetector):
    """A detector of columns counted by level: categorical and boolean."""

    def applies(self, column: Column, reference: Reference) -> bool:
        return not column.kind.ordered


class BatchDetector(ColumnDetector):
    """A detector with the fast form, which measures all columns at once with the same results."""

    @abstractmethod
    def measure_all(self, batch: ColumnBatch) -> Gauges:
        """Return gauges in the order of the batch; pure, and never raises on data."""

    def streams_all(self, batch: ColumnBatch) -> Streams:
        return Streams.from_list(())

    def measure(self, pair: ColumnPair) -> Statistic:
        return next(iter(self.measure_all(batch_of(pair.context, [pair.column.name]))))

    def streams(self, pair: ColumnPair) -> StreamList:
        return tuple(self.streams_all(batch_of(pair.context, [pair.column.name])))


class JointDetector(ABC, DetectorTraits):
    """A detector that measures all columns together."""

    joint: Literal[True] = True
    sums = True
    suspended_in_incident = True

    def applies(self, reference: Reference) -> bool:
        return True

    @abstractmethod
    def measure(self, window: WindowContext) -> Statistic:
        """Return the gauge; larger means further apart. Pure, and never raises on data."""

    def streams(self, window: WindowContext) -> StreamList:
        return ()

    def resting_reason(self, window: WindowContext) -> str:
        """Return why it cannot leave out ``window.left_out``; empty if it can."""
        return "" if self.leaves_out_columns else "it cannot leave columns out"

    def page_words(self, window: WindowContext, effect: str) -> tuple[str, tuple[str, ...]]:
        """Return the effect in a page's words, and the columns that it points to, the furthest first."""
        return effect, ()

    def change_text(self, reference: Reference, usual: float, value: float) -> str:
        """Return the effect of a score that was ``usual`` in healthy windows; empty: the gauge's effect."""
        return ""

    def gauge(
        self,
        rows: tuple[int, int],
        value: float | None,
        *,
        p_value: float | None = None,
        effect: str = "",
        undefined: str = "",
    ) -> Statistic:
        """Return the gauge for ``rows`` of reference and window, undefined without a finite ``value``."""
        if value is not None and not math.isfinite(value):
            value, p_value, effect, undefined = None, None, "", _TOO_LARGE
        return Statistic(
            detector=self.name,
            column=None,
            value=None if value is None else float(value),
            unit=self.unit,
            p_value=p_value,
            effect=effect,
            n_reference=rows[0],
            n_window=rows[1],
            undefined=undefined,
        )
