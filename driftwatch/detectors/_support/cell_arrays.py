"""Cell counts of ordered columns as arrays, one row per column.

A numpy call costs a microsecond however small its arrays, and a detector makes dozens: a hundred columns one
by one would cost more than reading their rows. Columns with fewer cells are padded with empty ones at
their last edge, which change no sum and no maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.summary.cell_quantiles import Quantiles, quantiles, searchsorted_rows
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

T = TypeVar("T")

#: Largest number of bins for PSI and Jensen-Shannon on an ordered column.
MAX_BINS = 10
#: Quantiles that effect texts use, and the positions of the lower quartile and the median among them.
QUANTILE_SHARES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
LOWER_QUARTILE, MEDIAN = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceCells:
    """Cell counts of the reference's ordered columns."""

    grids: tuple[NumericGrid, ...]
    row_by_name: dict[str, int]
    #: ``[column]``: edges without padding.
    n_edges: Int64Array
    #: ``[column, 2 * edges + 1]``: rows in gaps and points, and their running sum.
    cells: Int64Array
    cumulative: Int64Array
    #: ``[column]``: rows.
    n: Int64Array
    memo: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def from_reference(cls, reference: Reference, names: Sequence[str]) -> ReferenceCells:
        grids = tuple(grid for name in names if isinstance(grid := reference.plan.grids[name], NumericGrid))
        n_edges = np.array([len(grid.edges) for grid in grids], dtype=np.int64)
        cells = np.zeros((len(grids), 2 * int(n_edges.max(initial=0)) + 1), dtype=np.int64)
        for row, (name, grid) in enumerate(zip(names, grids, strict=True)):
            cells[row, : grid.n_cells] = reference.summary.counts[name].cells
        cumulative = cells.cumsum(axis=1)
        row_by_name = {name: row for row, name in enumerate(names)}
        return cls(
            grids=grids,
            row_by_name=row_by_name,
            n_edges=n_edges,
            cells=cells,
            cumulative=cumulative,
            n=cumulative[:, -1],
        )

    def memoize(self, key: Hashable, compute: Callable[[ReferenceCells], T]) -> T:
        if key not in self.memo:
            self.memo[key] = compute(self)
        value: T = self.memo[key]
        return value

    def memoize_last(self, key: Hashable, argument: Hashable, compute: Callable[[], T]) -> T:
        entry = self.memo.get(key)
        if entry is None or entry[0] != argument:
            entry = self.memo[key] = argument, compute()
        value: T = entry[1]
        return value

    def rows_of(self, names: tuple[str, ...]) -> Int64Array:
        """Return each column's row, -1 for a column that is not ordered."""
        return self.memoize(
            ("rows", names),
            lambda _: np.array([self.row_by_name.get(name, -1) for name in names], dtype=np.int64),
        )

    @property
    def divisor(self) -> Float64Array:
        """Row counts as a divisor, at least 1."""
        # ``[column, 1]``.
        return np.maximum(self.n, 1.0)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowCells:
    """Cell counts of the window's ordered columns."""

    reference: ReferenceCells
    #: ``[column, 2 * edges + 1]``: running sum of the cells.
    window_cumulative: Int64Array
    #: ``[column]``: rows.
    m: Int64Array
    memo: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def from_window(cls, reference: ReferenceCells, window: Summary) -> WindowCells:
        counts, width = ColumnCounts.from_mapping(window.counts), reference.cells.shape[1]
        positions = reference.memoize_last(
            "positions", counts.layout, lambda: counts.cell_positions(reference.row_by_name, width)
        )
        cumulative = counts.cumulative(positions)
        return cls(reference=reference, window_cumulative=cumulative, m=cumulative[:, -1].copy())

    def memoize(self, key: Hashable, compute: Callable[[WindowCells], T]) -> T:
        if key not in self.memo:
            self.memo[key] = compute(self)
        value: T = self.memo[key]
        return value

    @property
    def edges(self) -> Float64Array:
        """Each column's edges, padded with its last one."""
        # ``[column, edge]``.
        return self.reference.memoize("edges", _edges)

    @property
    def n_edges(self) -> Int64Array:
        return self.reference.n_edges

    @property
    def reference_cumulative(self) -> Int64Array:
        return self.reference.cumulative

    @property
    def n(self) -> Int64Array:
        return self.reference.n

    @property
    def divisors(self) -> tuple[Float64Array, Float64Array]:
        """Row counts of reference and window as divisors, at least 1."""
        # Both ``[column, 1]``.
        return self.reference.divisor, np.maximum(self.m, 1.0)[:, None]


def _edges(reference: ReferenceCells) -> Float64Array:
    edges = np.zeros((len(reference.grids), int(reference.n_edges.max(initial=0))))
    for row, grid in enumerate(reference.grids):
        n_edges = len(grid.edges)
        edges[row, :n_edges] = grid.edges
        edges[row, n_edges:] = grid.edges[-1] if n_edges else 0.0
    return edges


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """Row counts of both sides, 0 in bins that are not ``used``."""

    #: ``[column, bin]``.
    reference_counts: Int64Array
    window_counts: Int64Array
    used: BoolArray
    n_bins: Int64Array


def quantile_bins(cells: WindowCells) -> Bins:
    """Group whole cells into bins of about equal reference share, regardless of the window."""
    bins, ends = cells.reference.memoize("bins", _reference_bins)
    window_counts = cells.window_cumulative.take(ends)
    window_counts[:, 1:] -= window_counts[:, :-1].copy()
    return replace(bins, window_counts=window_counts)


def _reference_bins(reference: ReferenceCells) -> tuple[Bins, Int64Array]:
    # Bins without window counts, and the last cell of each bin, an index into flattened cells.
    ends, rows = _bin_ends(reference), np.arange(len(reference.cumulative))[:, None]
    used = np.diff(ends, prepend=-1) > 0
    counts = np.diff(reference.cumulative[rows, ends], prepend=0)
    return (
        Bins(
            reference_counts=counts, window_counts=np.zeros_like(counts), used=used, n_bins=used.sum(axis=1)
        ),
        ends + rows * reference.cumulative.shape[1],
    )


def _bin_ends(reference: ReferenceCells) -> Int64Array:
    cumulative, n = reference.cumulative, reference.n[:, None]
    # A bin ends with the first cell at which the reference reaches the next tenth.
    ends = searchsorted_rows(cumulative, -(-n * np.arange(1, MAX_BINS) // MAX_BINS))
    rows = np.arange(len(cumulative))[:, None]
    final = np.full((len(cumulative), 1), cumulative.shape[1] - 1)
    # If the last value fills a whole tenth, that tenth is the last bin.
    return np.append(np.where(cumulative[rows, ends] < n, ends, final), final, axis=1)


def reference_quantiles(cells: WindowCells) -> Quantiles:
    return cells.reference.memoize(
        "quantiles",
        lambda reference: quantiles(cells.edges, reference.n_edges, reference.cumulative, QUANTILE_SHARES),
    )


def window_quantiles(cells: WindowCells) -> Quantiles:
    return quantiles(cells.edges, cells.n_edges, cells.window_cumulative, QUANTILE_SHARES)


def interquartile_ranges(cells: WindowCells) -> list[float]:
    """Return each column's interquartile range in the reference, else its 5 % to 95 % range, else 0."""
    return cells.reference.memoize(
        "interquartile ranges", lambda _: _interquartile_ranges(reference_quantiles(cells).value)
    )


def _interquartile_ranges(value: Float64Array) -> list[float]:
    with np.errstate(invalid="ignore", over="ignore"):
        widths = [value[:, -1 - low] - value[:, low] for low in (LOWER_QUARTILE, 0)]
    usable = [(width > 0) & np.isfinite(width) for width in widths]
    ranges: list[float] = np.where(usable[0], widths[0], np.where(usable[1], widths[1], 0.0)).tolist()
    return ranges
