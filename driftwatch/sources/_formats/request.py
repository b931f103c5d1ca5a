"""The request to read one file, and the error that rejects a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from driftwatch.columns.arrow.event_time import is_time
from driftwatch.core.schema import Span
from driftwatch.results.results import FileProblem

#: Largest batch in rows and in bytes. For 2^16 rows a Parquet decoder allocates 2^17.
BATCH_ROWS = 64_000
BATCH_BYTES = 24 << 20
#: Bytes of a file that are held back until the file is known to be whole; one batch may exceed it.
MAX_HELD_BACK_BYTES = 32 << 20


class BadFile(Exception):
    """Raised when one file is rejected; the others are read. ``detail`` never quotes rows."""

    def __init__(self, problem: FileProblem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    #: None: all rows.
    span: Span | None
    #: None: all columns.
    columns: tuple[str, ...] | None
    time_column: str | None
    timezone: str
    delimiter: str = ","
    #: Columns that come from the path.
    partitions: tuple[str, ...] = ()
    #: The file is unchanged for long enough that its last line is whole.
    ended: bool = False

    @property
    def wanted(self) -> tuple[str, ...] | None:
        if self.columns is None or self.time_column is None:
            return self.columns
        return tuple(dict.fromkeys((*self.columns, self.time_column)))

    def check(self, names: Sequence[str], types: Sequence[pa.DataType] | None) -> None:
        """Raise ``BadFile`` for a schema that cannot be part of this data; ``types`` is None when unknown."""
        available = {*names, *self.partitions}
        if self.time_column is not None:
            if self.time_column not in available:
                raise BadFile(
                    FileProblem.FOREIGN_SCHEMA,
                    f"expected the time column {self.time_column!r}. Got {_listed(names)}.",
                )
            if types is not None and self.time_column in names:
                kind = types[list(names).index(self.time_column)]
                if not is_time(kind):
                    raise BadFile(
                        FileProblem.FOREIGN_SCHEMA,
                        f"expected times in column {self.time_column!r}. Got type {str(kind)[:80]}.",
                    )
        required = set(self.columns or ()) - {self.time_column}
        if required and not required & available:
            raise BadFile(
                FileProblem.FOREIGN_SCHEMA,
                f"expected any of the columns {_listed(sorted(required))}. Got {_listed(names)}.",
            )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "no columns"
