"""Cell counts of ordered columns as arrays, one row per column.

A numpy call costs a microsecond however small its arrays, and a detector makes dozens: a hundred columns one
by one would cost more than reading their rows. Columns with fewer cells are padded with empty ones at
their last edge, which change no sum and no maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceCells:
    """Cell counts of the reference's ordered columns."""

    grids: tuple[NumericGrid, ...]
    row_by_name: Mapping[str, int]
    #: ``[column]``: edges without padding.
    n_edges: Int64Array
    #: ``[column, 2 * edges + 1]``: rows in gaps and points, and their running sum.
    cells: Int64Array
    cumulative: Int64Array
    #: ``[column]``: rows.
    n: Int64Array
    #: ``[column, edge]``: edges, padded with the last one.
    edges: Float64Array

    @classmethod
    def from_reference(cls, reference: Reference, names: Sequence[str]) -> ReferenceCells:
        grids = tuple(grid for name in names if isinstance(grid := reference.plan.grids[name], NumericGrid))
        n_edges = np.array([len(grid.edges) for grid in grids], dtype=np.int64)
        cells = np.zeros((len(grids), 2 * int(n_edges.max(initial=0)) + 1), dtype=np.int64)
        for row, (name, grid) in enumerate(zip(names, grids, strict=True)):
            cells[row, : grid.n_cells] = reference.summary.counts[name].cells
        cumulative = cells.cumsum(axis=1)
        row_by_name = MappingProxyType({name: row for row, name in enumerate(names)})
        return cls(
            grids=grids,
            row_by_name=row_by_name,
            n_edges=n_edges,
            cells=cells,
            cumulative=cumulative,
            n=cumulative[:, -1],
            edges=_padded_edges(grids, n_edges),
        )

    def rows_of(self, names: Sequence[str]) -> Int64Array:
        """Return each column's row, -1 for a column that is not ordered."""
        return np.array([self.row_by_name.get(name, -1) for name in names], dtype=np.int64)

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

    @property
    def edges(self) -> Float64Array:
        return self.reference.edges

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


def _padded_edges(grids: Sequence[NumericGrid], n_edges: Int64Array) -> Float64Array:
    edges = np.zeros((len(grids), int(n_edges.max(initial=0))))
    for row, grid in enumerate(grids):
        edges[row, : len(grid.edges)] = grid.edges
        edges[row, len(grid.edges) :] = grid.edges[-1] if len(grid.edges) else 0.0
    return edges
