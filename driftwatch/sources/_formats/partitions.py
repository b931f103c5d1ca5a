"""Reads Hive partitions: ``key=value`` folders become columns, and dates in them a span of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from driftwatch.core.schema import NANOSECONDS, Span

_FOLDER = re.compile(r"([^=/\\]+)=([^/\\]*)")
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)", re.ASCII)
_DATE_KEYS = ("date", "dt", "ds", "day")
_NULL = "__HIVE_DEFAULT_PARTITION__"

Partitions = tuple[tuple[str, str | None], ...]


def partitions_of(folders: list[str]) -> Partitions:
    """Return keys and values of partition folders, the outermost folder first.

    >>> partitions_of(["data", "date=2013-04-01", "city=New%20York"])
    (('date', '2013-04-01'), ('city', 'New York'))
    """
    values: dict[str, str | None] = {}
    for folder in folders:
        match = _FOLDER.fullmatch(folder)
        if match is not None:
            values[_text(match[1])] = None if match[2] == _NULL else _text(match[2])
    return tuple(values.items())


def _text(part: str) -> str:
    # Bytes that are not UTF-8 are escaped, because Arrow refuses them.
    return unquote(part).encode("utf-8", "backslashreplace").decode("utf-8")


def span_of(partitions: Partitions, timezone: str) -> Span | None:
    """Return the span of a partition's event times, or None when its keys are no date.

    >>> span_of((("year", "2013"), ("month", "04")), "UTC").seconds / 86400
    30.0
    """
    values = {key.lower(): value for key, value in partitions if value is not None}
    try:
        interval = _interval(values)
    except (ValueError, OverflowError):
        return None
    if interval is None:
        return None
    # The span covers the date in UTC and the date in ``timezone``: nobody writes down which one is meant.
    moments = [
        [int(edge.replace(tzinfo=zone).timestamp()) * NANOSECONDS for edge in interval]
        for zone in (UTC, ZoneInfo(timezone))
    ]
    return Span(start=min(start for start, _ in moments), end=max(end for _, end in moments))


def _interval(values: dict[str, str]) -> tuple[datetime, datetime] | None:
    dates = [match for key in _DATE_KEYS if (match := _DATE.fullmatch(values.get(key, "")))]
    if dates:
        start = datetime(int(dates[0][1]), int(dates[0][2]), int(dates[0][3]))
        return _hours(start, values)
    if not re.fullmatch(r"\d{4}", values.get("year", ""), re.ASCII):
        return None
    year = int(values["year"])
    if "month" not in values:
        return datetime(year, 1, 1), datetime(year + 1, 1, 1)
    month = int(values["month"])
    if "day" not in values:
        following = (year + 1, 1) if month == 12 else (year, month + 1)
        return datetime(year, month, 1), datetime(*following, 1)
    return _hours(datetime(year, month, int(values["day"])), values)


def _hours(day: datetime, values: dict[str, str]) -> tuple[datetime, datetime]:
    for key in ("hour", "hh"):
        if key in values:
            start = day.replace(hour=int(values[key]))
            return start, start + timedelta(hours=1)
    return day, day + timedelta(days=1)


def constant(key: str, value: str | None, rows: int) -> pa.Array:
    """Return a partition's value as a column; a text of digits is an integer unless it is a date."""
    # The type follows from the value alone, and levels have the same text as either type.
    if value is None:
        return pa.nulls(rows)
    match = _DATE.fullmatch(value) if key.lower() in _DATE_KEYS else None
    if match is not None:
        value = "-".join(match.groups())
    elif re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        return pa.array(np.full(rows, int(value), dtype=np.int64))
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([value]))
