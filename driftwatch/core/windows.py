"""Boundaries of aligned event-time windows.

Windows of whole days begin at local midnight of ``timezone`` (weeks on Monday), so a day has 23 or 25 hours
when clocks change. Shorter windows divide the UTC day and never change length.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from driftwatch.core.schema import NANOSECONDS, Span

_DAY = 86400
_MONDAY = date(1970, 1, 5).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _midnight(day: date, zone: ZoneInfo) -> int:
    moment = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(moment.timestamp()) * NANOSECONDS


def window_at(moment: int, length: int, timezone: str = "UTC") -> Span:
    """Return the window of ``length`` seconds that contains ``moment`` (nanoseconds).

    >>> window_at(0, 3600)
    Span(start=0, end=3600000000000)
    """
    if length < _DAY:
        start = moment // NANOSECONDS // length * length
        return Span(start=start * NANOSECONDS, end=(start + length) * NANOSECONDS)
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(moment // NANOSECONDS, tz=zone).date()
    days = length // _DAY
    first = date.fromordinal((local.toordinal() - _MONDAY) // days * days + _MONDAY)
    return Span(start=_midnight(first, zone), end=_midnight(first + timedelta(days=days), zone))


def window_boundaries(length: int, timezone: str, start: int, end: int) -> list[int]:
    """Return window boundaries from the last at or before ``start`` to the first at or after ``end``."""
    edges = [window_at(start, length, timezone).start]
    while edges[-1] < end:
        edges.append(window_at(edges[-1], length, timezone).end)
    return edges


def slice_boundaries(window: Span, length: int, step: int, timezone: str = "UTC") -> list[int]:
    """Return the ends of ``window``, and aligned boundaries in it, every ``length`` and ``step`` seconds.

    >>> hours = slice_boundaries(Span(start=0, end=7200 * NANOSECONDS), 7200, 3600)
    >>> [edge // NANOSECONDS for edge in hours]
    [0, 3600, 7200]
    """
    # A local midnight can lie within a step; without a boundary there, rows would count in two windows.
    edges = {window.start, window.end}
    for size in (length, step):
        edges.update(window_boundaries(size, timezone, window.start, window.end))
    return sorted(edge for edge in edges if window.start <= edge <= window.end)


def sliding_window(end: int, length: int, step: int, timezone: str = "UTC") -> Span:
    """Return the span of the ``length // step`` slices before ``end``; its length varies when clocks change.

    >>> sliding_window(7200 * NANOSECONDS, 7200, 3600) == Span(start=0, end=7200 * NANOSECONDS)
    True
    """
    start = end
    for _ in range(length // step):
        start = window_at(start - 1, step, timezone).start
    return Span(start=start, end=end)


def boundary_after(end: int, count: int, length: int, timezone: str = "UTC") -> int:
    """Return where the ``count``-th window after the boundary ``end`` ends.

    >>> boundary_after(7200 * NANOSECONDS, 2, 3600) // NANOSECONDS
    14400
    """
    if length < _DAY:
        return end + count * length * NANOSECONDS
    zone = ZoneInfo(timezone)
    day = datetime.fromtimestamp(end // NANOSECONDS, tz=zone).date()
    return _midnight(day + timedelta(days=count * (length // _DAY)), zone)


def newest_closed_window(now: int, length: int, lag: int, timezone: str = "UTC") -> Span:
    """Return the newest window that ended at least ``lag`` seconds before ``now``."""
    current = window_at(now - lag * NANOSECONDS, length, timezone)
    return window_at(current.start - 1, length, timezone)


def due_windows(last_end: int | None, now: int, length: int, lag: int, timezone: str = "UTC") -> list[Span]:
    """Return closed windows after ``last_end``, oldest first; only the newest if ``last_end`` is None."""
    newest = newest_closed_window(now, length, lag, timezone)
    if last_end is None:
        return [newest]
    if newest.end <= last_end:
        return []
    edges = window_boundaries(length, timezone, last_end, newest.end)
    return [Span(start=start, end=end) for start, end in pairwise(edges)]


def season_slot(start: int, seasons: tuple[str, ...], timezone: str = "UTC") -> int:
    """Return the number of the season slot of ``start``, such as its hour of day; 0 without seasons."""
    moment = datetime.fromtimestamp(start // NANOSECONDS, tz=ZoneInfo(timezone))
    slot = 0
    for season in seasons:
        if season == "hour_of_day":
            slot = slot * 24 + moment.hour
        elif season == "day_of_week":
            slot = slot * 7 + moment.weekday()
        else:
            slot = slot * 168 + moment.weekday() * 24 + moment.hour
    return slot


def parse_time(text: str) -> int:
    """Parse ISO 8601, by default in UTC, into nanoseconds, exact to the microsecond. Raises ``ValueError``.

    >>> parse_time("1970-01-02")
    86400000000000
    >>> parse_time("1970-01-01T00:00:01.75Z")
    1750000000
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
