"""Asks a source for its event times alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.arrays import Int64Array
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.errors import DataError, SchemaMismatch
from driftwatch.results.results import RejectedFile
from driftwatch.sources.base import Source, SourceConfig

#: Periods with rows that are counted: bounds the memory, and the windows that would follow.
MAX_PERIODS = 1 << 20
#: Files that an error names.
_MAX_LISTED = 5
#: Nanoseconds before a moment in which its newest row is looked for, one after the other; then all rows are.
_PROBES = tuple(days * 86_400 * NANOSECONDS for days in (2, 20, 200))


def row_counts(settings: SourceConfig, source: Source, period: int, span: Span | None = None) -> Counter[int]:
    """Count rows by the number of their period of so many seconds since 1970; rows without a time in none.

    Pieces that cannot be read are left out, unless nothing else is there. Raises the source's errors, and
    ``DataError`` above ``MAX_PERIODS``.
    """
    counts: Counter[int] = Counter()
    rejected: list[RejectedFile] = []
    for times in _times(settings, source, span, rejected):
        numbers, rows = np.unique(times // (period * NANOSECONDS), return_counts=True)
        counts.update(dict(zip(numbers.tolist(), rows.tolist(), strict=True)))
        if len(counts) > MAX_PERIODS:
            raise DataError(
                f"expected rows in at most {MAX_PERIODS:,} periods of {period} s. Got more. Make "
                "window.length longer, or name a part of the history."
            )
    if not counts and rejected:
        # That no file has the time column is an error of its own.
        source.extent()
        problems = "; ".join(
            f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in rejected[:_MAX_LISTED]
        )
        raise SchemaMismatch(f"expected rows with an event time in the source. Got {problems}.")
    return counts


def newest_time(settings: SourceConfig, source: Source, until: int) -> int | None:
    """Return the newest event time before ``until``; cheap while no row is stamped later."""
    extent = source.extent()
    if extent is None or extent.end <= until:
        return None if extent is None else extent.end - 1
    for start in (*(until - probe for probe in _PROBES), extent.start):
        span = Span(start=max(start, extent.start), end=until)
        if span.start >= until:
            return None
        newest = max((int(times.max()) for times in _times(settings, source, span)), default=None)
        if newest is not None or span.start == extent.start:
            return newest
    return None


def _times(
    settings: SourceConfig, source: Source, span: Span | None, rejected: list[RejectedFile] | None = None
) -> Iterator[Int64Array]:
    """Yield the event times of a span (None: all) in arrays that are not empty, then add to ``rejected``."""
    name = settings.time_column
    if name is None:
        raise SchemaMismatch("source: expected a time_column. Got none. Name the column of event times.")
    reading = source.read(span, ())
    for batch in reading.batches:
        # A file may repeat a name: its first column counts.
        times, usable = event_times(batch.column(batch.schema.names.index(name)), settings.timezone)
        if span is not None:
            usable &= (times >= span.start) & (times < span.end)
        if usable.any():
            yield times[usable]
    if rejected is not None:
        rejected += reading.rejected
