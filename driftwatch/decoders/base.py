"""The interface of decoders: messages of one column go in, rows of declared columns come out.

A decoder module defines ``CONFIG`` (a subclass of ``DecoderConfig`` with ``type: Literal["<file name>"]``)
and ``open_decoder(config) -> Decoder``. It runs inside a reader process, between the source and the engine.

- Rows are a function of the messages, whatever messages share their batch.
- Columns and their kinds are declared: nothing is inferred from the values of a batch, and no other column is
  made.
- A message may hold several rows. They share the other columns of the message's row, such as the event time
  and an id; a column that is there is not taken from the message.
- A field that a message lacks is null. A field that cannot be read is of the wrong type. Neither loses a row.
- Every message has rows or a reason for which it is counted. Nothing that it holds raises an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from pydantic import ByteSize, Field

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.core.schema import Column
from driftwatch.core.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


class UndecodableReason(StrEnum):
    """Why a message was not decoded; a closed list."""

    #: Null, without a byte, or a sound document without a row.
    EMPTY = "empty"
    #: The bytes are no text in the encoding of the format.
    ENCODING = "encoding"
    #: The text or the bytes do not follow the format's grammar.
    SYNTAX = "syntax"
    #: A sound document, but not of the form that the format prescribes.
    SHAPE = "shape"
    #: More bytes, rows or levels of nesting than are read.
    TOO_LARGE = "too_large"
    #: No row has any of the declared columns.
    UNKNOWN_COLUMNS = "unknown_columns"


class DecoderConfig(Settings):
    type: str
    #: Column of the source's rows that holds the messages.
    column: Annotated[str, Field(min_length=1)]
    #: A larger message is ``TOO_LARGE``.
    max_message: Annotated[ByteSize, Field(gt=0)] = ByteSize(8 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndecodableMessages:
    #: Start of the tile that the messages belong to; None for those without a usable event time.
    start: int | None
    reason: UndecodableReason
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredColumns:
    """The columns that a decoder makes, with their kinds; ``timezone`` is that of times without a zone."""

    columns: tuple[Column, ...]
    timezone: str = "UTC"

    @property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        from driftwatch.columns.arrow.typed_cells import arrow_type

        return pa.schema([(column.name, arrow_type(column.kind)) for column in self.columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    #: The rows of the first message, then those of the second and so on, with the declared schema.
    batch: pa.RecordBatch
    #: ``[messages]``: number of rows of each message; 0 only where it could not be decoded.
    rows: Int64Array
    #: Messages that could not be decoded, by position.
    undecodable: Mapping[int, UndecodableReason]
    #: By column, the mask ``[rows]`` of fields that could not be read; ``batch`` is null there.
    wrong_type: Mapping[str, BoolArray]

    @classmethod
    def from_rows(
        cls,
        declared: DeclaredColumns,
        messages: Sequence[Sequence[Mapping[str, object]] | UndecodableReason],
    ) -> Decoded:
        """Build the result from each message's rows, with values as JSON has them, or from its reason."""
        import pyarrow as pa

        from driftwatch.columns.arrow.typed_cells import typed_cells

        names = {column.name for column in declared.columns}
        rows: list[Mapping[str, object]] = []
        counts, undecodable = np.zeros(len(messages), dtype=np.int64), {}
        for position, message in enumerate(messages):
            if isinstance(message, UndecodableReason):
                undecodable[position] = message
            elif not message:
                undecodable[position] = UndecodableReason.EMPTY
            elif all(names.isdisjoint(row) for row in message):
                undecodable[position] = UndecodableReason.UNKNOWN_COLUMNS
            else:
                counts[position] = len(message)
                rows += message
        arrays, wrong_type = [], {}
        for column in declared.columns:
            cells = typed_cells(column.kind, [row.get(column.name) for row in rows], declared.timezone)
            arrays.append(cells.array)
            if cells.wrong_type.any():
                wrong_type[column.name] = cells.wrong_type
        return cls(
            batch=pa.RecordBatch.from_arrays(arrays, schema=declared.schema),
            rows=counts,
            undecodable=undecodable,
            wrong_type=wrong_type,
        )


class Decoder(Protocol):
    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        """Decode messages: none is null, empty or larger than ``max_message``.

        Raises ``SchemaMismatch`` when the settings and the declared columns do not fit together.
        """
