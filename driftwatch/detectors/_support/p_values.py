"""P-values of all columns at once, from counts; they are never 0."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc, chdtrc, erfc, gammaln, kolmogorov

from driftwatch.core.arrays import Float64Array, Int64Array

#: Smallest p-value that is reported, above float underflow.
MIN_P_VALUE = 1e-300
#: Largest number of pairs of rows for which the exact distribution of the KS statistic is computed.
MAX_EXACT_PAIRS = 1_000_000
#: Largest number of rows per side for which its closed form is used, if both sides have equally many.
MAX_EXACT_EQUAL_ROWS = 10_000


def clip_p_value(p_value: float) -> float:
    return min(max(float(p_value), MIN_P_VALUE), 1.0)


def _clip_p_values(p_value: Float64Array) -> Float64Array:
    return np.minimum(np.maximum(p_value, MIN_P_VALUE), 1.0)


def chi_square(statistic: npt.ArrayLike, degrees: npt.ArrayLike) -> Float64Array:
    """Return the upper tail of the chi-square distribution."""
    return _clip_p_values(chdtrc(degrees, np.maximum(statistic, 0.0)))


def kolmogorov_smirnov(numerator: npt.ArrayLike, n: npt.ArrayLike, m: npt.ArrayLike) -> Float64Array:
    """Return P(D >= numerator / (n m)) for ``n`` and ``m`` rows of one continuous distribution.

    It is exact up to ``MAX_EXACT_PAIRS`` by counting lattice paths (Hodges 1958), and for equal sizes in
    closed form (Gnedenko, Korolyuk 1951); beyond, Kolmogorov's limit with Vrbik's correction (2018) at the
    effective size ``n m / (n + m)``. With ties it is conservative: the true p-value is smaller. Sizes of 0
    give 1.
    """
    numerators, n_reference, n_window = (
        np.atleast_1d(np.asarray(argument, dtype=np.float64)) for argument in (numerator, n, m)
    )
    product = np.maximum(n_reference * n_window, 1.0)
    size = product / np.maximum(n_reference + n_window, 1.0)
    root = np.sqrt(size)
    scaled_distance = root * numerators / product
    p_values = _clip_p_values(
        kolmogorov(scaled_distance + 1 / (6 * root) + (scaled_distance - 1) / (4 * size))
    )
    p_values[numerators <= 0] = 1.0
    exact = (product <= MAX_EXACT_PAIRS) | ((n_reference == n_window) & (n_reference <= MAX_EXACT_EQUAL_ROWS))
    for k in np.flatnonzero(exact & (numerators > 0)).tolist():
        p_values[k] = clip_p_value(_exact_ks(float(numerators[k]), int(n_reference[k]), int(n_window[k])))
    return p_values


def _exact_ks(numerator: float, n: int, m: int) -> float:
    if n == m and n <= MAX_EXACT_EQUAL_ROWS:
        return _equal_sizes(round(numerator / n), n)
    return _paths_outside(round(numerator), min(n, m), max(n, m))


def _equal_sizes(height: int, n: int) -> float:
    """Return the exact p-value ``2 (C(2n, n-h) - C(2n, n-2h) + ...) / C(2n, n)``, by reflection."""
    steps = height * np.arange(1, n // height + 1)
    logs = 2 * gammaln(n + 1) - gammaln(n - steps + 1) - gammaln(n + steps + 1)
    signs = np.where(np.arange(len(steps)) % 2 == 0, 2.0, -2.0)
    return float(signs @ np.exp(logs))


def _paths_outside(height: int, n: int, m: int) -> float:
    """Return the share of lattice paths from (0, 0) to (n, m) that reach ``|i m - j n| >= height``.

    Cost: O(n m).
    """
    rows = np.arange(n + 1) * m
    lows = np.maximum((rows - height) // n + 1, 0).tolist()
    highs = np.minimum(-((-rows - height) // n) - 1, m).tolist()
    paths: Float64Array = np.ones(highs[0] + 1)
    first, scale = 0, 0.0
    # Paths are counted at their first exit: a sum of positive terms keeps the digits of small p-values. Each
    # of the n rows of the lattice takes one cumulative sum.
    exits: list[tuple[int, int, Float64Array, float]] = []
    for i, (low, high) in enumerate(zip(lows, highs, strict=True)):
        if i:
            if low > first:
                exits.append((i, first, paths[: low - first].copy(), scale))
            if low > high:
                break
            row_paths = np.zeros(high - low + 1)
            inner_paths = paths[low - first :]
            row_paths[: len(inner_paths)] = inner_paths
            paths, first = row_paths.cumsum(), low
        if high < m:
            exits.append((i, high + 1, paths[-1:].copy(), scale))
        if paths[-1] > 1e200:
            scale += math.log(paths[-1])
            paths = paths / paths[-1]
    return _share_of_paths(exits, n, m)


def _share_of_paths(exits: list[tuple[int, int, Float64Array, float]], n: int, m: int) -> float:
    # Ways to each exit times ways from there to (n, m).
    sizes = [len(counts) for _, _, counts, _ in exits]
    if not sizes:
        return 0.0
    i = np.repeat([row for row, _, _, _ in exits], sizes)
    j = np.concatenate([np.arange(start, start + len(counts)) for _, start, counts, _ in exits])
    counts = np.concatenate([counts for _, _, counts, _ in exits])
    scale = np.repeat([scale for _, _, _, scale in exits], sizes)
    factorials = gammaln(np.arange(n + m + 1) + 1.0)
    continuations = factorials[n - i + m - j] - factorials[n - i] - factorials[m - j]
    total = factorials[n + m] - factorials[n] - factorials[m]
    return float(np.exp(np.log(np.maximum(counts, 1e-300)) + continuations + scale - total).sum())


def two_shares(
    successes: tuple[npt.ArrayLike, npt.ArrayLike], trials: tuple[npt.ArrayLike, npt.ArrayLike]
) -> Float64Array:
    """Return two-sided p-values for equality of two shares, NaN without trials.

    The test is Pearson's chi-square where every expected count is at least 5, else Fisher's exact test.
    """
    a, b, n, m = (np.atleast_1d(np.asarray(counts, dtype=np.int64)) for counts in (*successes, *trials))
    rows, has_trials = n + m, (n > 0) & (m > 0)
    is_majority = 2 * (a + b) > rows
    a, b = np.where(is_majority, n - a, a), np.where(is_majority, m - b, b)
    hits = a + b
    usable = has_trials & (hits > 0)
    # Floats, because products of four counts of millions of rows do not fit in 63 bits.
    excess = a.astype(np.float64) * m - b.astype(np.float64) * n
    denominator = np.where(usable, n.astype(np.float64) * m * hits * (rows - hits), 1.0)
    # With one degree of freedom the tail is that of a normal distribution, at a fiftieth of the cost.
    tail = erfc(np.sqrt(excess**2 * rows / denominator / 2))
    p_values = np.where(usable, _clip_p_values(tail), np.where(has_trials, 1.0, np.nan))
    for k in np.flatnonzero(usable & (hits * np.minimum(n, m) < 5 * rows)).tolist():
        p_values[k] = clip_p_value(_fisher(int(b[k]), int(hits[k]), int(m[k]), int(rows[k])))
    return p_values


def _fisher(observed: int, hits: int, draws: int, rows: int) -> float:
    support = np.arange(max(0, draws - (rows - hits)), min(hits, draws) + 1)
    logs = (
        _log_choose(hits, support)
        + _log_choose(rows - hits, draws - support)
        - _log_choose(rows, np.array([draws]))
    )
    log_observed = logs[observed - support[0]]
    return float(np.exp(logs[logs <= log_observed + 1e-7]).sum())


def _log_choose(n: int, k: Int64Array) -> Float64Array:
    logs: Float64Array = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return logs


def rate_increase(
    reference_events: npt.ArrayLike, n: npt.ArrayLike, window_events: npt.ArrayLike, m: npt.ArrayLike
) -> Float64Array:
    """Return one-sided p-values of ``window_events`` in ``m`` rows against ``reference_events`` in ``n``.

    The test is the conditional test of two Poisson rates (Przyborowski, Wilenski 1940). One event is added to
    those of the reference, which is conservative if it has none.
    """
    reference_counts, n_reference, window_counts, n_window = (
        np.atleast_1d(np.asarray(counts, dtype=np.int64))
        for counts in (reference_events, n, window_events, m)
    )
    # Most columns have no event, so their p-value is 1.
    p_values = np.ones(len(window_counts))
    columns = np.flatnonzero(window_counts > 0)
    rate = n_window[columns] / np.maximum(n_reference[columns] + n_window[columns], 1)
    p_values[columns] = _clip_p_values(
        bdtrc(window_counts[columns] - 1.0, reference_counts[columns] + 1 + window_counts[columns], rate)
    )
    return p_values
