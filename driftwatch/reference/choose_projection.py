"""Choosing what the joint detectors look at: dimensions, scales, kernel widths, correlated pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtri

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.schema import Column
from driftwatch.summary.grid import Grid, LevelGrid
from driftwatch.summary.projection import BANDWIDTHS, FREQUENCIES, Projection
from driftwatch.summary.sample import RowSample

#: Dimensions at most; levels of a categorical column that is worth one dimension each.
MAX_DIMENSIONS = 64
MAX_ONE_HOT = 8
#: Pairs whose sign agreement is followed, and the correlation they must have.
MAX_PAIRS = 20
PAIR_CORRELATION = 0.4
#: Sampled rows needed; rows the distances are taken from.
MIN_ROWS = 50
_DISTANCE_ROWS = 500
#: Pooled sampled rows that scales, widths and pairs are chosen from.
POOLED = 20_000
#: Dimensions up to which frequencies are shared out evenly, and rounds that settle the golden ratio.
_EVEN, _SETTLED = 20, 60
#: The interquartile range of a normal distribution in standard deviations.
_NORMAL_IQR = 1.349


def choose_projection(
    columns: Sequence[Column], grids: Mapping[str, Grid], sample: RowSample, seed: int
) -> Projection | None:
    """The projection of a reference from its pooled row sample; None below 2 dimensions or 50 rows.

    Numeric columns are centred at the median and scaled by IQR / 1.349 (standard deviation where that is
    0), levels are 0 or 1 and standardised. When there are more than ``MAX_DIMENSIONS``, those whose values
    differ most often between two rows are kept. Kernel widths run geometrically from half the 5 % quantile
    of the distances between rows to twice the 95 % quantile (the grid of MMDAgg, Schrab et al. 2023).
    """
    if sample.size < MIN_ROWS:
        return None
    inputs = _dimensions(columns, grids, sample)
    if len(inputs) < 2:
        return None
    center, scale = _standardise(inputs, sample)
    bare = Projection(
        inputs=inputs,
        center=center,
        scale=scale,
        frequencies=np.zeros((len(inputs), 0), dtype=np.float32),
        pairs=np.empty((0, 2), dtype=np.int64),
    )
    scaled = bare.scaled(sample.rows)
    widths = kernel_widths(scaled)
    if widths is None:
        return None
    normal = frequencies(len(inputs), seed)
    return Projection(
        inputs=inputs,
        center=center,
        scale=scale,
        frequencies=(normal / widths[None, :, None]).reshape(len(inputs), -1).astype(np.float32),
        pairs=_pairs(inputs, scaled, sample.weights),
    )


def frequencies(dimensions: int, seed: int) -> Float64Array:
    """Directions ``[d, B, F]`` of random Fourier features: standard normal, evenly so in few dimensions.

    Up to ``_EVEN`` dimensions they are the normal quantiles of a randomly shifted Kronecker sequence of the
    generalised golden ratio (Roberts 2018; quasi-Monte Carlo features, Avron et al. 2016): as many see more.
    Independent draws beyond, where evenness is worth nothing.
    """
    random, shape = np.random.default_rng(seed), (dimensions, BANDWIDTHS, FREQUENCIES)
    if dimensions > _EVEN:
        return random.standard_normal(shape)
    ratio = 2.0
    for _ in range(_SETTLED):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    step = ratio ** -np.arange(1.0, dimensions + 1)
    places = (random.random(dimensions) + np.arange(1, BANDWIDTHS * FREQUENCIES + 1)[:, None] * step) % 1
    return np.asarray(ndtri(np.clip(places, 1e-6, 1 - 1e-6)).T.reshape(shape))


def pool(samples: Sequence[RowSample], width: int) -> RowSample:
    """The ``POOLED`` sampled rows with the smallest hashes, merged at once; sums would copy each time."""
    if not samples:
        return RowSample.zero(width, POOLED)
    known = np.unique(np.concatenate([sample.hashes for sample in samples]))[:POOLED]
    if not len(known):
        return RowSample.zero(width, POOLED)
    takes = [sample.hashes <= known[-1] for sample in samples]
    kept = list(zip(samples, takes, strict=True))
    hashes, first, inverse = np.unique(
        np.concatenate([sample.hashes[take] for sample, take in kept]), return_index=True, return_inverse=True
    )
    weights = np.zeros(len(hashes), dtype=np.int64)
    np.add.at(weights, inverse, np.concatenate([sample.weights[take] for sample, take in kept]))
    rows = np.concatenate([sample.rows[take] for sample, take in kept])[first]
    return RowSample(hashes=hashes, weights=weights, rows=rows, limit=POOLED)


def kernel_widths(scaled: Float64Array) -> Float64Array | None:
    """``BANDWIDTHS`` widths for rows ``[n, d]`` in hash order; None when all of them are the same."""
    rows = scaled[:_DISTANCE_ROWS]
    squares = (rows**2).sum(axis=1)
    distances = np.sqrt(np.clip(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0.0, None))
    distances = distances[np.triu_indices(len(rows), 1)]
    distances = distances[distances > 1e-6]
    if not len(distances):
        return None
    low, high = np.quantile(distances, [0.05, 0.95])
    widths: Float64Array = np.geomspace(low / 2, 2 * high, BANDWIDTHS)
    return widths


def _dimensions(columns: Sequence[Column], grids: Mapping[str, Grid], sample: RowSample) -> Int64Array:
    """``[d, 2]`` of (column position, level or -1), in column order."""
    found: list[tuple[float, int, int]] = []
    for position, column in enumerate(columns):
        grid = grids[column.name]
        values = sample.rows[:, position]
        if not isinstance(grid, LevelGrid):
            found.append((_variety(values, sample.weights), position, -1))
        elif 2 <= len(grid.levels) <= MAX_ONE_HOT:
            cells = range(1 if len(grid.levels) == 2 else len(grid.levels))
            found += [(_variety(values == cell, sample.weights), position, cell) for cell in cells]
    varying = sorted(
        (item for item in found if item[0] > 0), key=lambda item: (-round(item[0], 9), *item[1:])
    )
    kept = sorted(item[1:] for item in varying[:MAX_DIMENSIONS])
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def _variety(values: Float64Array | BoolArray, weights: Int64Array) -> float:
    """Chance that two rows have different values: Gini's index of diversity."""
    usable = ~np.isnan(values)
    if not usable.any():
        return 0.0
    _, inverse = np.unique(values[usable], return_inverse=True)
    counts = np.bincount(inverse, weights=weights[usable])
    shares = counts / counts.sum()
    return float((1.0 - (shares**2).sum()) * weights[usable].sum() / weights.sum())


def _standardise(inputs: Int64Array, sample: RowSample) -> tuple[Float64Array, Float64Array]:
    center, scale = np.zeros(len(inputs)), np.ones(len(inputs))
    for place, (position, cell) in enumerate(inputs):
        values = sample.rows[:, position]
        if cell >= 0:
            center[place] = np.average(values == cell, weights=sample.weights)
            spread = np.sqrt(center[place] * (1.0 - center[place]))
        else:
            usable = np.isfinite(values)
            if not usable.any():
                continue
            numbers, weights = values[usable], sample.weights[usable]
            low, middle, high = _quantiles(numbers, weights)
            center[place] = middle
            spread = (high - low) / _NORMAL_IQR
            if not spread > 0:
                mean = np.average(numbers, weights=weights)
                spread = np.sqrt(np.average((numbers - mean) ** 2, weights=weights))
        scale[place] = spread if np.isfinite(spread) and spread > 0 else 1.0
    return center, scale


def _quantiles(values: Float64Array, weights: Int64Array) -> tuple[float, float, float]:
    order = np.argsort(values, kind="stable")
    ranks = np.cumsum(weights[order])
    places = np.searchsorted(ranks, np.array([0.25, 0.5, 0.75]) * ranks[-1])
    low, middle, high = values[order][places].tolist()
    return low, middle, high


def _pairs(inputs: Int64Array, scaled: Float64Array, weights: Int64Array) -> Int64Array:
    """The numeric dimensions with the largest correlations, largest first."""
    numeric = np.flatnonzero(inputs[:, 1] < 0)
    if len(numeric) < 2:
        return np.empty((0, 2), dtype=np.int64)
    chosen = scaled[:, numeric]
    centred = chosen - np.average(chosen, axis=0, weights=weights)
    covariance = (centred * weights[:, None]).T @ centred
    spread = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.abs(np.nan_to_num(covariance / np.outer(spread, spread)))
    left, right = np.triu_indices(len(numeric), 1)
    strong = np.flatnonzero(size[left, right] > PAIR_CORRELATION)
    ranked = sorted(strong.tolist(), key=lambda k: (-round(size[left[k], right[k]], 9), left[k], right[k]))
    kept = [(numeric[left[k]], numeric[right[k]]) for k in ranked[:MAX_PAIRS]]
    return np.array(kept, dtype=np.int64).reshape(-1, 2)
