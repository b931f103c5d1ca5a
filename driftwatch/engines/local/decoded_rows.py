"""Turns batches of messages into batches of rows, and counts the messages that could not be decoded.

A decoder gets ``_CALL_BYTES`` of messages and one more at once: memory is bounded by what it makes of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.plain_types import plain_columns
from driftwatch.columns.arrow.texts import is_text
from driftwatch.core.arrays import Int64Array
from driftwatch.core.schema import Column, Kind
from driftwatch.decoders.base import DeclaredColumns, Decoded, Decoder, DecoderConfig, UndecodableReason
from driftwatch.engines.base import Undecodable, columns_of
from driftwatch.errors import SchemaMismatch
from driftwatch.summary.plan import Plan

_CALL_BYTES = 16 << 20


@dataclass(slots=True, kw_only=True)
class DecodedRows:
    config: DecoderConfig
    decoder: Decoder
    plan: Plan
    #: Of the tiles that are read, in nanoseconds.
    edges: Sequence[int]
    undecodable: Undecodable = field(default_factory=Counter)

    def batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the messages' rows. Raises ``SchemaMismatch`` when their column holds no texts or bytes."""
        for batch in batches:
            if batch.num_rows:
                yield from self._decoded_batches(plain_columns(batch))

    def _decoded_batches(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        column = self._messages(batch)
        sizes = _message_sizes(column)
        self._count(batch, np.flatnonzero(sizes == 0), UndecodableReason.EMPTY)
        self._count(batch, np.flatnonzero(sizes > self.config.max_message), UndecodableReason.TOO_LARGE)
        decodable = np.flatnonzero((sizes > 0) & (sizes <= self.config.max_message))
        declared = _declared_columns(self.plan)
        for part in _parts(sizes[decodable]):
            positions = decodable[part]
            decoded = checked(
                self.decoder.decode(_as_bytes(column, positions), declared), declared, len(positions)
            )
            for reason in set(decoded.undecodable.values()):
                places = [place for place, item in decoded.undecodable.items() if item is reason]
                self._count(batch, positions[places], reason)
            yield from _row_batches(self._message_columns(batch), np.repeat(positions, decoded.rows), decoded)

    def _messages(self, batch: pa.RecordBatch) -> pa.Array:
        name = self.config.column
        position = next(iter(batch.schema.get_all_field_indices(name)), None)
        if position is None:
            raise SchemaMismatch(
                f"expected the messages in the column {name!r} (decode.column). Got rows without it. "
                "Name the column that holds them."
            )
        column = batch.column(position)
        column = column.storage if isinstance(column, pa.ExtensionArray) else column
        types = pa.types
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        if not (is_text(kind) or types.is_null(kind)):
            raise SchemaMismatch(
                f"expected messages as text or bytes in the column {name!r} (decode.column). Got {kind}. "
                "Name the column that holds them as they were sent."
            )
        return column

    def _message_columns(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        # The messages' own column is no input, whatever the reference calls its columns.
        wanted = set(columns_of(self.plan)) - {self.config.column}
        return {
            name: batch.column(position)
            for position, name in reversed(list(enumerate(batch.schema.names)))
            if name in wanted
        }

    def _count(self, batch: pa.RecordBatch, positions: Int64Array, reason: UndecodableReason) -> None:
        if not len(positions):
            return
        name, starts = self.plan.time_column, self.edges[:-1]
        if name is None:
            self.undecodable[starts[0], reason] += len(positions)
            return
        column = self._message_columns(batch).get(name)
        if column is None:
            self.undecodable[None, reason] += len(positions)
            return
        times, usable = event_times(column.take(pa.array(positions)), self.plan.timezone)
        if not usable.all():
            self.undecodable[None, reason] += int(np.count_nonzero(~usable))
        tiles = np.searchsorted(np.asarray(self.edges), times[usable], side="right") - 1
        for tile, count in zip(*np.unique(tiles, return_counts=True), strict=True):
            if 0 <= tile < len(starts):
                self.undecodable[starts[tile], reason] += int(count)


def checked(decoded: Decoded, declared: DeclaredColumns, messages: int) -> Decoded:
    """Return what a decoder returned. Raises ``ValueError`` if it does not add up."""
    if not decoded.batch.schema.equals(declared.schema):
        raise ValueError(f"a decoder returned other columns than the declared ones: {decoded.batch.schema}.")
    if len(decoded.rows) != messages or int(decoded.rows.sum()) != decoded.batch.num_rows:
        raise ValueError("a decoder returned other numbers of messages or rows than it was given or made.")
    if set(decoded.undecodable) != set(np.flatnonzero(decoded.rows == 0).tolist()):
        raise ValueError("a decoder returned a message with both rows and a reason, or with neither.")
    return decoded


def _declared_columns(plan: Plan) -> DeclaredColumns:
    watched = {column.name: column for column in plan.columns}
    columns = [
        watched.get(name, Column(name=name, kind=Kind.CATEGORICAL))
        for name in columns_of(plan)
        if name in watched or name != plan.time_column
    ]
    return DeclaredColumns(columns=tuple(columns), timezone=plan.timezone)


def _message_sizes(column: pa.Array) -> Int64Array:
    # Without decoding a dictionary: a small file can hold a huge text many times.
    if pa.types.is_null(column.type):
        return np.zeros(len(column), dtype=np.int64)
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    sizes = pc.binary_length(values.cast(pa.large_binary())).cast(pa.int64())
    if pa.types.is_dictionary(column.type):
        sizes = sizes.take(column.indices)
    return np.asarray(sizes.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _as_bytes(column: pa.Array, positions: Int64Array) -> pa.LargeBinaryArray:
    messages = column.take(pa.array(positions))
    if pa.types.is_dictionary(messages.type):
        messages = messages.dictionary_decode()
    return messages.cast(pa.large_binary())


def _parts(sizes: Int64Array) -> Iterator[slice]:
    if not len(sizes):
        return
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _CALL_BYTES)) + 1
    for start, stop in pairwise([0, *cuts.tolist(), len(sizes)]):
        yield slice(start, stop)


def _row_batches(
    message_columns: dict[str, pa.Array], positions: Int64Array, decoded: Decoded
) -> Iterator[pa.RecordBatch]:
    for rows, wrong_columns in _by_wrong_columns(decoded):
        columns: dict[str, Any] = dict(
            zip(decoded.batch.schema.names, decoded.batch.take(rows).columns, strict=True)
        )
        # Every kind counts a structure as a value of the wrong type.
        columns |= {name: pa.array([{}] * len(rows), pa.struct([])) for name in wrong_columns}
        message_rows = pa.array(positions).take(rows)
        columns |= {name: column.take(message_rows) for name, column in message_columns.items()}
        if len(rows):
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _by_wrong_columns(decoded: Decoded) -> Iterator[tuple[pa.Array, list[str]]]:
    names = [name for name, mask in decoded.wrong_type.items() if mask.any()]
    if not names:
        yield pa.array(np.arange(decoded.batch.num_rows)), names
        return
    masks = np.stack([decoded.wrong_type[name] for name in names], axis=1)
    patterns, numbers = np.unique(masks, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(numbers.reshape(-1) == number)
        yield pa.array(rows), [name for name, is_wrong in zip(names, pattern, strict=True) if is_wrong]
