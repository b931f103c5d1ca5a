"""Decides from sampled rows how a column changes with event time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.profile_values import decode, family_of
from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import NANOSECONDS

#: Rank correlation with event time above which a second timestamp advances with it.
MIN_ADVANCE_CORRELATION = 0.9
#: The same for integers: above it a column is a counter, not a feature with a trend.
MIN_COUNTER_CORRELATION = 0.995
#: Sampled rows per day (or window, when shorter) needed to recognise a step function of time.
_MIN_ROWS_PER_DAY = 2


def numeric_values(column: pa.ChunkedArray, timezone: str) -> Float64Array:
    """Return a column as floats, times in nanoseconds, NaN where there is no value."""
    if family_of(column.type).is_number:
        numbers = decode(column.combine_chunks()).cast(pa.float64(), safe=False)
        values: Float64Array = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
        return values
    times = epoch_nanoseconds(column, timezone)
    return np.where(times == NO_TIME, np.nan, times.astype(np.float64))


def rank_correlation(times: Int64Array, values: Float64Array) -> float:
    """Spearman's correlation (average ranks on ties) of a column with event time; 0 when undefined."""
    usable = (times != NO_TIME) & np.isfinite(values)
    if usable.sum() < 20:
        return 0.0
    time_ranks, value_ranks = _mid_ranks(times[usable].astype(np.float64)), _mid_ranks(values[usable])
    scale = float(time_ranks.std() * value_ranks.std())
    if scale == 0:
        return 0.0
    return float(((time_ranks - time_ranks.mean()) * (value_ranks - value_ranks.mean())).mean() / scale)


def is_calendar_part(
    times: Int64Array, values: Float64Array, window: int, *, has_calendar_name: bool
) -> bool:
    """Whether a column is a part of the calendar: constant within each day, then a step further.

    Such a column (year, month, day, week, and hour when windows are that short) is a function of time: it is
    the same in every row of a timestamp, changes about once a day or less (once a ``window`` of seconds when
    shorter), by small steps up, and falls only from near its top to near its bottom. No time zone is needed.
    With two values or fewer than three steps only a calendar name (``has_calendar_name``) decides.
    """
    usable = (times != NO_TIME) & np.isfinite(values)
    times, values = times[usable], values[usable]
    if len(values) < 20 or (values != np.floor(values)).any():
        return False
    order = np.lexsort((values, times))
    times, values = times[order], values[order]
    days = (times[-1] - times[0]) / NANOSECONDS / min(window, 86400)
    if len(values) < _MIN_ROWS_PER_DAY * days:
        return False
    is_same_time = np.diff(times) == 0
    steps = np.diff(values)
    if (is_same_time & (steps != 0)).any():
        return False
    step_positions = np.flatnonzero(steps)
    if (
        not len(step_positions)
        or len(step_positions) > 1.1 * days + 2
        or (len(step_positions) < 3 and not has_calendar_name)
    ):
        return False
    is_rise, fall_positions = steps[step_positions] > 0, step_positions[steps[step_positions] < 0]
    low, high = values.min(), values.max()
    if high - low > 1000 or (high - low == 1 and not has_calendar_name):
        return False
    tolerance = 4 if high - low >= 20 else 1 if high - low >= 6 else 0
    has_small_rises = (steps[step_positions][is_rise] <= 1 + tolerance).all()
    has_wraps = (values[fall_positions + 1] <= low + tolerance).all() and (
        values[fall_positions] >= high - tolerance
    ).all()
    return bool(has_small_rises and has_wraps)


def _mid_ranks(values: Float64Array) -> Float64Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    cumulative_counts = np.cumsum(counts)
    ranks: Float64Array = (cumulative_counts - (counts - 1) / 2.0)[inverse]
    return ranks
