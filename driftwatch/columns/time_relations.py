"""How columns move with event time, told from a sample of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.profile_values import plain, shape_of
from driftwatch.columns.arrow.sampled_times import NO_TIME, moments
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import NANOSECONDS

#: Rank correlation with event time from which a second timestamp is said to advance with it.
ADVANCES = 0.9
#: The same for an integer column: a counter, not a feature with a trend.
COUNTS_UP = 0.995
#: Sampled rows needed per day (or window, when shorter) before a step function of time is believed in.
_ROWS_PER_GRAIN = 2


def ordered_values(column: pa.ChunkedArray, timezone: str) -> Float64Array:
    """A sampled column as numbers, times as nanoseconds, NaN where there is none."""
    if shape_of(column.type).number:
        numbers = plain(column.combine_chunks()).cast(pa.float64(), safe=False)
        values: Float64Array = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
        return values
    times = moments(column, timezone)
    return np.where(times == NO_TIME, np.nan, times.astype(np.float64))


def rank_correlation(times: Int64Array, values: Float64Array) -> float:
    """Spearman's correlation (average ranks on ties) of a column with event time; 0 when undefined."""
    usable = (times != NO_TIME) & np.isfinite(values)
    if usable.sum() < 20:
        return 0.0
    left, right = _ranks(times[usable].astype(np.float64)), _ranks(values[usable])
    spread = float(left.std() * right.std())
    if spread == 0:
        return 0.0
    return float(((left - left.mean()) * (right - right.mean())).mean() / spread)


def calendar_part(times: Int64Array, values: Float64Array, window: int, *, named: bool) -> bool:
    """True for a column that is a part of the calendar: it stands still within each day and then steps on.

    Such a column (year, month, day, week, and hour when windows are that short) is a function of time: it
    is the same in every row of a time stamp, changes about once a day or less (once a window when that is
    shorter), by small steps up, and falls only from near its top to near its bottom. No time zone is
    needed. With two values or less than three steps only a telling name (``named``) convinces.
    """
    usable = (times != NO_TIME) & np.isfinite(values)
    times, values = times[usable], values[usable]
    if len(values) < 20 or (values != np.floor(values)).any():
        return False
    order = np.lexsort((values, times))
    times, values = times[order], values[order]
    days = (times[-1] - times[0]) / NANOSECONDS / min(window, 86400)
    if len(values) < _ROWS_PER_GRAIN * days:
        return False
    same_moment = np.diff(times) == 0
    steps = np.diff(values)
    if (same_moment & (steps != 0)).any():
        return False
    at = np.flatnonzero(steps)
    if not len(at) or len(at) > 1.1 * days + 2 or (len(at) < 3 and not named):
        return False
    ups, downs = steps[at] > 0, at[steps[at] < 0]
    low, high = values.min(), values.max()
    if high - low > 1000 or (high - low == 1 and not named):
        return False
    slack = 4 if high - low >= 20 else 1 if high - low >= 6 else 0
    small = (steps[at][ups] <= 1 + slack).all()
    wraps = (values[downs + 1] <= low + slack).all() and (values[downs] >= high - slack).all()
    return bool(small and wraps)


def _ranks(values: Float64Array) -> Float64Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Float64Array = (last - (counts - 1) / 2.0)[inverse]
    return ranks
