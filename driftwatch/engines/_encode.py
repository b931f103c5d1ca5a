"""Arrow rows in the forms a summary can count. A function of each row's content, never of its batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from driftwatch.engines._levels import levels
from driftwatch.engines._numbers import lengths, norms, numbers, seconds
from driftwatch.engines._texts import MISSING, hash_values
from driftwatch.eventtime import event_times
from driftwatch.summary.batch import Batch, Int64Array, Levels, Numbers
from driftwatch.summary.hashing import UInt64Array, combine, hash_levels, hash_numbers, mix
from driftwatch.summary.schema import Column, Kind


def encode(
    batch: pa.RecordBatch,
    *,
    columns: Sequence[Column],
    carried: Sequence[str],
    time_column: str | None,
    timezone: str,
    segment_column: str | None,
    salt: int = 0,
) -> Batch:
    """Bring rows into the forms a summary counts. Linear, vectorised per column.

    Rows whose time is missing or cannot be read are left out and counted in ``untimed``. ``content``
    hashes ``columns``, then ``carried``; an absent column hashes like a null.
    """
    time: Int64Array | None = None
    delivered = batch.num_rows
    if time_column is not None:
        batch, time = _timed(batch, time_column, timezone)
    place = _first_of_each(batch)
    coded = {
        column.name: _column(batch.column(place[column.name]), column.kind, timezone)
        for column in columns
        if column.name in place
    }
    hashes = [_hash(coded.get(column.name), batch.num_rows) for column in columns]
    for name in carried:
        if name == time_column and time is not None:
            hashes.append(mix(time.view(np.uint64)))
        elif name in place:
            hashes.append(hash_values(batch.column(place[name])))
        else:
            hashes.append(_hash(None, batch.num_rows))
    segment: Levels | None = None
    if segment_column is not None:
        own = coded.get(segment_column)
        segment = own if isinstance(own, Levels) else _segment(batch, place.get(segment_column))
    return Batch(
        rows=batch.num_rows,
        columns=coded,
        content=combine(hashes or [_hash(None, batch.num_rows)], salt),
        time=time,
        segment=segment,
        absent=frozenset(column.name for column in columns if column.name not in place),
        untimed=delivered - batch.num_rows,
    )


def _timed(batch: pa.RecordBatch, name: str, timezone: str) -> tuple[pa.RecordBatch, Int64Array]:
    """The rows that have an event time, and those times."""
    place = _first_of_each(batch).get(name)
    if place is None:
        return batch.slice(0, 0), np.empty(0, dtype=np.int64)
    times, usable = event_times(batch.column(place), timezone)
    if usable.all():
        return batch, times
    return batch.filter(pa.array(usable)), times[usable]


def _first_of_each(batch: pa.RecordBatch) -> dict[str, int]:
    """Position of each column name; foreign files may carry a name twice, then the first one counts."""
    places: dict[str, int] = {}
    for place, name in enumerate(batch.schema.names):
        places.setdefault(name, place)
    return places


def _segment(batch: pa.RecordBatch, place: int | None) -> Levels:
    if place is None:
        return Levels(codes=np.full(batch.num_rows, -1, dtype=np.int32), levels=())
    return levels(batch.column(place))


def _column(array: pa.Array, kind: Kind, timezone: str) -> Numbers | Levels:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if kind is Kind.NUMERIC:
        return numbers(array)
    if kind is Kind.DATETIME:
        return seconds(array, timezone)
    if kind is Kind.TEXT:
        return lengths(array)
    if kind is Kind.VECTOR:
        return norms(array)
    return levels(array)


def _hash(column: Numbers | Levels | None, rows: int) -> UInt64Array:
    if column is None:
        return np.full(rows, MISSING, dtype=np.uint64)
    if isinstance(column, Numbers):
        return hash_numbers(column.values)
    return hash_levels(column.codes, column.levels)
