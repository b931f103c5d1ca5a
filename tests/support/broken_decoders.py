"""Decoders that break one rule each, by the rule that must catch them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import decoder_rules as rules
import pyarrow as pa
from lines_decoder import LinesConfig, LinesDecoder

from driftwatch.decoders.base import DeclaredColumns, Decoded, UndecodableReason

Rows = Sequence[Mapping[str, Any]] | UndecodableReason


def without(decoded: Decoded, position: int) -> Decoded:
    """The result with one message forgotten."""
    rows = decoded.rows.copy()
    start, end = int(rows[:position].sum()), int(rows[: position + 1].sum())
    rows[position] = 0
    places = pa.array(
        [place for place in range(decoded.batch.num_rows) if not start <= place < end], pa.int64()
    )
    masks = {name: mask[places.to_numpy()] for name, mask in decoded.wrong_type.items()}
    reasons = {place: reason for place, reason in decoded.undecodable.items() if place != position}
    return replace(
        decoded,
        batch=decoded.batch.take(places),
        rows=rows,
        undecodable=reasons,
        wrong_type={name: mask for name, mask in masks.items() if mask.any()},
    )


class LosesTheUndecodable(LinesDecoder):
    """A message that cannot be decoded is not counted."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        return replace(super().decode(messages, declared), undecodable={})


class LosesTheLast(LinesDecoder):
    """The last message of a call is left out."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        decoded = super().decode(messages, declared)
        return without(decoded, len(messages) - 1) if len(messages) > 1 else decoded


class OneBadSpoilsAll(LinesDecoder):
    """One message that cannot be decoded takes those beside it along."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        items = [self.rows_of(message.as_py()) for message in messages]
        bad = next((item for item in items if isinstance(item, UndecodableReason)), None)
        return Decoded.from_rows(declared, items if bad is None else [bad] * len(items))


class Raises(LinesDecoder):
    """A message that is no JSON raises an error."""

    def rows_of(self, message: bytes) -> Rows:
        return [json.loads(line) for line in message.decode().split("\n") if line.strip()]


class InfersTypes(LinesDecoder):
    """The values of a batch tell the types of its columns."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        decoded = super().decode(messages, declared)
        table = pa.RecordBatch.from_pylist(decoded.batch.to_pylist())
        return replace(decoded, batch=table)


class LevelsAsWritten(LinesDecoder):
    """The text of a level is the number as it was written."""

    def rows_of(self, message: bytes) -> Rows:
        rows = super().rows_of(message)
        if isinstance(rows, UndecodableReason):
            return rows
        return [
            {name: str(item) if isinstance(item, float) else item for name, item in row.items()}
            for row in rows
        ]


class FillsForward(LinesDecoder):
    """A field that a row lacks is that of the row before."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        last: dict[str, Any] = {}
        items: list[Rows] = []
        for message in messages:
            rows = self.rows_of(message.as_py())
            if not isinstance(rows, UndecodableReason):
                rows = [dict(last := {**last, **row}) for row in rows]
            items.append(rows)
        return Decoded.from_rows(declared, items)


class Sorts(LinesDecoder):
    """Rows come in another order."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        decoded = super().decode(messages, declared)
        return replace(decoded, batch=decoded.batch.sort_by([("n", "descending")]), wrong_type={})


class DropsEqualRows(LinesDecoder):
    """Equal rows of a message count once."""

    def rows_of(self, message: bytes) -> Rows:
        rows = super().rows_of(message)
        if isinstance(rows, UndecodableReason):
            return rows
        return list({json.dumps(row, sort_keys=True): row for row in rows}.values())


class UnreadableIsNull(LinesDecoder):
    """A field that cannot be read is null."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        return replace(super().decode(messages, declared), wrong_type={})


class UnreadableLosesItsRow(LinesDecoder):
    """A row with a field that cannot be read is left out."""

    def rows_of(self, message: bytes) -> Rows:
        rows = super().rows_of(message)
        if isinstance(rows, UndecodableReason):
            return rows
        return [row for row in rows if not any(isinstance(item, dict) for item in row.values())]


class AbsentIsWrong(LinesDecoder):
    """A field that a row lacks is of the wrong type."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        decoded = super().decode(messages, declared)
        masks = {
            name: column.is_null().to_numpy(zero_copy_only=False) for name, column in columns(decoded).items()
        }
        return replace(decoded, wrong_type={name: mask for name, mask in masks.items() if mask.any()})


def columns(decoded: Decoded) -> dict[str, pa.Array]:
    return dict(zip(decoded.batch.schema.names, decoded.batch.columns, strict=True))


class MakesMore(LinesDecoder):
    """Fields that nobody declared become columns."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        decoded = super().decode(messages, declared)
        extra = pa.nulls(decoded.batch.num_rows, pa.string())
        return replace(decoded, batch=decoded.batch.append_column("undeclared", extra))


class OwnOrder(LinesDecoder):
    """Columns come in alphabetical order."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        decoded = super().decode(messages, declared)
        return replace(decoded, batch=decoded.batch.select(sorted(decoded.batch.schema.names)))


class SplitsNames(LinesDecoder):
    """A dot in a name is a path."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        items: list[Rows] = []
        for message in messages:
            rows = self.rows_of(message.as_py())
            if not isinstance(rows, UndecodableReason):
                rows = [{name: value for name, value in row.items() if "." not in name} for row in rows]
            items.append(rows)
        return Decoded.from_rows(declared, items)


class OpenReasons(LinesDecoder):
    """Reasons are texts of its own."""

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        decoded = super().decode(messages, declared)
        reasons: Any = {place: f"message {place} is bad" for place in decoded.undecodable}
        return replace(decoded, undecodable=reasons)


class OneReason(LinesDecoder):
    """Whatever is wrong is called syntax."""

    def rows_of(self, message: bytes) -> Rows:
        rows = super().rows_of(message)
        return UndecodableReason.SYNTAX if isinstance(rows, UndecodableReason) else rows


class Throws(LinesDecoder):
    """Some messages are left out by chance."""

    def rows_of(self, message: bytes) -> Rows:
        return super().rows_of(message) if random.random() < 0.9 else UndecodableReason.SHAPE


class HugeNumbersAreSyntax(LinesDecoder):
    """A number of 5,000 digits makes a message undecodable."""

    def rows_of(self, message: bytes) -> Rows:
        return (
            UndecodableReason.SYNTAX
            if len(message) > 4000 and b"00000" in message
            else super().rows_of(message)
        )


@dataclass(frozen=True)
class _Kept:
    messages: list[bytes]


class Hoards(LinesDecoder):
    """Every message stays in memory."""

    kept = _Kept([])

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        self.kept.messages.extend(message.as_py() for message in messages)
        return super().decode(messages, declared)


BROKEN: dict[type[LinesDecoder], Callable[[rules.Subject], None]] = {
    LosesTheUndecodable: rules.rows_and_reasons_add_up,
    LosesTheLast: rules.any_cut_gives_the_same_table,
    OneBadSpoilsAll: rules.what_cannot_be_decoded_has_its_reason,
    Raises: rules.rows_and_reasons_add_up,
    InfersTypes: rules.rows_and_reasons_add_up,
    LevelsAsWritten: rules.the_kind_tells_the_type,
    FillsForward: rules.any_cut_gives_the_same_table,
    Sorts: rules.what_is_sent_arrives,
    DropsEqualRows: rules.what_is_sent_arrives,
    UnreadableIsNull: rules.a_field_that_cannot_be_read_is_of_the_wrong_type,
    UnreadableLosesItsRow: rules.a_field_that_cannot_be_read_is_of_the_wrong_type,
    AbsentIsWrong: rules.a_field_that_lacks_is_null,
    MakesMore: rules.rows_and_reasons_add_up,
    OwnOrder: rules.the_declared_columns_come_in_their_order,
    SplitsNames: rules.any_name_can_be_declared,
    OpenReasons: rules.rows_and_reasons_add_up,
    OneReason: rules.what_cannot_be_decoded_has_its_reason,
    Throws: rules.two_runs_give_the_same,
    HugeNumbersAreSyntax: rules.strange_messages_are_decoded,
    Hoards: rules.memory_is_bounded_by_one_call,
}
CONFIG = LinesConfig(type="lines", column="body")
