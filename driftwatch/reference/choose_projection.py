"""Chooses what the joint detectors read: dimensions, scales, kernel widths, correlated pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtri

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.schema import Column
from driftwatch.summary.grid import Grid, LevelGrid
from driftwatch.summary.projection import (
    N_BANDWIDTHS,
    N_FREQUENCIES,
    N_PARTIAL_FREQUENCIES,
    Projection,
)
from driftwatch.summary.sample import RowSample

#: Most dimensions (of more, those whose values differ most often between two rows are chosen), and most
#: levels of a categorical column that get a dimension each.
MAX_DIMENSIONS = 64
MAX_ONE_HOT_LEVELS = 8
#: Pairs whose sign agreement is tracked, and the correlation they must have.
MAX_PAIRS = 20
MIN_PAIR_CORRELATION = 0.4
#: Sampled rows needed, and those whose distances set the kernel widths.
MIN_SAMPLE_ROWS = 50
_MAX_DISTANCE_ROWS = 500
#: Pooled sampled rows from which scales, widths and pairs are chosen.
MAX_POOLED_ROWS = 20_000
#: Dimensions up to which frequencies are quasi-random, and iterations until the golden ratio converges.
_MAX_EVEN_DIMENSIONS, _RATIO_ITERATIONS = 20, 60
#: Shares of the columns that partial frequencies act on, in turn: half finds most where one or two columns
#: are left out, a quarter leaves enough frequencies where four or five are.
_PARTIAL_SHARES = (0.5, 0.5, 0.5, 0.25)
#: Columns below which there are none: without one of two nothing is left to compare jointly.
_MIN_PARTIAL_COLUMNS = 3
#: The interquartile range of a normal distribution in standard deviations.
_NORMAL_IQR = 1.349


def choose_projection(
    columns: Sequence[Column], grids: Mapping[str, Grid], sample: RowSample, seed: int
) -> Projection | None:
    """Choose the projection from a pooled row sample; None below 2 dimensions or 50 rows."""
    if sample.size < MIN_SAMPLE_ROWS:
        return None
    inputs = _choose_inputs(columns, grids, sample)
    if len(inputs) < 2:
        return None
    center, scale = _center_and_scale(inputs, sample)
    unit_projection = Projection(
        inputs=inputs,
        center=center,
        scale=scale,
        frequencies=np.zeros((len(inputs), 0), dtype=np.float32),
        pairs=np.empty((0, 2), dtype=np.int64),
    )
    scaled_rows = unit_projection.scale_rows(sample.rows)
    widths = kernel_widths(scaled_rows)
    if widths is None:
        return None
    directions = [frequencies(len(inputs), seed), partial_frequencies(inputs, seed + 1)]
    return Projection(
        inputs=inputs,
        center=center,
        scale=scale,
        frequencies=np.concatenate(
            [(part / widths[None, :, None]).reshape(len(inputs), -1) for part in directions], axis=1
        ).astype(np.float32),
        pairs=_correlated_pairs(inputs, scaled_rows, sample.weights),
    )


def frequencies(dimensions: int, seed: int, count: int = N_FREQUENCIES) -> Float64Array:
    """Draw standard normal directions for random Fourier features.

    Up to ``_MAX_EVEN_DIMENSIONS`` dimensions they are normal quantiles of a randomly shifted Kronecker
    sequence of the generalised golden ratio (Roberts 2018; quasi-Monte Carlo features, Avron et al. 2016),
    which detect more than as many random ones. In more dimensions, where evenness gains nothing, they are
    independent draws.
    """
    generator, shape = np.random.default_rng(seed), (dimensions, N_BANDWIDTHS, count)
    if dimensions > _MAX_EVEN_DIMENSIONS:
        return generator.standard_normal(shape)
    ratio = 2.0
    for _ in range(_RATIO_ITERATIONS):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    step = ratio ** -np.arange(1.0, dimensions + 1)
    points = (generator.random(dimensions) + np.arange(1, N_BANDWIDTHS * count + 1)[:, None] * step) % 1
    return np.asarray(ndtri(np.clip(points, 1e-6, 1 - 1e-6)).T.reshape(shape))


def partial_frequencies(inputs: Int64Array, seed: int) -> Float64Array:
    """Draw directions that each act on a random part of the columns, and are 0 elsewhere.

    They are longer by what the dimensions of the part are fewer, so that their angles spread as widely.
    """
    columns, column_of = np.unique(inputs[:, 0], return_inverse=True)
    if len(columns) < _MIN_PARTIAL_COLUMNS:
        return np.empty((len(inputs), N_BANDWIDTHS, 0))
    generator, shape = np.random.default_rng(seed), (N_BANDWIDTHS, N_PARTIAL_FREQUENCIES)
    shares = np.resize(_PARTIAL_SHARES, shape)
    sizes = np.clip(np.round(shares * len(columns)), 2, len(columns) - 1)
    ranks = generator.random((*shape, len(columns))).argsort(axis=2).argsort(axis=2)
    acts = np.moveaxis(ranks < sizes[:, :, None], 2, 0)[column_of]
    directions = frequencies(len(inputs), seed + 1, N_PARTIAL_FREQUENCIES)
    return np.where(acts, directions * np.sqrt(len(inputs) / acts.sum(axis=0)), 0.0)


def pool(samples: Sequence[RowSample], width: int) -> RowSample:
    """Merge row samples into one of the smallest hashes, all at once, because each addition would copy."""
    if not samples:
        return RowSample.zero(width, MAX_POOLED_ROWS)
    smallest_hashes = np.unique(np.concatenate([sample.hashes for sample in samples]))[:MAX_POOLED_ROWS]
    if not len(smallest_hashes):
        return RowSample.zero(width, MAX_POOLED_ROWS)
    masks = [sample.hashes <= smallest_hashes[-1] for sample in samples]
    masked_samples = list(zip(samples, masks, strict=True))
    hashes, first_positions, inverse = np.unique(
        np.concatenate([sample.hashes[mask] for sample, mask in masked_samples]),
        return_index=True,
        return_inverse=True,
    )
    weights = np.zeros(len(hashes), dtype=np.int64)
    np.add.at(weights, inverse, np.concatenate([sample.weights[mask] for sample, mask in masked_samples]))
    rows = np.concatenate([sample.rows[mask] for sample, mask in masked_samples])[first_positions]
    return RowSample(hashes=hashes, weights=weights, rows=rows, limit=MAX_POOLED_ROWS)


def kernel_widths(scaled_rows: Float64Array) -> Float64Array | None:
    """Return the kernel widths for rows in hash order; None if all rows are equal.

    They run geometrically from half the 5 % quantile of the distances between rows to twice the 95 % quantile
    (the grid of MMDAgg, Schrab et al. 2023).
    """
    rows = scaled_rows[:_MAX_DISTANCE_ROWS]
    squared_norms = (rows**2).sum(axis=1)
    distances = np.sqrt(
        np.clip(squared_norms[:, None] + squared_norms[None, :] - 2 * rows @ rows.T, 0.0, None)
    )
    distances = distances[np.triu_indices(len(rows), 1)]
    distances = distances[distances > 1e-6]
    if not len(distances):
        return None
    low, high = np.quantile(distances, [0.05, 0.95])
    widths: Float64Array = np.geomspace(low / 2, 2 * high, N_BANDWIDTHS)
    return widths


def _choose_inputs(columns: Sequence[Column], grids: Mapping[str, Grid], sample: RowSample) -> Int64Array:
    # ``[dimension, 2]``: column position, and level or -1, in column order.
    candidates: list[tuple[float, int, int]] = []
    for position, column in enumerate(columns):
        grid = grids[column.name]
        values = sample.rows[:, position]
        if not isinstance(grid, LevelGrid):
            candidates.append((_gini_diversity(values, sample.weights), position, -1))
        elif 2 <= len(grid.levels) <= MAX_ONE_HOT_LEVELS:
            levels = range(1 if len(grid.levels) == 2 else len(grid.levels))
            candidates += [
                (_gini_diversity(values == level, sample.weights), position, level) for level in levels
            ]
    ranked_candidates = sorted(
        (candidate for candidate in candidates if candidate[0] > 0),
        key=lambda candidate: (-round(candidate[0], 9), *candidate[1:]),
    )
    inputs = sorted(candidate[1:] for candidate in ranked_candidates[:MAX_DIMENSIONS])
    return np.array(inputs, dtype=np.int64).reshape(-1, 2)


def _gini_diversity(values: Float64Array | BoolArray, weights: Int64Array) -> float:
    # The chance that two rows have different values, times the share of rows with a value.
    usable = ~np.isnan(values)
    if not usable.any():
        return 0.0
    _, inverse = np.unique(values[usable], return_inverse=True)
    counts = np.bincount(inverse, weights=weights[usable])
    shares = counts / counts.sum()
    return float((1.0 - (shares**2).sum()) * weights[usable].sum() / weights.sum())


def _center_and_scale(inputs: Int64Array, sample: RowSample) -> tuple[Float64Array, Float64Array]:
    # Numeric columns: median and IQR / 1.349 (standard deviation where that is 0). Levels, 0 or 1: mean and
    # standard deviation.
    center, scale = np.zeros(len(inputs)), np.ones(len(inputs))
    for dimension, (position, level) in enumerate(inputs):
        values = sample.rows[:, position]
        if level >= 0:
            center[dimension] = np.average(values == level, weights=sample.weights)
            deviation = np.sqrt(center[dimension] * (1.0 - center[dimension]))
        else:
            usable = np.isfinite(values)
            if not usable.any():
                continue
            numbers, weights = values[usable], sample.weights[usable]
            low, median, high = _quartiles(numbers, weights)
            center[dimension] = median
            deviation = (high - low) / _NORMAL_IQR
            if not deviation > 0:
                mean = np.average(numbers, weights=weights)
                deviation = np.sqrt(np.average((numbers - mean) ** 2, weights=weights))
        scale[dimension] = deviation if np.isfinite(deviation) and deviation > 0 else 1.0
    return center, scale


def _quartiles(values: Float64Array, weights: Int64Array) -> tuple[float, float, float]:
    order = np.argsort(values, kind="stable")
    ranks = np.cumsum(weights[order])
    positions = np.searchsorted(ranks, np.array([0.25, 0.5, 0.75]) * ranks[-1])
    low, median, high = values[order][positions].tolist()
    return low, median, high


def _correlated_pairs(inputs: Int64Array, scaled_rows: Float64Array, weights: Int64Array) -> Int64Array:
    # ``[pair, 2]``: numeric dimensions with the largest correlations, largest first.
    numeric_dimensions = np.flatnonzero(inputs[:, 1] < 0)
    if len(numeric_dimensions) < 2:
        return np.empty((0, 2), dtype=np.int64)
    values = scaled_rows[:, numeric_dimensions]
    centred_values = values - np.average(values, axis=0, weights=weights)
    covariance = (centred_values * weights[:, None]).T @ centred_values
    deviations = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.abs(np.nan_to_num(covariance / np.outer(deviations, deviations)))
    left, right = np.triu_indices(len(numeric_dimensions), 1)
    strong_pairs = np.flatnonzero(correlations[left, right] > MIN_PAIR_CORRELATION)
    ranked_pairs = sorted(
        strong_pairs.tolist(),
        key=lambda pair: (-round(correlations[left[pair], right[pair]], 9), left[pair], right[pair]),
    )
    pairs = [
        (numeric_dimensions[left[pair]], numeric_dimensions[right[pair]]) for pair in ranked_pairs[:MAX_PAIRS]
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
