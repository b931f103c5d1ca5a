"""Counts on frozen cells as the few bars a person can read: reference against window, same cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Kind
from driftwatch.results import words
from driftwatch.summary.cell_quantiles import quantiles
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import STEPS, Grid, LevelGrid, NumericGrid

BARS = 24
LEVELS = 10
#: The middle that is drawn when the tails are so long that they would squeeze everything into one bar.
_MIDDLE = (0.005, 0.995)
_LONG_TAILS = 3.0
#: Values beyond this are counted as beyond the range: their differences would overflow.
_LARGEST = 1e150


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericBars:
    """Shares of rows with a value: below the range, in each of its bars, above it.

    ``reference[n + 2]`` and ``window[n + 2]``; ``edges[n + 1]`` bound the n inner bars. ``window`` None:
    no rows with a value.
    """

    edges: Float64Array
    reference: Float64Array
    window: Float64Array | None
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelBar:
    """One level's shares; ``rest`` marks the bars that stand for several levels."""

    label: str
    reference: float
    window: float | None
    rest: bool = False


def numeric_bars(grid: NumericGrid, reference: Counts, window: Counts, kind: Kind) -> NumericBars | None:
    """Bars of equal width over the reference's range, or None when there is nothing finite to draw.

    A gap's rows are spread evenly between its edges; a point cell falls whole into one bar.
    """
    inner = grid.edges[grid.first : grid.last + 1]
    finite = inner[np.abs(inner) < _LARGEST]
    if not len(finite) or not reference.present:
        return None
    edges = _bar_edges(grid, finite, reference)
    width = float(edges[-1] - edges[0])
    if grid.exact and len(finite) <= BARS:
        chosen = finite if len(finite) <= 6 else finite[[0, len(finite) // 2, -1]]
    else:
        chosen = np.array([edges[0], (edges[0] + edges[-1]) / 2, edges[-1]])
    return NumericBars(
        edges=edges,
        reference=_spread(grid, reference, edges),
        window=_spread(grid, window, edges) if window.present else None,
        ticks=tuple((float(value), words.axis_value(float(value), kind, width)) for value in chosen),
    )


def _bar_edges(grid: NumericGrid, finite: Float64Array, reference: Counts) -> Float64Array:
    if len(finite) == 1:
        half = max(abs(float(finite[0])), 1.0) / 2
        return np.array([finite[0] - half, finite[0] + half])
    if grid.exact and len(finite) <= BARS and np.allclose(np.diff(finite), finite[1] - finite[0]):
        step = float(finite[1] - finite[0])
        return np.append(finite - step / 2, finite[-1] + step / 2)
    low, high = float(finite[0]), float(finite[-1])
    upto = np.cumsum(reference.cells)[1::2] / reference.present
    ranks = np.minimum(np.searchsorted(upto, _MIDDLE), len(upto) - 1)
    # An accepted shift may have taken the reference beyond the range it was built on.
    reach = grid.edges[max(grid.first - STEPS, 0) : grid.last + STEPS + 1]
    reach = reach[np.abs(reach) < _LARGEST]
    left, right = (float(edge) for edge in grid.edges[ranks].clip(reach[0], reach[-1]))
    low, high = min(low, left), max(high, right)
    if right > left and high - low > _LONG_TAILS * (right - left):
        low, high = left, right
    # Nothing may sit exactly on the outer bound, where it would count as beyond the range.
    return np.linspace(low, np.nextafter(high, np.inf), BARS + 1)


def _spread(grid: NumericGrid, counts: Counts, edges: Float64Array) -> Float64Array:
    """Share of present rows below, in each bar, above: differences of F at ``edges``."""
    cells = counts.cells.astype(np.float64)
    points, gaps = cells[1::2], cells[0::2]
    before = np.cumsum(cells) - cells
    position = np.searchsorted(grid.edges, edges, side="left")
    upto = np.empty(len(edges))
    for i, (edge, k) in enumerate(zip(edges, position, strict=True)):
        if k == len(grid.edges):
            upto[i] = before[2 * k]
            continue
        left = grid.edges[k - 1] if k else -np.inf
        with np.errstate(over="ignore"):
            gap = grid.edges[k] - left
        inside = (edge - left) / gap if np.isfinite(gap) else float(edge == grid.edges[k])
        upto[i] = before[2 * k] + gaps[k] * inside
    total = float(points.sum() + gaps.sum())
    shares: Float64Array = np.diff(np.concatenate(([0.0], upto, [total]))) / total
    return shares


def quantiles_of(grid: NumericGrid, counts: Counts, shares: Float64Array) -> Float64Array:
    """Quantiles of the counted rows, interpolated within their cells; at least one row has a value."""
    found = quantiles(grid.edges[None], np.array([len(grid.edges)]), counts.cells.cumsum()[None], shares)
    return found.of(0).value


def level_bars(grid: LevelGrid, reference: Counts, window: Counts) -> list[LevelBar]:
    """The largest levels of either side, then all others together, then those the reference never had."""
    expected = _shares(reference)
    found = _shares(window)
    size = np.maximum(expected, 0 if found is None else found)[:-1] if expected is not None else np.zeros(0)
    if expected is None:
        return []
    largest = np.argsort(-size, kind="stable")[:LEVELS]
    top = [int(cell) for cell in largest[np.argsort(-expected[largest], kind="stable")]]
    bars = [
        LevelBar(
            label=grid.levels[cell],
            reference=float(expected[cell]),
            window=None if found is None else float(found[cell]),
        )
        for cell in top
    ]
    others = len(grid.levels) - len(top)
    if others:
        rest = np.setdiff1d(np.arange(len(grid.levels)), top)
        bars.append(
            LevelBar(
                label=words.plural(others, "other level"),
                reference=float(expected[rest].sum()),
                window=None if found is None else float(found[rest].sum()),
                rest=True,
            )
        )
    unseen = None if found is None else float(found[-1])
    bars.append(LevelBar(label="never seen before", reference=float(expected[-1]), window=unseen, rest=True))
    return bars


def _shares(counts: Counts) -> Float64Array | None:
    return counts.cells / counts.present if counts.present else None


def bars_of(grid: Grid, reference: Counts, window: Counts, kind: Kind) -> NumericBars | list[LevelBar] | None:
    """Bars of whatever cells a column has; None or none when the reference has nothing to draw."""
    if isinstance(grid, NumericGrid):
        return numeric_bars(grid, reference, window, kind)
    return level_bars(grid, reference, window)
