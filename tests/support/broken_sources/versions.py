"""Sources whose versions are wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from broken_sources.broken import Batches, Broken, Names, Part
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
