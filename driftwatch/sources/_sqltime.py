"""Bounds on a time column in the type that a database holds it in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import NANOSECONDS, Span

#: Clocks that change make local times run back by an hour; rows just outside are left to the engine.
_SLACK = timedelta(hours=3)


def predicate(example: Any, span: Span, timezone: str) -> tuple[Any, Any] | None:
    """``low <= time < high`` that holds for every row of the span, given one value of the column.

    Texts are compared by their date with a day to spare, which is right for ISO 8601 in any zone and with
    any separator. None when the type cannot be bounded; then all rows are read.
    """
    low = datetime.fromtimestamp(span.start // NANOSECONDS, tz=UTC)
    high = datetime.fromtimestamp(-(-span.end // NANOSECONDS), tz=UTC)
    if isinstance(example, datetime):
        if example.tzinfo is not None:
            return low, high
        zone = ZoneInfo(timezone)
        return (
            low.astimezone(zone).replace(tzinfo=None) - _SLACK,
            high.astimezone(zone).replace(tzinfo=None) + _SLACK,
        )
    day = timedelta(days=1)
    if isinstance(example, date):
        return low.date() - day, high.date() + 2 * day
    if isinstance(example, str) and len(example) >= 10 and example[4] == "-":
        return (low.date() - day).isoformat(), (high.date() + 2 * day).isoformat()
    if isinstance(example, int | float | Decimal) and example:
        return _numbers(example, span)
    return None


def _numbers(example: float | Decimal, span: Span) -> tuple[int, int] | None:
    """Bounds in the unit that the example is in, which follows from its size."""
    number = float(example)
    times, usable = event_times(pa.array([number]), "UTC")
    if not usable[0] or not times[0]:
        return None
    unit = next((unit for unit in (1_000_000_000, 1_000_000, 1_000, 1) if _near(number * unit, times[0])), 1)
    return span.start // unit, -(-span.end // unit)


def _near(left: float, right: float) -> bool:
    return abs(left - right) <= 1e-6 * abs(right)
