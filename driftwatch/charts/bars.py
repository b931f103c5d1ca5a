"""Histogram bars from counts in frozen cells, the same for reference and window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Kind
from driftwatch.results import text_format
from driftwatch.summary.cell_quantiles import quantiles
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import OUTER_STEPS, Grid, LevelGrid, NumericGrid

#: Maximum number of bars of an ordered column, besides those below and above the range.
MAX_BARS = 24
#: Maximum number of levels with a bar of their own.
MAX_LEVELS = 10
#: Quantiles that bound the bars if the range is more than ``_LONG_TAILS`` times as wide: long tails would
#: squeeze everything into one bar.
_MIDDLE = (0.005, 0.995)
_LONG_TAILS = 3.0
#: Larger values count as beyond the range: their differences would overflow.
_MAX_ABS_VALUE = 1e150


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericBars:
    """Shares of the rows with a value: below the range, in each of n bars, above it."""

    #: ``[n + 1]``.
    edges: Float64Array
    #: ``[n + 2]``; ``window`` as well.
    reference: Float64Array
    #: None if no row has a value.
    window: Float64Array | None
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelBar:
    label: str
    reference: float
    window: float | None
    #: True if the bar stands for several levels.
    is_aggregate: bool = False


def numeric_bars(grid: NumericGrid, reference: Counts, window: Counts, kind: Kind) -> NumericBars | None:
    """Return bars of equal width over the reference's range; None if no value is finite.

    Rows in a gap are spread evenly between its edges; a point cell is in one bar.
    """
    inner = grid.edges[grid.first : grid.last + 1]
    finite = inner[np.abs(inner) < _MAX_ABS_VALUE]
    if not len(finite) or not reference.present:
        return None
    edges = _bar_edges(grid, finite, reference)
    width = float(edges[-1] - edges[0])
    if grid.exact and len(finite) <= MAX_BARS:
        tick_values = finite if len(finite) <= 6 else finite[[0, len(finite) // 2, -1]]
    else:
        tick_values = np.array([edges[0], (edges[0] + edges[-1]) / 2, edges[-1]])
    return NumericBars(
        edges=edges,
        reference=_bar_shares(grid, reference, edges),
        window=_bar_shares(grid, window, edges) if window.present else None,
        ticks=tuple(
            (float(value), text_format.format_axis_value(float(value), kind, width)) for value in tick_values
        ),
    )


def _bar_edges(grid: NumericGrid, finite: Float64Array, reference: Counts) -> Float64Array:
    if len(finite) == 1:
        half = max(abs(float(finite[0])), 1.0) / 2
        return np.array([finite[0] - half, finite[0] + half])
    if grid.exact and len(finite) <= MAX_BARS and np.allclose(np.diff(finite), finite[1] - finite[0]):
        step = float(finite[1] - finite[0])
        return np.append(finite - step / 2, finite[-1] + step / 2)
    low, high = float(finite[0]), float(finite[-1])
    cumulative_shares = np.cumsum(reference.cells)[1::2] / reference.present
    ranks = np.minimum(np.searchsorted(cumulative_shares, _MIDDLE), len(cumulative_shares) - 1)
    # An accepted shift may have moved the reference beyond the range it was built on.
    reach = grid.edges[max(grid.first - OUTER_STEPS, 0) : grid.last + OUTER_STEPS + 1]
    reach = reach[np.abs(reach) < _MAX_ABS_VALUE]
    middle_low, middle_high = (float(edge) for edge in grid.edges[ranks].clip(reach[0], reach[-1]))
    low, high = min(low, middle_low), max(high, middle_high)
    if middle_high > middle_low and high - low > _LONG_TAILS * (middle_high - middle_low):
        low, high = middle_low, middle_high
    # A value exactly on the outer bound would count as beyond the range.
    return np.linspace(low, np.nextafter(high, np.inf), MAX_BARS + 1)


def _bar_shares(grid: NumericGrid, counts: Counts, edges: Float64Array) -> Float64Array:
    # Differences of the distribution function at ``edges``.
    cells = counts.cells.astype(np.float64)
    points, gaps = cells[1::2], cells[0::2]
    lower_rows = np.cumsum(cells) - cells
    position = np.searchsorted(grid.edges, edges, side="left")
    cumulative = np.empty(len(edges))
    for i, (edge, k) in enumerate(zip(edges, position, strict=True)):
        if k == len(grid.edges):
            cumulative[i] = lower_rows[2 * k]
            continue
        left = grid.edges[k - 1] if k else -np.inf
        with np.errstate(over="ignore"):
            gap = grid.edges[k] - left
        fraction = (edge - left) / gap if np.isfinite(gap) else float(edge == grid.edges[k])
        cumulative[i] = lower_rows[2 * k] + gaps[k] * fraction
    total = float(points.sum() + gaps.sum())
    shares: Float64Array = np.diff(np.concatenate(([0.0], cumulative, [total]))) / total
    return shares


def counted_quantiles(grid: NumericGrid, counts: Counts, shares: Float64Array) -> Float64Array:
    """Compute quantiles of a column; at least one row must have a value."""
    all_quantiles = quantiles(
        grid.edges[None], np.array([len(grid.edges)]), counts.cells.cumsum()[None], shares
    )
    return all_quantiles.column(0).value


def level_bars(grid: LevelGrid, reference: Counts, window: Counts) -> list[LevelBar]:
    """Return bars of the largest levels of reference or window, of all others, and of unseen levels."""
    reference_shares = _shares(reference)
    window_shares = _shares(window)
    max_shares = (
        np.maximum(reference_shares, 0 if window_shares is None else window_shares)[:-1]
        if reference_shares is not None
        else np.zeros(0)
    )
    if reference_shares is None:
        return []
    largest = np.argsort(-max_shares, kind="stable")[:MAX_LEVELS]
    cells = [int(cell) for cell in largest[np.argsort(-reference_shares[largest], kind="stable")]]
    bars = [
        LevelBar(
            label=grid.levels[cell],
            reference=float(reference_shares[cell]),
            window=None if window_shares is None else float(window_shares[cell]),
        )
        for cell in cells
    ]
    n_others = len(grid.levels) - len(cells)
    if n_others:
        other_cells = np.setdiff1d(np.arange(len(grid.levels)), cells)
        bars.append(
            LevelBar(
                label=text_format.format_count(n_others, "other level"),
                reference=float(reference_shares[other_cells].sum()),
                window=None if window_shares is None else float(window_shares[other_cells].sum()),
                is_aggregate=True,
            )
        )
    unseen_share = None if window_shares is None else float(window_shares[-1])
    bars.append(
        LevelBar(
            label="never seen before",
            reference=float(reference_shares[-1]),
            window=unseen_share,
            is_aggregate=True,
        )
    )
    return bars


def _shares(counts: Counts) -> Float64Array | None:
    return counts.cells / counts.present if counts.present else None


def column_bars(
    grid: Grid, reference: Counts, window: Counts, kind: Kind
) -> NumericBars | list[LevelBar] | None:
    """Return the bars of a column; None, or no bars, if the reference has nothing to draw."""
    if isinstance(grid, NumericGrid):
        return numeric_bars(grid, reference, window, kind)
    return level_bars(grid, reference, window)
