"""Aligned windows of event time. Pure arithmetic; the clock is an argument.

Windows of whole days begin at local midnight of ``timezone`` (weeks on Monday), so they have 23 or 25 hours
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
    """The window of ``length`` seconds that contains ``moment`` (nanoseconds).

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


def boundaries(length: int, timezone: str, start: int, end: int) -> list[int]:
    """Aligned boundaries from the window holding ``start`` up to the first one at or after ``end``."""
    edges = [window_at(start, length, timezone).start]
    while edges[-1] < end:
        edges.append(window_at(edges[-1], length, timezone).end)
    return edges


def slices(window: Span, length: int, step: int, timezone: str = "UTC") -> list[int]:
    """Boundaries of a window's slices: where slices of ``step`` and windows of ``length`` begin.

    A local midnight can lie within a step; without a cut there, rows would count in two windows.

    >>> hours = slices(Span(start=0, end=7200 * NANOSECONDS), 7200, 3600)
    >>> [edge // NANOSECONDS for edge in hours]
    [0, 3600, 7200]
    """
    edges = {window.start, window.end}
    for size in (length, step):
        edges.update(boundaries(size, timezone, window.start, window.end))
    return sorted(edge for edge in edges if window.start <= edge <= window.end)


def sliding(end: int, length: int, step: int, timezone: str = "UTC") -> Span:
    """The ``length // step`` slices up to ``end``, itself the end of one: not ``length`` when clocks change.

    >>> sliding(7200 * NANOSECONDS, 7200, 3600) == Span(start=0, end=7200 * NANOSECONDS)
    True
    """
    start = end
    for _ in range(length // step):
        start = window_at(start - 1, step, timezone).start
    return Span(start=start, end=end)


def newest_closed(now: int, length: int, lag: int, timezone: str = "UTC") -> Span:
    """The newest window that had ended ``lag`` seconds before ``now``."""
    current = window_at(now - lag * NANOSECONDS, length, timezone)
    return window_at(current.start - 1, length, timezone)


def due(last_end: int | None, now: int, length: int, lag: int, timezone: str = "UTC") -> list[Span]:
    """Closed windows after ``last_end``, oldest first; only the newest one when none was decided yet."""
    newest = newest_closed(now, length, lag, timezone)
    if last_end is None:
        return [newest]
    if newest.end <= last_end:
        return []
    edges = boundaries(length, timezone, last_end, newest.end)
    return [Span(start=start, end=end) for start, end in pairwise(edges)]


def season_slot(start: int, seasons: tuple[str, ...], timezone: str = "UTC") -> int:
    """A number for the season slot a window begins in; 0 when no season is declared."""
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
    """Nanoseconds of an ISO 8601 time, to the microsecond; without a zone it is UTC. Raises ``ValueError``.

    >>> parse_time("1970-01-02")
    86400000000000
    >>> parse_time("1970-01-01T00:00:01.75Z")
    1750000000
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
