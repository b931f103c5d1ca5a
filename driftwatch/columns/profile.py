"""Pass one over a reference: what each column looks like, in bounded memory.

Nothing here depends on how the rows were cut into batches or in which order they came.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.profile_values import Cells, Shape, cells, plain, row_hashes, shape_of
from driftwatch.columns.one_column import ColumnProfile, Follower
from driftwatch.columns.row_sample import RowReservoir
from driftwatch.columns.value_counts import Tally
from driftwatch.core.arrays import Int64Array

#: Rows of the sample, distinct values counted per column, and what both are worth over all columns.
SAMPLE_ROWS = 100_000
DISTINCT = 16_384
_SAMPLE_CELLS = 20_000_000
_TALLY_CELLS = 4_000_000
#: Rows looked at together; a batch of many columns or long texts is cut smaller.
_ROWS = 1 << 16
_BATCH_CELLS = 4_000_000
_BATCH_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """All columns of a reference, and a sample of its distinct rows in hash order.

    ``weights[k]`` rows share the content of sample row ``k``; ``complete`` says the sample holds every row.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    sample: pa.Table
    weights: Int64Array
    complete: bool

    def column(self, name: str) -> ColumnProfile | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


def profile(
    batches: Iterable[pa.RecordBatch], *, timezone: str = "UTC", time_column: str | None = None
) -> Profile:
    """Look at every row once. About 100 ns a value; memory stays below a few hundred MiB.

    ``timezone`` is that of times without one. The declared ``time_column`` may also hold numbers since 1970
    and values that are no time.

    >>> table = profile([pa.RecordBatch.from_pydict({"a": [1, 2, 2, None]})])
    >>> table.rows, table.columns[0].distinct, table.columns[0].nulls
    (4, 2, 1)
    """
    columns: dict[str, Follower] = {}
    reservoir: RowReservoir | None = None
    rows = 0
    for batch in _cut(batches):
        width = max(1, batch.num_columns)
        if reservoir is None:
            reservoir = RowReservoir(limit=min(SAMPLE_ROWS, max(1000, _SAMPLE_CELLS // width)))
        looked = _follow(columns, batch, rows, timezone, time_column)
        rows += batch.num_rows
        for column in columns.values():
            column.rows_seen(rows)
        reservoir.add(row_hashes(looked, batch.num_rows), batch)
    if reservoir is None:
        return Profile(rows=0, columns=(), sample=pa.table({}), weights=np.empty(0, np.int64), complete=True)
    reservoir.settle()
    return Profile(
        rows=rows,
        columns=tuple(column.finish() for column in columns.values()),
        sample=reservoir.table,
        weights=reservoir.weights,
        complete=reservoir.complete,
    )


def _follow(
    columns: dict[str, Follower], batch: pa.RecordBatch, rows: int, timezone: str, time_column: str | None
) -> dict[str, Cells]:
    """Show each column of a batch to its follower; a column that comes late was null for ``rows`` rows."""
    looked: dict[str, Cells] = {}
    for name in batch.schema.names:
        array = batch.column(name)
        looked[name] = cells(array)
        if name not in columns:
            limit = min(DISTINCT, max(512, _TALLY_CELLS // batch.num_columns))
            columns[name] = Follower(
                name=name, tally=Tally(limit=limit), nulls=rows, rows=rows, declared=name == time_column
            )
        columns[name].add(looked[name], str(plain(array.slice(0, 0)).type))
        columns[name].add_times(looked[name], array, timezone)
    return looked


def _cut(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """The rows in batches of bounded rows and bytes."""
    for batch in batches:
        size = min(_ROWS, max(1024, _BATCH_CELLS // max(1, batch.num_columns)))
        if batch.num_rows and any(
            shape_of(kind) in (Shape.TEXT, Shape.VECTOR) for kind in batch.schema.types
        ):
            size = min(size, max(256, batch.num_rows * _BATCH_BYTES // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


__all__ = ["DISTINCT", "SAMPLE_ROWS", "ColumnProfile", "Profile", "Shape", "profile"]
