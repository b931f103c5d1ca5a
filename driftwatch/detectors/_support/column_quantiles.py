"""Quantiles of ordered columns on both sides, for effect texts."""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.detectors._support.cell_arrays import ReferenceCells, WindowCells
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.summary.cell_quantiles import Quantiles, quantiles

#: Quantiles that effect texts use, and the positions of the lower quartile and the median among them.
QUANTILE_SHARES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
LOWER_QUARTILE, MEDIAN = 2, 3


def reference_quantiles(context: WindowContext) -> Quantiles:
    return context.once_for_reference("quantiles", _reference_quantiles)


def window_quantiles(context: WindowContext) -> Quantiles:
    return context.once("quantiles", lambda context: _window_quantiles(context.cells))


def interquartile_ranges(context: WindowContext) -> list[float]:
    """Return each column's interquartile range in the reference, else its 5 % to 95 % range, else 0."""
    return context.once_for_reference(
        "interquartile ranges", lambda _: _interquartile_ranges(reference_quantiles(context).value)
    )


def _reference_quantiles(cells: ReferenceCells) -> Quantiles:
    return quantiles(cells.edges, cells.n_edges, cells.cumulative, QUANTILE_SHARES)


def _window_quantiles(cells: WindowCells) -> Quantiles:
    return quantiles(cells.edges, cells.n_edges, cells.window_cumulative, QUANTILE_SHARES)


def _interquartile_ranges(value: Float64Array) -> list[float]:
    with np.errstate(invalid="ignore", over="ignore"):
        widths = [value[:, -1 - low] - value[:, low] for low in (LOWER_QUARTILE, 0)]
    usable = [(width > 0) & np.isfinite(width) for width in widths]
    ranges: list[float] = np.where(usable[0], widths[0], np.where(usable[1], widths[1], 0.0)).tolist()
    return ranges
