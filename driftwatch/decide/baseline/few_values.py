"""Scores that take few values: a flag of rare days, a share that is 0 on most days.

A bell fitted to such a history is wrong: its mean lies between the values, so every ordinary window deviates
to the same side, by as much each time. Their p-values come from ranks. A value is a place of its own: one
between the values of all earlier windows is as new as one beyond them.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.weighted_series import Series, count_measured, count_true, weighted_sums

#: Values closer than this, in standard deviations, are one. Of normal scores a twelfth is so close to the
#: median, of scores with three degrees of freedom a seventh.
_VALUE_WIDTH = 0.1
#: Most values that are few, if each was measured in as many windows on average. A value may count twice, and
#: 28 normal scores take 22 values.
_MAX_VALUES, _MIN_WINDOWS_PER_VALUE = 8, 4
#: Smallest gap, in effect floors, whose middle is a new value, and the part of it that the ends take on each
#: side: the same rows differ a little in a block, held against the rest of the reference, and in a window.
_MIN_GAP_FLOORS, _MIN_MARGIN = 20.0, 0.25


def takes_few_values(values: Float64Array, min_windows: int) -> BoolArray:
    """Return by score whether one value fills most windows, or few values fill all.

    ``values`` are ``[window, score]``. In less than ``min_windows`` only equal numbers are one value.
    """
    if not len(values):
        return np.zeros(values.shape[1], dtype=np.bool_)
    n = count_measured(values)
    # NaN sorts last, so measured values come first.
    ordered = np.sort(values, axis=0)
    middle = np.maximum(n - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None], axis=0)[0]
    width = np.where(n < min_windows, 0.0, _value_width(values))
    is_mostly_median = 2 * count_true(np.abs(ordered - median) <= width) > n
    return np.asarray(is_mostly_median | (_has_few_values(ordered, n, width) & (n >= min_windows)))


def _value_width(values: Float64Array) -> Float64Array:
    _, square_sum, n, _ = weighted_sums(Series.of(values), None)
    return np.asarray(_VALUE_WIDTH * np.sqrt(square_sum / np.maximum(n - 1, 1)))


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
    a wide gap between healthy ones; a window counts if no healthy one, or no other, comes near.
    """
    counts = np.zeros(len(value), dtype=np.int64)
    if not len(healthy):
        return counts
    n, ordered = count_measured(healthy), np.sort(healthy, axis=0)
    width = _value_width(healthy)
    is_few, width = _has_few_values(ordered, n, width), np.maximum(width, floor)
    for k in np.flatnonzero(is_few & ~np.isnan(value)).tolist():
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
