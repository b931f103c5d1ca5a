"""Quantiles of columns whose rows are counted in cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array


def searchsorted_rows(cumulative: Int64Array, targets: Int64Array) -> Int64Array:
    """Find, row by row, the first cell whose cumulative count reaches each target."""
    step = (int(cumulative[:, -1].max(initial=0)) + 1) * np.arange(len(cumulative))[:, None]
    flat = np.searchsorted((cumulative + step).ravel(), (targets + step).ravel()).reshape(targets.shape)
    cells: Int64Array = flat - cumulative.shape[1] * np.arange(len(cumulative))[:, None]
    return cells


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantiles:
    """Quantiles of columns, interpolated between the ends ``low`` and ``high`` of a cell."""

    #: ``[column, share]``.
    value: Float64Array
    low: Float64Array
    high: Float64Array

    def column(self, row: int) -> Quantiles:
        return Quantiles(value=self.value[row], low=self.low[row], high=self.high[row])


def quantiles(
    edges: Float64Array, n_edges: Int64Array, cumulative: Int64Array, shares: Float64Array
) -> Quantiles:
    """Return each column's quantiles for ``shares`` in [0, 1], from cumulative cell counts.

    A column's ``edges`` are padded beyond its ``n_edges``. Quantiles are exact in point cells, linear in
    gaps, and at the nearest edge in unbounded cells.
    """
    if not edges.shape[1]:
        undefined = np.full((len(edges), len(shares)), np.nan)
        return Quantiles(value=undefined, low=undefined, high=undefined)
    rows, column = cumulative[:, -1:], np.arange(len(cumulative))[:, None]
    # Slightly lower, so that rounding does not move a whole-number target into the next cell.
    targets = np.maximum(shares * rows - 1e-9 * rows, 0.5)
    cell = np.minimum(
        searchsorted_rows(cumulative, np.ceil(targets).astype(np.int64)), cumulative.shape[1] - 1
    )
    gap, edge = cell % 2 == 0, cell // 2
    last = edges.shape[1] - 1
    low = edges[column, np.minimum(np.maximum(edge - gap, 0), last)]
    high = edges[column, np.minimum(edge, last)]
    cell_start = np.where(cell > 0, cumulative[column, cell - 1], 0)
    fraction = (targets - cell_start) / np.maximum(cumulative[column, cell] - cell_start, 1)
    finite = np.isfinite(low) & np.isfinite(high)
    # Halved before subtracting: the difference of two finite ends may overflow.
    half = np.where(finite, high, 0.0) / 2 - np.where(finite, low, 0.0) / 2
    value = np.where(finite, low + fraction * half + fraction * half, np.where(np.isfinite(low), low, high))
    below, above = gap & (edge == 0), edge >= n_edges[:, None]
    return Quantiles(value=value, low=np.where(below, -np.inf, low), high=np.where(above, np.inf, high))
