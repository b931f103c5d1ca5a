"""Profiles the columns of a reference in one pass and bounded memory.

The result does not depend on the order of rows, or on how they were cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.plain_types import plain_columns
from driftwatch.columns.arrow.profile_values import (
    ColumnValues,
    TypeFamily,
    column_values,
    decode,
    family_of,
    row_hashes,
)
from driftwatch.columns.one_column import ColumnAccumulator, ColumnProfile
from driftwatch.columns.row_sample import RowReservoir
from driftwatch.columns.value_counts import ValueCounts
from driftwatch.core.arrays import Int64Array

#: Rows of the sample and distinct values per column; values of both over all columns, to bound memory.
MAX_SAMPLE_ROWS = 100_000
MAX_DISTINCT = 16_384
_MAX_SAMPLE_VALUES = 20_000_000
_MAX_COUNTED_VALUES = 4_000_000
#: Rows, values and bytes of a batch: one of many columns or long texts is cut smaller.
_MAX_BATCH_ROWS = 1 << 16
_MAX_BATCH_VALUES = 4_000_000
_MAX_BATCH_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    rows: int
    columns: tuple[ColumnProfile, ...]
    #: Distinct rows in hash order.
    sample: pa.Table
    #: ``weights[k]`` rows share the content of sample row ``k``.
    weights: Int64Array
    #: Whether the sample holds every row.
    is_complete: bool

    def column(self, name: str) -> ColumnProfile | None:
        return next((column for column in self.columns if column.name == name), None)


def profile(
    batches: Iterable[pa.RecordBatch], *, timezone: str = "UTC", time_column: str | None = None
) -> Profile:
    """Profile every row once. About 100 ns a value; memory stays below a few hundred MiB.

    ``timezone`` applies to times without one. A declared ``time_column`` may also hold numbers since 1970 and
    values that are no time.

    >>> table = profile([pa.RecordBatch.from_pydict({"a": [1, 2, 2, None]})])
    >>> table.rows, table.columns[0].n_distinct, table.columns[0].nulls
    (4, 2, 1)
    """
    accumulators: dict[str, ColumnAccumulator] = {}
    reservoir: RowReservoir | None = None
    rows = 0
    for batch in _bounded_batches(batches):
        n_columns = max(1, batch.num_columns)
        if reservoir is None:
            reservoir = RowReservoir(limit=min(MAX_SAMPLE_ROWS, max(1000, _MAX_SAMPLE_VALUES // n_columns)))
        columns = _add_batch(accumulators, batch, rows, timezone, time_column)
        rows += batch.num_rows
        for accumulator in accumulators.values():
            accumulator.pad(rows)
        reservoir.add(row_hashes(columns, batch.num_rows), _countable(batch))
    if reservoir is None:
        return Profile(
            rows=0, columns=(), sample=pa.table({}), weights=np.empty(0, np.int64), is_complete=True
        )
    reservoir.merge()
    return Profile(
        rows=rows,
        columns=_finished(accumulators),
        sample=reservoir.table,
        weights=reservoir.weights,
        is_complete=reservoir.is_complete,
    )


def _finished(accumulators: Mapping[str, ColumnAccumulator]) -> tuple[ColumnProfile, ...]:
    """Return the profiles, without structures that some batches have as a column of nulls, not as fields."""
    structures = {name[:end] for name in accumulators for end, sign in enumerate(name) if sign == "."}
    columns = [accumulator.finish() for accumulator in accumulators.values()]
    return tuple(
        column
        for column in columns
        if not (column.name in structures and column.family is TypeFamily.NULL and not column.n_present)
    )


def _add_batch(
    accumulators: dict[str, ColumnAccumulator],
    batch: pa.RecordBatch,
    rows: int,
    timezone: str,
    time_column: str | None,
) -> dict[str, ColumnValues]:
    columns: dict[str, ColumnValues] = {}
    for name in batch.schema.names:
        array = batch.column(name)
        columns[name] = column_values(array)
        if name not in accumulators:
            limit = min(MAX_DISTINCT, max(512, _MAX_COUNTED_VALUES // batch.num_columns))
            # A new column was null in all rows before this batch.
            accumulators[name] = ColumnAccumulator(
                name=name,
                value_counts=ValueCounts(limit=limit),
                nulls=rows,
                rows=rows,
                is_declared=name == time_column,
            )
        is_category = pa.types.is_dictionary(array.type)
        type_name = str(decode(array.slice(0, 0)).type)
        accumulators[name].add(columns[name], type_name, is_category=is_category)
        accumulators[name].add_times(columns[name], array, timezone)
    return columns


def _countable(batch: pa.RecordBatch) -> pa.RecordBatch:
    # Nested values are sampled as nulls: they may be large, and Arrow cannot take all of them.
    for position, data_type in enumerate(batch.schema.types):
        if family_of(data_type) is TypeFamily.UNSUPPORTED:
            batch = batch.set_column(position, batch.schema.names[position], pa.nulls(batch.num_rows))
    return batch


def _bounded_batches(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    for batch in map(plain_columns, batches):
        n_rows = min(_MAX_BATCH_ROWS, max(1024, _MAX_BATCH_VALUES // max(1, batch.num_columns)))
        if batch.num_rows and any(
            family_of(data_type) in (TypeFamily.TEXT, TypeFamily.VECTOR) for data_type in batch.schema.types
        ):
            n_rows = min(n_rows, max(256, batch.num_rows * _MAX_BATCH_BYTES // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, n_rows):
            yield batch.slice(start, n_rows)


__all__ = ["MAX_DISTINCT", "MAX_SAMPLE_ROWS", "ColumnProfile", "Profile", "TypeFamily", "profile"]
