"""Differences between the distribution functions (CDFs) of window and reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.detectors._support.cell_arrays import ReferenceCells
from driftwatch.detectors._support.window_context import WindowContext

#: Relative error of a few operations on float64 numbers.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CdfDistance:
    """The difference ``F_window - F_reference`` of each column's distribution functions.

    Both numerators are whole numbers, exact up to 10^15 pairs of rows. Where a side is empty they are 0, and
    ``n_pairs`` is 1.
    """

    #: ``[column, edge]``: the difference at each edge.
    at_edge: Float64Array
    #: ``[column, edge + 1]``: the difference just below each edge and, last, above all edges.
    below_edge: Float64Array
    #: Absolute values of both.
    absolute: tuple[Float64Array, Float64Array]
    #: ``[column]``: largest absolute value, and the most it may be inside the gaps, both times ``n_pairs``.
    numerator: Float64Array
    numerator_bound: Float64Array
    #: ``[column]``: product of the rows of both sides.
    n_pairs: Float64Array

    @classmethod
    def from_context(cls, context: WindowContext) -> CdfDistance:
        cells = context.cells
        m = cells.divisors[1]
        # Edges and gaps are separate arrays, because steps over every other number cost twice as much.
        reference_at, reference_below = context.once_for_reference("cdf", _reference_cdf)
        window_at, window_below = cells.window_cumulative[:, 1::2] / m, cells.window_cumulative[:, ::2] / m
        at_edge, below_edge = window_at - reference_at, window_below - reference_below
        absolute, n_pairs = (np.abs(at_edge), np.abs(below_edge)), cells.n.astype(np.float64) * cells.m
        largest = np.maximum(_row_max(absolute[0]), _row_max(absolute[1]))
        # Inside a gap both functions may lie anywhere between their values at its ends.
        first_gap = np.maximum(window_below[:, 0], reference_below[:, 0])
        gaps = window_below[:, 1:] - reference_at
        np.maximum(gaps, np.subtract(reference_below[:, 1:], window_at, out=window_at), out=gaps)
        return cls(
            at_edge=at_edge,
            below_edge=below_edge,
            absolute=absolute,
            numerator=np.rint(largest * n_pairs),
            numerator_bound=np.rint(np.maximum(first_gap, _row_max(gaps)) * n_pairs),
            n_pairs=np.maximum(n_pairs, 1.0),
        )


def cdf_distance(context: WindowContext) -> CdfDistance:
    return context.once("cdf distance", CdfDistance.from_context)


def _reference_cdf(reference: ReferenceCells) -> tuple[Float64Array, Float64Array]:
    return reference.cumulative[:, 1::2] / reference.divisor, reference.cumulative[:, ::2] / reference.divisor


def _row_max(values: Float64Array) -> Float64Array:
    return np.asarray(values.max(axis=1, initial=0.0))


def changed_scale_distance(
    window_edges: Float64Array,
    window_cumulative: Int64Array,
    reference_edges: Float64Array,
    reference_cumulative: Int64Array,
    factor: float = 1.0,
    offset: float = 0.0,
) -> float:
    """Return the least KS distance of the window from ``factor * reference + offset``, on any two grids.

    The reference's distribution function is known up to the gap that a window's edge falls into.
    """
    at, below = (window_cumulative[start:-1:2] / max(window_cumulative[-1], 1) for start in (1, 0))
    cdf = np.concatenate([[0], reference_cumulative]) / max(reference_cumulative[-1], 1)
    place = (window_edges - offset) / factor
    # Rounding must not part equal values.
    tolerance = _ROUNDING * (np.abs(place) + abs(offset / factor))
    lower = reference_edges.searchsorted(place - tolerance, side="left")
    upper = reference_edges.searchsorted(place + tolerance, side="right")
    # An edge that meets one of the reference compares with it, at and below; others with all of a gap.
    meets = upper > lower
    highest_at = np.where(meets, cdf[2 * upper], cdf[2 * upper + 1])
    lowest_below = np.where(meets, cdf[2 * lower + 1], cdf[2 * lower])
    distances = (
        cdf[2 * upper] - at,
        at - highest_at,
        lowest_below - below,
        below - cdf[2 * lower + 1],
    )
    return float(max((item.max(initial=0.0) for item in distances), default=0.0))
