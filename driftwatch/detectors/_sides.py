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
import numpy.typing as npt

from driftwatch.summary.batch import Float64Array, Int64Array
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

T = TypeVar("T")
Flags = npt.NDArray[np.bool_]

#: Bins of PSI and Jensen-Shannon on an ordered column.
BINS = 10
#: Quantiles that words are made of, and where the lower quartile and the median stand among them.
SHARES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
QUARTER, MEDIAN = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Before:
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
    def of(cls, reference: Reference, names: Sequence[str]) -> Before:
        """The columns of these names, in this order."""
        grids = tuple(grid for name in names if isinstance(grid := reference.plan.grids[name], NumericGrid))
        own = np.array([len(grid.edges) for grid in grids], dtype=np.int64)
        cells = np.zeros((len(grids), 2 * int(own.max(initial=0)) + 1), dtype=np.int64)
        for row, (name, grid) in enumerate(zip(names, grids, strict=True)):
            cells[row, : grid.cells] = reference.summary.counts[name].cells
        upto = cells.cumsum(axis=1)
        rows = {name: row for row, name in enumerate(names)}
        return cls(grids=grids, rows=rows, own=own, cells=cells, upto=upto, n=upto[:, -1])

    def once(self, key: Hashable, make: Callable[[Before], T]) -> T:
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
class Sides:
    """Columns ``k`` on both sides: cumulative sums ``window_upto[k, 2e + 1]`` of the window's cells beside
    those of ``before``, and their totals ``m[k]``. ``made`` is what was worked out.
    """

    before: Before
    window_upto: Int64Array
    m: Int64Array
    made: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, before: Before, window: Summary) -> Sides:
        """The window beside these columns of the reference."""
        counts, width = ColumnCounts.of(window.counts), before.cells.shape[1]
        places = before.kept("places", counts.layout, lambda: counts.spread(before.rows, width))
        upto = counts.upto(places)
        return cls(before=before, window_upto=upto, m=upto[:, -1].copy())

    def once(self, key: Hashable, make: Callable[[Sides], T]) -> T:
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


def _edges(before: Before) -> Float64Array:
    edges = np.zeros((len(before.grids), int(before.own.max(initial=0))))
    for row, grid in enumerate(before.grids):
        own = len(grid.edges)
        edges[row, :own] = grid.edges
        edges[row, own:] = grid.edges[-1] if own else 0.0
    return edges


def first_reaching(upto: Int64Array, targets: Int64Array) -> Int64Array:
    """The first cell ``[k, t]`` at which each row of cumulative sums reaches its targets."""
    step = (int(upto[:, -1].max(initial=0)) + 1) * np.arange(len(upto))[:, None]
    found = np.searchsorted((upto + step).ravel(), (targets + step).ravel()).reshape(targets.shape)
    cells: Int64Array = found - upto.shape[1] * np.arange(len(upto))[:, None]
    return cells


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """Counts ``before[k, b]`` and ``after`` on ``count[k]`` bins; those not ``used`` hold nothing."""

    before: Int64Array
    after: Int64Array
    used: Flags
    count: Int64Array


def quantile_bins(sides: Sides) -> Bins:
    """Bins of about equal reference share, each a run of whole cells, cut by the reference alone.

    A bin ends with the first cell at which the reference reaches the next tenth.
    """
    usual, ends = sides.before.once("bins", _bins)
    upto = sides.window_upto.take(ends)
    upto[:, 1:] -= upto[:, :-1].copy()
    return replace(usual, after=upto)


def _bins(before: Before) -> tuple[Bins, Int64Array]:
    """Bins of the reference, nothing ``after``, and where they end among the cells of all columns."""
    ends, at = _ends(before), np.arange(len(before.upto))[:, None]
    used = np.diff(ends, prepend=-1) > 0
    cells = np.diff(before.upto[at, ends], prepend=0)
    return (
        Bins(before=cells, after=np.zeros_like(cells), used=used, count=used.sum(axis=1)),
        ends + at * before.upto.shape[1],
    )


def _ends(before: Before) -> Int64Array:
    upto, rows = before.upto, before.n[:, None]
    ends = first_reaching(upto, -(-rows * np.arange(1, BINS) // BINS))
    at = np.arange(len(upto))[:, None]
    final = np.full((len(upto), 1), upto.shape[1] - 1)
    # A tenth that the last value fills is the last bin.
    return np.append(np.where(upto[at, ends] < rows, ends, final), final, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantiles:
    """Quantiles ``value[k, q]`` interpolated in their cells, which reach from ``low`` to ``high``."""

    value: Float64Array
    low: Float64Array
    high: Float64Array

    def of(self, row: int) -> Quantiles:
        """Those of one column."""
        return Quantiles(value=self.value[row], low=self.low[row], high=self.high[row])


def quantiles(edges: Float64Array, own: Int64Array, upto: Int64Array, shares: Float64Array) -> Quantiles:
    """Quantiles of rows counted in cells with the cumulative sums ``upto[k]``, for ``shares`` in [0, 1].

    Exact in point cells, linear in gaps, at the nearest edge beyond the last one.
    """
    if not edges.shape[1]:
        none = np.full((len(edges), len(shares)), np.nan)
        return Quantiles(value=none, low=none, high=none)
    rows, at = upto[:, -1:], np.arange(len(upto))[:, None]
    # A shade below, so that a target that is a whole number does not slip into the next cell by rounding.
    targets = np.maximum(shares * rows - 1e-9 * rows, 0.5)
    cell = np.minimum(first_reaching(upto, np.ceil(targets).astype(np.int64)), upto.shape[1] - 1)
    gap, edge = cell % 2 == 0, cell // 2
    last = edges.shape[1] - 1
    low = edges[at, np.minimum(np.maximum(edge - gap, 0), last)]
    high = edges[at, np.minimum(edge, last)]
    begun = np.where(cell > 0, upto[at, cell - 1], 0)
    into = (targets - begun) / np.maximum(upto[at, cell] - begun, 1)
    finite = np.isfinite(low) & np.isfinite(high)
    # Halved before subtracting: two finite ends may lie further apart than a float reaches.
    half = np.where(finite, high, 0.0) / 2 - np.where(finite, low, 0.0) / 2
    value = np.where(finite, low + into * half + into * half, np.where(np.isfinite(low), low, high))
    below, above = gap & (edge == 0), edge >= own[:, None]
    return Quantiles(value=value, low=np.where(below, -np.inf, low), high=np.where(above, np.inf, high))


def before_quantiles(sides: Sides) -> Quantiles:
    """Of the reference, at ``SHARES``."""
    return sides.before.once(
        "quantiles", lambda before: quantiles(sides.edges, before.own, before.upto, SHARES)
    )


def after_quantiles(sides: Sides) -> Quantiles:
    """Of the window, at ``SHARES``."""
    return quantiles(sides.edges, sides.own, sides.window_upto, SHARES)


def spreads(sides: Sides) -> list[float]:
    """Interquartile range of each reference; where it is zero the range from 5 % to 95 %, else 0."""
    return sides.before.once("spreads", lambda _: _spreads(before_quantiles(sides).value))


def _spreads(value: Float64Array) -> list[float]:
    with np.errstate(invalid="ignore", over="ignore"):
        widths = [value[:, -1 - low] - value[:, low] for low in (QUARTER, 0)]
    good = [(width > 0) & np.isfinite(width) for width in widths]
    found: list[float] = np.where(good[0], widths[0], np.where(good[1], widths[1], 0.0)).tolist()
    return found
