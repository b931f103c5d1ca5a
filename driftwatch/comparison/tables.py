"""Converts data frames and record batches to Arrow tables; no odd column stops the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from driftwatch.columns.rows.index_columns import index_columns
from driftwatch.columns.rows.nested import Flattening, is_flat
from driftwatch.errors import SchemaMismatch

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Name of the column of a series without one.
_UNNAMED = "value"


def as_table(frame: Any) -> pa.Table:
    """Return plain columns: Arrow cannot take rows of views or of run-end encoding.

    Raises ``SchemaMismatch`` for what is no table.
    """
    from driftwatch.columns.arrow.plain_types import plain_table

    table = _table_of(frame)
    repeated_names = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated_names:
        raise SchemaMismatch(
            f"a sample: expected columns of different names. Got {repeated_names[0]!r} twice. Rename one."
        )
    return plain_table(table)


def _table_of(frame: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return _flat(frame)
    if not hasattr(frame, "columns") and hasattr(frame, "to_frame"):
        frame = frame.to_frame(_UNNAMED if frame.name in (None, "") else frame.name)
    try:
        return _flat(_from_pandas(frame) if hasattr(frame, "iloc") else pa.table(frame))
    except (pa.ArrowException, AttributeError, OverflowError, TypeError, ValueError) as error:
        raise SchemaMismatch(
            f"a sample: expected a data frame or what pyarrow.table takes. "
            f"Got {type(frame).__name__}: {error}"
        ) from error


def _flat(table: pa.Table) -> pa.Table:
    """Return structures as columns of their fields, without an index that pandas wrote."""
    import pyarrow as pa

    ignored, flattening = index_columns(table.column_names, table.schema.metadata), Flattening()
    if not ignored and is_flat(table.schema):
        return table
    batches = table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return pa.Table.from_batches([flattening.flatten(batch, None, ignored) for batch in batches])


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    renamed_frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    try:
        return pa.Table.from_pandas(renamed_frame, preserve_index=False)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        arrays = [_array_of(renamed_frame.iloc[:, place]) for place in range(renamed_frame.shape[1])]
        return pa.table(arrays, names=list(renamed_frame.columns))


def _array_of(values: pd.Series[Any]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if values.dtype.kind == "c":
        # Arrow has no complex numbers: they are named as what they are.
        parts = [
            pa.array(np.asarray(part, dtype=np.float64))
            for part in (values.to_numpy().real, values.to_numpy().imag)
        ]
        return pa.StructArray.from_arrays(parts, names=["real", "imag"])
    try:
        return pa.Array.from_pandas(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _mixed_array(values)


def _mixed_array(values: pd.Series[Any]) -> pa.Array:
    # Integers of more than 64 bits are floats, what else does not go together is text.
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    is_missing = np.array([pd.api.types.is_scalar(value) and bool(pd.isna(value)) for value in values])
    present = [value for value, missing in zip(values, is_missing, strict=True) if not missing]
    if all(type(value) in (int, float) for value in present):
        return pa.array(
            [None if value is None else float(value) for value in _with_nulls(values, is_missing)],
            pa.float64(),
        )
    return pa.array(
        [None if value is None else str(value) for value in _with_nulls(values, is_missing)],
        pa.large_string(),
    )


def _with_nulls(values: Iterable[Any], is_missing: Iterable[bool]) -> list[Any]:
    return [None if missing else value for value, missing in zip(values, is_missing, strict=True)]


def concatenate(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return flat batches as one table of plain columns; one whose types do not go together is text."""
    import pyarrow as pa

    from driftwatch.columns.arrow.plain_types import plain_table
    from driftwatch.columns.row_sample import concatenate_tables

    tables = [pa.Table.from_batches([batch]) for batch in batches]
    return plain_table(concatenate_tables(tables)) if tables else pa.table({})
