"""The contract of decoders as functions: each raises ``AssertionError`` for a decoder that breaks its rule.

``tests/contracts/test_decoders.py`` runs them on every plugin, and on decoders that break one rule each.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from decoder_stands import Stand
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from driftwatch.core.schema import Column, Kind
from driftwatch.decoders.base import DeclaredColumns, Decoded, Decoder, DecoderConfig, UndecodableReason
from driftwatch.engines.local.decoded_rows import DecodedRows
from driftwatch.summary.plan import Plan

EXAMPLES = 100
COLUMNS = {
    "n": Kind.NUMERIC, "m": Kind.NUMERIC, "c": Kind.CATEGORICAL, "f": Kind.BOOLEAN, "d": Kind.DATETIME,
    "s": Kind.TEXT, "v": Kind.VECTOR,
}  # fmt: skip
DECLARED = DeclaredColumns(
    columns=tuple(Column(name=name, kind=kind) for name, kind in COLUMNS.items()), timezone="Europe/Berlin"
)
#: What no kind can read.
UNREADABLE = {"un": "readable"}
#: Names that formats and templates give a meaning.
HOSTILE_NAMES = [
    "a.b",
    "a b",
    "é",
    "日本",
    "__class__",
    "$",
    "0",
    "n\u0000",
    "x" * 300,
    "N",
    "'; drop",
    "{n}",
    "\n",
]
#: Bytes that a decoder holds at a time, for each byte of a message that it is given.
MAX_EXPANSION = 40


@dataclass(frozen=True)
class Subject:
    """A decoder under test; every call of ``open`` gives another one."""

    stand: Stand
    open: Callable[[], Decoder]

    def decode(self, messages: Sequence[bytes], declared: DeclaredColumns = DECLARED) -> Decoded:
        try:
            return self.open().decode(pa.array(messages, pa.large_binary()), declared)
        except Exception as error:
            raise AssertionError("nothing that a message holds raises an error") from error


values = {
    Kind.NUMERIC: st.one_of(st.integers(-(10**6), 10**6), st.floats(allow_nan=False, width=32), st.none()),
    Kind.CATEGORICAL: st.one_of(st.text(max_size=4), st.integers(0, 3), st.booleans(), st.none()),
    Kind.BOOLEAN: st.one_of(st.booleans(), st.none()),
    Kind.DATETIME: st.one_of(
        st.sampled_from(["2024-01-01", "2024-03-31T02:30:00", 1_700_000_000]), st.none()
    ),
    Kind.TEXT: st.one_of(st.text(max_size=6), st.none()),
    Kind.VECTOR: st.one_of(st.lists(st.integers(-5, 5), max_size=3), st.none()),
}


def rows_of(stand: Stand) -> st.SearchStrategy[list[dict[str, Any]]]:
    fields = {
        name: st.one_of(values[kind], st.just(UNREADABLE)) if kind in stand.unreadable else values[kind]
        for name, kind in COLUMNS.items()
    }
    rows = st.fixed_dictionaries({"n": fields.pop("n")}, optional={**fields, "undeclared": st.integers()})
    return st.lists(rows, min_size=1, max_size=4)


def messages_of(stand: Stand) -> st.SearchStrategy[list[bytes]]:
    """Sound messages, broken ones, and sound ones with some bytes changed."""
    sound = rows_of(stand).map(stand.message)
    damaged = st.builds(damage, sound, st.randoms(use_true_random=False))
    hostile = st.sampled_from([*stand.undecodable, *stand.strange])
    return st.lists(st.one_of(sound, sound, damaged, hostile, st.binary(min_size=1, max_size=20)), max_size=8)


def damage(message: bytes, rng: Any) -> bytes:
    data = bytearray(message)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data))
        match rng.randint(0, 2):
            case 0:
                data[place] = rng.randrange(256)
            case 1:
                del data[place:]
            case _:
                data[place:place] = data[: rng.randint(0, 9)]
        if not data:
            return b"{"
    return bytes(data)


def examples(strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Run a check on drawn values, the same at every run with the same modules loaded."""

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def run(value: Any) -> None:
        check(value)

    run()


def cells(decoded: Decoded) -> dict[str, list[Any]]:
    """Every cell as a text, so that NaN equals NaN; ``wrong`` where it could not be read."""
    table = {}
    for name, column in zip(decoded.batch.schema.names, decoded.batch.columns, strict=True):
        wrong = decoded.wrong_type.get(name, np.zeros(len(column), dtype=bool))
        array = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        texts = [repr(value) for value in array.to_pylist()]
        assert [text for text, is_wrong in zip(texts, wrong, strict=True) if is_wrong] == ["None"] * int(
            wrong.sum()
        )
        table[name] = ["wrong" if is_wrong else text for text, is_wrong in zip(texts, wrong, strict=True)]
    return table


def rows_and_reasons_add_up(subject: Subject) -> None:
    """Each message has rows or a reason, and the columns are those declared."""

    def check(messages: list[bytes]) -> None:
        decoded = subject.decode(messages)
        assert decoded.batch.schema.equals(DECLARED.schema)
        assert decoded.rows.dtype == np.int64
        assert decoded.rows.shape == (len(messages),)
        assert decoded.rows.sum() == decoded.batch.num_rows
        for place, rows in enumerate(decoded.rows):
            assert (rows == 0) == (place in decoded.undecodable), messages[place]
        assert all(0 <= place < len(messages) for place in decoded.undecodable)
        assert all(isinstance(reason, UndecodableReason) for reason in decoded.undecodable.values())
        assert set(decoded.wrong_type) <= set(COLUMNS)
        assert all(mask.dtype == bool and mask.any() for mask in decoded.wrong_type.values())

    examples(messages_of(subject.stand), check)
    check([])


def what_is_sent_arrives(subject: Subject) -> None:
    """Rows come in their order, with the values that were sent."""

    def check(messages: list[list[dict[str, Any]]]) -> None:
        decoded = subject.decode([subject.stand.message(rows) for rows in messages])
        assert decoded.rows.tolist() == [len(rows) for rows in messages]
        expected = Decoded.from_rows(DECLARED, messages)
        assert cells(decoded) == cells(expected)

    examples(st.lists(rows_of(subject.stand), max_size=4), check)


def any_cut_gives_the_same_table(subject: Subject) -> None:
    def check(drawn: tuple[list[bytes], list[int]]) -> None:
        messages, cuts = drawn
        whole = subject.decode(messages)
        places = [0, *sorted(min(cut, len(messages)) for cut in cuts), len(messages)]
        decoder = subject.open()
        table: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        rows: list[int] = []
        reasons: dict[int, UndecodableReason] = {}
        for low, high in pairwise(places):
            part = decoder.decode(pa.array(messages[low:high], pa.large_binary()), DECLARED)
            for name, column in cells(part).items():
                table[name] += column
            rows += part.rows.tolist()
            reasons |= {low + place: reason for place, reason in part.undecodable.items()}
        assert table == cells(whole)
        assert rows == whole.rows.tolist()
        assert reasons == dict(whole.undecodable)

    examples(st.tuples(messages_of(subject.stand), st.lists(st.integers(0, 8), max_size=3)), check)
    # What is drawn depends on the modules that are loaded: a field that goes away is always among it.
    coming_and_going = [{"n": 1, "s": "a"}, {"n": 2}, {"n": 3, "s": "b"}]
    check(([subject.stand.message([row]) for row in coming_and_going], [1, 2]))


def two_runs_give_the_same(subject: Subject) -> None:
    def check(messages: list[bytes]) -> None:
        first, second = subject.decode(messages), subject.decode(messages)
        assert cells(first) == cells(second)
        assert dict(first.undecodable) == dict(second.undecodable)

    examples(messages_of(subject.stand), check)


def what_cannot_be_decoded_has_its_reason(subject: Subject) -> None:
    sound = subject.stand.message([{"n": 1.0}])
    for message, reason in subject.stand.undecodable.items():
        decoded = subject.decode([sound, message, sound])
        assert dict(decoded.undecodable) == {1: reason}, message[:60]
        assert decoded.rows.tolist() == [1, 0, 1], "the messages beside it are decoded"


def strange_messages_are_decoded(subject: Subject) -> None:
    for message in subject.stand.strange:
        decoded = subject.decode([message])
        assert dict(decoded.undecodable) == {}, message[:60]
        assert decoded.rows.tolist() == [1], message[:60]


def a_field_that_lacks_is_null(subject: Subject) -> None:
    decoded = subject.decode([subject.stand.message([{"n": 1.0}, {"n": 2.0, "c": None}])])
    assert cells(decoded)["c"] == ["None", "None"]
    assert not decoded.wrong_type
    assert decoded.rows.tolist() == [2]


def a_field_that_cannot_be_read_is_of_the_wrong_type(subject: Subject) -> None:
    for name in (name for name, kind in COLUMNS.items() if kind in subject.stand.unreadable):
        other = next(item for item in COLUMNS if item != name)
        decoded = subject.decode([subject.stand.message([{name: UNREADABLE, other: None}, {other: None}])])
        assert decoded.rows.tolist() == [2], "the row is not lost"
        assert cells(decoded)[name] == ["wrong", "None"]
        assert set(decoded.wrong_type) == {name}


def any_name_can_be_declared(subject: Subject) -> None:
    declared = DeclaredColumns(columns=tuple(Column(name=name, kind=Kind.NUMERIC) for name in HOSTILE_NAMES))
    row = {name: float(place) for place, name in enumerate(HOSTILE_NAMES)}
    decoded = subject.decode([subject.stand.message([row])], declared)
    assert decoded.batch.schema.names == HOSTILE_NAMES
    assert decoded.batch.to_pylist() == [row]


def the_declared_columns_come_in_their_order(subject: Subject) -> None:
    message = subject.stand.message([{"m": 2.0, "n": 1.0, "undeclared": 3}])
    for names in (["n"], ["m", "n"], ["n", "m"]):
        declared = DeclaredColumns(columns=tuple(Column(name=name, kind=Kind.NUMERIC) for name in names))
        decoded = subject.decode([message], declared)
        assert decoded.batch.schema.equals(declared.schema)
        assert decoded.batch.to_pylist() == [{name: {"n": 1.0, "m": 2.0}[name] for name in names}]


def the_kind_tells_the_type(subject: Subject) -> None:
    """Whole numbers in one batch and texts in another are the same levels."""
    declared = DeclaredColumns(columns=(Column(name="c", kind=Kind.CATEGORICAL),))
    texts = [
        cells(subject.decode([subject.stand.message([{"c": value}])], declared))["c"]
        for value in (3, 3.0, "3")
    ]
    assert texts == [["'3'"]] * 3


def memory_is_bounded_by_one_call(subject: Subject) -> None:
    """Messages go through, they do not pile up."""
    message = subject.stand.message([{"n": 1.5, "c": "x" * 400}] * 100)
    plan = Plan(columns=DECLARED.columns, grids={}, time_column=None)
    config = DecoderConfig(type="any", column="body")
    rows = DecodedRows(config=config, decoder=subject.open(), plan=plan, edges=[0, 1])

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(24):
            yield pa.RecordBatch.from_pydict({"body": pa.array([message] * 5, pa.large_binary())})

    bound = MAX_EXPANSION * len(message)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        arrow = pa.total_allocated_bytes()
        count = 0
        for batch in rows.batches(batches()):
            count += batch.num_rows
            assert pa.total_allocated_bytes() - arrow < bound
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert count == 12_000
    assert peak < bound, (peak, bound)


RULES: tuple[Callable[[Subject], None], ...] = (
    rows_and_reasons_add_up,
    what_is_sent_arrives,
    any_cut_gives_the_same_table,
    two_runs_give_the_same,
    what_cannot_be_decoded_has_its_reason,
    strange_messages_are_decoded,
    a_field_that_lacks_is_null,
    a_field_that_cannot_be_read_is_of_the_wrong_type,
    any_name_can_be_declared,
    the_declared_columns_come_in_their_order,
    the_kind_tells_the_type,
    memory_is_bounded_by_one_call,
)
