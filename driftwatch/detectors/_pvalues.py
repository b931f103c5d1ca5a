"""p-values from counts. None is ever 0: what underflows is reported as ``SMALLEST``."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtrc, chdtrc, gammaln, kolmogorov

from driftwatch.summary.batch import Float64Array, Int64Array

#: The smallest p-value ever reported.
SMALLEST = 1e-300
#: Up to this many pairs of rows the exact distribution of the KS statistic is computed.
EXACT_PAIRS = 1_000_000
#: Up to this many rows a side it is known in closed form when both sides are equally many.
EXACT_EQUAL = 10_000


def bounded(p_value: float) -> float:
    """A p-value kept within ``[SMALLEST, 1]``."""
    return min(max(float(p_value), SMALLEST), 1.0)


def chi_square(statistic: float, degrees: int) -> float:
    """Upper tail of the chi-square distribution."""
    return bounded(chdtrc(degrees, max(statistic, 0.0)))


def kolmogorov_smirnov(numerator: float, n: int, m: int) -> float:
    """P(D >= numerator / (n m)) for two samples of ``n`` and ``m`` rows of one continuous distribution.

    Exact by counting lattice paths (Hodges 1958) up to ``EXACT_PAIRS`` pairs, and in closed form for
    equal sizes (Gnedenko, Korolyuk 1951); beyond that Kolmogorov's limit with Vrbik's correction (2018) at
    the effective size ``n m / (n + m)``. With ties it is conservative: the true p-value is smaller.
    """
    if numerator <= 0:
        return 1.0
    if n == m and n <= EXACT_EQUAL:
        return bounded(_equal_sizes(round(numerator / n), n))
    if n * m <= EXACT_PAIRS:
        return bounded(_paths_outside(round(numerator), min(n, m), max(n, m)))
    size = n * m / (n + m)
    root = math.sqrt(size)
    scaled = root * numerator / (float(n) * m)
    return bounded(kolmogorov(scaled + 1 / (6 * root) + (scaled - 1) / (4 * size)))


def _equal_sizes(height: int, n: int) -> float:
    """Reflection principle: 2 (C(2n, n-h) - C(2n, n-2h) + ...) / C(2n, n)."""
    steps = height * np.arange(1, n // height + 1)
    logs = 2 * gammaln(n + 1) - gammaln(n - steps + 1) - gammaln(n + steps + 1)
    signs = np.where(np.arange(len(steps)) % 2 == 0, 2.0, -2.0)
    return float(signs @ np.exp(logs))


def _paths_outside(height: int, n: int, m: int) -> float:
    """Share of lattice paths from (0, 0) to (n, m) that reach ``|i m - j n| >= height``.

    Counted where they first do, a sum of positive terms, so that small p-values keep their digits. One
    cumulative sum for each of the ``n`` rows of the lattice; O(n m).
    """
    rows = np.arange(n + 1) * m
    lows = np.maximum((rows - height) // n + 1, 0).tolist()
    highs = np.minimum(-((-rows - height) // n) - 1, m).tolist()
    paths: Float64Array = np.ones(highs[0] + 1)
    first, scale = 0, 0.0
    left: list[tuple[int, int, Float64Array, float]] = []
    for i, (low, high) in enumerate(zip(lows, highs, strict=True)):
        if i:
            if low > first:
                left.append((i, first, paths[: low - first].copy(), scale))
            if low > high:
                break
            kept = np.zeros(high - low + 1)
            inside = paths[low - first :]
            kept[: len(inside)] = inside
            paths, first = kept.cumsum(), low
        if high < m:
            left.append((i, high + 1, paths[-1:].copy(), scale))
        if paths[-1] > 1e200:
            scale += math.log(paths[-1])
            paths = paths / paths[-1]
    return _share_of_paths(left, n, m)


def _share_of_paths(left: list[tuple[int, int, Float64Array, float]], n: int, m: int) -> float:
    """Paths counted where they left, each times its ways on to (n, m), as a share of all paths."""
    sizes = [len(counts) for _, _, counts, _ in left]
    if not sizes:
        return 0.0
    i = np.repeat([row for row, _, _, _ in left], sizes)
    j = np.concatenate([np.arange(start, start + len(counts)) for _, start, counts, _ in left])
    counts = np.concatenate([counts for _, _, counts, _ in left])
    scale = np.repeat([scale for _, _, _, scale in left], sizes)
    factorials = gammaln(np.arange(n + m + 1) + 1.0)
    onwards = factorials[n - i + m - j] - factorials[n - i] - factorials[m - j]
    total = factorials[n + m] - factorials[n] - factorials[m]
    return float(np.exp(np.log(np.maximum(counts, 1e-300)) + onwards + scale - total).sum())


def two_shares(successes: tuple[int, int], trials: tuple[int, int]) -> float | None:
    """Two-sided p-value that two shares are equal; None without trials.

    Pearson's chi-square where every expected count is at least 5, else Fisher's exact test.
    """
    (a, b), (n, m) = successes, trials
    if not n or not m:
        return None
    hits = a + b
    if hits in (0, n + m):
        return 1.0
    if 2 * hits > n + m:
        a, b, hits = n - a, m - b, n + m - hits
    if hits * min(n, m) / (n + m) < 5:
        return bounded(_fisher(b, hits, m, n + m))
    excess = a * m - b * n
    statistic = float(excess) ** 2 * (n + m) / (float(n) * m * hits * (n + m - hits))
    return chi_square(statistic, 1)


def _fisher(observed: int, hits: int, drawn: int, rows: int) -> float:
    support = np.arange(max(0, drawn - (rows - hits)), min(hits, drawn) + 1)
    logs = (
        _log_choose(hits, support)
        + _log_choose(rows - hits, drawn - support)
        - _log_choose(rows, np.array([drawn]))
    )
    here = logs[observed - support[0]]
    return float(np.exp(logs[logs <= here + 1e-7]).sum())


def _log_choose(n: int, k: Int64Array) -> Float64Array:
    logs: Float64Array = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return logs


def more_often(seldom: int, rows: int, now: int, window: int) -> float:
    """One-sided p-value of ``now`` events in ``window`` rows against ``seldom`` in ``rows``.

    The conditional test of two Poisson rates (Przyborowski, Wilenski 1940), with one event added to the
    reference's so that it stays conservative where the reference has none.
    """
    if now <= 0:
        return 1.0
    return bounded(bdtrc(now - 1, seldom + 1 + now, window / (rows + window)))
