"""Whether a column looks multiplied by one factor, or written in another unit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Kind
from driftwatch.detectors._support.cdf_distance import changed_scale_distance
from driftwatch.detectors._support.column_pair import ColumnPair
from driftwatch.detectors._support.column_quantiles import QUANTILE_SHARES
from driftwatch.detectors._support.effect_format import format_number
from driftwatch.summary.cell_quantiles import Quantiles, quantiles

#: Changes of unit that are hinted at, as factor and offset: powers of ten, time; length, mass, temperature.
_COARSE = (
    *(10.0**power for power in (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)),
    *(factor for base in (60.0, 3600.0) for factor in (base, 1 / base)),
)
_FINE = tuple(factor for base in (1.609344, 2.204623, 2.54, 3.28084) for factor in (base, 1 / base))
_UNIT_CHANGES = np.array(
    [(1.0, 0.0), *((factor, 0.0) for factor in _COARSE + _FINE), (1.8, 32.0), (1 / 1.8, -32 / 1.8)]
)
#: Rows that each side needs.
_MIN_ROWS = 50
#: About the upper 5 % point of Kolmogorov's distribution when a factor is estimated from the same rows.
_KOLMOGOROV_LIMIT = 1.0
#: Part of a move that a factor may leave unexplained, in shares of rows at most so many: real days differ.
_REST_PART, _MAX_REST = 0.05, 0.005
#: The same on the logarithmic scale of single quantiles, and how well they have to be known (two standard
#: errors), both as a part of the factor's logarithm.
_QUANTILE_REST, _MAX_QUANTILE_ERROR = 0.05, 0.3
#: A factor explains a move if nothing, or a shift by one amount, leaves so many times its distance.
_MIN_RIVAL_RATIO = 2.0
#: Rows whose values have to lie between the reference's edges, as a share: with fewer nothing is compared.
_MIN_COVERAGE = 0.4
#: Shares at which factors are estimated, and how many of the estimates are tried.
_SHARES, _TRIES = np.linspace(0.05, 0.95, 19), 7
#: Steps of a round factor, as parts of its power of ten.
_ROUND_STEPS = (1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001)


def scale_hint(pair: ColumnPair, reference: Quantiles) -> str:
    """Return ``, looks like x1000`` where all quantiles fit a known change of unit (or two), or one factor.

    False hints (``test_scale_hint.py``, windows of 2,000 rows): none of 320 worlds of chance, a shift, a
    wider or another shape, 6 of 80 where half of the rows doubled. Power: x1.35 of lognormal rows is named
    from about 1,000 rows on.
    """
    if pair.column.kind in (Kind.DATETIME, Kind.TEXT) or min(pair.m, pair.n) < _MIN_ROWS:
        return ""
    hint, is_known_scale = _unit_hint(pair, reference)
    return hint if is_known_scale else _factor_hint(pair)


def _unit_hint(pair: ColumnPair, reference: Quantiles) -> tuple[str, bool]:
    # Whether the question is settled: also if nothing changed, or too much fits.
    inner = reference.value[1:-1]
    low, high = _quantile_bands(pair.edges, pair.window_counts.cumsum(), pair.m)
    ref_low, ref_high = _quantile_bands(pair.edges, pair.reference_counts.cumsum(), pair.n)
    usable = (inner != 0) & np.isfinite(low) & np.isfinite(high) & np.isfinite(ref_low + ref_high)
    if len(np.unique(inner[usable])) < 3:
        return "", True
    low, high, ref_low, ref_high = (end[usable] for end in (low, high, ref_low, ref_high))
    with np.errstate(over="ignore"):
        ends = np.stack([ref_low, ref_high])[:, None, :] * _UNIT_CHANGES[:, :1] + _UNIT_CHANGES[:, 1:]
        sharp = bool((high - low).sum() <= 0.075 * np.abs(high + low).sum())
    fits = np.all((ends.min(axis=0) <= high) & (low <= ends.max(axis=0)), axis=1)
    if fits[0]:
        return "", True
    # All rows in one wide gap: a factor of ten is as good a guess as five, or as an offset.
    vague = bool(np.all(low == low[0]) and np.all(high == high[0]))
    log_factor = np.abs(np.log(_UNIT_CHANGES[:, 0]))
    fits[1:] &= sharp | (log_factor > np.log(50 if vague else 5))[1:]
    matches = np.flatnonzero(fits)
    if not 1 <= len(matches) <= 2:
        return "", bool(len(matches))
    texts = [_unit_change_text(*_UNIT_CHANGES[index].tolist()) for index in matches]
    return ", looks like " + " or ".join(texts), True


def _quantile_bands(
    edges: Float64Array, cumulative: Int64Array, rows: int, shares: Float64Array = QUANTILE_SHARES[1:-1]
) -> tuple[Float64Array, Float64Array]:
    # With cell widths and two standard errors.
    error = 2 * np.sqrt(shares * (1 - shares) / rows)
    low, high = np.maximum(shares - error, 0.0), np.minimum(shares + error, 1.0)
    n_edges = np.array([len(edges)])
    limits = [quantiles(edges[None], n_edges, cumulative[None], ends) for ends in (low, high)]
    return limits[0].low[0], limits[1].high[0]


def _unit_change_text(factor: float, offset: float) -> str:
    if offset:
        return "C turned into F" if offset > 0 else "F turned into C"
    ratio = max(factor, 1 / factor)
    return ("x" if factor > 1 else "x1/") + (f"{ratio:.0f}" if ratio > 5 else f"{ratio:.4g}")


def _factor_hint(pair: ColumnPair) -> str:
    cumulative = [counts.cumsum() for counts in (pair.reference_counts, pair.window_counts)]
    outside = (cumulative[1][0] + pair.m - cumulative[1][-2]) / pair.m
    reference, window = (
        quantiles(pair.edges[None], np.array([len(pair.edges)]), counts[None], _SHARES)
        for counts in cumulative
    )
    is_inside = np.isfinite(window.low[0]) & np.isfinite(window.high[0])
    before, after = reference.value[0][is_inside], window.value[0][is_inside]
    is_ratio = before * after > 0
    if outside > 1 - _MIN_COVERAGE or len(np.unique(before[is_ratio])) < 3:
        return ""
    # The cheaper test first: most columns that moved fail it.
    ratios = after[is_ratio] / before[is_ratio]
    if not _all_quantiles_fit(pair, cumulative[0], cumulative[1], float(np.median(ratios))):
        return ""

    def distance(factor: float, offset: float = 0.0) -> float:
        return changed_scale_distance(pair.edges, cumulative[1], pair.edges, cumulative[0], factor, offset)

    rest, factor = min((distance(item), item) for item in _tries(ratios))
    whole, noise = distance(1.0), _KOLMOGOROV_LIMIT * math.sqrt(1 / pair.n + 1 / pair.m)
    limit = noise + min(_MAX_REST, _REST_PART * whole)
    rival = min(whole, *(distance(1.0, item) for item in _tries(after - before)))
    if rest > limit or rival < max(limit, _MIN_RIVAL_RATIO * rest):
        return ""
    return f", looks like x{_round_factor(factor, lambda item: distance(item) <= rest + noise / 3)}"


def _all_quantiles_fit(
    pair: ColumnPair, reference_cumulative: Int64Array, window_cumulative: Int64Array, factor: float
) -> bool:
    # A mixture or a power leaves a trend in the quantiles' ratios, which a distance of shares hardly shows.
    low, high = _quantile_bands(pair.edges, window_cumulative, pair.m, _SHARES)
    ref_low, ref_high = _quantile_bands(pair.edges, reference_cumulative, pair.n, _SHARES)
    usable = np.isfinite(low + high + ref_low + ref_high) & (low * high > 0) & (ref_low * ref_high > 0)
    usable &= low * ref_low > 0
    ends = (np.log(np.abs(end[usable])) for end in (low, high, ref_low, ref_high))
    log_low, log_high, log_ref_low, log_ref_high = ends
    middle = (log_low + log_high - log_ref_low - log_ref_high) / 2
    error = np.hypot(log_high - log_low, log_ref_high - log_ref_low) / 2
    size = abs(math.log(factor)) if factor != 1 else 0.0
    if usable.sum() < 2 or np.median(error) > _MAX_QUANTILE_ERROR * size:
        return False
    # Of the outermost quantiles, and of those a fifth further in.
    low_ends = np.array([0, len(middle) // 5])
    high_ends = len(middle) - 1 - low_ends
    trend, trend_error = middle[high_ends] - middle[low_ends], np.hypot(error[low_ends], error[high_ends])
    is_level = bool(np.all(np.abs(trend) <= trend_error + _QUANTILE_REST * size))
    return is_level and bool(np.all(np.abs(middle - math.log(factor)) <= 1.5 * error + _QUANTILE_REST * size))


def _tries(estimates: Float64Array) -> list[float]:
    tries: list[float] = np.quantile(estimates, np.linspace(0.1, 0.9, _TRIES)).tolist()
    return tries


def _round_factor(factor: float, fits: Callable[[float], bool]) -> str:
    """Format the roundest factor beside the estimate that fits as well."""
    power = 10.0 ** math.floor(math.log10(factor))
    for step in _ROUND_STEPS:
        candidate = round(factor / (step * power)) * step * power
        if candidate not in (0.0, 1.0) and fits(candidate):
            return format_number(candidate)
    return format_number(factor)
