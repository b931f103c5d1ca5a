"""The cells of a column, frozen when the reference was built. Cells never move with the data.

A numeric grid has ``k`` edges and ``2k + 1`` cells: a point cell for each edge and the open gap between
neighbours. Half-open bins would be wrong as soon as a window's value ties with a reference value: with
point cells both ``F(x)`` and ``F(x-)`` are exact at every edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TypeVar

import numpy as np

from driftwatch.core.arrays import Float32Array, Float64Array, Int64Array
from driftwatch.summary.batch import Levels

Floats = TypeVar("Floats", Float64Array, Float32Array)

#: Quantile edges of a stored numeric grid; the KS bracket is no wider than the largest gap, about 1/255.
QUANTILES = 255
#: A column with at most this many distinct values gets them all as edges, so its KS is exact.
FEW_VALUES = 256
#: Frozen edges beyond the reference's range: steps up to once its width, where a season or an accepted
#: shift goes, then 10, ... 10^5 times its width (or its largest value), which tell x10 from x1000.
STEPS, DECADES = 16, 6
#: Share streams of an ordered column: rows at or below this many quantiles of the reference, at most.
MARKS = 7
#: Bounds of cells that are kept from one batch to the next.
_KEPT = 1 << 13


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumericGrid:
    """Edges ``edges[k]``, strictly increasing; ``first`` and ``last`` index the reference's own range.

    ``exact`` says that the edges hold every distinct value of the reference. ``marks`` index the edges
    that share streams stand on; they are part of the plan so that a stream is the same in every window, in
    every segment and with any block left out of the reference.
    """

    edges: Float64Array
    first: int
    last: int
    exact: bool
    marks: tuple[int, ...] = ()
    _begins: dict[str, Float64Array | Float32Array] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    @property
    def cells(self) -> int:
        """Number of cells: ``2k + 1``."""
        return 2 * len(self.edges) + 1

    def count(self, ordered: Float64Array | Float32Array) -> Int64Array:
        """Counts ``int64[2k + 1]`` of values sorted ascending; NaNs, the last, are in none. O(k log n)."""
        bounds = self.bounds(ordered)
        return bounds[1:] - bounds[:-1]

    def bounds(self, ordered: Float64Array | Float32Array) -> Int64Array:
        """Where each cell begins in values sorted ascending, ``int64[2k + 2]``; the last is where NaNs do."""
        bounds = np.empty(2 * len(self.edges) + 2, dtype=np.int64)
        bounds[0] = 0
        bounds[1:] = ordered.searchsorted(self._begin(ordered.dtype.char))
        return bounds

    def _begin(self, kind: str) -> Float64Array | Float32Array:
        """The least value of each cell but the first, in the precision of a numpy ``kind``; NaN for none.

        A last NaN is where all cells end.
        """
        found = self._begins.get(kind)
        if found is None:
            with np.errstate(over="ignore", under="ignore"):
                found = _begins(self.edges.astype(kind), self.edges)
            if len(found) <= _KEPT:
                self._begins[kind] = found
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelGrid:
    """The reference's levels, most frequent first, and one last cell for every unseen level."""

    levels: tuple[str, ...]
    _position: dict[str, int] = field(init=False, default_factory=dict, compare=False, repr=False)

    @property
    def cells(self) -> int:
        """Number of cells: the levels and *unseen*."""
        return len(self.levels) + 1

    def index(self, column: Levels) -> Int64Array:
        """Cell of each row ``int64[n]``; rows without a level stay negative."""
        return column.table(self, self._cells_of)[column.codes]

    def _cells_of(self, levels: tuple[str, ...]) -> Int64Array:
        # Every file brings its own dictionary.
        if not self._position:
            # In one step: another thread sees none of them or all.
            self._position.update({level: cell for cell, level in enumerate(self.levels)})
        unseen = len(self.levels)
        cells = np.fromiter(
            map(self._position.get, levels, repeat(unseen)), dtype=np.int64, count=len(levels)
        )
        return np.append(cells, [-2, -1])

    def gather(self, column: Levels, rows: Int64Array) -> Int64Array:
        """Counts ``int64[levels + 1]`` of ``rows`` of each code of a column."""
        counts = np.zeros(self.cells, dtype=np.int64)
        np.add.at(counts, column.table(self, self._cells_of)[: len(rows)], rows)
        return counts


Grid = NumericGrid | LevelGrid


def _begins(near: Floats, edges: Float64Array) -> Floats:
    """The least value at or above each edge, and the least above it, one after the other; NaN at the end.

    ``near`` are the edges rounded to the precision that values have.
    """
    high = near.dtype.type(np.inf)
    found = np.full(2 * len(edges) + 1, np.nan, dtype=near.dtype)
    after = np.where(near == high, near.dtype.type(np.nan), np.nextafter(near, high))
    found[:-1:2] = np.where(near < edges, after, near)
    found[1::2] = np.where(near > edges, near, after)
    return found


def numeric_grid(values: Float64Array, *, quantiles: int = QUANTILES, few: int = FEW_VALUES) -> NumericGrid:
    """Freeze the edges for a column from reference values (NaN-free; a sample, or all of them).

    Few distinct values: all of them. Else quantiles, and values too frequent for one quantile are edges
    anyway because the quantiles meet on them. The extremes are always edges, and ``STEPS + DECADES - 1`` more
    lie beyond each of them.

    >>> grid = numeric_grid(np.array([1.0, 2.0, 2.0, 4.0]))
    >>> grid.edges[grid.first : grid.last + 1]
    array([1., 2., 4.])
    >>> grid.count(np.array([2.0, 3.0, 9.0]))[2 * grid.first : 2 * grid.last + 2]
    array([0, 0, 0, 1, 1, 0])
    """
    ordered = values + 0.0
    ordered.sort()
    new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    distinct = ordered[np.flatnonzero(new)]
    exact = len(distinct) <= few
    if exact:
        inner = distinct
    else:
        ranks = np.linspace(0, len(ordered) - 1, quantiles).round().astype(np.int64)
        inner = np.unique(ordered[ranks])
    finite = inner[np.isfinite(inner)]
    if not len(finite):
        return NumericGrid(
            edges=inner, first=0, last=len(inner) - 1, exact=exact, marks=_marks(ordered, inner)
        )
    low, high = finite[0], finite[-1]
    with np.errstate(over="ignore"):
        width = max(high - low, abs(high), abs(low), 1e-12) if high > low else max(abs(high), 1.0)
        steps = np.arange(1, STEPS + 1) / STEPS
        reach = width * np.concatenate([steps, 10.0 ** np.arange(1, DECADES)])
        outer = np.concatenate([low - reach, high + reach])
    outer = outer[np.isfinite(outer)]
    edges = np.union1d(inner, outer)
    first, last = (int(np.searchsorted(edges, edge)) for edge in (inner[0], inner[-1]))
    return NumericGrid(edges=edges, first=first, last=last, exact=exact, marks=_marks(ordered, edges))


def _marks(ordered: Float64Array, edges: Float64Array) -> tuple[int, ...]:
    """Edges next to evenly spaced quantiles of sorted values, but for those (nearly) all rows lie below."""
    if not len(ordered):
        return ()
    ranks = np.ceil(len(ordered) * np.arange(1, MARKS + 1) / (MARKS + 1)).astype(np.int64) - 1
    marks = np.unique(np.searchsorted(edges, ordered[ranks]))
    marks = marks[marks < len(edges)]
    share = np.searchsorted(ordered, edges[marks], side="right") / len(ordered)
    return tuple(int(mark) for mark in marks[(share > 0.001) & (share < 0.999)])
