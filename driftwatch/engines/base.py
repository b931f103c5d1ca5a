"""The interface of engines: a plan and a source go in, one summary per tile and segment comes out.

An engine module defines ``CONFIG`` (a subclass of ``EngineConfig`` with ``type: Literal["<file name>"]``) and
``open_engine(config) -> Engine``. It runs inside a reader process, which also asks for versions, keeps the
limits and sends the summaries. Every engine counts like every other, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from driftwatch.core.schema import Span, TypeNames
from driftwatch.core.settings import Settings
from driftwatch.decoders.base import UndecodableReason
from driftwatch.errors import TooManyRows
from driftwatch.sources.base import Reading, Source, SourceConfig

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.summary.plan import Plan
    from driftwatch.summary.summary import Summary


#: Messages that could not be decoded, by (start of their tile, reason); start None for those without a usable
#: event time. Messages of other times, which a source may deliver too, are not counted.
Undecodable = Counter[tuple[int | None, UndecodableReason]]


class Capability(StrEnum):
    """What an engine can put into a summary."""

    COUNTS = "counts"
    #: The row sample, and with it the sums of joint detectors, which are sums over the sample.
    ROW_SAMPLE = "row_sample"


class EngineConfig(Settings):
    type: str

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the engine can do with these settings; nobody asks for more."""
        return frozenset({Capability.COUNTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The result of counting: summaries of tiles, and numbers of rows."""

    #: By (start of the tile in nanoseconds, segment); segment None is all rows. A tile without rows is there
    #: too, a segment only where it has rows.
    tiles: Mapping[tuple[int, str | None], Summary]
    #: Rows counted in a tile.
    rows: int
    #: Newest counted event time in nanoseconds.
    newest_row: int | None
    #: Rows before the first edge, or at and after the last.
    outside: int
    #: Rows without a usable event time.
    untimed: int
    #: Of the rows outside, those before ``SourceRows.history``, and those at and after its end, by their day
    #: since 1970 UTC.
    early_rows: Mapping[int, int] = field(default_factory=dict)
    future_rows: Mapping[int, int] = field(default_factory=dict)
    #: By start of the tile, of columns with a value in it; empty if the engine does not know types.
    types: Mapping[int, TypeNames] = field(default_factory=dict)


def columns_of(plan: Plan) -> list[str]:
    """Return the names of all columns that a plan reads."""
    names = [*(column.name for column in plan.columns), *plan.identity_columns]
    names += [plan.time_column] if plan.time_column is not None else []
    names += [plan.segmentation.column] if plan.segmentation is not None else []
    return list(dict.fromkeys(names))


def _unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return batches


@dataclass(slots=True, kw_only=True)
class SourceRows:
    """The rows of one span of a source, as an engine gets them.

    An engine that reads rows takes ``batches``, to their end. One that counts elsewhere, such as inside a
    database, connects by ``settings`` and asks for ``version`` before it counts.
    """

    settings: SourceConfig
    source: Source
    #: None: all rows.
    span: Span | None
    columns: Sequence[str]
    max_rows: int
    #: Rows before it, and at and after its end, are counted apart among those outside; None: none are.
    history: Span | None = None
    #: False where the versions of the tiles were taken before.
    needs_version: bool = True
    #: Turns messages into rows.
    decoded: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]] = _unchanged
    #: The report on ``batches``; complete once they are exhausted.
    reading: Reading | None = None
    source_version: str | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the rows, once. Raises the source's errors, and ``TooManyRows``."""
        if self.reading is not None:
            raise ValueError("the rows of a span are read once.")
        self.reading = self.source.read(self.span, self.columns)
        if self.source_version is None:
            self.source_version = self.reading.version if self.needs_version else ""
        return self._bounded(self.decoded(self.reading.batches))

    def version(self) -> str:
        """Return the source's version of the span, as of the first call or of the read."""
        if self.source_version is None:
            self.source_version = self.source.version(self.span)
        return self.source_version

    def _bounded(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in batches:
            rows += batch.num_rows
            if rows > self.max_rows:
                raise TooManyRows(
                    f"expected at most {self.max_rows:,} rows in one read (limits.rows). Got {rows:,} and "
                    "stopped there. Raise limits.rows, make window.length shorter, or keep other times out "
                    "of what is read, as folders named date=2026-01-31 do: CSV and JSON files are read, and "
                    "counted, whole."
                )
            yield batch


class Engine(Protocol):
    def summarise(self, plan: Plan, rows: SourceRows, edges: Sequence[int], *, seal: bool = True) -> Counted:
        """Count rows in the tiles ``[edges[i], edges[i + 1])``, nanoseconds, increasing.

        Equal rows give equal bytes (``encode_summary``) in any order and any split into batches. ``seal``
        closes the tiles (``Summary.seal``). An engine without ``ROW_SAMPLE`` returns summaries without
        sample, sums and numbers inside gaps, whatever the plan says. Raises ``ValueError`` for edges that do
        not increase, and for a plan without time column with more than one tile.
        """
