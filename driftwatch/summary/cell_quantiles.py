"""Quantiles of rows that are counted in cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array


def first_reaching(upto: Int64Array, targets: Int64Array) -> Int64Array:
    """The first cell ``[k, t]`` at which each row of cumulative sums reaches its targets."""
    step = (int(upto[:, -1].max(initial=0)) + 1) * np.arange(len(upto))[:, None]
    found = np.searchsorted((upto + step).ravel(), (targets + step).ravel()).reshape(targets.shape)
    cells: Int64Array = found - upto.shape[1] * np.arange(len(upto))[:, None]
    return cells


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
