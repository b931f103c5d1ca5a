"""Arithmetic on the cells of one column: cumulative counts, bins of whole cells, quantiles.

The ordered cells of a grid with ``k`` edges alternate gap, point, gap, ..., gap. In their cumulative sum an
even index ``2i`` therefore holds the rows below edge ``i`` and an odd index ``2i + 1`` those at or below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from driftwatch.summary.batch import Float64Array, Int64Array
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.schema import Column
from driftwatch.summary.summary import Summary

#: Bins of PSI and Jensen-Shannon on an ordered column.
BINS = 10
#: Quantiles that words are made of, and where the lower quartile and the median stand among them.
SHARES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
QUARTER, MEDIAN = 2, 3
#: A cell expected to hold fewer rows of the smaller sample is pooled (Cochran 1954).
RARE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """One column on both sides: cells ``reference`` of ``n`` rows with a value, ``window`` of ``m``.

    ``reference_upto`` and ``window_upto`` are their cumulative sums.
    """

    column: Column
    grid: Grid
    reference: Int64Array
    window: Int64Array
    reference_upto: Int64Array
    window_upto: Int64Array
    n: int
    m: int

    @property
    def empty(self) -> str:
        """Why nothing can be compared; empty when it can."""
        if not self.n:
            return "the reference has no row with a value"
        return "" if self.m else "the window has no row with a value"

    @property
    def edges(self) -> Float64Array:
        """Edges of an ordered column."""
        if not isinstance(self.grid, NumericGrid):
            raise TypeError(f"column {self.column.name!r} has levels, not edges.")
        return self.grid.edges

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels of a categorical column."""
        if not isinstance(self.grid, LevelGrid):
            raise TypeError(f"column {self.column.name!r} has edges, not levels.")
        return self.grid.levels


def pair(reference: Reference, window: Summary, column: str | None) -> Pair:
    """Both sides of one column. Raises ``KeyError`` for a column the plan does not watch."""
    if column is None:
        raise KeyError("this detector looks at one column, got None")
    before, after = reference.summary.counts[column].cells, window.counts[column].cells
    before_upto, after_upto = before.cumsum(), after.cumsum()
    return Pair(
        column=reference.plan.column(column),
        grid=reference.plan.grids[column],
        reference=before,
        window=after,
        reference_upto=before_upto,
        window_upto=after_upto,
        n=int(before_upto[-1]),
        m=int(after_upto[-1]),
    )


def differences(both: Pair) -> Int64Array | Float64Array:
    """``n m (F_window - F_reference)`` after each cell, as whole numbers while they fit in 63 bits."""
    before, after = both.reference_upto, both.window_upto
    if both.n * both.m < 2**62:
        exact: Int64Array = both.n * after - both.m * before
        return exact
    rounded: Float64Array = float(both.n) * after - float(both.m) * before
    return rounded


def widest(both: Pair) -> float:
    """Upper end of ``n m sup|F_window - F_reference|`` over the insides of the gaps.

    Inside a gap both distribution functions may be anywhere between their values at its ends.
    """
    before, after = both.reference_upto, both.window_upto
    left_before, left_after = before[::2] - both.reference[::2], after[::2] - both.window[::2]
    n, m = (both.n, both.m) if both.n * both.m < 2**62 else (float(both.n), float(both.m))
    above = n * after[::2] - m * left_before
    below = m * before[::2] - n * left_after
    return float(max(above.max(), below.max()))


def bins(both: Pair) -> tuple[Int64Array, Int64Array]:
    """Counts of both sides on at most ``BINS`` bins (ordered) or on the pooled levels (categorical)."""
    if isinstance(both.grid, LevelGrid):
        return pooled(both)
    return quantile_bins(both)


def quantile_bins(both: Pair) -> tuple[Int64Array, Int64Array]:
    """Bins of about equal reference share, each a run of whole cells, cut by the reference alone.

    A bin ends with the first cell at which the reference reaches the next tenth.
    """
    upto, rows = both.reference_upto, both.n
    ends = np.unique(np.searchsorted(upto, -(-rows * np.arange(1, BINS) // BINS)))
    ends = np.append(ends[upto[ends] < rows], len(upto) - 1)
    return np.diff(upto[ends], prepend=0), np.diff(both.window_upto[ends], prepend=0)


def pooled(both: Pair) -> tuple[Int64Array, Int64Array]:
    """Levels with rare ones pooled, by counts of both sides together, so that neither side is favoured.

    Rare levels and unseen ones share one cell: which levels are unseen is the reference's doing, and only
    together with the rare is their share the same on both sides when nothing changed. When even that
    cell is rare, it joins the least frequent level.
    """
    together = both.reference + both.window
    share = min(both.n, both.m) / (both.n + both.m)
    own = together * share >= RARE
    own[-1] = False
    before = np.append(both.reference[own], both.reference[~own].sum())
    after = np.append(both.window[own], both.window[~own].sum())
    others = int(before[-1] + after[-1])
    if others * share < RARE and len(before) > 1:
        smallest = int(np.argmin(before[:-1] + after[:-1]))
        before[smallest] += before[-1]
        after[smallest] += after[-1]
        before, after = before[:-1], after[:-1]
    return before, after


def angle(count: int, rows: int) -> float:
    """``2 asin sqrt(count / rows)``: its standard error is ``1 / sqrt(rows)`` for rare and frequent alike.

    Source: Anscombe 1948, with his 3/8.

    >>> round(angle(10, 100) - angle(5, 100), 2)
    0.19
    """
    return 2 * math.asin(math.sqrt((count + 0.375) / (rows + 0.75)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantiles:
    """Quantiles ``value[q]`` interpolated in their cells, which reach from ``low[q]`` to ``high[q]``."""

    value: Float64Array
    low: Float64Array
    high: Float64Array


def quantiles(edges: Float64Array, upto: Int64Array, shares: Float64Array) -> Quantiles:
    """Quantiles of rows counted in cells with the cumulative sum ``upto``, for ``shares`` in [0, 1].

    Exact in point cells, linear in gaps, at the nearest edge beyond the last one.
    """
    rows = upto[-1]
    # A shade below, so that a target that is a whole number does not slip into the next cell by rounding.
    targets = np.maximum(shares * rows - 1e-9 * rows, 0.5)
    at = np.searchsorted(upto, targets)
    gap, edge = at % 2 == 0, at // 2
    last = len(edges) - 1
    low = edges[np.maximum(edge - gap, 0)]
    high = edges[np.minimum(edge, last)]
    begun = np.where(at > 0, upto[at - 1], 0)
    into = (targets - begun) / np.maximum(upto[at] - begun, 1)
    finite = np.isfinite(low) & np.isfinite(high)
    # Halved before subtracting: two finite ends may lie further apart than a float reaches.
    half = np.where(finite, high, 0.0) / 2 - np.where(finite, low, 0.0) / 2
    value = np.where(finite, low + into * half + into * half, np.where(np.isfinite(low), low, high))
    below, above = gap & (edge == 0), edge > last
    return Quantiles(value=value, low=np.where(below, -np.inf, low), high=np.where(above, np.inf, high))


def spread(before: Quantiles) -> float:
    """Interquartile range of quantiles at ``SHARES``; where it is zero the range from 5 % to 95 %, else 0."""
    for low, high in ((QUARTER, -1 - QUARTER), (0, -1)):
        width = float(before.value[high]) - float(before.value[low])
        if 0 < width < math.inf:
            return width
    return 0.0
