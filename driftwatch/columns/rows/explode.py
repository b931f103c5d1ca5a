"""Turns a column of lists into rows, one for each item; the other columns repeat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.rows.nested import check_lists


def explode(batch: pa.RecordBatch, name: str, max_rows: int, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield a row for each item of column ``name``; an empty list or null has none.

    Raises ``SchemaMismatch`` for a column without lists.

    >>> batch = pa.RecordBatch.from_pydict({"id": [1, 2], "items": [["a", "b"], []]})
    >>> [part.to_pydict() for part in explode(batch, "items", 10, 100)]
    [{'id': [1, 1], 'items': ['a', 'b']}]
    """
    position = batch.schema.get_field_index(name)
    if position < 0 or pa.types.is_null(batch.schema.types[position]):
        return
    check_lists(batch.schema, name)
    lists = batch.column(position)
    sizes = pc.list_value_length(lists).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    parents = np.repeat(np.arange(len(sizes)), sizes)
    items = lists.flatten()
    rest = batch.remove_column(position)
    weight = (rest.nbytes / max(batch.num_rows, 1)) + items.nbytes / max(len(items), 1)
    rows = int(max(1, min(max_rows, max_bytes / max(weight, 1))))
    for start in range(0, len(parents), rows):
        part = parents[start : start + rows]
        columns = [column.take(pa.array(part)) for column in rest.columns]
        yield pa.RecordBatch.from_arrays(
            [*columns, items.slice(start, len(part))], names=[*rest.schema.names, name]
        )
