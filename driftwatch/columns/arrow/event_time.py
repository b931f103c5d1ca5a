"""Reads event times of Arrow columns as nanoseconds since 1970 UTC, for sources and engines alike.

Every value is parsed on its own, whatever rows share its batch.
"""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.calendar_numbers import (
    CALENDAR_DIGITS,
    FIRST_HOUR,
    HOUR_DIGITS,
    LAST_HOUR,
    all_calendar_dates,
    days_since_1970,
    in_years,
    may_be_hours,
    year_ranges,
)
from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array

_UNIT_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DAY_SECONDS = 86_400
_MAX_INT64 = np.iinfo(np.int64).max
#: Largest magnitude of a time in nanoseconds: two days inside int64, so that no change of zone overflows it.
_MAX_TIME = _MAX_INT64 - 2 * _DAY_SECONDS * _UNIT_NANOSECONDS["s"]
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_ISO_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9})\d*)?)?)?)?"
    r"\s*(?:(Z|z|UTC)|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)
_DIGITS = re.compile(r"-?\d{1,19}", re.ASCII)
_BASIC_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)(?=[T ])", re.ASCII)
_INTEGER_TEXT = r"^-?[0-9]{1,19}$"


def is_time(data_type: pa.DataType) -> bool:
    """Whether an Arrow type can hold event times.

    >>> is_time(pa.timestamp("us")), is_time(pa.bool_())
    (True, False)
    """
    types = pa.types
    if types.is_dictionary(data_type):
        return is_time(data_type.value_type)
    return bool(
        types.is_timestamp(data_type)
        or types.is_date(data_type)
        or types.is_integer(data_type)
        or types.is_floating(data_type)
        or types.is_decimal(data_type)
        or types.is_string(data_type)
        or types.is_large_string(data_type)
        or types.is_string_view(data_type)
        or types.is_null(data_type)
    )


def event_times(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    """Return event times, and a mask of the usable ones; unusable times are 0.

    Reads timestamps of any unit, dates (midnight), ISO 8601 texts, and numbers since 1970 whose size tells
    the unit (seconds up to 9.2e9, then milliseconds, microseconds, nanoseconds). Whole numbers of 8, 12, 14
    or 17 digits that begin with a year of 1900 to 2100 are dates (20260301, 20260301123000), and unusable
    where the calendar has no such moment. Ten digits that spell an hour of 1990 to 2100 are that hour
    (2026030112), others seconds. Times without a zone are in ``timezone``; an hour that occurs twice
    is read as the first, a skipped one as the end of the gap. From 2038 on clocks stay as they are at the end
    of 2037.

    >>> event_times(pa.array(["1970-01-02", "soon"]), "UTC")
    (array([86400000000000, 0]), array([ True, False]))
    """
    data_type, types = array.type, pa.types
    if types.is_dictionary(data_type):
        return _from_dictionary(array, timezone)
    if types.is_timestamp(data_type):
        return _from_timestamps(array, timezone)
    if types.is_date(data_type):
        unit = "s" if types.is_date32(data_type) else "ms"
        return _from_timestamps(array.cast(pa.timestamp(unit)), timezone)
    if types.is_integer(data_type):
        return _from_integers(array, timezone)
    if types.is_floating(data_type) or types.is_decimal(data_type):
        return _from_floats(array.cast(pa.float64()).to_numpy(zero_copy_only=False), timezone)
    if types.is_null(data_type) or not is_time(data_type):
        return np.zeros(len(array), dtype=np.int64), np.zeros(len(array), dtype=bool)
    return _from_texts(array, timezone)


def _is_valid(array: pa.Array) -> BoolArray:
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)


def _from_dictionary(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    values, usable = event_times(array.dictionary, timezone)
    codes = array.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.append(values, 0)[codes], np.append(usable, False)[codes]


def _from_timestamps(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    data_type = array.type
    factor = _UNIT_NANOSECONDS[data_type.unit]
    ticks = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    usable = _is_valid(array) & (ticks <= _MAX_TIME // factor) & (ticks >= -(_MAX_TIME // factor))
    ticks = np.where(usable, ticks, 0)
    if data_type.tz is None and timezone != "UTC":
        local_times = pa.array(ticks).cast(pa.timestamp(data_type.unit))
        instants = pc.assume_timezone(local_times, timezone, ambiguous="earliest", nonexistent="latest")
        ticks = np.where(usable, instants.cast(pa.int64()).to_numpy(zero_copy_only=False), 0)
    return ticks * factor, usable


def _from_integers(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    usable = _is_valid(array)
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    if values.dtype == np.uint64:
        usable &= values <= np.uint64(_MAX_INT64)
    values = np.where(usable, values, 0).astype(np.int64)
    usable &= values > -_MAX_INT64
    values = np.where(usable, values, 0)
    times = values * _nanoseconds_per_unit(np.abs(values).astype(np.float64))
    return _with_calendar_dates(values, times, usable, timezone)


def _from_floats(values: Float64Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    usable = np.isfinite(values) & (np.abs(values) <= float(_MAX_TIME))
    values = np.where(usable, values, 0.0)
    times = np.rint(values * _nanoseconds_per_unit(np.abs(values))).astype(np.int64)
    # Whole numbers became floats beside a null. A fraction of a date is none.
    whole = np.floor(values).astype(np.int64)
    seconds = times
    times, usable = _with_calendar_dates(whole, times, usable, timezone)
    if (values != whole).any():
        times = np.where((values != whole) & in_years(whole, FIRST_HOUR, LAST_HOUR), seconds, times)
        usable &= (values == whole) | ~np.logical_or.reduce(
            [in_years(whole, *years) for years in year_ranges()]
        )
    return np.where(usable, times, 0), usable


def unit_nanoseconds(number: float) -> int:
    """Return the unit that the size of a number since 1970 tells."""
    return int(_nanoseconds_per_unit(np.array([abs(number)]))[0])


def ordered_by_time(low: float, high: float) -> bool:
    """Whether all numbers from ``low`` to ``high`` are in the order of their times.

    >>> ordered_by_time(20260301, 20260401), ordered_by_time(0, 1_800_000_000)
    (True, False)
    """
    if all_calendar_dates(low, high):
        return True
    ranges = (*year_ranges(), (FIRST_HOUR, LAST_HOUR))
    if any(low <= last and high >= first for first, last in ranges):
        return False
    # Around zero lie seconds, and minus a million seconds comes before minus a million milliseconds.
    unit = unit_nanoseconds(low)
    return unit == unit_nanoseconds(high) and (low >= 0 or high < 0 or unit == _UNIT_NANOSECONDS["s"])


def _with_calendar_dates(
    values: Int64Array, times: Int64Array, usable: BoolArray, timezone: str
) -> tuple[Int64Array, BoolArray]:
    if not len(values):
        return times, usable
    least, greatest = int(values.min()), int(values.max())
    for digits, (low, high) in zip(CALENDAR_DIGITS, year_ranges(), strict=True):
        if greatest < low or least > high:
            continue
        positions = np.flatnonzero(in_years(values, low, high))
        if len(positions):
            times, usable = times.copy(), usable.copy()
            times[positions], usable[positions] = _calendar_times(values[positions], digits, timezone)
    return (
        (_with_hours(values, times, timezone), usable) if may_be_hours(least, greatest) else (times, usable)
    )


def _with_hours(values: Int64Array, times: Int64Array, timezone: str) -> Int64Array:
    positions = np.flatnonzero(in_years(values, FIRST_HOUR, LAST_HOUR))
    hours, is_hour = _calendar_times(values[positions], HOUR_DIGITS, timezone)
    times = times.copy()
    times[positions[is_hour]] = hours[is_hour]
    return times


def _calendar_times(values: Int64Array, digits: int, timezone: str) -> tuple[Int64Array, BoolArray]:
    # Padded to milliseconds.
    numbers, milliseconds = np.divmod(values * 10 ** (17 - digits), 1000)
    parts = []
    for base in (100, 100, 100, 100, 100):
        numbers, part = np.divmod(numbers, base)
        parts.append(part)
    second, minute, hour, day, month = parts
    days, usable = days_since_1970(numbers, month, day)
    usable &= (hour < 24) & (minute < 60) & (second < 60)
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    times = np.where(usable, seconds * 1000 + milliseconds, 0) * _UNIT_NANOSECONDS["ms"]
    local, _ = _from_timestamps(pa.array(times).cast(pa.timestamp("ns")), timezone)
    return np.where(usable, local, 0), usable


def _nanoseconds_per_unit(magnitudes: Float64Array) -> Int64Array:
    limits = np.array([_MAX_TIME / _UNIT_NANOSECONDS[unit] for unit in ("s", "ms", "us")])
    return np.array(list(_UNIT_NANOSECONDS.values()), dtype=np.int64)[np.searchsorted(limits, magnitudes)]


def _from_texts(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    try:
        texts = pc.utf8_trim_whitespace(array.cast(pa.large_string()))
        if pc.all(pc.match_substring_regex(texts, _INTEGER_TEXT)).as_py():
            return _from_integers(texts.cast(pa.int64()), timezone)
    except pa.ArrowInvalid:
        return _parse_distinct(array, timezone)
    for data_type in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        try:
            return _from_timestamps(texts.cast(data_type), timezone)
        except pa.ArrowInvalid:
            continue
    return _parse_distinct(texts, timezone)


def _parse_distinct(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    # Texts of mixed form: parsing each distinct one in Python is slow, and rare.
    dictionary_array = array.cast(pa.large_binary()).dictionary_encode()
    timestamps = [
        _parse_text(text.decode("utf-8", "replace").strip(), timezone)
        for text in dictionary_array.dictionary.to_pylist()
    ]
    values = np.zeros(len(timestamps), dtype=np.int64)
    usable = np.zeros(len(timestamps), dtype=bool)
    local_positions: list[int] = []
    for position, timestamp in enumerate(timestamps):
        if timestamp is not None:
            values[position], usable[position] = timestamp[0], True
            local_positions += [] if timestamp[1] else [position]
    if local_positions:
        local_times = pa.array(values[local_positions]).cast(pa.timestamp("ns"))
        values[local_positions], _ = _from_timestamps(local_times, timezone)
    codes = dictionary_array.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.append(values, 0)[codes], np.append(usable, False)[codes]


def _parse_text(text: str, timezone: str) -> tuple[int, bool] | None:
    # Nanoseconds since 1970, and whether they are an instant: the text names a zone, or is a number.
    if _DIGITS.fullmatch(text):
        values, usable = (
            _from_integers(pa.array([int(text)]), timezone)
            if abs(int(text)) <= _MAX_INT64
            else ([0], [False])
        )
        return (int(values[0]), True) if usable[0] else None
    match = _ISO_TIME.fullmatch(_BASIC_DATE.sub(r"\1-\2-\3", text, count=1))
    if match is None or (match[4] is None and (match[8] or match[9])):
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = (int(part or 0) for part in match.group(4, 5, 6))
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    seconds = days * _DAY_SECONDS + hour * 3600 + minute * 60 + second
    if match[9]:
        offset = int(match[10]) * 3600 + int(match[11] or 0) * 60
        seconds -= offset if match[9] == "+" else -offset
    nanoseconds = seconds * _UNIT_NANOSECONDS["s"] + int((match[7] or "").ljust(9, "0"))
    return (nanoseconds, bool(match[8] or match[9])) if abs(nanoseconds) <= _MAX_TIME else None
