"""Sources whose versions are wrong."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from functools import reduce
from operator import xor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from broken_sources.broken import Batches, Broken, Names, Part, mapped
from driftwatch.core.schema import Span
from driftwatch.sources.base import Reading


class HasARandomVersion(Broken):
    breaks = "the_same_data_has_the_same_version"

    def version_of(self, span: Part) -> str:
        return super().version_of(span) + str(random.random())


class HasAVersionOfThisProcess(Broken):
    breaks = "another_process_reads_the_same"

    def version_of(self, span: Part) -> str:
        return str(hash(super().version_of(span)))


class HasAConstantVersion(Broken):
    breaks = "the_version_notices_a_change"

    def version_of(self, span: Part) -> str:
        super().version_of(span)
        return "1"


class HasAVersionOfTheNewestRow(Broken):
    breaks = "the_version_notices_a_change"

    def version_of(self, span: Part) -> str:
        super().version_of(span)
        batches = [self.cut(batch, span) for piece in self.pieces() for batch in self.kept_batches(piece)]
        return str(max((int(max(self.times(batch)[0])) for batch in batches if batch.num_rows), default=0))


class HasAVersionOfTheCount(Broken):
    breaks = "the_version_notices_a_change"

    def version_of(self, span: Part) -> str:
        super().version_of(span)
        return str(
            sum(
                self.cut(batch, span).num_rows
                for piece in self.pieces()
                for batch in self.kept_batches(piece)
            )
        )


class HasAVersionOfSomeColumns(Broken):
    breaks = "any_value_changed_in_place_changes_the_version"

    def cut(self, batch: pa.RecordBatch, span: Part) -> pa.RecordBatch:
        return super().cut(batch, span).select(["t", "x"])


class HasAVersionOfRoundedNumbers(Broken):
    breaks = "any_value_changed_in_place_changes_the_version"

    def cut(self, batch: pa.RecordBatch, span: Part) -> pa.RecordBatch:
        return mapped(super().cut(batch, span), pa.types.is_floating, pc.round)


class HasAVersionOfEachColumn(Broken):
    breaks = "values_that_change_places_change_the_version"

    def version_of(self, span: Part) -> str:
        batches = [self.cut(batch, span) for piece in self.pieces() for batch in self.kept_batches(piece)]
        columns = zip(*(batch.columns for batch in batches), strict=True)
        return str([sorted(repr(value) for part in column for value in part) for column in columns])[-190:]


class HasAVersionWithoutTimes(Broken):
    breaks = "a_row_that_moves_changes_the_version"

    def cut(self, batch: pa.RecordBatch, span: Part) -> pa.RecordBatch:
        rows = super().cut(batch, span)
        return rows.set_column(0, "t", pa.nulls(rows.num_rows, rows.schema.field("t").type))


class TakesEqualRowsForNone(Broken):
    """Of an even number of equal rows nothing is left of the hash."""

    breaks = "rows_removed_and_added_again_change_the_version"

    def version_of(self, span: Part) -> str:
        hashes = [int(text, 16) for text in self.row_hashes(span)]
        return str(reduce(xor, hashes, len(hashes)))


class HasAVersionOfTheOrder(Broken):
    breaks = "the_order_of_rows_changes_no_version"

    def version_of(self, span: Part) -> str:
        return hashlib.sha256("".join(self.row_hashes(span)).encode()).hexdigest()


class HasAVersionOfEverything(Broken):
    breaks = "rows_far_from_a_span_do_not_change_its_version"

    def version_of(self, span: Part) -> str:
        return super().version_of(None)


class RemembersVersions(Broken):
    breaks = "the_version_notices_a_change"

    def version_of(self, span: Part) -> str:
        memo: dict[Any, str] = self.__dict__.setdefault("memo", {})
        if span not in memo:
            memo[span] = super().version_of(span)
        return memo[span]


class SortsVersions(Broken):
    breaks = "versions_are_those_of_each_span"

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        return sorted(super().versions(spans))


class GivesEachVersionOnce(Broken):
    breaks = "versions_are_those_of_each_span"

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        return super().versions(list(dict.fromkeys(spans)))


class TakesTheVersionLast(Broken):
    breaks = "a_reading_has_the_version_from_before_its_rows"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        yield from super().batches(span, columns, reading)
        reading.version = self.version_of(span)
