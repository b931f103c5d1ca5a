"""What is due at a time: closed windows that are not decided, and a refresh of the gauges."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.config.models import WindowConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import due_windows, newest_closed_window, sliding_window

#: Searches for late rows between two windows, and the seconds between two searches at least.
_SEARCHES, _MIN_SEARCH_SECONDS = 4, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    #: Oldest first.
    windows: tuple[Span, ...]
    #: Older windows that the limit leaves out.
    skipped: int


def backlog(window: WindowConfig, timezone: str, last_end: int | None, now: int, limit: int) -> Backlog:
    """Return the closed windows after ``last_end``, at most the ``limit`` newest."""
    windows = due_windows(last_end, now, window.length, window.lag, timezone)
    skipped = max(len(windows) - limit, 0)
    return Backlog(windows=tuple(windows[skipped:]), skipped=skipped)


def due_refresh(
    window: WindowConfig, timezone: str, last_end: int | None, last_refresh: int, now: int
) -> Span | None:
    """Return the newest sliding window that ends after the newest decided window and the last refresh."""
    if window.step == window.length:
        return None
    end = newest_closed_window(now, window.step, window.lag, timezone).end
    if end <= max(last_refresh, last_end or 0):
        return None
    return sliding_window(end, window.length, window.step, timezone)


def late_search_time(window: WindowConfig, now: int) -> int:
    """Return when the newest decided window is searched for late rows again."""
    return now + max(window.length // _SEARCHES, _MIN_SEARCH_SECONDS) * NANOSECONDS
