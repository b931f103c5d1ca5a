"""Applies the declared options of rows to batches: lists become rows, texts numbers and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from driftwatch.columns.rows.explode import explode
from driftwatch.columns.rows.formatted_times import in_times
from driftwatch.columns.rows.nested import Flattening
from driftwatch.columns.rows.number_cells import in_style
from driftwatch.columns.rows.row_options import RowOptions

NO_OPTIONS = RowOptions()


def declared_rows(
    batch: pa.RecordBatch,
    options: RowOptions,
    *,
    wanted: Sequence[str] | None,
    time_column: str | None,
    timezone: str,
    flattening: Flattening,
    max_rows: int,
    max_bytes: int,
) -> Iterator[pa.RecordBatch]:
    """Yield a flat batch as declared; of exploded items the ``wanted`` columns."""
    if options == NO_OPTIONS:
        yield batch
        return
    parts: Iterator[pa.RecordBatch] = iter((batch,))
    if options.explode is not None:
        parts = (
            flattening.flatten(part, wanted) for part in explode(batch, options.explode, max_rows, max_bytes)
        )
    for part in parts:
        numbers = in_style(part, options.number_style, options.units, time_column)
        yield in_times(numbers, time_column, options.time_formats, timezone)
