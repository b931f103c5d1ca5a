"""Finds where a source's history begins and ends, by the rows of its windows.

A row stamped 1970 by a missing clock, or 2199 for "never", is no history: tens of thousands of empty windows
would follow from it. A backfill of whole days is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import window_at

DAY_SECONDS = 86_400
#: Every time zone's midnight is a multiple of it, since 1972.
_QUARTER_HOUR = 900
#: The first and the last window of a history hold at least the median window's rows over this.
_EDGE_PARTS = 10
#: One row is a stray where windows have more.
_MIN_EDGE_ROWS = 2


def counting_period(length: int) -> int:
    """Return the seconds of periods since 1970 that no window edge divides."""
    return length if length < DAY_SECONDS else _QUARTER_HOUR


def window_rows(counts: Mapping[int, int], length: int, timezone: str) -> list[tuple[Span, int]]:
    """Return the windows that have rows, oldest first, from rows by number of the ``counting_period``."""
    period = counting_period(length) * NANOSECONDS
    numbers = np.array(sorted(counts), dtype=np.int64)
    sums = np.concatenate(([0], np.cumsum([counts[number] for number in numbers.tolist()])))
    windows: list[tuple[Span, int]] = []
    first = 0
    while first < len(numbers):
        window = window_at(int(numbers[first]) * period, length, timezone)
        last = int(np.searchsorted(numbers, -(-window.end // period)))
        windows.append((window, int(sums[last] - sums[first])))
        first = last
    return windows


def least_rows(rows: Sequence[float], min_rows: float) -> float:
    """Return the least rows of a history's first and last window, from those of windows that have any.

    >>> least_rows([400, 400, 400, 1], 200), least_rows([5_000, 5_000], 200), least_rows([8, 8, 1], 200)
    (40.0, 200.0, 2.0)
    """
    median = float(np.median(rows)) if len(rows) else 0.0
    return max(min(float(min_rows), median / _EDGE_PARTS), min(float(_MIN_EDGE_ROWS), median))


def history_range(windows: Sequence[tuple[Span, int]], min_rows: float) -> Span | None:
    """Return the span from the first to the last window with enough rows; None without rows."""
    least = least_rows([rows for _, rows in windows], min_rows)
    full = [window for window, rows in windows if rows >= least]
    return Span(start=full[0].start, end=full[-1].end) if full else None


def stray_rows(
    early_rows: Mapping[int, int], future_rows: Mapping[int, int], day_rows: float, min_rows: float
) -> tuple[int, int]:
    """Return how many rows of one read are stamped before any history, and how many in no real future.

    ``early_rows`` lie before the monitor's first window and ``future_rows`` after the present, by day. Days
    with about as many rows as those that were asked for are no strays: a log may be older than its monitor,
    and tomorrow will be judged.
    """
    least = least_rows([day_rows] if day_rows else [*early_rows.values(), *future_rows.values()], min_rows)
    first = min((day for day, count in early_rows.items() if count >= least), default=None)
    last = max((day for day, count in future_rows.items() if count >= least), default=None)
    return (
        sum(count for day, count in early_rows.items() if first is None or day < first),
        sum(count for day, count in future_rows.items() if last is None or day > last),
    )
