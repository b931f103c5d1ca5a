"""P-values of scores: how unusual a window is, predicted from the healthy windows before it.

The p-value is the tail of the steady-state Kalman filter's prediction (``score_model.py``), whose variance
includes the errors of mean and autocorrelation.

Why not ranks: ranks of 28 windows never give less than 1/29. False alarms: the prediction is parametric, so
they are measured (``make bench-alarms``, whose tables say what keeps the budget and what does not), not
proven. Source: Kalman 1960; Student's t prediction; the bias of short autocorrelated series, Kendall 1954.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.special import stdtr

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.few_values import new_value_counts
from driftwatch.decide.baseline.location_scale import LocationScale, deviation_weight, fit_location_scale
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import DEGREES_OF_FREEDOM, MIN_HISTORY_WINDOWS, ScoreModel
from driftwatch.decide.baseline.share_history import MAX_PENDING_WINDOWS
from driftwatch.decide.baseline.weighted_series import Series, count_measured, count_true

#: Smallest scale, in effect floors: a few windows do not show all the variation there is.
MIN_SCALE_FLOORS = 0.25
#: Smallest p-value of a prediction.
_MIN_P_VALUE = 1e-12
#: Windows on either side of one judged late that tell the level there; older ones hardly matter.
_BESIDE_WINDOWS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """The healthy windows that a window of one season slot is compared with."""

    series: Series
    #: ``[score]``: healthy windows of all slots.
    n: Int64Array
    fit: LocationScale
    #: ``[score]``: weight of the window's deviations.
    weight: Float64Array


def baseline_for(history: ScoreHistory, slot: int, rows: float) -> Baseline:
    """Return the baseline of a window with ``rows`` rows. Cost: a few passes over the history."""
    series = history.healthy_series
    row_means = history.keys.has_column
    fit = fit_location_scale(series, history.slots, slot, history.rows, row_means)
    weight = np.where(row_means, deviation_weight(rows, history.rows), 1.0)
    return Baseline(series=series, n=fit.n_all_slots, fit=fit, weight=weight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PValues:
    """P-values of one window's scores, with intermediate results."""

    #: ``[score, side]``: P(as far or further); NaN if the history is short or the score was not measured.
    p_value: Float64Array
    #: ``[score]``: the p-value is computed from ranks.
    ranked: BoolArray
    #: ``[score]``: tails are light in most columns.
    light_tailed: BoolArray
    #: ``[score, side]``: the smallest p-value there can be.
    smallest_p: Float64Array
    #: ``[score]``: weighted distance from the baseline mean, in scales.
    deviation: Float64Array
    #: ``[score]``: filter level after the window, in scales.
    level: Float64Array


def p_values(
    history: ScoreHistory,
    model: ScoreModel,
    value: Float64Array,
    floor: Float64Array,
    start: int,
    baseline: Baseline,
) -> PValues:
    """Return p-values of the scores of the window that begins at ``start``; NaN means not measured.

    Null hypothesis (baseline): the score continues its healthy history. The p-value is 1 where the excess
    over the mean is below the score's ``floor``. Where a score takes few values, the p-value is a conformal
    rank: a share that is 0 on most days has no scale to extrapolate from, and its exceptions come
    in bursts. A column's heavy tails are not extrapolated either: no p-value is below that of a record among
    all windows.
    """
    series, n, fit = baseline.series, baseline.n, baseline.fit
    deviation = deviations_from(value, fit, floor) * baseline.weight
    level = history.level if history.level_end == start else np.full(len(value), np.nan)
    ranked, heavy_tailed = model.ranked, model.heavy_tailed & history.keys.has_column
    # All others have a p-value of 1 or NaN, or one from ranks.
    needs_tail = ~ranked & (n >= MIN_HISTORY_WINDOWS) & (np.abs(value - fit.location) >= floor)
    prediction = _prediction(level, model, baseline)
    if start < history.level_end:
        levels = levels_beside(history, model, fit, floor, start)
        prediction = _interpolation(*levels, model, baseline)
    lower = lower_tail(deviation, *prediction, model, baseline, np.flatnonzero(needs_tail))
    smallest_p = np.empty((len(value), 2))
    smallest_p[:] = np.where(heavy_tailed, 1 / (n + 1), _MIN_P_VALUE)[:, None]
    p, is_usual, excess = (
        np.empty_like(smallest_p),
        np.empty(smallest_p.shape, dtype=np.bool_),
        value - fit.location,
    )
    np.maximum(1 - lower, smallest_p[:, 0], out=p[:, 0])
    np.maximum(lower, smallest_p[:, 1], out=p[:, 1])
    np.less(excess, floor, out=is_usual[:, 0])
    np.greater(excess, -floor, out=is_usual[:, 1])
    _fill_rank_p_values(p, smallest_p, np.flatnonzero(ranked), value, series, history, floor, is_usual)
    p[is_usual] = 1.0
    p[(n < MIN_HISTORY_WINDOWS) | np.isnan(value)] = np.nan
    p[~history.signed, 1] = np.nan
    predicted = model.phi * np.where(np.isnan(level), 0.0, level)
    next_level = np.where(n < MIN_HISTORY_WINDOWS, np.nan, predicted + model.gain * (deviation - predicted))
    return PValues(
        p_value=p,
        ranked=ranked,
        light_tailed=model.light_tailed,
        smallest_p=smallest_p,
        deviation=deviation,
        level=next_level,
    )


def _fill_rank_p_values(
    p: Float64Array, smallest_p: Float64Array, scores: Int64Array, value: Float64Array, series: Series,
    history: ScoreHistory, floor: Float64Array, is_usual: BoolArray,
) -> None:  # fmt: skip
    # ``p`` (unless ``is_usual``) and ``smallest_p`` are written in place. Rule of succession: if ``m`` of
    # ``n`` windows were as high or higher, the next one is with probability ``(m + 1) / (n + 1)``. Pending
    # windows are counted but not ranked: of ten windows in a row above all healthy ones the last is no
    # surprise.
    if not len(scores):
        return
    # Unsigned scores have no lower rank; for signed ones it is the upper rank of the negated values.
    both_sided = scores[history.signed[scores]]
    positions, side = np.concatenate([scores, both_sided]), np.repeat([0, 1], [len(scores), len(both_sided)])
    sign = np.where(side, -1.0, 1.0)
    values, newer = history.values.take(positions, axis=1) * sign, series.newer.take(positions, axis=1) * sign
    older = values[: len(series.older)]
    denominator = count_measured(values) + 1
    highest = np.fmax.reduce(newer, axis=0, initial=-np.inf)
    if len(older):
        highest = np.fmax(highest, np.fmax.reduce(older, axis=0))
    # Only pending windows, which are newer, can exceed the highest healthy one.
    smallest_p[positions, side] = (count_true(values[len(older) :] > highest) + 1) / denominator
    unusual = np.flatnonzero(~is_usual[positions, side])
    if len(unusual):
        unusual_value = (value[positions] * sign)[unusual]
        threshold = unusual_value - _tie_width(history, value, floor)[positions[unusual]]
        healthy = np.concatenate([older[:, unusual], newer[:, unusual]])
        rank_value = np.where(healthy < threshold, healthy, -np.inf).max(axis=0, initial=-np.inf)
        rank = count_true(values[:, unusual] > rank_value) + 1
        n_new = new_value_counts(values[:, unusual], healthy, unusual_value, floor[positions[unusual]])
        # In a gap between the values of all windows: as rare as beyond them.
        new = np.flatnonzero((n_new > 0) & (n_new < rank))
        rank[new] = n_new[new]
        p[positions[unusual], side[unusual]] = rank / denominator[unusual]
        smallest_p[positions[unusual[new]], side[unusual[new]]] = (n_new / denominator[unusual])[new]


def _tie_width(history: ScoreHistory, value: Float64Array, floor: Float64Array) -> Float64Array:
    width = MIN_SCALE_FLOORS * floor
    # Blocks were compared with the rest of the reference, windows with all of it: the same rows are further
    # from the rest, by one part in all other blocks. The oldest windows were dropped.
    learned_until = history.learned_until.max(initial=np.iinfo(np.int64).min)
    n_left = int(np.searchsorted(history.ends, learned_until, side="right"))
    n_blocks = n_left + history.windows - len(history.values)
    return width + np.abs(value) / (n_blocks - 1) if n_left and n_blocks > 1 else width


def deviations_from(value: Float64Array, fit: LocationScale, floor: Float64Array) -> Float64Array:
    return np.asarray(
        (value - fit.location) / np.maximum(fit.scale, np.maximum(MIN_SCALE_FLOORS * floor, 1e-9))
    )


def likeliest_shift(
    history: ScoreHistory, floor: Float64Array, deviation: Float64Array, onset: Int64Array
) -> tuple[Float64Array, Float64Array]:
    """Return each score's mean deviation since the likeliest start of a lasting shift, and its windows.

    The start is not before ``onset``; ``deviation`` is the current window's, which is not in the history yet.
    A CUSUM may begin some ordinary windows too early, which would make a large shift a third of its size.
    """
    shift, n_windows, largest = np.zeros(len(floor)), np.zeros(len(floor)), np.full(len(floor), -1.0)
    for total, windows in _sums_since(history, floor, deviation, onset):
        mean = total / np.maximum(windows, 1)
        is_likelier = mean * total > largest
        shift, n_windows = np.where(is_likelier, mean, shift), np.where(is_likelier, windows, n_windows)
        largest = np.maximum(largest, mean * total)
    return shift, n_windows


def _sums_since(
    history: ScoreHistory, floor: Float64Array, deviation: Float64Array, onset: Int64Array
) -> Iterator[tuple[Float64Array, Float64Array]]:
    """Yield sums and numbers of deviations: of the current window, with the one before it, and so on."""
    series, row_means = history.healthy_series, history.keys.has_column
    total, windows = np.nan_to_num(deviation), (~np.isnan(deviation)).astype(np.float64)
    yield total, windows
    for row in reversed(range(max(0, len(history.values) - MAX_PENDING_WINDOWS), len(history.values))):
        is_included = (history.ends[row] > onset) & ~np.isnan(history.values[row])
        if is_included.any():
            fit = fit_location_scale(series, history.slots, int(history.slots[row]), history.rows, row_means)
            weight = np.where(row_means, deviation_weight(history.rows[row], history.rows), 1.0)
            deviations = np.nan_to_num(deviations_from(history.values[row], fit, floor)) * weight
            total, windows = total + np.where(is_included, deviations, 0.0), windows + is_included
            yield total, windows


def _prediction(
    level: Float64Array, model: ScoreModel, baseline: Baseline
) -> tuple[Float64Array, Float64Array]:
    # Mean and variance; ``level`` is that after the last window, NaN if unknown.
    is_known = ~np.isnan(level)
    last_level = np.where(is_known, level, 0.0)
    memory_error = model.phi_variance + (1 - model.phi**2) / np.maximum(baseline.n, 1)
    location_error = baseline.fit.location_variance(baseline.weight)
    variance = (
        np.where(is_known, model.innovation_variance, 1.0) * (1 + location_error)
        + last_level**2 * memory_error
    )
    return model.phi * last_level, variance


def levels_beside(
    history: ScoreHistory, model: ScoreModel, fit: LocationScale, floor: Float64Array, start: int
) -> tuple[Float64Array, Float64Array]:
    """Return the filter's levels before and, run backwards, after a window that is judged late."""
    unknown = np.full(len(history.keys), np.nan)
    steps = np.diff(history.ends[-_BESIDE_WINDOWS:])
    if history.slots.any() or not len(steps):
        return unknown, unknown  # a window of another slot has another location
    step, positions = int(steps.min()), {end: row for row, end in enumerate(history.ends.tolist())}
    levels = []
    for end, direction in ((start, -step), (start + 2 * step, step)):
        rows: list[int] = []
        while end in positions and len(rows) < _BESIDE_WINDOWS:
            rows.append(positions[end])
            end += direction
        level = unknown
        for row in reversed(rows):
            weight = np.where(history.keys.has_column, deviation_weight(history.rows[row], history.rows), 1.0)
            predicted = model.phi * np.where(np.isnan(level), 0.0, level)
            deviation = deviations_from(history.values[row], fit, floor) * weight
            level = predicted + model.gain * (deviation - predicted)
        levels.append(level)
    return levels[0], levels[1]


def _interpolation(
    before: Float64Array, after: Float64Array, model: ScoreModel, baseline: Baseline
) -> tuple[Float64Array, Float64Array]:
    # Of two predictions, each of which contains the stationary distribution.
    (mean, variance), (other_mean, other_variance) = (
        _prediction(level, model, baseline) for level in (before, after)
    )
    stationary = 1 + baseline.fit.location_variance(baseline.weight)
    precision = 1 / variance + 1 / other_variance - 1 / stationary
    is_usable = precision > 1 / stationary
    precision = np.where(is_usable, precision, 1 / stationary)
    combined = (mean / variance + other_mean / other_variance) / precision
    return np.where(is_usable, combined, 0.0), 1 / precision


def lower_tail(
    deviation: Float64Array,
    mean: Float64Array,
    variance: Float64Array,
    model: ScoreModel,
    baseline: Baseline,
    scores: Int64Array,
) -> Float64Array:
    z = (deviation - mean) / np.sqrt(variance)
    degrees = np.minimum(DEGREES_OF_FREEDOM[:, None], baseline.fit.degrees[scores])
    parts = model.tail_weights[:, scores] * stdtr(degrees, z[scores] / model.tail_scales[:, scores])
    # The distribution is expensive, so only ``scores`` are computed; the others get 0.5.
    tail = np.full(len(deviation), 0.5)
    # Added one by one: numpy rounds a sum over a single column in another order than one over many.
    tail[scores] = reduce(np.add, parts)
    return tail
