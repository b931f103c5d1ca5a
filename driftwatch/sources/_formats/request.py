"""The request to read one file, and the error that rejects a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from driftwatch.columns.arrow.event_time import is_time
from driftwatch.columns.rows.nested import Flattening, check_lists, is_flat, leaves, listed
from driftwatch.columns.rows.row_options import RowOptions
from driftwatch.core.schema import Span
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.header import looks_like_values, other_columns

#: Largest batch in rows and in bytes. For 2^16 rows a Parquet decoder allocates 2^17.
BATCH_ROWS = 64_000
BATCH_BYTES = 24 << 20
#: Bytes of a file that are held back until the file is known to be whole; one batch may exceed it.
MAX_HELD_BACK_BYTES = 32 << 20
COMMENT = "its first line is a comment (#): delete it, so that the column names come first."
_PLAIN_ROWS = RowOptions()


class BadFile(Exception):
    """Raised when one file is rejected; the others are read. ``detail`` never quotes rows."""

    def __init__(self, problem: FileProblem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


class NoEventTime(BadFile):
    """Raised when the declared time column is not in the file, or holds no times."""


@dataclass(slots=True, kw_only=True)
class ColumnsRead:
    """Columns that one reading has met, over all its files."""

    flattening: Flattening = field(default_factory=Flattening)
    #: Columns of files that lack a requested one, the most alike first.
    candidates: list[str] = field(default_factory=list)

    def note(self, missing: Sequence[str], names: Iterable[str]) -> None:
        candidates = dict.fromkeys((*self.candidates, *other_columns(missing, names)))
        self.candidates[:] = other_columns(missing, candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    #: None: all rows.
    span: Span | None
    #: None: all columns.
    columns: tuple[str, ...] | None
    time_column: str | None
    timezone: str
    delimiter: str = ","
    encoding: str = "utf-8"
    options: RowOptions = _PLAIN_ROWS
    #: Shared by all files of one reading.
    columns_read: ColumnsRead = field(default_factory=ColumnsRead)
    #: Columns that come from the path.
    partitions: tuple[str, ...] = ()
    #: The file is unchanged for long enough that its last line is whole.
    ended: bool = False

    @property
    def wanted(self) -> tuple[str, ...] | None:
        if self.columns is None or self.time_column is None:
            return self.columns
        return tuple(dict.fromkeys((*self.columns, self.time_column)))

    @property
    def stored(self) -> tuple[str, ...] | None:
        """The wanted columns, with the exploded lists in place of what their items hold."""
        wanted, lists = self.wanted, self.options.explode
        if wanted is None or lists is None:
            return wanted
        return (*(name for name in wanted if not self.is_item(name)), lists)

    def is_item(self, name: str) -> bool:
        """Whether a column comes out of the exploded lists."""
        lists = self.options.explode
        return lists is not None and (name == lists or name.startswith(f"{lists}."))

    def check_schema(self, schema: pa.Schema) -> None:
        """Raise ``BadFile`` for a schema that cannot be part of this data."""
        names, types = self._stored(schema)
        lists = self.options.explode
        if lists is not None and not any(map(self.is_item, names)):
            raise self._foreign(f"the lists {lists!r} to explode", names)
        self.check_lists(schema)
        # Of a structure that is null throughout, a file tells no fields.
        null = tuple(f"{name}." for name, kind in zip(names, types, strict=True) if pa.types.is_null(kind))
        inner = [name for name in self.wanted or () if name not in names and name.startswith(null)]
        self.check([*names, *inner], [*types, *(pa.null() for _ in inner)])

    def check_lists(self, schema: pa.Schema) -> None:
        # Flattened, objects beside lists would be columns of their own, and their rows gone.
        if self.options.explode is not None:
            check_lists(schema, self.options.explode)

    def note(self, schema: pa.Schema) -> None:
        """Note what a later part of a file has in place of columns."""
        self._note({*self._stored(schema)[0], *self.partitions})

    def _stored(self, schema: pa.Schema) -> tuple[list[str], list[pa.DataType]]:
        if self.options.explode is None and is_flat(schema):
            return schema.names, schema.types
        columns = leaves(schema, self.options.explode)
        return [leaf.name for leaf in columns], [leaf.data_type for leaf in columns]

    def check(self, names: Sequence[str], types: Sequence[pa.DataType] | None) -> None:
        """Raise ``BadFile`` for a schema that cannot be part of this data; ``types`` is None when unknown."""
        available = {*names, *self.partitions}
        if self.time_column is not None:
            if self.time_column not in available:
                missing_time = self._foreign(f"the time column {self.time_column!r}", names)
                raise NoEventTime(missing_time.problem, missing_time.detail)
            if types is not None and self.time_column in names:
                kind = types[list(names).index(self.time_column)]
                if not is_time(kind):
                    raise NoEventTime(
                        FileProblem.FOREIGN_SCHEMA,
                        f"expected times in column {self.time_column!r}. Got type {str(kind)[:80]}.",
                    )
        required = set(self.columns or ()) - {self.time_column}
        if required and not required & available:
            raise self._foreign(f"any of the columns {listed(sorted(required))}", names)
        self._note(available)

    def _note(self, available: set[str]) -> None:
        required = set(self.columns or ()) - {self.time_column}
        others = available - required - {self.time_column or ""}
        # A number that became an object has fields beside rows of numbers.
        parents = {name.rpartition(".")[0] for name in others}
        if missing := (required - available) | (required & parents):
            self.columns_read.note(sorted(missing), others)

    def _foreign(self, expected: str, names: Sequence[str]) -> BadFile:
        hint = ""
        if looks_like_values(names):
            hint = " They look like values: the file may lack a line of column names."
        elif names and names[0].startswith("#"):
            hint = f" Perhaps {COMMENT}"
        return BadFile(FileProblem.FOREIGN_SCHEMA, f"expected {expected}. Got {listed(names)}.{hint}")
