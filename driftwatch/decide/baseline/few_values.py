"""Scores that take few values: a flag of rare days, a share that is 0 on most days.

A bell fitted to such a history is wrong: its mean lies between the values, so every ordinary window deviates
to the same side, by as much each time. Their p-values come from ranks. A value is a place of its own: one
between the values of all earlier windows, and away from their mean, is as new as one beyond them.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.weighted_series import Series, count_measured, count_true, weighted_sums

#: Values closer than this, in standard deviations, are one. Of normal scores a twelfth is so close to the
#: median, of scores with three degrees of freedom a seventh.
_VALUE_WIDTH = 0.1
#: Part of the windows that one value fills, give or take that width, beside which others are exceptions. Of
#: users of ten rows one in twenty has a level: three of five windows are without it, and a bell fits.
_MAIN_PART = 0.75
#: Smallest gap between two values, and how far all windows lie from one of them together, in standard
#: deviations: a flag of every other day has a gap of 2, and 0, 10 and 20 rows of a hundred one of 1.4.
_MIN_GAP, _MAX_SPREAD = 1.8, 0.5
#: Most values between which a new one is looked for, if each was measured in as many windows on average. A
#: value may count twice.
_MAX_VALUES, _MIN_WINDOWS_PER_VALUE = 8, 4
#: A window as near the mean of all, in standard deviations, is like the reference as a whole.
_MIN_MEAN_DISTANCE = 0.5
#: Smallest gap, in effect floors, whose middle is a new value, and the part of it that the ends take on each
#: side: the same rows differ a little in a block, held against the rest of the reference, and in a window.
_MIN_GAP_FLOORS, _MIN_MARGIN = 20.0, 0.25


def takes_few_values(values: Float64Array, min_windows: int) -> BoolArray:
    """Return by score whether one value fills most windows, or two far apart fill all.

    ``values`` are ``[window, score]``. In less than ``min_windows`` only equal numbers are one value.
    """
    if not len(values):
        return np.zeros(values.shape[1], dtype=np.bool_)
    n = count_measured(values)
    # NaN sorts last, so measured values come first.
    ordered = np.sort(values, axis=0)
    middle = np.maximum(n - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None], axis=0)[0]
    deviation = _deviation(values)
    distance = np.abs(ordered - median)
    is_mostly_median = 2 * count_true(distance == 0) > n
    is_near_median = count_true(distance <= _VALUE_WIDTH * deviation) > _MAIN_PART * n
    has_few = is_near_median | _has_two_values(ordered, deviation)
    return np.asarray(is_mostly_median | (has_few & (n >= min_windows)))


def _has_two_values(ordered: Float64Array, deviation: Float64Array) -> BoolArray:
    gap = np.fmax.reduce(np.diff(ordered, axis=0), axis=0, initial=0.0)
    spread = np.fmax.reduce(ordered, axis=0) - ordered[0] - gap
    return np.asarray((gap > _MIN_GAP * deviation) & (spread < _MAX_SPREAD * deviation))


def _deviation(values: Float64Array) -> Float64Array:
    _, square_sum, n, _ = weighted_sums(Series.of(values), None)
    return np.asarray(np.sqrt(square_sum / np.maximum(n - 1, 1)))


def _has_few_values(ordered: Float64Array, n: Int64Array, width: Float64Array) -> BoolArray:
    cells = ordered - ordered[0]
    np.divide(cells, np.where(width > 0, width, 1.0), out=cells)
    np.floor(cells, out=cells)
    n_values = 1 + count_true(cells[1:] > cells[:-1])
    return np.asarray((n_values <= _MAX_VALUES) & (n >= _MIN_WINDOWS_PER_VALUE * n_values))


def new_value_counts(
    values: Float64Array, healthy: Float64Array, value: Float64Array, floor: Float64Array
) -> Int64Array:
    """Return how many windows are as new as ``value``, 0 where it is not new or a score takes many values.

    ``values`` are ``[window, score]``, in ``healthy`` NaN where not learned. A value is new in the middle of
    a wide gap between healthy ones, away from their mean; a window counts if no healthy one, or no other,
    comes near.
    """
    counts = np.zeros(len(value), dtype=np.int64)
    if not len(healthy):
        return counts
    n, ordered = count_measured(healthy), np.sort(healthy, axis=0)
    deviation = _deviation(healthy)
    is_few = _has_few_values(ordered, n, _VALUE_WIDTH * deviation)
    is_away = np.abs(value - np.nansum(healthy, axis=0) / np.maximum(n, 1)) > _MIN_MEAN_DISTANCE * deviation
    width = np.maximum(_VALUE_WIDTH * deviation, floor)
    for k in np.flatnonzero(is_few & is_away).tolist():
        usual = ordered[: n[k], k]
        place = int(np.searchsorted(usual, value[k]))
        if not 0 < place < n[k]:
            continue
        gap = usual[place] - usual[place - 1]
        margin = min(usual[place] - value[k], value[k] - usual[place - 1])
        if gap < _MIN_GAP_FLOORS * floor[k] or margin <= max(width[k], _MIN_MARGIN * gap):
            continue
        is_apart = np.diff(usual, prepend=-np.inf, append=np.inf) > width[k]
        pending = values[np.isnan(healthy[:, k]) & ~np.isnan(values[:, k]), k]
        is_new = (np.abs(pending[:, None] - usual) > width[k]).all(axis=1)
        counts[k] = int((is_apart[1:] & is_apart[:-1]).sum() + is_new.sum()) + 1
    return counts
