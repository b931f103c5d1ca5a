"""Encodes Arrow rows for counting; the result depends on each row's content, never on its batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.levels import DictionaryMemo, levels
from driftwatch.columns.arrow.numbers import lengths, norms, numbers, seconds
from driftwatch.columns.arrow.plain_types import plain_columns
from driftwatch.columns.arrow.texts import MISSING_HASH, hash_carried
from driftwatch.core.arrays import Int64Array, UInt64Array
from driftwatch.core.hashing import HashBuffers, finish_row_hashes, hash_term, level_table, mix
from driftwatch.core.schema import Column, Kind
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.summary import ParallelMap, serial_map


@dataclass(frozen=True, slots=True)
class _EncodedColumns:
    columns: Mapping[str, Numbers | Levels]
    #: Sum ``[rows]`` of the columns' terms in the row hashes; None when rows are not hashed.
    hashes: UInt64Array | None


def encode(
    batch: pa.RecordBatch,
    *,
    columns: Sequence[Column],
    carried: Sequence[str],
    time_column: str | None,
    timezone: str,
    segment_column: str | None,
    salt: int = 0,
    hashed: bool = True,
    memos: dict[str, DictionaryMemo] | None = None,
    shares: ParallelMap[_EncodedColumns] = serial_map,
) -> Batch:
    """Encode a batch's rows for counting. Linear, vectorised per column.

    Rows whose time is missing or cannot be read are left out and counted in ``untimed_rows``. Content hashes
    cover ``columns``, then ``carried``, unless ``hashed`` is False; absent columns hash like nulls. ``memos``
    holds earlier batches' levels by column; ``shares`` splits the columns over threads.
    """
    batch, n_delivered = plain_columns(batch), batch.num_rows
    time: Int64Array | None = None
    if time_column is not None:
        batch, time = _rows_with_time(batch, time_column, timezone)
    positions = _column_positions(batch)
    rows = batch.num_rows
    # As in ``Summary.from_batch``: encoding levels holds the GIL, so threads would gain nothing.
    number_columns = [(index, column) for index, column in enumerate(columns) if column.kind.ordered]
    level_columns = [(index, column) for index, column in enumerate(columns) if not column.kind.ordered]

    def encode_part(share: Iterable[tuple[int, Column]]) -> _EncodedColumns:
        share_columns = list(share)
        encodings = {
            column.name: _encode_column(batch.column(positions[column.name]), column, timezone, memos, hashed)
            for _, column in share_columns
            if column.name in positions
        }
        return _EncodedColumns(encodings, _hash_sums(share_columns, encodings, rows) if hashed else None)

    parts = [
        *shares(lambda indexes: encode_part(number_columns[index] for index in indexes), len(number_columns)),
        encode_part(level_columns),
    ]
    encodings = {name: values for part in parts for name, values in part.columns.items()}
    content: UInt64Array | None = None
    if hashed:
        hash_sums = [part.hashes for part in parts if part.hashes is not None]
        for index, name in enumerate(carried, len(columns)):
            times = time if name == time_column else None
            hash_sums.append(hash_term(_carried_hashes(batch, positions.get(name), times), index))
        content = finish_row_hashes(reduce(np.add, hash_sums), salt)
    segment = _segment_levels(batch, segment_column, positions, encodings)
    return Batch(
        rows=rows,
        columns=encodings,
        content_hashes=content,
        time=time,
        segment=segment,
        absent_columns=frozenset(column.name for column in columns if column.name not in positions),
        untimed_rows=n_delivered - rows,
    )


def _carried_hashes(batch: pa.RecordBatch, position: int | None, time: Int64Array | None) -> UInt64Array:
    if time is not None:
        # Event times hash as they were read.
        return mix(time.view(np.uint64))
    if position is None:
        return np.full(batch.num_rows, MISSING_HASH)
    return hash_carried(batch.column(position))


def _hash_sums(
    share_columns: Iterable[tuple[int, Column]], encodings: Mapping[str, Numbers | Levels], rows: int
) -> UInt64Array:
    total, buffers = np.zeros(rows, dtype=np.uint64), HashBuffers(rows)
    for position, column in share_columns:
        values = encodings.get(column.name)
        terms: UInt64Array
        if values is None:
            terms = hash_term(MISSING_HASH, position)
        elif isinstance(values, Numbers):
            terms = hash_term(values.values, position, values.nulls, buffers)
        else:
            # Numpy indexes by int64 twice as fast as by other integers, the conversion included.
            terms = hash_term(values.table(level_table, level_table), position)[values.codes.astype(np.int64)]
        np.add(total, terms, out=total)
    return total


def _rows_with_time(batch: pa.RecordBatch, name: str, timezone: str) -> tuple[pa.RecordBatch, Int64Array]:
    position = _column_positions(batch).get(name)
    if position is None:
        return batch.slice(0, 0), np.empty(0, dtype=np.int64)
    times, usable = event_times(batch.column(position), timezone)
    if usable.all():
        return batch, times
    return batch.filter(pa.array(usable)), times[usable]


def _column_positions(batch: pa.RecordBatch) -> dict[str, int]:
    positions: dict[str, int] = {}
    # Untrusted files may repeat a name: its first column counts.
    for position, name in enumerate(batch.schema.names):
        positions.setdefault(name, position)
    return positions


def _segment_levels(
    batch: pa.RecordBatch,
    segment_column: str | None,
    positions: Mapping[str, int],
    encodings: Mapping[str, Numbers | Levels],
) -> Levels | None:
    if segment_column is None:
        return None
    encoding, position = encodings.get(segment_column), positions.get(segment_column)
    if isinstance(encoding, Levels):
        return encoding
    if position is None:
        return Levels(codes=np.full(batch.num_rows, -1, dtype=np.int32), levels=())
    return levels(batch.column(position))


def _encode_column(
    array: pa.Array, column: Column, timezone: str, memos: dict[str, DictionaryMemo] | None, hashed: bool
) -> Numbers | Levels:
    kind = column.kind
    if kind is Kind.NUMERIC:
        return numbers(array)
    if kind is Kind.DATETIME:
        return seconds(array, timezone)
    if kind is Kind.TEXT:
        return lengths(array)
    if kind is Kind.VECTOR:
        return norms(array)
    return levels(array, memos, column.name, hashed=hashed)
