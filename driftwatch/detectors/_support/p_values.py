"""p-values from counts, of all columns at once. None is ever 0: what underflows is told as ``SMALLEST``."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc, chdtrc, erfc, gammaln, kolmogorov

from driftwatch.core.arrays import Float64Array, Int64Array

#: The smallest p-value ever reported.
SMALLEST = 1e-300
#: Up to this many pairs of rows the exact distribution of the KS statistic is computed.
EXACT_PAIRS = 1_000_000
#: Up to this many rows a side it is known in closed form when both sides are equally many.
EXACT_EQUAL = 10_000


def bounded(p_value: float) -> float:
    """A p-value kept within ``[SMALLEST, 1]``."""
    return min(max(float(p_value), SMALLEST), 1.0)


def _all_bounded(p_value: Float64Array) -> Float64Array:
    return np.minimum(np.maximum(p_value, SMALLEST), 1.0)


def chi_square(statistic: npt.ArrayLike, degrees: npt.ArrayLike) -> Float64Array:
    """Upper tail of the chi-square distribution, of each statistic."""
    return _all_bounded(chdtrc(degrees, np.maximum(statistic, 0.0)))


def kolmogorov_smirnov(numerator: npt.ArrayLike, n: npt.ArrayLike, m: npt.ArrayLike) -> Float64Array:
    """P(D >= numerator / (n m)) for two samples of ``n`` and ``m`` rows of one continuous distribution.

    Exact by counting lattice paths (Hodges 1958) up to ``EXACT_PAIRS`` pairs, and in closed form for
    equal sizes (Gnedenko, Korolyuk 1951); beyond that Kolmogorov's limit with Vrbik's correction (2018) at
    the effective size ``n m / (n + m)``. With ties it is conservative: the true p-value is smaller.
    Of each pair of samples ``[k]``; sizes of 0 give 1.
    """
    apart, before, after = (np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in (numerator, n, m))
    product = np.maximum(before * after, 1.0)
    size = product / np.maximum(before + after, 1.0)
    root = np.sqrt(size)
    scaled = root * apart / product
    found = _all_bounded(kolmogorov(scaled + 1 / (6 * root) + (scaled - 1) / (4 * size)))
    found[apart <= 0] = 1.0
    exact = (product <= EXACT_PAIRS) | ((before == after) & (before <= EXACT_EQUAL))
    for k in np.flatnonzero(exact & (apart > 0)).tolist():
        found[k] = bounded(_exact(float(apart[k]), int(before[k]), int(after[k])))
    return found


def _exact(numerator: float, n: int, m: int) -> float:
    if n == m and n <= EXACT_EQUAL:
        return _equal_sizes(round(numerator / n), n)
    return _paths_outside(round(numerator), min(n, m), max(n, m))


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


def two_shares(
    successes: tuple[npt.ArrayLike, npt.ArrayLike], trials: tuple[npt.ArrayLike, npt.ArrayLike]
) -> Float64Array:
    """Two-sided p-values that two shares ``[k]`` are equal; NaN without trials.

    Pearson's chi-square where every expected count is at least 5, else Fisher's exact test.
    """
    a, b, n, m = (np.atleast_1d(np.asarray(part, dtype=np.int64)) for part in (*successes, *trials))
    rows, told = n + m, (n > 0) & (m > 0)
    often = 2 * (a + b) > rows
    a, b = np.where(often, n - a, a), np.where(often, m - b, b)
    hits = a + b
    usable = told & (hits > 0)
    # As floats: counts of millions of rows do not fit in 63 bits when four are multiplied.
    excess = a.astype(np.float64) * m - b.astype(np.float64) * n
    under = np.where(usable, n.astype(np.float64) * m * hits * (rows - hits), 1.0)
    # Of one degree of freedom the tail is that of a normal number, at a fiftieth of the cost.
    tail = erfc(np.sqrt(excess**2 * rows / under / 2))
    found = np.where(usable, _all_bounded(tail), np.where(told, 1.0, np.nan))
    for k in np.flatnonzero(usable & (hits * np.minimum(n, m) < 5 * rows)).tolist():
        found[k] = bounded(_fisher(int(b[k]), int(hits[k]), int(m[k]), int(rows[k])))
    return found


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


def more_often(
    seldom: npt.ArrayLike, rows: npt.ArrayLike, now: npt.ArrayLike, window: npt.ArrayLike
) -> Float64Array:
    """One-sided p-values of ``now`` events in ``window`` rows against ``seldom`` in ``rows``.

    The conditional test of two Poisson rates (Przyborowski, Wilenski 1940), with one event added to the
    reference's so that it stays conservative where the reference has none.
    """
    few, before, events, after = (
        np.atleast_1d(np.asarray(part, dtype=np.int64)) for part in (seldom, rows, now, window)
    )
    # Most columns have no event, and nothing to work out.
    found = np.ones(len(events))
    at = np.flatnonzero(events > 0)
    rate = after[at] / np.maximum(before[at] + after[at], 1)
    found[at] = _all_bounded(bdtrc(events[at] - 1.0, few[at] + 1 + events[at], rate))
    return found
