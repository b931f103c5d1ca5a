"""Compares event times in a database: bounds of spans in the type of the time column."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from driftwatch.columns.arrow.calendar_numbers import all_calendar_dates, calendar_ranges
from driftwatch.columns.arrow.event_time import (
    event_times,
    ordered_by_time,
    unit_nanoseconds,
)
from driftwatch.core.schema import NANOSECONDS, Span

#: Low and high: ``low <= time < high``.
Bounds = tuple[Any, Any]
#: Local times repeat when clocks change; the engine drops rows outside the span.
_CLOCK_CHANGE_MARGIN = timedelta(hours=3)
_DAY = timedelta(days=1)
#: Nanoseconds per unit: the size of a number tells its unit.
_UNITS = (NANOSECONDS, 1_000_000, 1_000, 1)
_MAX_INT64 = (1 << 63) - 1
#: What int64 nanoseconds hold, less than margins of bounds and time zones could exceed.
_END_MARGIN = 9 * 86_400 * NANOSECONDS
WIDEST = Span(start=_END_MARGIN - _MAX_INT64, end=_MAX_INT64 - _END_MARGIN)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def is_time_value(value: Any) -> bool:
    return isinstance(value, date | str) or is_number(value)


def value_array(values: list[Any]) -> pa.Array:
    # Mixed types become text.
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        texts = [None if value is None else str(value) for value in values]
        return pa.array([text and text.encode("utf-8", "backslashreplace").decode() for text in texts])


def usable_times(values: Sequence[Any], timezone: str) -> tuple[Any, ...]:
    return tuple(value for value in values if event_times(value_array([value]), timezone)[1][0])


def predicates(examples: Sequence[Any], span: Span, timezone: str) -> list[Bounds] | None:
    """Return bounds such that every row of the span lies within some.

    ``examples`` are usable times of the column, of numbers also the least and the greatest. Returns None when
    they cannot be compared: then all rows are read.
    """
    bounds = _number_bounds([float(value) for value in examples if is_number(value)], span)
    by_type = {type(value): value for value in examples if not is_number(value)}
    for example in by_type.values():
        if isinstance(example, str) and iso_date(example) is None:
            return None
        bounds.append(_moment_bounds(example, span, timezone))
    return bounds or None


def _number_bounds(examples: list[float], span: Span) -> list[Bounds]:
    if not examples:
        return []
    least, greatest = min(examples), max(examples)
    low, high = (
        datetime.fromtimestamp(edge // NANOSECONDS, tz=UTC).date() for edge in (span.start, span.end)
    )
    bounds: list[Bounds] = list(calendar_ranges(least, greatest, low - _DAY, high + 2 * _DAY))
    if all_calendar_dates(least, greatest):
        return bounds
    places = [_UNITS.index(unit_nanoseconds(number)) for number in examples]
    first = 0 if least < 0 < greatest else min(places)
    # One more on both sides: fractions are rounded to nanoseconds.
    ends = [(span.start // unit - 1, -(-span.end // unit) + 1) for unit in _UNITS[first : max(places) + 1]]
    return bounds + [(max(start, -_MAX_INT64), min(end, _MAX_INT64)) for start, end in ends]


def _moment_bounds(example: datetime | date | str, span: Span, timezone: str) -> Bounds:
    low = datetime.fromtimestamp(span.start // NANOSECONDS, tz=UTC)
    high = datetime.fromtimestamp(-(-span.end // NANOSECONDS), tz=UTC)
    if isinstance(example, datetime):
        if example.tzinfo is not None:
            return low, high
        zone, margin = ZoneInfo(timezone), timedelta() if timezone == "UTC" else _CLOCK_CHANGE_MARGIN
        first = low.astimezone(zone).replace(tzinfo=None) - margin
        return first, high.astimezone(zone).replace(tzinfo=None) + margin
    # Texts are compared by their date with a margin of a day: right for ISO 8601 in any zone and with any
    # separator.
    days = (low.date() - _DAY, high.date() + 2 * _DAY)
    return days if isinstance(example, date) else (days[0].isoformat(), days[1].isoformat())


def merged_bounds(bounds: Sequence[Bounds]) -> list[Bounds]:
    """Return bounds of the same values, those of one type apart from each other."""
    by_type: dict[Any, list[Bounds]] = {}
    for pair in sorted(bounds, key=lambda pair: str(type(pair[0]))):
        by_type.setdefault(type(pair[0]), []).append(pair)
    merged: list[Bounds] = []
    for pairs in by_type.values():
        first = len(merged)
        for low, high in sorted(pairs):
            if len(merged) > first and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
    return merged


def iso_date(text: str) -> date | None:
    """Return the date with which an ISO 8601 text begins."""
    try:
        return date.fromisoformat(text[:10]) if text[4:5] == "-" else None
    except ValueError:
        return None


def end_bounds(low: Any, high: Any) -> list[Bounds] | None:
    """Return bounds within which the oldest and the newest time lie, given least and greatest value.

    An empty list: they are these values. None: they can be anywhere.
    """
    numbers = [float(value) for value in (low, high) if is_number(value)]
    if len(numbers) == 2:
        return [] if ordered_by_time(numbers[0], numbers[1]) else None
    if isinstance(low, str) and isinstance(high, str):
        # The order of texts is that of times only up to zones and separators.
        first, last = iso_date(low), iso_date(high)
        if first is None or last is None:
            return None
        return [(low, (first + 3 * _DAY).isoformat()), ((last - 2 * _DAY).isoformat(), high + "~")]
    return [] if type(low) is type(high) else None
