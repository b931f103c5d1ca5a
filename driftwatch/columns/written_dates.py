"""Reads dates in any writing: digits, texts that name a batch, weeks, months, days first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array

_YEAR, _MONTH, _DAY = r"(?P<y>(?:19|20)\d\d)", r"(?P<m>0[1-9]|1[0-2])", r"(?P<d>0[1-9]|[12]\d|3[01])"
_SEPARATOR = r"(?P<s>[-/._ ]?)"
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAME = rf"(?P<name>{'|'.join(_NAMES)})[a-z]*"
#: The name of a month, M01, Q1, a year of accounts, a year.
_FULL_NAMES = "january|february|march|april|may|june|july|august|september|october|november|december"
_PARTS = (
    rf"(?P<name>(?:{_FULL_NAMES}|sept|{'|'.join(_NAMES)})\.?(?![a-z]))|(?P<m>M(?:0?[1-9]|1[0-2])(?![0-9]))|"
    r"(?P<q>Q[1-4](?![0-9]))|(?P<accounts>[FC]Y'?(?:\d\d)?\d\d)|(?P<y>(?:(?:19|20)\d\d|(?<![0-9])\d\d)(?![0-9]))"
)
_PERIOD_PART = re.compile(_PARTS, re.IGNORECASE | re.ASCII)
_PERIOD = re.compile(rf"(?:(?:{re.sub(r'[?]P<[a-z]+>', '?:', _PARTS)})[-_/., ']*)+", re.IGNORECASE | re.ASCII)
#: Years of a number that is taken for a date.
_MIN_YEAR, _MAX_YEAR = 1990, 2100
_EPOCH = date(1970, 1, 1)
#: Distinct values that are tried first: of a column of dates nearly all are dates.
_MAX_FIRST_VALUES, MIN_DATE_SHARE = 50, 0.9


def _day(match: re.Match[str]) -> date:
    return date(int(match["y"]), int(match["m"]), int(match["d"]))


def _named_day(match: re.Match[str]) -> date:
    return date(int(match["y"]), _NAMES.index(match["name"].lower()) + 1, int(match["d"]))


def _short_day(match: re.Match[str]) -> date:
    year = int(match["y"])
    return date(year if year > 99 else 2000 + year, int(match["m"]), int(match["d"]))


def _ordinal_day(match: re.Match[str]) -> date:
    return date(int(match["y"]), 1, 1) + timedelta(days=int(match["j"]) - 1)


def _week(match: re.Match[str]) -> date:
    return date.fromisocalendar(int(match["y"]), int(match["w"]), 1)


def _month(match: re.Match[str]) -> date:
    return date(int(match["y"]), int(match["m"]), 1)


def _named_month(match: re.Match[str]) -> date:
    return date(int(match["y"]), _NAMES.index(match["name"].lower()) + 1, 1)


def _quarter(match: re.Match[str]) -> date:
    return date(int(match["y"]), 3 * int(match["q"]) - 2, 1)


#: Pattern, days that it stands for, and how to read it: the first that all values match is taken.
_Writing = tuple[re.Pattern[str], int, Callable[[re.Match[str]], date]]
_WRITINGS: tuple[_Writing, ...] = tuple(
    (re.compile(rf"(?<![0-9]){pattern}", re.IGNORECASE | re.ASCII), days, read)
    for pattern, days, read in (
        (rf"{_YEAR}{_SEPARATOR}{_MONTH}(?P=s){_DAY}(?![0-9])", 1, _day),
        (rf"{_YEAR}{_MONTH}{_DAY}(?=[0-9]{{2,6}}(?![0-9]))", 1, _day),
        (r"(?P<m>\d\d?)/(?P<d>\d\d?)/(?P<y>\d{4}|\d\d)(?![0-9])", 1, _short_day),
        (r"(?P<d>\d\d?)(?P<s>[-/.])(?P<m>\d\d?)(?P=s)(?P<y>\d{4}|\d\d)(?![0-9])", 1, _short_day),
        (r"(?P<y>\d{4})/(?P<m>\d\d?)/(?P<d>\d\d?)(?![0-9])", 1, _short_day),
        (rf"(?P<d>\d\d?)(?:st|nd|rd|th)?[-/. ]*{_MONTH_NAME}[-/., ]*(?P<y>\d{{4}})(?![0-9])", 1, _named_day),
        (rf"{_YEAR}[-_ ]?W(?P<w>\d\d?)(?![0-9])", 7, _week),
        (rf"{_YEAR}[-_ ]?Q(?P<q>[1-4])(?![0-9])", 92, _quarter),
        (rf"{_YEAR}[-/._ ]?{_MONTH}(?![0-9])", 31, _month),
        (rf"{_MONTH}[-/._ ]{_YEAR}(?![0-9])", 31, _month),
        (rf"(?<![a-z]){_MONTH_NAME}[-/., ]+(?P<y>\d{{4}})(?![0-9])", 31, _named_month),
        (rf"{_YEAR}-?(?P<j>[0-3]\d\d)(?![0-9])", 1, _ordinal_day),
    )
) + tuple(
    (re.compile(pattern, re.IGNORECASE | re.ASCII), days, read)
    for pattern, days, read in (
        (rf"W(?P<w>\d\d?)[-_/ ]?{_YEAR}(?![0-9])", 7, _week),
        (rf"Q(?P<q>[1-4])[-_/ ]?{_YEAR}(?![0-9])", 92, _quarter),
        (rf"{_MONTH_NAME}[-/., ]*(?P<d>\d\d?)(?:st|nd|rd|th)?[-/., ]+(?P<y>\d{{4}})(?![0-9])", 1, _named_day),
    )
)


def written_days(values: Sequence[object]) -> tuple[Float64Array, int] | None:
    """Return days since 1970 of distinct values, NaN where one is no date, and how many days each stands for.

    Numbers are read by their digits. None unless nearly all values are dates in one writing.

    >>> written_days(["batch_20260301", "batch_20260302"])
    (array([20513., 20514.]), 1)
    >>> written_days([7, 9]) is None
    True
    """
    texts = [_text(value) for value in values]
    first_texts = texts[:_MAX_FIRST_VALUES]
    for pattern, n_days, read in _WRITINGS:
        days = [_days_of(pattern, read, text) for text in first_texts]
        if not days or sum(day is not None for day in days) < MIN_DATE_SHARE * len(days):
            continue
        days += [_days_of(pattern, read, text) for text in texts[_MAX_FIRST_VALUES:]]
        if sum(day is not None for day in days) >= MIN_DATE_SHARE * len(days):
            return np.array([np.nan if day is None else day for day in days], dtype=np.float64), n_days
    return None


def written_periods(values: Sequence[object]) -> Int64Array | None:
    """Return the quarter, month and year (of the century) of distinct texts, 0 and -1 where one names none.

    Beside a month, a quarter and a year of accounts (FY26) need not be those of the calendar.
    None unless every text is nothing but such names.

    >>> written_periods(["Jan-26", "FY26-M02", "Q1"]).tolist()
    [[0, 1, 26], [0, 2, -1], [1, 0, -1]]
    """
    periods = [_period(_text(value).strip()) for value in values]
    return None if None in periods or not periods else np.array(periods, dtype=np.int64)


def _period(text: str) -> tuple[int, int, int] | None:
    if not _PERIOD.fullmatch(text):
        return None
    parts = {match.lastgroup: match[0].lower() for match in _PERIOD_PART.finditer(text)}
    month = int(parts["m"].lstrip("m")) if "m" in parts else 0
    if "name" in parts:
        month = _NAMES.index(parts["name"][:3]) + 1
    quarter = 0 if month or "q" not in parts else int(parts["q"][1:])
    year = int(parts["y"][-2:]) if "y" in parts else -1
    return (quarter, month, year) if quarter or month else None


def _text(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value == value and abs(value) < 1e15 and value == int(value) else ""
    return str(value)[:100]


def _days_of(pattern: re.Pattern[str], read: Callable[[re.Match[str]], date], text: str) -> int | None:
    match = pattern.search(text)
    if match is None:
        return None
    try:
        day = read(match)
    except ValueError:
        return None
    return (day - _EPOCH).days if _MIN_YEAR <= day.year < _MAX_YEAR else None
