"""Synthetic shifts, injected into the counts of a window: what a configuration would have caught.

Three faults, each of one column, with a size:

- *shift*: every value of an ordered column grows by ``size`` spreads, a spread being the reference's
  interquartile range over 1.349 (one standard deviation of a normal column). Rows in a gap between two edges
  are taken to lie evenly in it and move; rows on an edge are split linearly between the two edges next to
  where they would land, so that whole numbers stay whole numbers and the mean moves by just that much. Rows
  on the reference's largest value stay there, and rows in a cell without end stay in it.
- *value*: a share ``size`` of the rows with a value take the reference's second most frequent level
  (or cell, for an ordered column whose interquartile range is zero): ``(1 - size) P + size * one value``.
- *missing*: a share ``size`` of the rows with a value lose it.

No row comes or goes: counts are whole numbers before and after, rounded on their cumulative sum. Only counts
move. The joint detectors' sums are left as they were, so what they would add is not in the result.
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
#: Interquartile range of a normal column in standard deviations.
_NORMAL_RANGE = 1.349


class Fault(StrEnum):
    """What is injected."""

    SHIFT = "shift"
    VALUE = "value"
    MISSING = "missing"

    @property
    def unit(self) -> str:
        """What a size of it counts."""
        return "spreads" if self is Fault.SHIFT else "share of rows"

    def words(self, size: float) -> str:
        """A size of it in words.

        >>> Fault.SHIFT.words(0.25), Fault.MISSING.words(0.05)
        ('0.25 spreads', '5 % of rows')
        """
        return f"{size:g} spreads" if self is Fault.SHIFT else f"{100 * size:g} % of rows"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Injection:
    """A fault of one column in one size, ready for any window counted on the same grid.

    ``upto[2k + 1, 2k]`` says of a row in each cell with what probability it ends below, or at or below, each
    edge; None unless the fault is a shift. ``target`` is the cell that a *value* fault fills.
    """

    column: str
    fault: Fault
    size: float
    upto: Float64Array | None = None
    target: int = -1

    def into(self, window: Summary) -> Summary:
        """The window with the fault in it: as many rows, at size 0 the very same counts."""
        counts = window.counts[self.column]
        moved = self._shifted(counts) if self.fault is Fault.SHIFT else self._taken(counts)
        return replace(window, counts={**window.counts, self.column: moved})

    def _shifted(self, counts: Counts) -> Counts:
        if self.upto is None:
            return counts
        upto = _whole(counts.cells @ self.upto, counts.present)
        return replace(counts, cells=np.diff(upto, prepend=0, append=counts.present))

    def _taken(self, counts: Counts) -> Counts:
        left = np.diff(_whole((1 - self.size) * counts.cells.cumsum(), counts.present), prepend=0)
        special = counts.special.copy()
        special[_INFINITE] = np.rint((1 - self.size) * special[_INFINITE])
        if self.fault is Fault.MISSING:
            special[_NULL] += counts.present - int(left.sum())
        else:
            left[self.target] += counts.present - int(left.sum())
        return Counts(cells=left, special=special)


def _whole(upto: Float64Array, most: int) -> Int64Array:
    """A cumulative sum in whole rows; computed in floats, it may dip by a rounding error, rows may not."""
    rounded: Int64Array = np.clip(np.maximum.accumulate(np.rint(upto)), 0, most).astype(np.int64)
    return rounded


def injection(grid: Grid, reference: Counts, column: str, fault: Fault, size: float) -> Injection:
    """The fault in that size, on the grid and the reference's counts of the column. Pure.

    Raises ``ValueError`` for a shift of a column that has no spread, and for a share outside [0, 1].
    """
    if fault is Fault.SHIFT:
        width = spread(grid, reference)
        if not isinstance(grid, NumericGrid) or width is None:
            raise ValueError(f"column {column!r} has no spread to be shifted by.")
        return Injection(column=column, fault=fault, size=size, upto=_landing(grid, size * width))
    if not 0 <= size <= 1:
        raise ValueError(f"expected a share between 0 and 1. Got {size}.")
    second = int(np.argsort(-reference.cells, kind="stable")[min(1, len(reference.cells) - 1)])
    return Injection(column=column, fault=fault, size=size, target=second)


def spread(grid: Grid, reference: Counts) -> float | None:
    """The reference's interquartile range over 1.349; None when it is zero or the column has no order."""
    if not isinstance(grid, NumericGrid) or not reference.present:
        return None
    low, high = (_quantile(grid, reference.cells, share) for share in (0.25, 0.75))
    width = (high - low) / _NORMAL_RANGE
    return width if 0 < width < np.inf else None


def _quantile(grid: NumericGrid, cells: Int64Array, share: float) -> float:
    """A quantile, linear within gaps; the nearer edge in a cell without end."""
    upto = cells.cumsum()
    target = share * upto[-1]
    cell = int(np.searchsorted(upto, target))
    low, high = max((cell - 1) // 2, 0), min(cell // 2, len(grid.edges) - 1)
    begun = int(upto[cell]) - int(cells[cell])
    into = (target - begun) / max(int(cells[cell]), 1)
    bottom, top = float(grid.edges[low]), float(grid.edges[high])
    return bottom if bottom == top else bottom + into * (top - bottom)


def _landing(grid: NumericGrid, distance: float) -> Float64Array:
    """Where the rows of each cell end, ``[2k + 1, 2k]``: below and at or below each edge, after a move up.

    Cells stay put where a move means nothing: without end, on an infinite edge, on the reference's largest
    value.
    """
    edges, count = grid.edges, len(grid.edges)
    stays = (np.arange(2 * count + 1)[:, None] <= np.arange(2 * count)).astype(np.float64)
    if distance == 0 or not count:
        return stays
    landing = stays.copy()
    finite = np.isfinite(edges)
    with np.errstate(invalid="ignore", over="ignore"):
        width = np.diff(edges)
        into = (edges[None, :] - edges[:-1, None] - distance) / width[:, None]
        gaps = np.repeat(np.clip(into, 0, 1), 2, axis=1)
    bounded = np.flatnonzero(finite[:-1] & finite[1:] & np.isfinite(width))
    landing[2 * bounded + 2] = gaps[bounded]
    for edge in np.flatnonzero(finite & (np.arange(count) != grid.last)):
        landing[2 * edge + 1] = _split(edges, float(edges[edge]) + distance)
    return landing


def _split(edges: Float64Array, place: float) -> Float64Array:
    """Rows at ``place`` shared between the edges next to it, as cumulative probabilities ``[2k]``."""
    below = int(np.searchsorted(edges, place, side="right")) - 1
    above = min(below + 1, len(edges) - 1)
    low, high = float(edges[below]), float(edges[above])
    part = (place - low) / (high - low) if np.isfinite(high) and high > low else 0.0
    cells = np.zeros(2 * len(edges) + 1)
    cells[2 * below + 1] += 1 - part
    cells[2 * above + 1] += part
    return cells.cumsum()[:-1]
