"""Arrow rows in the forms a summary can count. A function of each row's content, never of its batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from driftwatch.engines._levels import Met, levels
from driftwatch.engines._numbers import lengths, norms, numbers, seconds
from driftwatch.engines._texts import MISSING, hash_values
from driftwatch.eventtime import event_times
from driftwatch.summary.batch import Batch, Int64Array, Levels, Numbers
from driftwatch.summary.hashing import Room, UInt64Array, finish, level_table, mix, weighted
from driftwatch.summary.schema import Column, Kind
from driftwatch.summary.summary import Shares, alone


@dataclass(frozen=True, slots=True)
class _Part:
    """Some columns in their forms, and the sum of what they add to their rows' hashes."""

    columns: dict[str, Numbers | Levels]
    hashes: UInt64Array


def encode(
    batch: pa.RecordBatch,
    *,
    columns: Sequence[Column],
    carried: Sequence[str],
    time_column: str | None,
    timezone: str,
    segment_column: str | None,
    salt: int = 0,
    met: dict[str, Met] | None = None,
    shares: Shares[_Part] = alone,
) -> Batch:
    """Bring rows into the forms a summary counts. Linear, vectorised per column.

    Rows whose time is missing or cannot be read are left out and counted in ``untimed``. ``content``
    hashes ``columns``, then ``carried``; an absent column hashes like a null. ``met`` remembers the levels
    of earlier batches; ``shares`` splits the columns over threads.
    """
    time: Int64Array | None = None
    delivered = batch.num_rows
    if time_column is not None:
        batch, time = _timed(batch, time_column, timezone)
    place = _first_of_each(batch)
    rows = batch.num_rows

    # As in ``Summary.of``: levels keep the interpreter, and a share of them gains nothing.
    ordered = [(at, column) for at, column in enumerate(columns) if column.kind.ordered]
    levelled = [(at, column) for at, column in enumerate(columns) if not column.kind.ordered]

    def some(places: Iterable[int]) -> _Part:
        return _part(batch, place, [ordered[at] for at in places], timezone, met)

    parts = [*shares(some, len(ordered)), _part(batch, place, levelled, timezone, met)]
    coded = {name: values for part in parts for name, values in part.columns.items()}
    total = np.zeros(rows, dtype=np.uint64)
    for part in parts:
        np.add(total, part.hashes, out=total)
    for at, name in enumerate(carried, len(columns)):
        if name == time_column and time is not None:
            total += weighted(mix(time.view(np.uint64)), at)
        else:
            total += weighted(hash_values(batch.column(place[name])) if name in place else MISSING, at)
    segment: Levels | None = None
    if segment_column is not None:
        own = coded.get(segment_column)
        segment = own if isinstance(own, Levels) else _segment(batch, place.get(segment_column))
    return Batch(
        rows=rows,
        columns=coded,
        content=finish(total, salt),
        time=time,
        segment=segment,
        absent=frozenset(column.name for column in columns if column.name not in place),
        untimed=delivered - rows,
    )


def _part(
    batch: pa.RecordBatch,
    place: dict[str, int],
    columns: Iterable[tuple[int, Column]],
    timezone: str,
    met: dict[str, Met] | None,
) -> _Part:
    coded: dict[str, Numbers | Levels] = {}
    total, room = np.zeros(batch.num_rows, dtype=np.uint64), Room(batch.num_rows)
    for at, column in columns:
        if column.name not in place:
            np.add(total, weighted(MISSING, at), out=total)
            continue
        values = _column(batch.column(place[column.name]), column, timezone, met)
        coded[column.name] = values
        if isinstance(values, Numbers):
            part = weighted(values.values, at, values.nulls, room)
        else:
            # Numpy picks by 64-bit places twice as fast as by others, the conversion included.
            table = weighted(values.table(level_table, level_table), at)
            part = table[values.codes.astype(np.int64)]
        np.add(total, part, out=total)
    return _Part(coded, total)


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


def _column(array: pa.Array, column: Column, timezone: str, met: dict[str, Met] | None) -> Numbers | Levels:
    kind = column.kind
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
    return levels(array, met, column.name)
