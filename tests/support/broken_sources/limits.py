"""Sources that give too much at once, or lose rows where batches meet."""

from __future__ import annotations

import pyarrow as pa

from broken_sources.broken import Batches, Broken, Names, Part
from driftwatch.sources.base import Reading


class GivesOneBatch(Broken):
    breaks = "a_batch_has_a_bounded_number_of_rows"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        batches = list(super().batches(span, columns, reading))
        if batches:
            yield pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


class RepeatsARowAtABorder(Broken):
    breaks = "a_batch_has_a_bounded_number_of_rows"

    def bounded(self, batch: pa.RecordBatch) -> Batches:
        for start in range(0, batch.num_rows, 300):
            yield batch.slice(max(start - 1, 0), 301)


class LosesARowAtABorder(Broken):
    breaks = "a_batch_has_a_bounded_number_of_rows"

    def bounded(self, batch: pa.RecordBatch) -> Batches:
        for start in range(0, batch.num_rows, 300):
            yield batch.slice(start, 299)


class StopsAt65536Rows(Broken):
    breaks = "a_batch_has_a_bounded_number_of_rows"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        rows = 0
        for batch in super().batches(span, columns, reading):
            yield batch.slice(0, max(0, (1 << 16) - rows))
            rows += batch.num_rows


class GivesHeavyBatches(Broken):
    """Bounded by rows alone."""

    breaks = "memory_holds_few_batches"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        pending: list[pa.RecordBatch] = []
        for batch in super().batches(span, columns, reading):
            pending.append(batch)
            if len(pending) == 20:
                yield pa.Table.from_batches(pending).combine_chunks().to_batches()[0]
                pending = []
        yield from pending


class HoldsAllRows(Broken):
    breaks = "memory_holds_few_batches"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        yield from list(super().batches(span, columns, reading))


class ReadsBeforeItIsAsked(Broken):
    breaks = "memory_holds_few_batches"

    def read(self, span: Part, columns: Names) -> Reading:
        reading = super().read(span, columns)
        reading.batches = iter(list(reading.batches))
        return reading
