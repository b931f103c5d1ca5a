"""Decides from sampled rows how a column changes with event time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.numbers import numbers
from driftwatch.columns.arrow.profile_values import family_of
from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds
from driftwatch.columns.arrow.texts import dictionary_codes
from driftwatch.columns.written_dates import MIN_DATE_SHARE, written_days, written_periods
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import NANOSECONDS

#: Rank correlation with event time above which a second timestamp advances with it.
MIN_ADVANCE_CORRELATION = 0.9
#: The same for integers: above it a column is a counter, not a feature with a trend.
MIN_COUNTER_CORRELATION = 0.995
#: Sampled rows per day (or window, when shorter) needed to recognise a step function of time.
_MIN_ROWS_PER_DAY = 2
_DAY_SECONDS = 86_400
#: Most that a zone's midnight lies from that of UTC, in days; share of the rows whose date must be their own.
_MAX_ZONE_DAYS, _MIN_OWN_SHARE = 14 / 24, 0.95
#: Days that a column must name before it is taken for a name of the day, and the share of all days.
_MIN_NAMED_DAYS, _MIN_NAMED_SHARE = 8, 0.8


def numeric_values(column: pa.ChunkedArray, timezone: str) -> Float64Array:
    """Return a column as floats, times in nanoseconds, NaN where there is no value."""
    if family_of(column.type).is_number:
        values: Float64Array = numbers(column.combine_chunks()).values_with_nan().astype(np.float64)
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
    days = (times[-1] - times[0]) / NANOSECONDS / min(window, _DAY_SECONDS)
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


def has_written_dates(times: Int64Array, column: pa.ChunkedArray, timezone: str) -> bool:
    """Whether a column writes dates that advance with event time or are its own."""
    codes, values = _distinct(column)
    dates = (
        written_days(values)
        if not pa.types.is_temporal(column.type)
        else (epoch_nanoseconds(pa.array(values, column.type), timezone) / NANOSECONDS / _DAY_SECONDS, 1)
    )
    if dates is None:
        return _names_own_period(times, codes, values)
    days = np.append(dates[0], np.nan)[codes]
    if np.count_nonzero(np.isfinite(days)) < MIN_DATE_SHARE * np.count_nonzero(codes >= 0):
        return False
    if rank_correlation(times, days) > MIN_ADVANCE_CORRELATION or is_own_date(times, days, dates[1]):
        return True
    starts, n_days = _period_starts(days)
    return n_days > 1 and is_own_date(times, starts, n_days)


def _period_starts(days: Float64Array) -> tuple[Float64Array, int]:
    """Return the first days of the periods that all dates begin or end, and the length of one."""
    usable = np.isfinite(days)
    dates = days[usable]
    if not len(dates) or (dates != np.floor(dates)).any():
        return days, 1
    for shift in (0, 1):
        shifted = (dates.astype(np.int64) + shift).astype("datetime64[D]")
        months = shifted.astype("datetime64[M]")
        # Thursday was the first day of 1970: weeks begin on Mondays or Sundays.
        weekdays = (shifted.astype(np.int64) + 3) % 7
        is_first = (months.astype("datetime64[D]") == shifted).all()
        numbers_of_months = months.astype(np.int64)
        for n_months, n_days in ((12, 366), (3, 92), (1, 31)):
            if is_first and not (numbers_of_months % n_months).any():
                starts = days.copy()
                firsts = (numbers_of_months - shift * n_months).astype("datetime64[M]")
                starts[usable] = firsts.astype("datetime64[D]").astype(np.int64)
                return starts, n_days
        if not shift and (weekdays == weekdays[0]).all() and weekdays[0] in (0, 6):
            return days, 7
    return days, 1


def _names_own_period(times: Int64Array, codes: Int64Array, values: list[Any]) -> bool:
    """Whether nearly every row names the month or quarter of its event time, in some zone."""
    periods = written_periods(values)
    usable = (times != NO_TIME) & (codes >= 0)
    if periods is None or not usable.any():
        return False
    quarter, month, year = periods[codes[usable]].T
    is_own = np.zeros(len(quarter), dtype=bool)
    for hours in (-14, 0, 14):
        moments = times[usable] // NANOSECONDS + hours * 3600
        months = moments.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
        is_period = np.where(month > 0, month == 1 + months % 12, quarter == 1 + months % 12 // 3)
        is_own |= is_period & ((year < 0) | (year == (1970 + months // 12) % 100))
    return bool(is_own.mean() >= _MIN_OWN_SHARE)


def is_ever_new(times: Int64Array, column: pa.ChunkedArray, window: int, timezone: str) -> bool:
    """Whether each day has another value: numbers that count up, texts that name the batch."""
    if family_of(column.type).is_number:
        return counts_up_each_day(times, numeric_values(column, timezone), window)
    return names_each_day(times, _distinct(column)[0], window)


def _distinct(column: pa.ChunkedArray) -> tuple[Int64Array, list[Any]]:
    array = column.combine_chunks()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    codes, values = dictionary_codes(array)
    return codes, values.to_pylist()


def is_constant_calendar_part(times: Int64Array, values: Float64Array) -> bool:
    """Whether the only value is the year, month, quarter or day of nearly all rows."""
    usable = (times != NO_TIME) & np.isfinite(values)
    if not usable.any() or values[usable].min() != values[usable].max():
        return False
    days = times[usable].astype("datetime64[ns]").astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype(np.int64)
    parts = (
        1970 + months // 12,
        1 + months % 12,
        1 + months % 12 // 3,
        1 + (days - days.astype("datetime64[M]")).astype(np.int64),
        1 + (days - days.astype("datetime64[Y]")).astype(np.int64),
    )
    return any(float((part == values[usable]).mean()) >= _MIN_OWN_SHARE for part in parts)


def is_own_date(times: Int64Array, days: Float64Array, n_days: int) -> bool:
    """Whether nearly every row's written date is that of its event time, in some zone.

    ``days[rows]`` are days since 1970, each the first of ``n_days``. One day is enough.
    """
    usable = (times != NO_TIME) & np.isfinite(days)
    if not usable.any():
        return False
    ages = times[usable] / NANOSECONDS / _DAY_SECONDS - days[usable]
    is_own = (ages >= -_MAX_ZONE_DAYS) & (ages <= n_days + _MAX_ZONE_DAYS)
    return bool(is_own.mean() >= _MIN_OWN_SHARE)


def names_each_day(times: Int64Array, codes: Int64Array, window: int) -> bool:
    """Whether nearly every day (or ``window``) has another value, and never an old one.

    ``codes[rows]`` number the values, negative for none. A feature that is constant within each day hardly
    avoids repeating a value in so many days.
    """
    usable = (times != NO_TIME) & (codes >= 0)
    times, codes = times[usable], codes[usable]
    n_values = len(np.unique(codes))
    if n_values < _MIN_NAMED_DAYS or len(codes) < _MIN_ROWS_PER_DAY * n_values:
        return False
    order = np.lexsort((codes, times))
    n_runs = int(np.count_nonzero(np.diff(codes[order]))) + 1
    n_days = len(np.unique(times // (min(window, _DAY_SECONDS) * NANOSECONDS)))
    return n_runs == n_values and n_values >= _MIN_NAMED_SHARE * n_days


def counts_up_each_day(times: Int64Array, values: Float64Array, window: int) -> bool:
    """The same of a number that grows with every day, as a load key does."""
    usable = (times != NO_TIME) & np.isfinite(values)
    times, values = times[usable], values[usable]
    _, codes = np.unique(values, return_inverse=True)
    is_growing = bool((np.diff(values[np.lexsort((values, times))]) >= 0).all())
    return is_growing and names_each_day(times, codes.astype(np.int64), window)


def _mid_ranks(values: Float64Array) -> Float64Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    cumulative_counts = np.cumsum(counts)
    ranks: Float64Array = (cumulative_counts - (counts - 1) / 2.0)[inverse]
    return ranks
