"""Leaves rows with stray times out of a reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds
from driftwatch.core.arrays import Int64Array
from driftwatch.core.history_range import counting_period, history_range, least_rows, window_rows
from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.core.windows import window_at
from driftwatch.reference._first_pass import FirstPass

if TYPE_CHECKING:
    from driftwatch.config.models import MonitorConfig

ReadBatches = Callable[[], Iterable[pa.RecordBatch]]
#: Sampled rows of the first and of the last window that show that it is full, if they are also half of the
#: median window's.
_MIN_SAMPLED_ROWS, _MIN_SAMPLED_SHARE = 100, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _TimeColumn:
    name: str
    timezone: str
    #: Nanoseconds.
    period: int

    def times(self, batch: pa.RecordBatch) -> tuple[Int64Array, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        if self.name not in batch.schema.names:
            return np.zeros(batch.num_rows, dtype=np.int64), np.zeros(batch.num_rows, dtype=np.bool_)
        return event_times(batch.column(batch.schema.names.index(self.name)), self.timezone)

    def counts(self, batches: Iterable[pa.RecordBatch]) -> Counter[int]:
        counts: Counter[int] = Counter()
        for batch in batches:
            times, usable = self.times(batch)
            counts.update(_counts(times[usable] // self.period, None))
        return counts


def stray_free(
    monitor: MonitorConfig, first_pass: FirstPass, read: ReadBatches
) -> tuple[ReadBatches, str] | None:
    """Return how to read the rows within the ``history_range``, and a note on the others; None if none."""
    name, profile = first_pass.time.name, first_pass.profile
    column = None if name is None else profile.column(name)
    if name is None or column is None or column.earliest is None or column.latest is None:
        return None
    window, align = monitor.window, monitor.timezone
    period = counting_period(window.length) * NANOSECONDS
    time_column = _TimeColumn(name=name, timezone=monitor.reference.timezone, period=period)
    sampled_times = epoch_nanoseconds(profile.sample[name], monitor.reference.timezone)
    is_timed = sampled_times != NO_TIME
    weights = profile.weights[is_timed] if profile.is_complete else None
    counts = _counts(sampled_times[is_timed] // period, weights)
    if not profile.is_complete:
        ends = [window_at(moment, window.length, align) for moment in (column.earliest, column.latest)]
        rows = dict(window_rows(counts, window.length, align))
        median = float(np.median(list(rows.values()))) if rows else 0.0
        full_rows = max(_MIN_SAMPLED_ROWS, _MIN_SAMPLED_SHARE * median)
        if all(rows.get(end, 0) >= full_rows for end in ends):
            return None
        # The sample cannot tell a thin window from a stray: all rows are counted.
        counts = time_column.counts(read())
    windows = window_rows(counts, window.length, align)
    history = history_range(windows, window.min_rows)
    if history is None or (history.start <= column.earliest and column.latest < history.end):
        return None
    stray_rows = sum(rows for item, rows in windows if item.end <= history.start or item.start >= history.end)
    least = least_rows([rows for _, rows in windows], window.min_rows)
    note = (
        f"{stray_rows:,} rows are stamped before {iso(history.start)} or after {iso(history.end)} and were "
        f"left out: the windows of their times hold fewer than {least:.4g} rows"
    )
    return lambda: _without_strays(time_column, history, read()), note


def _counts(numbers: Int64Array, weights: Int64Array | None) -> Mapping[int, int]:
    distinct, places, rows = np.unique(numbers, return_inverse=True, return_counts=True)
    if weights is not None:
        rows = np.bincount(places.ravel(), weights, minlength=len(distinct)).astype(np.int64)
    return dict(zip(distinct.tolist(), rows.tolist(), strict=True))


def _without_strays(
    time_column: _TimeColumn, history: Span, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    # Rows without a time stay: they are counted and named where rows are.
    for batch in batches:
        times, usable = time_column.times(batch)
        is_stray = usable & ((times < history.start) | (times >= history.end))
        yield batch.filter(pa.array(~is_stray)) if is_stray.any() else batch
