"""What ``init`` sees on one side of the comparison, and the window that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from driftwatch.core.schema import NANOSECONDS

if TYPE_CHECKING:
    from driftwatch.columns.profile import Profile
    from driftwatch.columns.time_column import TimeColumn

#: Rows a window should have, and the share of windows that must have them.
ENOUGH = 200
MOSTLY = 0.75
LENGTHS = (3600, 86400, 7 * 86400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side's data: what it looks like, its event time, and what stands between values of a CSV file."""

    path: str
    profile: Profile
    time: TimeColumn
    delimiter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window length in seconds, rows it needs, and why."""

    length: int
    min_rows: int
    why: str


def times_of(side: Side) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    """Event times of the sampled rows, nanoseconds; None without event time."""
    from driftwatch.columns.arrow.sampled_times import NO_TIME, moments

    if side.time.name is None or not side.profile.rows:
        return None
    times = moments(side.profile.sample[side.time.name], "UTC")
    times = times[times != NO_TIME]
    return times if len(times) else None


def choose_window(side: Side) -> Window:
    """The shortest of an hour, a day, a week that mostly holds enough rows."""
    times = times_of(side)
    if times is None:
        return Window(length=86400, min_rows=ENOUGH, why="a day: without event time nothing better is known")
    factor = side.profile.rows / len(times)
    typical = 0
    for length in LENGTHS:
        counts = np.bincount((times - times.min()) // (length * NANOSECONDS)) * factor
        typical = round(float(np.median(counts)))
        enough = float((counts >= ENOUGH).mean())
        # The last block is hardly ever full; with a few blocks it would decide alone.
        if len(counts) < 4 and counts.max() >= ENOUGH and len(counts) > 1:
            enough = 1.0
        if enough >= MOSTLY:
            why = f"about {typical:,} rows in each; the shortest of 1h, 1d, 7d that mostly has {ENOUGH}"
            return Window(length=length, min_rows=ENOUGH, why=why)
    smaller = max(20, typical // 2)
    why = f"only about {typical:,} rows a week: small shifts will take long to see, and min_rows is lower"
    return Window(length=LENGTHS[-1], min_rows=min(ENOUGH, smaller), why=why)
