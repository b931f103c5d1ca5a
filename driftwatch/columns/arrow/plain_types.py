"""Turns arrays of types that Arrow can hardly compute with into plain ones of the same values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def plain(array: pa.Array) -> pa.Array:
    """Return the same values as texts, bytes, lists and storage that Arrow can filter and take."""
    while not is_plain(array.type):
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        elif pa.types.is_dictionary(array.type):
            array = pa.DictionaryArray.from_arrays(array.indices, plain(array.dictionary))
        else:
            array = _CONVERSIONS[array.type.id](array)
    return array


def plain_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch of plain arrays: no views, no run-end encoding, no extension types."""
    for position, data_type in enumerate(batch.schema.types):
        if not is_plain(data_type):
            array = plain(batch.column(position))
            batch = batch.set_column(position, batch.schema.names[position], array)
    return batch


def plain_table(table: pa.Table) -> pa.Table:
    for position, data_type in enumerate(table.schema.types):
        if not is_plain(data_type):
            chunks = [plain(chunk) for chunk in table.column(position).chunks]
            array = pa.chunked_array(chunks) if chunks else plain(pa.array([], data_type))
            table = table.set_column(position, table.schema.names[position], array)
    return table


def is_plain(data_type: pa.DataType) -> bool:
    if pa.types.is_dictionary(data_type):
        return is_plain(data_type.value_type)
    return not isinstance(data_type, pa.BaseExtensionType) and data_type.id not in _CONVERSIONS


def _plain_list(array: pa.Array) -> pa.Array:
    # Arrow's own cast fails where a view has nulls.
    sizes = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.append(0, np.cumsum(sizes, dtype=np.int64)))
    mask = array.is_null() if array.null_count else None
    return pa.LargeListArray.from_arrays(offsets, array.flatten(), mask=mask)


def _wide_decimal(array: pa.Array) -> pa.Array:
    return array.cast(pa.decimal128(array.type.precision, array.type.scale))


#: By the number of a type.
_CONVERSIONS: dict[int, Callable[[pa.Array], pa.Array]] = {
    pa.lib.Type_STRING_VIEW: lambda array: array.cast(pa.large_string()),
    pa.lib.Type_BINARY_VIEW: lambda array: array.cast(pa.large_binary()),
    pa.lib.Type_DECIMAL32: _wide_decimal,
    pa.lib.Type_DECIMAL64: _wide_decimal,
    pa.lib.Type_RUN_END_ENCODED: pc.run_end_decode,
    pa.lib.Type_LIST_VIEW: _plain_list,
    pa.lib.Type_LARGE_LIST_VIEW: _plain_list,
}
