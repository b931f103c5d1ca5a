"""Whole numbers that are dates: 20260301, 2026030112, 20260301123000."""

from __future__ import annotations

from datetime import date

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array

#: Whole numbers of so many digits between these years are dates in the basic format of ISO 8601: 20260301,
#: with hour and minute, with second, with millisecond. As numbers since 1970 they would be days of 1970, and
#: of 1976 with 12 digits.
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
CALENDAR_DIGITS = (8, 12, 14, 17)
#: Ten digits are an hour where the calendar has it, and else seconds since 1970: of 2033 to 2036, when no log
#: was written. Of real seconds in those years one in a hundred spells an hour.
HOUR_DIGITS = 10
FIRST_HOUR, LAST_HOUR = 1990_01_01_00, 2100_12_31_23


def year_ranges() -> tuple[tuple[int, int], ...]:
    """Return the least and the greatest number of each number of digits."""
    zeros = [10 ** (digits - 4) for digits in CALENDAR_DIGITS]
    return tuple((_FIRST_YEAR * zero, (_LAST_YEAR + 1) * zero - 1) for zero in zeros)


def in_years(values: Int64Array, low: int, high: int) -> BoolArray:
    return (values >= low) & (values <= high)


def calendar_ranges(low: float, high: float, first: date, last: date) -> list[tuple[int, int]]:
    """Return ranges of numbers that are dates from ``first`` to before ``last``, in each form with numbers
    between ``low`` and ``high``.

    >>> calendar_ranges(20260105, 20260401, date(2026, 3, 1), date(2026, 3, 2))
    [(20260301, 20260302)]
    """
    ends = [int(f"{day:%Y%m%d}") for day in (first, last)]
    forms = [*zip(CALENDAR_DIGITS, year_ranges(), strict=True), (HOUR_DIGITS, (FIRST_HOUR, LAST_HOUR))]
    return [
        (ends[0] * 10 ** (digits - 8), ends[1] * 10 ** (digits - 8))
        for digits, years in forms
        if low <= years[1] and high >= years[0]
    ]


def all_calendar_dates(low: float, high: float) -> bool:
    """Whether all numbers from ``low`` to ``high`` are dates of one form, or unusable."""
    return any(first <= low and high <= last for first, last in year_ranges())


def may_be_hours(low: float, high: float) -> bool:
    return low <= LAST_HOUR and high >= FIRST_HOUR


def days_since_1970(year: Int64Array, month: Int64Array, day: Int64Array) -> tuple[Int64Array, BoolArray]:
    """Return days since 1970, and a mask of the days that the calendar has.

    >>> days_since_1970(np.array([1970, 2026]), np.array([1, 2]), np.array([2, 29]))
    (array([    1, 20513]), array([ True, False]))
    """
    number = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    starts = [
        months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        for months in (number, number + 1)
    ]
    is_day = (month >= 1) & (month <= 12) & (day >= 1) & (day <= starts[1] - starts[0])
    return starts[0] + day - 1, is_day
