"""Converts the bounds of a span to the type of a database's time column."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import NANOSECONDS, Span

#: Local times repeat when clocks change; the engine drops rows outside the span.
_CLOCK_CHANGE_MARGIN = timedelta(hours=3)


def predicate(example: Any, span: Span, timezone: str) -> tuple[Any, Any] | None:
    """Return (low, high) such that ``low <= time < high`` for every row of the span.

    ``example`` is a value of the column. Returns None for a type without bounds: then all rows are read.
    """
    low = datetime.fromtimestamp(span.start // NANOSECONDS, tz=UTC)
    high = datetime.fromtimestamp(-(-span.end // NANOSECONDS), tz=UTC)
    if isinstance(example, datetime):
        if example.tzinfo is not None:
            return low, high
        zone = ZoneInfo(timezone)
        return (
            low.astimezone(zone).replace(tzinfo=None) - _CLOCK_CHANGE_MARGIN,
            high.astimezone(zone).replace(tzinfo=None) + _CLOCK_CHANGE_MARGIN,
        )
    day = timedelta(days=1)
    if isinstance(example, date):
        return low.date() - day, high.date() + 2 * day
    # Texts are compared by their date with a margin of a day: right for ISO 8601 in any zone and with any
    # separator.
    if isinstance(example, str) and len(example) >= 10 and example[4] == "-":
        return (low.date() - day).isoformat(), (high.date() + 2 * day).isoformat()
    if isinstance(example, int | float | Decimal) and example:
        return _numbers(example, span)
    return None


def _numbers(example: float | Decimal, span: Span) -> tuple[int, int] | None:
    # In the example's unit, which follows from its size.
    number = float(example)
    times, usable = event_times(pa.array([number]), "UTC")
    if not usable[0] or not times[0]:
        return None
    unit = next((unit for unit in (1_000_000_000, 1_000_000, 1_000, 1) if _near(number * unit, times[0])), 1)
    return span.start // unit, -(-span.end // unit)


def _near(left: float, right: float) -> bool:
    return abs(left - right) <= 1e-6 * abs(right)
