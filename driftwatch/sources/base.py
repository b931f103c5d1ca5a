"""The interface of sources: their settings, and how they are read.

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
    type: str
    time_column: str | None = None
    timezone: Zone = "UTC"


@dataclass(slots=True, kw_only=True)
class Reading:
    """The rows of one span, and a report on reading them."""

    batches: Iterator[pa.RecordBatch]
    #: Changes whenever the data of the span changes.
    version: str
    #: ``rejected`` and ``files`` are complete once ``batches`` is exhausted.
    rejected: list[RejectedFile] = field(default_factory=list)
    files: int = 0


class Source(Protocol):
    def version(self, span: Span | None) -> str:
        """Return a short text that changes with the data of ``span`` (None: all), at less cost than a read.

        Some sources do not notice every change: see ``SqlSource.version``.
        """

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        """Return the version of each span, at little more than the cost of one."""

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Return the rows of ``[start, end)``, and perhaps rows just outside, in batches of bounded size.

        ``columns`` None reads all; columns that the data lacks are left out. An unreadable file is named in
        ``rejected`` and the others are read. Raises ``SourceUnavailable`` when a retry can help.
        """

    def extent(self) -> Span | None:
        """Return the oldest event time, and the newest plus one nanosecond; None when there is no row.

        Raises ``SchemaMismatch`` without a time column.
        """
