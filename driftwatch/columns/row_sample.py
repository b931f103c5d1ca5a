"""Samples whole rows in bounded memory, the same rows for any split and any order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.profile_values import TypeFamily, decode, family_of
from driftwatch.core.arrays import Int64Array, UInt64Array
from driftwatch.core.hashing import group_starts

#: Memory of the sampled rows.
MAX_SAMPLE_BYTES = 128 << 20


@dataclass(slots=True, kw_only=True)
class RowReservoir:
    """Distinct rows with the smallest content hashes (bottom-k), at most ``limit`` and ``MAX_SAMPLE_BYTES``.

    Rows are left out wherever their hash reaches ``threshold``, the smallest that did not fit, so
    that no part drops a row that the whole would keep.
    """

    limit: int
    hashes: UInt64Array = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    #: Exact number of rows of each content.
    weights: Int64Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    table: pa.Table | None = None
    threshold: np.uint64 | None = None
    _pending: list[tuple[UInt64Array, pa.Table]] = field(default_factory=list)
    _pending_rows: int = 0
    _pending_bytes: int = 0

    def add(self, hashes: UInt64Array, batch: pa.RecordBatch) -> None:
        positions = (
            np.arange(len(hashes)) if self.threshold is None else np.flatnonzero(hashes < self.threshold)
        )
        if not len(positions):
            return
        rows = batch if len(positions) == len(hashes) else batch.take(pa.array(positions))
        columns = {name: decode(rows.column(name)) for name in rows.schema.names}
        self._pending.append((hashes[positions], pa.table(columns)))
        self._pending_rows += len(positions)
        self._pending_bytes += self._pending[-1][1].nbytes
        if self._pending_rows > 2 * self.limit or self._pending_bytes > MAX_SAMPLE_BYTES:
            self.merge()

    def merge(self) -> None:
        if not self._pending:
            return
        parts, weights = self._pending, [np.ones(self._pending_rows, dtype=np.int64)]
        if self.table is not None:
            parts, weights = [(self.hashes, self.table), *parts], [self.weights, *weights]
        hashes = np.concatenate([part[0] for part in parts])
        order, starts = group_starts(hashes)
        weight_sums = np.add.reduceat(np.concatenate(weights)[order], starts)
        first_positions = order[starts]
        table = concatenate_tables([part[1] for part in parts]).take(pa.array(first_positions[: self.limit]))
        n_rows = min(self.limit, _rows_within_bytes(table))
        if n_rows < len(first_positions):
            self.threshold = hashes[first_positions[n_rows]]
        self.hashes, self.weights = hashes[first_positions[:n_rows]], weight_sums[:n_rows].copy()
        self.table = table.slice(0, n_rows).combine_chunks()
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    @property
    def is_complete(self) -> bool:
        return self.threshold is None


def _rows_within_bytes(table: pa.Table) -> int:
    sizes = np.full(table.num_rows, 8 * table.num_columns, dtype=np.int64)
    for column in table.columns:
        family = family_of(column.type)
        if family is TypeFamily.TEXT:
            lengths = pc.binary_length(column)
        elif family is TypeFamily.VECTOR:
            lengths = pc.multiply(pc.list_value_length(column), 8)
        else:
            continue
        sizes += lengths.fill_null(0).to_numpy().astype(np.int64)
    return max(1, int(np.searchsorted(np.cumsum(sizes), MAX_SAMPLE_BYTES, side="right")))


def concatenate_tables(tables: list[pa.Table]) -> pa.Table:
    """Return all rows; a column whose types do not go together becomes text."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    names = list(dict.fromkeys(name for table in tables for name in table.schema.names))
    text_columns = {}
    for name in names:
        column_tables = [pa.table({name: table[name]}) for table in tables if name in table.schema.names]
        try:
            pa.concat_tables(column_tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # Columns of incompatible types become text.
            text_columns[name] = pa.large_string()
    return pa.concat_tables(
        [_cast_columns(table, text_columns) for table in tables], promote_options="permissive"
    )


def _cast_columns(table: pa.Table, columns: dict[str, pa.DataType]) -> pa.Table:
    for position, name in enumerate(table.schema.names):
        if name in columns:
            table = table.set_column(position, name, _as_texts(table[name], columns[name]))
    return table


def _as_texts(values: pa.ChunkedArray, text_type: pa.DataType) -> pa.ChunkedArray:
    try:
        return values.cast(text_type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # Arrow writes no lists, and no bytes that are not UTF-8.
        texts = [None if value is None else str(value) for value in values.to_pylist()]
        return pa.chunked_array([pa.array(texts, text_type)])
