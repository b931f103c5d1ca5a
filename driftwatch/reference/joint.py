"""Simulates the null distribution of the joint statistics once per reference."""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.summary.projection import N_BANDWIDTHS, N_FREQUENCIES, Projection, whole_features
from driftwatch.summary.reference import JointNull
from driftwatch.summary.sample import RowSample

#: Draws of each half: one for the null of every width, one for the null of the smallest p-value.
N_DRAWS = 1000
#: Sampled rows from which the null is simulated.
MAX_NULL_ROWS = 2000


def joint_null(projection: Projection, sample: RowSample, seed: int) -> JointNull:
    """Simulate the null of joint statistics from a row sample. O(draws * rows * frequencies), about 0.3 s.

    The difference of two mean embeddings of ``m`` and ``n`` rows, divided by ``sqrt(1/m + 1/n)``, is
    asymptotically normal with the covariance of the features. Multiplier draws ``sum g_i w_i (phi_i - mean)``
    with standard normal ``g_i`` have exactly that covariance on the sample. A width's statistic is the mean
    squared length over its frequencies (``width_statistics``). The second half of the draws, ranked in the
    first, gives the null of the smallest p-value over the widths, so that testing all widths needs no
    correction. Level on independent rows at 5 %: .038-.065 (n = 20,000, d = 5 and 50).
    """
    rows, weights = sample.rows[:MAX_NULL_ROWS], sample.weights[:MAX_NULL_ROWS].astype(np.float64)
    shares = weights / weights.sum()
    scaled_rows = projection.scale_rows(rows)
    features = projection.whole.fourier_features(scaled_rows)
    centred_features = (features - shares @ features) * np.sqrt(shares)[:, None]
    multipliers = np.random.default_rng(seed).standard_normal((2 * N_DRAWS, len(rows)))
    draws = width_statistics(multipliers @ centred_features)
    kernel_null = np.sort(draws[:N_DRAWS], axis=0)
    min_p_values = rank_p_values(kernel_null, draws[N_DRAWS:]).min(axis=1)
    return JointNull(
        kernel=kernel_null,
        smallest_rank=np.sort(min_p_values),
        variance=_product_variance(scaled_rows, shares),
    )


def width_statistics(difference: Float64Array) -> Float64Array:
    """Return each width's mean squared length of feature differences."""
    # From ``[n, 2 * frequencies]`` to ``[n, widths]``.
    squared_lengths = (whole_features(difference) ** 2).sum(axis=1)
    statistics: Float64Array = squared_lengths.reshape(len(difference), N_BANDWIDTHS, N_FREQUENCIES).mean(
        axis=2
    )
    return statistics


def rank_p_values(kernel: Float64Array, statistics: Float64Array) -> Float64Array:
    """Return p-values by rank in the null's sorted columns; none is 0."""
    n_draws = len(kernel)
    n_exceeding = np.empty(statistics.shape, dtype=np.int64)
    for width in range(statistics.shape[1]):
        n_exceeding[:, width] = n_draws - np.searchsorted(kernel[:, width], statistics[:, width], side="left")
    return (n_exceeding + 1) / (n_draws + 1)


def _product_variance(scaled_rows: Float64Array, shares: Float64Array) -> Float64Array:
    # ``Var(z_i z_j)`` of standardised columns from moments, without all products at once.
    # Standardised again, because a correlation is: with the projection's scales (quartiles) the variance
    # would be wrong by the fourth power of their ratio to standard deviations.
    centred_values = scaled_rows - shares @ scaled_rows
    deviations = np.sqrt(shares @ centred_values**2)
    z_scores = centred_values / np.where(deviations > 1e-9, deviations, 1.0)
    weighted_scores = z_scores * shares[:, None]
    mean = weighted_scores.T @ z_scores
    squares = z_scores**2
    variance = (squares * shares[:, None]).T @ squares - mean**2
    return np.maximum(variance, 0.0)
