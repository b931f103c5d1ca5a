"""Sources whose extents are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from broken_sources.broken import Batches, Broken
from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.core.schema import NANOSECONDS, Span


class EndsAtTheNewest(Broken):
    breaks = "the_extent_is_the_oldest_and_the_newest_time"

    def extent_of(self, ends: list[int]) -> Span | None:
        return Span(start=ends[0], end=ends[-1]) if ends else None


class HasAnExtentOfSeconds(Broken):
    breaks = "the_extent_is_the_oldest_and_the_newest_time"

    def extent_of(self, ends: list[int]) -> Span | None:
        whole = super().extent_of(ends)
        return whole and Span(start=whole.start // NANOSECONDS * NANOSECONDS, end=whole.end)


class TakesUnusableFor1970(Broken):
    breaks = "times_that_cannot_be_used_are_in_no_extent"

    def times(self, batch: pa.RecordBatch) -> tuple[Int64Array, BoolArray]:
        times, usable = super().times(batch)
        return times, np.ones_like(usable)


class HasNoExtentWithoutATimeColumn(Broken):
    breaks = "an_extent_needs_a_time_column"

    def extent(self) -> Span | None:
        return None if self.config.time_column is None else super().extent()


class TakesAMissingTimeColumnForNoRows(Broken):
    breaks = "a_time_column_that_is_not_there_is_named"

    def stored(self, piece: Path) -> Batches:
        for batch in super().stored(piece):
            if self.config.time_column in batch.schema.names:
                yield batch


class TakesAnyTypeForTimes(Broken):
    breaks = "a_time_column_of_another_type_is_named"

    def check_times(self, schema: pa.Schema) -> None:
        if self.config.time_column not in schema.names:
            super().check_times(schema)
