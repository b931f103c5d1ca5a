"""What detectors share: which columns they fit, and how a gauge is written down."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Column
from driftwatch.detectors._support.column_batch import ColumnBatch
from driftwatch.detectors._support.column_pair import Pair
from driftwatch.results.gauges import Gauges
from driftwatch.results.results import Statistic
from driftwatch.results.streams import StreamList
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

_TOO_LARGE = "the values are too large to measure"


class Univariate:
    """A detector of one column of any kind."""

    name = ""
    unit = ""
    joint = False
    default = True
    pools = True
    evidence = True
    sums = False

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """True for every column."""
        return column is not None

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """None: a detector that yields some says which, one that yields none sets ``evidence`` False."""
        return ()

    def undefined(self, both: Pair, reason: str) -> Statistic:
        """The gauge that could not be measured, with the reason."""
        return Statistic(
            detector=self.name,
            column=both.column.name,
            value=None,
            unit=self.unit,
            n_reference=both.n,
            n_window=both.m,
            undefined=reason,
        )

    def gauge(self, both: Pair, value: float, *, p_value: float | None = None, effect: str = "") -> Statistic:
        """The measured gauge; a value that is not finite is undefined instead."""
        if not math.isfinite(value):
            return self.undefined(both, _TOO_LARGE)
        return Statistic(
            detector=self.name,
            column=both.column.name,
            value=float(value),
            unit=self.unit,
            p_value=p_value,
            effect=effect,
            n_reference=both.n,
            n_window=both.m,
        )

    def gauges(
        self,
        beside: ColumnBatch,
        value: Float64Array,
        *,
        effect: Callable[[int], str],
        undefined: dict[int, str],
        p_value: Float64Array | None = None,
        bracket: tuple[Float64Array, Float64Array] | None = None,
    ) -> Gauges:
        """The gauges of all columns; those that are ``undefined`` or not finite have no number."""
        none = np.full(len(value), np.nan)
        numbers = [value, none if p_value is None else p_value, *(bracket or (none, none))]
        unknown = ~np.isfinite(value)
        if undefined or unknown.any():
            unknown[list(undefined)] = True
            for k in np.flatnonzero(unknown).tolist():
                undefined.setdefault(k, _TOO_LARGE)
            numbers = [np.where(unknown, np.nan, each) for each in numbers]
        return Gauges(
            detector=self.name,
            unit=self.unit,
            columns=beside.names,
            value=numbers[0],
            p_value=numbers[1],
            low=numbers[2],
            high=numbers[3],
            n_reference=beside.n,
            n_window=beside.m,
            effect=effect,
            undefined=undefined,
        )


class Ordered(Univariate):
    """A detector of columns counted on a numeric grid."""

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """True for numeric, datetime, text (length) and vector (norm) columns."""
        return column is not None and column.kind.ordered


class Levelled(Univariate):
    """A detector of columns counted by level."""

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """True for categorical and boolean columns."""
        return column is not None and not column.kind.ordered


class Joint:
    """A detector of all columns together."""

    name = ""
    unit = ""
    joint = True
    default = True
    pools = True
    evidence = True
    sums = True

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """True when called for all columns together."""
        return column is None

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """None: a detector that yields some says which, one that yields none sets ``evidence`` False."""
        return ()

    def gauge(
        self,
        rows: tuple[int, int],
        value: float | None,
        *,
        p_value: float | None = None,
        effect: str = "",
        undefined: str = "",
    ) -> Statistic:
        """The gauge over ``rows`` of the reference and of the window; undefined when there is no value."""
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
