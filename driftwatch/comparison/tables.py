"""Converts data frames and record batches to Arrow tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from driftwatch.errors import SchemaMismatch

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def as_table(frame: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    try:
        if hasattr(frame, "iloc"):
            return _from_pandas(frame)
        return pa.table(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
        raise SchemaMismatch(
            f"a sample: expected a data frame or what pyarrow.table takes. "
            f"Got {type(frame).__name__}: {error}"
        ) from error


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    renamed_frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    try:
        return pa.Table.from_pandas(renamed_frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        arrays = {name: _text_if_mixed(renamed_frame[name]) for name in renamed_frame.columns}
        return pa.table(arrays)


def _text_if_mixed(values: pd.Series[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.Array.from_pandas(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None or value != value else str(value) for value in values])


def concatenate(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    tables = [pa.Table.from_batches([batch]) for batch in batches]
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
