"""The null of the joint statistics, simulated once per reference."""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.summary.projection import BANDWIDTHS, FREQUENCIES, Projection
from driftwatch.summary.reference import JointNull
from driftwatch.summary.sample import RowSample

#: Draws of each half: one for the null of every width, one for the null of the smallest p-value.
DRAWS = 1000
#: Sampled rows the draws are made from.
ROWS = 2000


def joint_null(projection: Projection, sample: RowSample, seed: int) -> JointNull:
    """Simulate the joint null from a reference's row sample. O(draws * rows * frequencies), about 0.3 s.

    The difference of two mean embeddings of ``m`` and ``n`` rows, divided by ``sqrt(1/m + 1/n)``, is
    asymptotically normal with the covariance of the features. Multiplier draws ``sum g_i w_i (phi_i - mean)``
    with standard normal ``g_i`` have exactly that covariance on the sample. A width's statistic is the mean
    over its frequencies of the squared length, as :func:`width_statistics` computes it. The second half of
    the draws, ranked in the first, gives the null of the smallest p-value over the widths, so that looking at
    all of them costs nothing. Level on independent rows at 5 %: .038-.065 (n = 20,000, d = 5 and 50).
    """
    rows, weights = sample.rows[:ROWS], sample.weights[:ROWS].astype(np.float64)
    shares = weights / weights.sum()
    scaled = projection.scaled(rows)
    features = projection.features(scaled)
    centred = (features - shares @ features) * np.sqrt(shares)[:, None]
    normal = np.random.default_rng(seed).standard_normal((2 * DRAWS, len(rows)))
    draws = width_statistics(normal @ centred)
    kernel = np.sort(draws[:DRAWS], axis=0)
    smallest = rank_p_values(kernel, draws[DRAWS:]).min(axis=1)
    return JointNull(
        kernel=kernel,
        smallest_rank=np.sort(smallest),
        variance=_product_variance(scaled, shares),
    )


def width_statistics(difference: Float64Array) -> Float64Array:
    """Mean squared length per kernel width ``[n, B]`` of feature differences ``[n, 2 * B * F]``."""
    half = difference.shape[1] // 2
    squares = difference[:, :half] ** 2 + difference[:, half:] ** 2
    statistics: Float64Array = squares.reshape(len(difference), BANDWIDTHS, FREQUENCIES).mean(axis=2)
    return statistics


def rank_p_values(kernel: Float64Array, statistics: Float64Array) -> Float64Array:
    """Rank p-values ``[n, B]`` of statistics in the null's sorted columns, never 0."""
    draws = len(kernel)
    above = np.empty(statistics.shape, dtype=np.int64)
    for width in range(statistics.shape[1]):
        above[:, width] = draws - np.searchsorted(kernel[:, width], statistics[:, width], side="left")
    return (above + 1) / (draws + 1)


def _product_variance(scaled: Float64Array, shares: Float64Array) -> Float64Array:
    """``Var(z_i z_j)`` of standardised columns, from second moments, without all products at once.

    Standardised anew, because a correlation is: with the scales of the projection (quartiles) the variance
    would be wrong by the fourth power of how far they are from standard deviations.
    """
    centred = scaled - shares @ scaled
    spread = np.sqrt(shares @ centred**2)
    standard = centred / np.where(spread > 1e-9, spread, 1.0)
    weighted = standard * shares[:, None]
    mean = weighted.T @ standard
    squares = standard**2
    variance = (squares * shares[:, None]).T @ squares - mean**2
    return np.maximum(variance, 0.0)
