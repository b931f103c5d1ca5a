"""The interface of sources: their settings, and how they are read.

A source module defines ``CONFIG`` (a subclass of ``SourceConfig`` with ``type: Literal["<file name>"]``) and
``open_source(config) -> Source``, which reads nothing. It runs inside a reader process with limits and a
deadline; retries, schedules, logs and metrics are not its work.

Errors are those of ``driftwatch.errors``: ``SourceUnavailable`` says that a retry can help, any other that
none can. A text says where, on one line and without secrets. ``CONFIG`` refuses settings that are wrong in
themselves. Settings sent as JSON open the same source in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from driftwatch.core.schema import Span
from driftwatch.core.settings import Settings, Zone
from driftwatch.results.results import RejectedFile

if TYPE_CHECKING:
    import pyarrow as pa

#: Limits of one batch; a row that weighs more than the bytes is a batch of its own.
MAX_BATCH_ROWS = 1 << 16
MAX_BATCH_BYTES = 32 << 20
#: Names in ``other_columns``.
MAX_OTHER_COLUMNS = 20


class SourceConfig(Settings):
    type: str
    time_column: str | None = None
    timezone: Zone = "UTC"

    @property
    def described(self) -> str:
        """What is read, for an error: without secrets, on one line."""
        return f"the {self.type} source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the data that can be left out, such as a file."""

    #: Names it within its source.
    path: str
    #: Its name for people.
    name: str
    #: Bytes, and time of the last change in nanoseconds: with other ones it is another piece.
    size: int
    modified: int


def _nobody(_piece: Piece, _detail: str = "") -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceChoice:
    """Which pieces are read, and who hears of each before it is opened."""

    #: Details for ``Reading.rejected``, where these pieces are named as ``quarantined``.
    left_out: Mapping[Piece, str] = field(default_factory=dict)
    #: Likewise by path, however a piece changes while what fails is searched for.
    left_out_paths: Mapping[str, str] = field(default_factory=dict)
    #: Paths of the only pieces to read; None: all. Others are not named.
    only: Collection[str] | None = None
    opened: Callable[[Piece], None] = _nobody
    #: Hears of a piece that a version has as left out, and why: its rows may not be read again.
    passed: Callable[[Piece, str], None] = _nobody

    def detail(self, piece: Piece) -> str | None:
        """Return why the piece is left out; None for one that is read."""
        return self.left_out.get(piece, self.left_out_paths.get(piece.path))


@dataclass(slots=True, kw_only=True)
class Reading:
    """The rows of one span, and a report on reading them."""

    batches: Iterator[pa.RecordBatch]
    #: The span's version as it was before the rows were read. Whoever needs it asks before the first row: a
    #: source to which it is a cost may take it then, and say "" later, which is no version.
    version: str
    #: Pieces of the data that could not be read. Complete, as ``files`` is, once ``batches`` is exhausted.
    rejected: list[RejectedFile] = field(default_factory=list)
    files: int = 0
    #: Where a requested column is missing, names of columns that are there instead, the most alike first.
    other_columns: list[str] = field(default_factory=list)


@runtime_checkable
class Piecewise(Protocol):
    """A source of pieces, of which one that ends its reader is found and left out.

    A piece that is left out is never opened, and named in ``rejected``. A version changes when a piece comes
    to be left out, or is no longer.
    """

    piece_choice: PieceChoice


@runtime_checkable
class Clocked(Protocol):
    """A source whose rows depend on the time, such as a file's age: whoever asks says what time it is."""

    now: Callable[[], int]


class Source(Protocol):
    def version(self, span: Span | None) -> str:
        """Return a short text that changes with the data of ``span`` (None: all), for about a read at most.

        Also with a value changed in place, values that change places, a row moved to another time, and rows
        removed and added again with other values. The same data has the same version in every process. Where
        rows have no order, none changes it. Data far from the span does not change it, where the source can
        tell.
        """

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        """Return the version of each span, in their order, at little more than the cost of one."""

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Return the rows of ``[start, end)`` (None: all), each exactly once, in any order and any batches.

        Rows come with times and values as they are stored. Rows outside the span, or without a usable time,
        may come too: engines drop them. A span may have no rows. ``columns`` None reads all; otherwise these
        and the time column come, without those that the data lacks. A structure comes as columns of its
        fields, ``request.age``, and a null one as nulls.

        A batch has at most ``MAX_BATCH_ROWS`` rows and about ``MAX_BATCH_BYTES``; memory holds few batches. A
        reading that is broken off leaves nothing behind, and several may run at once.

        What cannot be read is never left out silently: a piece, such as a file, is named in ``rejected`` and
        the others are read. Raises ``SourceUnavailable`` for an outage. A time column that is missing or
        holds no times, or no requested column at all, raises ``SchemaMismatch`` or rejects the piece.
        """

    def extent(self) -> Span | None:
        """Return the oldest event time, and the newest plus one nanosecond; None without any usable time.

        Raises ``SchemaMismatch`` without a time column.
        """
