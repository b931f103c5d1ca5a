"""Trends of a monitor's statistics over its newest windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.store.browsing import Browsing, StoredTrend

#: Windows of a trend.
TREND_WINDOWS = 60
#: Bytes of stored verdicts that are searched for all trends of a page, and at least for each column.
MAX_BYTES = 64_000_000
MIN_BYTES_PER_COLUMN = 6_000_000
#: The band of a trend: percentiles over at least this many windows in which the column did not change.
MIN_BAND_WINDOWS = 10
BAND_PERCENTILES = (5.0, 95.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One statistic over windows, oldest first."""

    ends: tuple[int, ...]
    values: tuple[float | None, ...]
    #: The band over healthy windows, None if they are few. Healthy means: the column did not change and the
    #: reference is that of the newest window.
    usual: tuple[float, float] | None
    #: Index of the first window compared with the reference of the newest one.
    since: int


def read_trends(
    browsing: Browsing,
    monitor: str,
    segment: str | None,
    columns: Sequence[str],
    end_below: int | None,
    limit: int = TREND_WINDOWS,
) -> dict[tuple[str, str], Trend]:
    """Return the trend of each (column, detector) over the newest windows, fewer for wide monitors."""
    if not columns:
        return {}
    # Each column searches the text of every verdict, so the bytes are bounded.
    max_bytes = max(MAX_BYTES // len(columns), MIN_BYTES_PER_COLUMN)
    return trends_of(
        browsing.trend(monitor, segment, columns, end_below=end_below, limit=limit, max_bytes=max_bytes)
    )


def trends_of(windows: Sequence[StoredTrend]) -> dict[tuple[str, str], Trend]:
    if not windows:
        return {}
    current = windows[-1].reference
    since = next(n for n, item in enumerate(windows) if all(x.reference == current for x in windows[n:]))
    points: dict[tuple[str, str], dict[int, float | None]] = {}
    for position, item in enumerate(windows):
        for statistic in item.statistics:
            key = (statistic["column"], statistic["detector"])
            points.setdefault(key, {})[position] = statistic["value"]
    ends = tuple(item.end for item in windows)
    trends = {}
    for key, values in points.items():
        healthy = (n for n in range(since, len(windows)) if _healthy(windows[n], key[0]))
        healthy_values = [value for n in healthy if (value := values.get(n)) is not None]
        low, high = (
            np.percentile(healthy_values, BAND_PERCENTILES)
            if len(healthy_values) >= MIN_BAND_WINDOWS
            else (None, None)
        )
        trends[key] = Trend(
            ends=ends,
            values=tuple(values.get(n) for n in range(len(windows))),
            usual=None if low is None or high is None else (float(low), float(high)),
            since=since,
        )
    return trends


def _healthy(window: StoredTrend, column: str) -> bool:
    return window.state == "ok" or column in window.unchanged
