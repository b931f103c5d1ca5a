"""What is asked of one file, and how a file that cannot give it is turned away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from driftwatch.columns.arrow.event_time import is_time
from driftwatch.core.schema import Span
from driftwatch.results.results import FileProblem

#: Rows of one batch, and what a batch may weigh. For 2^16 rows a Parquet decoder takes room for 2^17.
BATCH_ROWS = 64_000
BATCH_BYTES = 24 << 20
#: What of a file is held back until it is known to be whole; one batch may go beyond it.
HELD_BYTES = 32 << 20


class BadFile(Exception):
    """Raised when one file is left out; the others are read. ``detail`` never holds values of rows."""

    def __init__(self, problem: FileProblem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Rows of ``span`` (None: all) with ``columns`` (None: all); ``partitions`` come from the path.

    ``ended`` says that the file was left alone long enough for its last line to be whole.
    """

    span: Span | None
    columns: tuple[str, ...] | None
    time_column: str | None
    timezone: str
    delimiter: str = ","
    partitions: tuple[str, ...] = ()
    ended: bool = False

    @property
    def wanted(self) -> tuple[str, ...] | None:
        """The columns to read from the file, event time included."""
        if self.columns is None or self.time_column is None:
            return self.columns
        return tuple(dict.fromkeys((*self.columns, self.time_column)))

    def check(self, names: Sequence[str], types: Sequence[pa.DataType] | None) -> None:
        """Turn a file away that cannot be part of this data. ``types`` None: not known yet."""
        known = {*names, *self.partitions}
        if self.time_column is not None:
            if self.time_column not in known:
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
        asked = set(self.columns or ()) - {self.time_column}
        if asked and not asked & known:
            raise BadFile(
                FileProblem.FOREIGN_SCHEMA,
                f"expected any of the columns {_listed(sorted(asked))}. Got {_listed(names)}.",
            )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "no columns"
