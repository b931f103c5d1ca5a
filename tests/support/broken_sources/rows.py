"""Sources that give wrong rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from source_tables import START

from broken_sources.broken import Batches, Broken, Names, Part, mapped
from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.errors import DataError, SourceUnavailable
from driftwatch.sources.base import Reading

_OPEN_FILES: list[Any] = []


class DropsTheStart(Broken):
    breaks = "rows_at_the_start_are_in_and_at_the_end_are_not"

    def inside(self, times: Int64Array, span: Span) -> BoolArray:
        return (times > span.start) & (times < span.end)


class DropsBeforeTheEnd(Broken):
    breaks = "rows_at_the_start_are_in_and_at_the_end_are_not"

    def inside(self, times: Int64Array, span: Span) -> BoolArray:
        return (times >= span.start) & (times < span.end - 1)


class CutsAtWholeSeconds(Broken):
    breaks = "rows_at_the_start_are_in_and_at_the_end_are_not"

    def inside(self, times: Int64Array, span: Span) -> BoolArray:
        return (times // NANOSECONDS >= span.start // NANOSECONDS) & (
            times // NANOSECONDS < span.end // NANOSECONDS
        )


class MovesTheEndInside(Broken):
    """Rows at the end come with a time in the span."""

    breaks = "rows_at_the_start_are_in_and_at_the_end_are_not"

    def cut(self, batch: pa.RecordBatch, span: Part) -> pa.RecordBatch:
        if span is None:
            return batch
        times, usable = self.times(batch)
        inside = usable & (times >= span.start) & (times <= span.end)
        clipped = pa.array(np.minimum(times, span.end - 1), mask=~usable).cast(pa.timestamp("ns", "UTC"))
        place = batch.schema.names.index("t")
        return batch.set_column(place, "t", clipped).filter(pa.array(inside))


class ForgetsAPiece(Broken):
    breaks = "every_row_comes_once"

    def pieces(self) -> list[Path]:
        return super().pieces()[:1]


class ReadsAPieceTwice(Broken):
    breaks = "every_row_comes_once"

    def pieces(self) -> list[Path]:
        pieces = super().pieces()
        return pieces + pieces[-1:]


class MergesEqualRows(Broken):
    breaks = "equal_rows_stay_apart"

    def cut(self, batch: pa.RecordBatch, span: Part) -> pa.RecordBatch:
        rows = super().cut(batch, span).to_pylist()
        return pa.RecordBatch.from_pylist(
            [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in rows)], batch.schema
        )


class TakesRowsForSorted(Broken):
    """It stops at the first row after the span."""

    breaks = "the_order_of_rows_changes_no_count"

    def inside(self, times: Int64Array, span: Span) -> BoolArray:
        return super().inside(times, span) & ~np.logical_or.accumulate(times >= span.end)


class CountsPerBatch(Broken):
    """A text is replaced by its place among the batch's texts."""

    breaks = "any_cut_of_a_span_gives_the_same_counts"

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        return mapped(
            super().selected(batch, columns),
            pa.types.is_string,
            lambda array: array.dictionary_encode().indices,
        )


class FailsOnAnEmptySpan(Broken):
    breaks = "a_span_without_rows_is_no_error"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        rows = 0
        for batch in super().batches(span, columns, reading):
            rows += batch.num_rows
            yield batch
        if not rows and span is not None:
            raise DataError(f"{self.config.path}: expected rows. Got none.")


class FailsOnAnEmptySource(Broken):
    breaks = "a_source_without_rows_is_no_error"

    def pieces(self) -> list[Path]:
        pieces = super().pieces()
        if not any(batch.num_rows for piece in pieces for batch in self.kept_batches(piece)):
            raise SourceUnavailable(f"{self.config.path}: expected rows. Got none.")
        return pieces


class GivesAnEmptySourceAnExtent(Broken):
    breaks = "a_source_without_rows_is_no_error"

    def extent_of(self, ends: list[int]) -> Span | None:
        return super().extent_of(ends) or Span(start=0, end=1)


class GoesOnWhereItStopped(Broken):
    breaks = "a_reading_broken_off_and_begun_again_is_whole"
    position = 0

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        for place, batch in enumerate(list(super().batches(span, columns, reading))):
            if place >= self.position:
                self.position = place + 1
                yield batch
        self.position = 0


class LeavesFilesOpen(Broken):
    breaks = "a_reading_broken_off_and_begun_again_is_whole"

    def stored(self, piece: Path) -> Batches:
        _OPEN_FILES.append(pa.OSFile(str(piece)))
        reader = pa.ipc.open_file(_OPEN_FILES[-1])
        for place in range(reader.num_record_batches):
            yield reader.get_batch(place)


class SwallowsInterrupts(Broken):
    breaks = "a_reading_broken_off_and_begun_again_is_whole"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        try:
            yield from super().batches(span, columns, reading)
        except BaseException:  # noqa: BLE001 - that is the fault
            return


class HasOneCursor(Broken):
    breaks = "readings_at_once_do_not_disturb_each_other"
    cursor: Iterator[Path] = iter(())

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        self.cursor = iter(self.pieces())
        while (piece := next(self.cursor, None)) is not None:
            for batch in self.stored(piece):
                yield from self.bounded(self.selected(self.cut(batch, span), columns))


class OverflowsOnWideSpans(Broken):
    breaks = "the_widest_span_has_every_row"

    def inside(self, times: Int64Array, span: Span) -> BoolArray:
        datetime.fromtimestamp(span.end // 1000 / 1000, UTC)
        return super().inside(times, span)


class BeginsIn1970(Broken):
    breaks = "the_widest_span_has_every_row"

    def inside(self, times: Int64Array, span: Span) -> BoolArray:
        return super().inside(times, span) & (times >= 0)


class GuessesTimes(Broken):
    breaks = "rows_without_a_time_are_in_no_span"

    def cut(self, batch: pa.RecordBatch, span: Part) -> pa.RecordBatch:
        place = batch.schema.names.index("t")
        times = batch.column(place)
        if pa.types.is_timestamp(times.type):
            guess = pa.scalar(START).cast(pa.timestamp("ns")).cast(times.type)
            batch = batch.set_column(place, batch.schema[place], times.fill_null(guess))
        return super().cut(batch, span)


class DropsRowsWithoutATime(Broken):
    breaks = "rows_without_a_time_are_in_no_span"

    def cut(self, batch: pa.RecordBatch, span: Part) -> pa.RecordBatch:
        return super().cut(batch.filter(batch.column("t").is_valid()), span)


class IgnoresItsZone(Broken):
    breaks = "a_time_zone_of_the_source_is_that_of_its_times"

    def times(self, batch: pa.RecordBatch) -> tuple[Int64Array, BoolArray]:
        return event_times(batch.column(self.config.time_column), "UTC")
