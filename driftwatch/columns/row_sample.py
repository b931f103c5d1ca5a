"""A bounded sample of whole rows that comes out the same for any split and any order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.profile_values import Shape, plain, shape_of
from driftwatch.core.arrays import Int64Array, UInt64Array
from driftwatch.core.hashing import groups

#: Bytes of rows that are kept at most.
BYTES = 128 << 20


@dataclass(slots=True, kw_only=True)
class RowReservoir:
    """The distinct rows with the smallest content hashes: at most ``limit`` of them and ``BYTES`` together.

    ``weights[k]`` is the exact number of rows of each content. Rows from the first one that did not fit
    are left out, wherever it was met: so no part ever drops a row that the whole would keep.
    """

    limit: int
    hashes: UInt64Array = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    weights: Int64Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    table: pa.Table | None = None
    cut: np.uint64 | None = None
    _waiting: list[tuple[UInt64Array, pa.Table]] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0

    def add(self, hashes: UInt64Array, batch: pa.RecordBatch) -> None:
        """Offer the rows of a batch with their content hashes."""
        keep = np.arange(len(hashes)) if self.cut is None else np.flatnonzero(hashes < self.cut)
        if not len(keep):
            return
        picked = batch if len(keep) == len(hashes) else batch.take(pa.array(keep))
        columns = {name: plain(picked.column(name)) for name in picked.schema.names}
        self._waiting.append((hashes[keep], pa.table(columns)))
        self._rows += len(keep)
        self._bytes += self._waiting[-1][1].nbytes
        if self._rows > 2 * self.limit or self._bytes > BYTES:
            self.settle()

    def settle(self) -> None:
        """Merge what is waiting."""
        if not self._waiting:
            return
        parts, weights = self._waiting, [np.ones(self._rows, dtype=np.int64)]
        if self.table is not None:
            parts, weights = [(self.hashes, self.table), *parts], [self.weights, *weights]
        hashes = np.concatenate([part[0] for part in parts])
        order, starts = groups(hashes)
        summed = np.add.reduceat(np.concatenate(weights)[order], starts)
        first = order[starts]
        table = _concatenate([part[1] for part in parts]).take(pa.array(first[: self.limit]))
        keep = min(self.limit, _fitting(table))
        if keep < len(first):
            self.cut = hashes[first[keep]]
        self.hashes, self.weights = hashes[first[:keep]], summed[:keep].copy()
        self.table = table.slice(0, keep).combine_chunks()
        self._waiting, self._rows, self._bytes = [], 0, 0

    @property
    def complete(self) -> bool:
        """True when every distinct row is here."""
        return self.cut is None


def _fitting(table: pa.Table) -> int:
    """How many leading rows take at most ``BYTES``; at least one."""
    sizes = np.full(table.num_rows, 8 * table.num_columns, dtype=np.int64)
    for column in table.columns:
        shape = shape_of(column.type)
        if shape is Shape.TEXT:
            lengths = pc.binary_length(column)
        elif shape is Shape.VECTOR:
            lengths = pc.multiply(pc.list_value_length(column), 8)
        else:
            continue
        sizes += lengths.fill_null(0).to_numpy().astype(np.int64)
    return max(1, int(np.searchsorted(np.cumsum(sizes), BYTES, side="right")))


def _concatenate(tables: list[pa.Table]) -> pa.Table:
    """One table of all rows; a column whose types do not go together becomes text."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    names = list(dict.fromkeys(name for table in tables for name in table.schema.names))
    columns = {}
    for name in names:
        pieces = [pa.table({name: table[name]}) for table in tables if name in table.schema.names]
        try:
            pa.concat_tables(pieces, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[name] = pa.large_string()
    return pa.concat_tables([_as_text(table, columns) for table in tables], promote_options="permissive")


def _as_text(table: pa.Table, columns: dict[str, pa.DataType]) -> pa.Table:
    for place, name in enumerate(table.schema.names):
        if name in columns:
            table = table.set_column(place, name, table[name].cast(columns[name]))
    return table
