"""Base classes of detectors."""

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


class UnivariateDetector:
    name = ""
    unit = ""
    joint = False
    default = True
    pools = True
    evidence = True
    sums = False

    def applies(self, column: Column | None, reference: Reference) -> bool:
        return column is not None

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """Return no streams; a detector overrides this or sets ``evidence`` False."""
        return ()

    def undefined(self, pair: Pair, reason: str) -> Statistic:
        return Statistic(
            detector=self.name,
            column=pair.column.name,
            value=None,
            unit=self.unit,
            n_reference=pair.n,
            n_window=pair.m,
            undefined=reason,
        )

    def gauge(self, pair: Pair, value: float, *, p_value: float | None = None, effect: str = "") -> Statistic:
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


class OrderedDetector(UnivariateDetector):
    """A detector of columns on a numeric grid: numeric, datetime, text (length) and vector (norm)."""

    def applies(self, column: Column | None, reference: Reference) -> bool:
        return column is not None and column.kind.ordered


class LevelDetector(UnivariateDetector):
    """A detector of columns counted by level: categorical and boolean."""

    def applies(self, column: Column | None, reference: Reference) -> bool:
        return column is not None and not column.kind.ordered


class JointDetector:
    name = ""
    unit = ""
    joint = True
    default = True
    pools = True
    evidence = True
    sums = True

    def applies(self, column: Column | None, reference: Reference) -> bool:
        return column is None

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
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
