"""What every source is: settings that name it, and one way to read.

A source module defines ``CONFIG`` (a subclass of ``SourceConfig`` with ``type: Literal["<file name>"]``) and
``open_source(config) -> Source``. It runs inside a reader process with limits and a deadline; retries,
schedules, logs and metrics are not its work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from driftwatch.core.schema import Span
from driftwatch.core.settings import Settings, Zone
from driftwatch.results.results import RejectedFile

if TYPE_CHECKING:
    import pyarrow as pa


class SourceConfig(Settings):
    """Settings every source has."""

    type: str
    time_column: str | None = None
    timezone: Zone = "UTC"


@dataclass(slots=True, kw_only=True)
class Reading:
    """Rows on their way in. ``rejected`` and ``files`` are complete once ``batches`` is exhausted.

    ``version`` changes whenever the data of the span changed.
    """

    batches: Iterator[pa.RecordBatch]
    version: str
    rejected: list[RejectedFile] = field(default_factory=list)
    files: int = 0


class Source(Protocol):
    """Something that rows can be read from."""

    def version(self, span: Span | None) -> str:
        """A short text that changes whenever the data of ``span`` (None: all) changed. Cheap."""

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        """``version`` of each span, for little more than the price of one."""

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Rows of ``[start, end)`` in batches of bounded size; rows just outside may come along.

        ``columns`` None reads all. Columns the data lacks are simply absent. Raises
        ``SourceUnavailable`` when trying again can help; a file that cannot be read is named in
        ``rejected`` and the others are read.
        """

    def extent(self) -> Span | None:
        """Oldest and newest event time (``end`` is the newest row's time plus one nanosecond).

        None when there is no row. Raises ``SchemaMismatch`` without a time column.
        """
