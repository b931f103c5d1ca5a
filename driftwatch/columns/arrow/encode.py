"""Arrow rows in the forms a summary can count. A function of each row's content, never of its batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.levels import Met, levels
from driftwatch.columns.arrow.numbers import lengths, norms, numbers, seconds
from driftwatch.columns.arrow.texts import MISSING, hash_values
from driftwatch.core.arrays import Int64Array, UInt64Array
from driftwatch.core.hashing import Room, finish, level_table, mix, weighted
from driftwatch.core.schema import Column, Kind
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.summary import Shares, alone


@dataclass(frozen=True, slots=True)
class _Part:
    """Some columns in their forms, and the sum of what they add to their rows' hashes, if that is asked."""

    columns: dict[str, Numbers | Levels]
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
    met: dict[str, Met] | None = None,
    shares: Shares[_Part] = alone,
) -> Batch:
    """Bring rows into the forms a summary counts. Linear, vectorised per column.

    Rows whose time is missing or cannot be read are left out and counted in ``untimed``. ``content``
    hashes ``columns``, then ``carried``, unless ``hashed`` is False; an absent column hashes like a null.
    ``met`` remembers the levels of earlier batches; ``shares`` splits the columns over threads.
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

    def some(share: Iterable[tuple[int, Column]]) -> _Part:
        named = list(share)
        coded = {
            column.name: _column(batch.column(place[column.name]), column, timezone, met, hashed)
            for _, column in named
            if column.name in place
        }
        return _Part(coded, _hashes(named, coded, rows) if hashed else None)

    parts = [*shares(lambda places: some(ordered[at] for at in places), len(ordered)), some(levelled)]
    coded = {name: values for part in parts for name, values in part.columns.items()}
    content: UInt64Array | None = None
    if hashed:
        summed = [part.hashes for part in parts if part.hashes is not None]
        for at, name in enumerate(carried, len(columns)):
            own = time if name == time_column else None
            summed.append(weighted(_carried(batch, place.get(name), own), at))
        content = finish(reduce(np.add, summed), salt)
    segment: Levels | None = None
    if segment_column is not None:
        segment = _segment(batch, place.get(segment_column), coded.get(segment_column))
    return Batch(
        rows=rows,
        columns=coded,
        content=content,
        time=time,
        segment=segment,
        absent=frozenset(column.name for column in columns if column.name not in place),
        untimed=delivered - rows,
    )


def _carried(batch: pa.RecordBatch, place: int | None, time: Int64Array | None) -> UInt64Array:
    """Hashes of a column that is not counted; of event times as they were read."""
    if time is not None:
        return mix(time.view(np.uint64))
    if place is None:
        return np.full(batch.num_rows, MISSING)
    return hash_values(batch.column(place))


def _hashes(
    named: Iterable[tuple[int, Column]], coded: Mapping[str, Numbers | Levels], rows: int
) -> UInt64Array:
    """What these columns add to their rows' hashes."""
    total, room = np.zeros(rows, dtype=np.uint64), Room(rows)
    for at, column in named:
        values = coded.get(column.name)
        part: UInt64Array
        if values is None:
            part = weighted(MISSING, at)
        elif isinstance(values, Numbers):
            part = weighted(values.values, at, values.nulls, room)
        else:
            # Numpy picks by 64-bit places twice as fast as by others, the conversion included.
            part = weighted(values.table(level_table, level_table), at)[values.codes.astype(np.int64)]
        np.add(total, part, out=total)
    return total


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


def _segment(batch: pa.RecordBatch, place: int | None, coded: Numbers | Levels | None) -> Levels:
    if isinstance(coded, Levels):
        return coded
    if place is None:
        return Levels(codes=np.full(batch.num_rows, -1, dtype=np.int32), levels=())
    return levels(batch.column(place))


def _column(
    array: pa.Array, column: Column, timezone: str, met: dict[str, Met] | None, hashed: bool
) -> Numbers | Levels:
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
    return levels(array, met, column.name, hashed=hashed)
