"""All ordered columns of a window beside their reference: each column a row of one array, its cells along it.

A call of numpy costs a microsecond whatever it is given, and a detector takes dozens: one by one a hundred
columns would cost more than reading their rows. Shorter columns are filled up with empty cells at their last
edge, which change no sum and no largest value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.summary.cell_quantiles import Quantiles, first_reaching, quantiles
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

T = TypeVar("T")

#: Bins of PSI and Jensen-Shannon on an ordered column.
BINS = 10
#: Quantiles that words are made of, and where the lower quartile and the median stand among them.
SHARES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
QUARTER, MEDIAN = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceCells:
    """The reference's columns ``names[k]``: ``cells[k, 2e + 1]``, cumulative sums ``upto`` and totals ``n``.

    ``own[k]`` edges are the column's. ``rows`` says where a name stands; ``made`` is what was worked out.
    """

    grids: tuple[NumericGrid, ...]
    rows: dict[str, int]
    own: Int64Array
    cells: Int64Array
    upto: Int64Array
    n: Int64Array
    made: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, reference: Reference, names: Sequence[str]) -> ReferenceCells:
        """The columns of these names, in this order."""
        grids = tuple(grid for name in names if isinstance(grid := reference.plan.grids[name], NumericGrid))
        own = np.array([len(grid.edges) for grid in grids], dtype=np.int64)
        cells = np.zeros((len(grids), 2 * int(own.max(initial=0)) + 1), dtype=np.int64)
        for row, (name, grid) in enumerate(zip(names, grids, strict=True)):
            cells[row, : grid.cells] = reference.summary.counts[name].cells
        upto = cells.cumsum(axis=1)
        rows = {name: row for row, name in enumerate(names)}
        return cls(grids=grids, rows=rows, own=own, cells=cells, upto=upto, n=upto[:, -1])

    def once(self, key: Hashable, make: Callable[[ReferenceCells], T]) -> T:
        """What ``make`` gives, worked out at the first asking."""
        if key not in self.made:
            self.made[key] = make(self)
        found: T = self.made[key]
        return found

    def kept(self, key: Hashable, of: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gives of something, worked out again only where that is not what it last was."""
        last = self.made.get(key)
        if last is None or last[0] != of:
            last = self.made[key] = of, make()
        found: T = last[1]
        return found

    def places(self, names: tuple[str, ...]) -> Int64Array:
        """Their rows, -1 for what is not among the columns."""
        return self.once(
            ("places", names),
            lambda _: np.array([self.rows.get(name, -1) for name in names], dtype=np.int64),
        )

    @property
    def divisor(self) -> Float64Array:
        """Rows as divisors ``[k, 1]``: 1 where there are none, of which nothing is asked."""
        return np.maximum(self.n, 1.0)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowCells:
    """Columns ``k`` on both sides: cumulative sums ``window_upto[k, 2e + 1]`` of the window's cells beside
    those of ``before``, and their totals ``m[k]``. ``made`` is what was worked out.
    """

    before: ReferenceCells
    window_upto: Int64Array
    m: Int64Array
    made: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, before: ReferenceCells, window: Summary) -> WindowCells:
        """The window beside these columns of the reference."""
        counts, width = ColumnCounts.of(window.counts), before.cells.shape[1]
        places = before.kept("places", counts.layout, lambda: counts.spread(before.rows, width))
        upto = counts.upto(places)
        return cls(before=before, window_upto=upto, m=upto[:, -1].copy())

    def once(self, key: Hashable, make: Callable[[WindowCells], T]) -> T:
        """What ``make`` gives, worked out at the first asking."""
        if key not in self.made:
            self.made[key] = make(self)
        found: T = self.made[key]
        return found

    @property
    def edges(self) -> Float64Array:
        """Edges ``[k, e]``; those that are not the column's own repeat its last."""
        return self.before.once("edges", _edges)

    @property
    def own(self) -> Int64Array:
        """How many edges are the column's."""
        return self.before.own

    @property
    def reference_upto(self) -> Int64Array:
        """Cumulative sums of the reference's cells."""
        return self.before.upto

    @property
    def n(self) -> Int64Array:
        """Their totals."""
        return self.before.n

    @property
    def rows(self) -> tuple[Float64Array, Float64Array]:
        """Rows of both sides as divisors ``[k, 1]``: 1 where there are none, of which nothing is asked."""
        return self.before.divisor, np.maximum(self.m, 1.0)[:, None]


def _edges(before: ReferenceCells) -> Float64Array:
    edges = np.zeros((len(before.grids), int(before.own.max(initial=0))))
    for row, grid in enumerate(before.grids):
        own = len(grid.edges)
        edges[row, :own] = grid.edges
        edges[row, own:] = grid.edges[-1] if own else 0.0
    return edges


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """Counts ``before[k, b]`` and ``after`` on ``count[k]`` bins; those not ``used`` hold nothing."""

    before: Int64Array
    after: Int64Array
    used: BoolArray
    count: Int64Array


def quantile_bins(sides: WindowCells) -> Bins:
    """Bins of about equal reference share, each a run of whole cells, cut by the reference alone.

    A bin ends with the first cell at which the reference reaches the next tenth.
    """
    usual, ends = sides.before.once("bins", _bins)
    upto = sides.window_upto.take(ends)
    upto[:, 1:] -= upto[:, :-1].copy()
    return replace(usual, after=upto)


def _bins(before: ReferenceCells) -> tuple[Bins, Int64Array]:
    """Bins of the reference, nothing ``after``, and where they end among the cells of all columns."""
    ends, at = _ends(before), np.arange(len(before.upto))[:, None]
    used = np.diff(ends, prepend=-1) > 0
    cells = np.diff(before.upto[at, ends], prepend=0)
    return (
        Bins(before=cells, after=np.zeros_like(cells), used=used, count=used.sum(axis=1)),
        ends + at * before.upto.shape[1],
    )


def _ends(before: ReferenceCells) -> Int64Array:
    upto, rows = before.upto, before.n[:, None]
    ends = first_reaching(upto, -(-rows * np.arange(1, BINS) // BINS))
    at = np.arange(len(upto))[:, None]
    final = np.full((len(upto), 1), upto.shape[1] - 1)
    # A tenth that the last value fills is the last bin.
    return np.append(np.where(upto[at, ends] < rows, ends, final), final, axis=1)


def before_quantiles(sides: WindowCells) -> Quantiles:
    """Of the reference, at ``SHARES``."""
    return sides.before.once(
        "quantiles", lambda before: quantiles(sides.edges, before.own, before.upto, SHARES)
    )


def after_quantiles(sides: WindowCells) -> Quantiles:
    """Of the window, at ``SHARES``."""
    return quantiles(sides.edges, sides.own, sides.window_upto, SHARES)


def spreads(sides: WindowCells) -> list[float]:
    """Interquartile range of each reference; where it is zero the range from 5 % to 95 %, else 0."""
    return sides.before.once("spreads", lambda _: _spreads(before_quantiles(sides).value))


def _spreads(value: Float64Array) -> list[float]:
    with np.errstate(invalid="ignore", over="ignore"):
        widths = [value[:, -1 - low] - value[:, low] for low in (QUARTER, 0)]
    good = [(width > 0) & np.isfinite(width) for width in widths]
    found: list[float] = np.where(good[0], widths[0], np.where(good[1], widths[1], 0.0)).tolist()
    return found
