"""Reads and profiles one side (reference or production) for ``init``, and chooses the window length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftwatch.core.history_range import counting_period, history_range, window_rows
from driftwatch.core.schema import NANOSECONDS, Span

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.columns.profile import Profile
    from driftwatch.columns.time_column import TimeColumn

#: Rows of each side that are read.
MAX_ROWS = 2_000_000
#: Rows that a window should have, and the share of windows that must have them.
MIN_ROWS = 200
MIN_SHARE_OF_WINDOWS = 0.75
#: Rows below which ``init`` sets no ``min_rows``.
_MIN_ROWS_FLOOR = 20
#: Candidates for the window length, seconds: an hour, a day, a week.
LENGTHS = (3600, 86400, 7 * 86400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    path: str
    profile: Profile
    time: TimeColumn
    #: Settings of the files, by key.
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    #: Seconds.
    length: int
    min_rows: int
    reason: str


Times = np.ndarray[tuple[int], np.dtype[np.int64]]


def read_side(path: str, read: Callable[[str], Iterable[pa.RecordBatch]], options: Mapping[str, Any]) -> Side:
    from driftwatch.columns.profile import profile
    from driftwatch.columns.time_column import find_time_column

    data_profile = profile(_first_rows(read(path), MAX_ROWS))
    time = find_time_column(data_profile, numbers=True)
    column = None if time.name is None else data_profile.column(time.name)
    if column is not None and column.earliest is None:
        # Numbers are times only where they are declared to be.
        data_profile = profile(_first_rows(read(path), MAX_ROWS), time_column=time.name)
    return Side(path=path, profile=data_profile, time=time, options=options)


def _first_rows(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return


def times_of(side: Side) -> Times | None:
    """Return the event times of sampled rows in nanoseconds; None when the data has no event time."""
    from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds

    if side.time.name is None or not side.profile.rows:
        return None
    times = epoch_nanoseconds(side.profile.sample[side.time.name], "UTC")
    times = times[times != NO_TIME]
    return times if len(times) else None


def history_of(side: Side) -> Span | None:
    """Return the span of the event times without strays; None when the data has no event time."""
    times = times_of(side)
    column = None if side.time.name is None else side.profile.column(side.time.name)
    if times is None or column is None or column.earliest is None or column.latest is None:
        return None
    history_times = _without_strays(times, LENGTHS[1], side.profile.rows / len(times))
    window = LENGTHS[1] * NANOSECONDS
    first, last = int(history_times.min()), int(history_times.max())
    # The sample need not hold the first and the last row.
    start = column.earliest if column.earliest >= first // window * window else first
    end = column.latest if column.latest < (last // window + 1) * window else last
    return Span(start=start, end=end + 1)


def _without_strays(times: Times, length: int, rows_per_sampled_row: float) -> Times:
    numbers, rows = np.unique(times // (counting_period(length) * NANOSECONDS), return_counts=True)
    counts = dict(zip(numbers.tolist(), rows.tolist(), strict=True))
    history = history_range(window_rows(counts, length, "UTC"), MIN_ROWS / rows_per_sampled_row)
    return times if history is None else times[(times >= history.start) & (times < history.end)]


def _rows_of_windows(times: Times, length: int) -> Times:
    """Return the rows of the windows; empty ones count only within days that have rows.

    So a silence or a backfill long before decides nothing, and hours without traffic do.
    """
    places, rows = np.unique((times - times.min()) // (length * NANOSECONDS), return_counts=True)
    windows_per_day = max(LENGTHS[1] // length, 1)
    days = np.unique(places // windows_per_day)
    windows = (days[:, None] * windows_per_day + np.arange(windows_per_day)).ravel()
    counts = np.zeros(int(np.searchsorted(windows, places[-1])) + 1, dtype=np.int64)
    counts[np.searchsorted(windows, places)] = rows
    return counts


def choose_window(side: Side) -> Window:
    """Choose the shortest of ``LENGTHS`` at which most windows have ``MIN_ROWS`` rows."""
    times = times_of(side)
    if times is None:
        return Window(
            length=86400, min_rows=MIN_ROWS, reason="a day: without event time nothing better is known"
        )
    rows_per_sampled_row = side.profile.rows / len(times)
    median_rows = 0
    for length in LENGTHS:
        history_times = _without_strays(times, length, rows_per_sampled_row)
        counts = _rows_of_windows(history_times, length) * rows_per_sampled_row
        median_rows = round(float(np.median(counts)))
        share = float((counts >= MIN_ROWS).mean())
        # The last block is hardly ever full; with a few blocks it would decide alone.
        if len(counts) < 4 and counts.max() >= MIN_ROWS and len(counts) > 1:
            share = 1.0
        if share >= MIN_SHARE_OF_WINDOWS:
            reason = (
                f"about {median_rows:,} rows in each; the shortest of 1h, 1d, 7d that mostly has {MIN_ROWS}"
            )
            return Window(length=length, min_rows=MIN_ROWS, reason=reason)
    min_rows = max(_MIN_ROWS_FLOOR, median_rows // 2)
    reason = (
        f"only about {median_rows:,} rows a week: small shifts will take long to see, and min_rows is lower"
    )
    return Window(length=LENGTHS[-1], min_rows=min(MIN_ROWS, min_rows), reason=reason)
