"""Synthetic faults injected into a window's counts, to measure what a configuration detects.

The number of rows stays the same. Counts stay whole, because their running sum is rounded. The sums of the
joint detectors do not change, so what these would detect is not in the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.summary.counts import SPECIAL, Counts
from driftwatch.summary.grid import Grid, NumericGrid
from driftwatch.summary.summary import Summary

_NULL = SPECIAL.index("null")
_INFINITE = [SPECIAL.index("negative_infinity"), SPECIAL.index("positive_infinity")]
#: Interquartile range of a normal distribution, in standard deviations.
_NORMAL_IQR = 1.349


class Fault(StrEnum):
    #: Every value of an ordered column grows by ``size`` robust scales (the reference's interquartile
    #: range / 1.349: one standard deviation if normal). Rows in a gap lie evenly in it and move. Rows on an
    #: edge are split linearly between the edges around their new value, so that whole numbers stay whole and
    #: the mean moves by exactly the shift. Rows on the largest value and in unbounded cells stay.
    SHIFT = "shift"
    #: A share ``size`` of the rows with a value take the reference's second most frequent level, or cell if
    #: ordered (for an interquartile range of zero): ``(1 - size) P + size * one value``.
    VALUE = "value"
    #: A share ``size`` of the rows with a value lose it.
    MISSING = "missing"

    @property
    def unit(self) -> str:
        return "spreads" if self is Fault.SHIFT else "share of rows"

    def size_text(self, size: float) -> str:
        """Format a size with its unit.

        >>> Fault.SHIFT.size_text(0.25), Fault.MISSING.size_text(0.05)
        ('0.25 spreads', '5 % of rows')
        """
        return f"{size:g} spreads" if self is Fault.SHIFT else f"{100 * size:g} % of rows"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Injection:
    """A fault of one size that can be applied to any window on the same grid."""

    column: str
    fault: Fault
    size: float
    #: ``[cells, 2 * edges]``: probability that a row of the cell ends below, and at or below, each edge.
    #: None if the fault is no shift.
    landing_cdf: Float64Array | None = None
    #: The cell that a *value* fault fills.
    value_cell: int = -1

    def apply(self, window: Summary) -> Summary:
        """Return the faulty window: it has equally many rows, and at size 0 equal counts."""
        counts = window.counts[self.column]
        faulty = self._shift_rows(counts) if self.fault is Fault.SHIFT else self._replace_share(counts)
        named = {name: rows for name, rows in window.named.items() if name != self.column}
        return replace(window, counts={**window.counts, self.column: faulty}, named=named)

    def _shift_rows(self, counts: Counts) -> Counts:
        if self.landing_cdf is None:
            return counts
        cumulative = _round_cumulative(counts.cells @ self.landing_cdf, counts.present)
        return replace(counts, cells=np.diff(cumulative, prepend=0, append=counts.present))

    def _replace_share(self, counts: Counts) -> Counts:
        cells = np.diff(_round_cumulative((1 - self.size) * counts.cells.cumsum(), counts.present), prepend=0)
        special = counts.special.copy()
        special[_INFINITE] = np.rint((1 - self.size) * special[_INFINITE])
        if self.fault is Fault.MISSING:
            special[_NULL] += counts.present - int(cells.sum())
        else:
            cells[self.value_cell] += counts.present - int(cells.sum())
        return Counts(cells=cells, special=special)


def _round_cumulative(cumulative: Float64Array, rows: int) -> Int64Array:
    # A float running sum may decrease by a rounding error; one of rows must not.
    rounded: Int64Array = np.clip(np.maximum.accumulate(np.rint(cumulative)), 0, rows).astype(np.int64)
    return rounded


def make_injection(grid: Grid, reference: Counts, column: str, fault: Fault, size: float) -> Injection:
    """Prepare a fault. Raises ``ValueError`` for a shift without robust scale, or a share outside [0, 1]."""
    if fault is Fault.SHIFT:
        scale = robust_scale(grid, reference)
        if not isinstance(grid, NumericGrid) or scale is None:
            raise ValueError(f"column {column!r} has no spread to be shifted by.")
        return Injection(column=column, fault=fault, size=size, landing_cdf=_shift_cdf(grid, size * scale))
    if not 0 <= size <= 1:
        raise ValueError(f"expected a share between 0 and 1. Got {size}.")
    second_cell = int(np.argsort(-reference.cells, kind="stable")[min(1, len(reference.cells) - 1)])
    return Injection(column=column, fault=fault, size=size, value_cell=second_cell)


def robust_scale(grid: Grid, reference: Counts) -> float | None:
    """Return the reference's interquartile range / 1.349; None if 0, infinite or not ordered."""
    if not isinstance(grid, NumericGrid) or not reference.present:
        return None
    low, high = (_quantile(grid, reference.cells, share) for share in (0.25, 0.75))
    scale = (high - low) / _NORMAL_IQR
    return scale if 0 < scale < np.inf else None


def _quantile(grid: NumericGrid, cells: Int64Array, share: float) -> float:
    cumulative = cells.cumsum()
    target = share * cumulative[-1]
    cell = int(np.searchsorted(cumulative, target))
    low, high = max((cell - 1) // 2, 0), min(cell // 2, len(grid.edges) - 1)
    cell_start = int(cumulative[cell]) - int(cells[cell])
    fraction = (target - cell_start) / max(int(cells[cell]), 1)
    # Linear within gaps; the nearest edge in an unbounded cell.
    bottom, top = float(grid.edges[low]), float(grid.edges[high])
    return bottom if bottom == top else bottom + fraction * (top - bottom)


def _shift_cdf(grid: NumericGrid, distance: float) -> Float64Array:
    # Rows stay where a shift is undefined: in unbounded cells, on infinite edges, on the largest value.
    edges, n_edges = grid.edges, len(grid.edges)
    unmoved = (np.arange(2 * n_edges + 1)[:, None] <= np.arange(2 * n_edges)).astype(np.float64)
    if distance == 0 or not n_edges:
        return unmoved
    cdf = unmoved.copy()
    finite = np.isfinite(edges)
    with np.errstate(invalid="ignore", over="ignore"):
        width = np.diff(edges)
        fraction = (edges[None, :] - edges[:-1, None] - distance) / width[:, None]
        gaps = np.repeat(np.clip(fraction, 0, 1), 2, axis=1)
    bounded = np.flatnonzero(finite[:-1] & finite[1:] & np.isfinite(width))
    cdf[2 * bounded + 2] = gaps[bounded]
    for edge in np.flatnonzero(finite & (np.arange(n_edges) != grid.last)):
        cdf[2 * edge + 1] = _split(edges, float(edges[edge]) + distance)
    return cdf


def _split(edges: Float64Array, value: float) -> Float64Array:
    # The row of ``landing_cdf`` that splits ``value`` between the edges around it.
    below = int(np.searchsorted(edges, value, side="right")) - 1
    above = min(below + 1, len(edges) - 1)
    low, high = float(edges[below]), float(edges[above])
    fraction = (value - low) / (high - low) if np.isfinite(high) and high > low else 0.0
    probabilities = np.zeros(2 * len(edges) + 1)
    probabilities[2 * below + 1] += 1 - fraction
    probabilities[2 * above + 1] += fraction
    return probabilities.cumsum()[:-1]
