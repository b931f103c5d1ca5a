"""Between source and engine: messages in, rows out, and every message accounted for."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lines_decoder import LinesConfig, LinesDecoder

from driftwatch.core.schema import Column, Kind
from driftwatch.decoders.base import DeclaredColumns, Decoded, UndecodableReason
from driftwatch.engines.local import decoded_rows
from driftwatch.engines.local.count import summarise
from driftwatch.engines.local.decoded_rows import DecodedRows, checked
from driftwatch.errors import SchemaMismatch
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.serial import encode_summary, with_fingerprint

PLAN = with_fingerprint(
    Plan(
        columns=(Column(name="n", kind=Kind.NUMERIC), Column(name="c", kind=Kind.CATEGORICAL)),
        grids={"n": numeric_grid(np.array([0.0, 1.0, 2.0])), "c": LevelGrid(levels=("a",))},
        identity_columns=("t", "id"),
        time_column="t",
        segmentation=Segmentation(column="c", levels=("a",)),
        sample_rows=9,
    )
)
EDGES = [0, 10, 20]


def rows_of(plan: Plan = PLAN, **settings: Any) -> DecodedRows:
    config = LinesConfig.model_validate({"type": "lines", "column": "body", **settings})
    return DecodedRows(config=config, decoder=LinesDecoder(config=config), plan=plan, edges=EDGES)


def batch_of(bodies: list[Any], kind: pa.DataType | None = None, **columns: Any) -> pa.RecordBatch:
    times = columns.pop("t", list(range(len(bodies))))
    arrays = {"t": pa.array(times, pa.timestamp("ns")), "body": pa.array(bodies, kind or pa.string())}
    arrays |= {name: pa.array(values) for name, values in columns.items()}
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def table_of(batches: list[pa.RecordBatch], rows: DecodedRows | None = None) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = []
    for batch in (rows or rows_of()).batches(iter(batches)):
        if "t" in batch.schema.names:
            batch = batch.set_column(batch.schema.names.index("t"), "t", batch["t"].cast(pa.int64()))
        table += batch.to_pylist()
    return table


def test_rows_of_a_message_share_its_other_columns() -> None:
    bodies = ['{"n": 1, "c": "a"}\n{"n": 2}', "no message", '{"n": 3, "id": "inner", "t": 99}']
    assert table_of([batch_of(bodies, id=["x", "y", "z"], surplus=[1, 2, 3])]) == [
        {"n": 1.0, "c": "a", "id": "x", "t": 0},
        {"n": 2.0, "c": None, "id": "x", "t": 0},
        {"n": 3.0, "c": None, "id": "z", "t": 2},
    ]
    assert table_of([batch_of(['{"n": 3, "id": "inner"}'])]) == [{"n": 3.0, "c": None, "id": "inner", "t": 0}]


def test_the_first_of_two_columns_of_one_name_counts() -> None:
    batch = batch_of(['{"n": 1}'], id=["first"])
    for name, value in (("id", "second"), ("body", "{"), ("t", "never")):
        batch = batch.append_column(name, pa.array([value]))
    assert table_of([batch]) == [{"n": 1.0, "c": None, "id": "first", "t": 0}]


def test_the_column_of_the_messages_is_no_input() -> None:
    plan = replace(PLAN, columns=(Column(name="body", kind=Kind.CATEGORICAL),), segmentation=None)
    assert table_of([batch_of(['{"body": "inner"}'])], rows_of(plan)) == [
        {"body": "inner", "t": 0, "id": None}
    ]


def test_a_field_that_cannot_be_read_is_of_the_wrong_type_and_keeps_its_row() -> None:
    bodies = [
        '{"n": {}, "c": "a"}\n{"n": 1, "c": []}',
        '{"n": [], "c": {}}',
        '{"n": "x", "c": "b"}',
        '{"c": "b"}',
    ]
    counted = summarise(PLAN, rows_of().batches(iter([batch_of(bodies)])), EDGES)
    tile = counted.tiles[0, None]
    assert (tile.rows, tile.counts["n"].wrong_type, tile.counts["c"].wrong_type) == (5, 3, 2)
    assert (tile.counts["n"].missing, tile.counts["n"].absent) == (1, 0)
    assert {segment: part.rows for (start, segment), part in counted.tiles.items() if start == 0} == {
        None: 5, "a": 1, "other": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(),
     pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.binary())],
)  # fmt: skip
def test_messages_come_as_any_sort_of_text_or_bytes(kind: pa.DataType) -> None:
    bodies = ['{"n": 1}', None, "", '{"n": 2}', '{"n": 1}']
    values = pa.array(bodies).cast(pa.binary()) if "binary" in str(kind) else pa.array(bodies)
    array = values.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else values.cast(kind)
    rows = rows_of()
    batch = batch_of([""] * 5).set_column(1, "body", array)
    assert [row["n"] for row in table_of([batch.slice(0, 2), batch.slice(2)], rows)] == [1.0, 2.0, 1.0]
    assert rows.undecodable == {(0, UndecodableReason.EMPTY): 2}


def test_a_source_without_messages_says_which_column_was_expected() -> None:
    with pytest.raises(SchemaMismatch, match=r"column 'body' \(decode\.column\)\. Got rows without it"):
        table_of([batch_of(["{}"]).drop_columns(["body"])])
    with pytest.raises(SchemaMismatch, match=r"text or bytes .* Got struct<n: int64>"):
        table_of([batch_of([{"n": 1}], pa.struct([("n", pa.int64())]))])
    assert table_of([batch_of(["{}"]).drop_columns(["body"]).slice(0, 0)]) == [], "no rows, no question"
    rows = rows_of()
    assert table_of([batch_of([None, None], pa.null())], rows) == []
    assert rows.undecodable == {(0, UndecodableReason.EMPTY): 2}


def test_what_cannot_be_decoded_is_counted_in_its_tile() -> None:
    bodies = ["{", "[]", '{"x": 1}', "{", "{", "{", '{"n": 1}', "x" * 200]
    times = [0, 9, 10, 19, 20, None, 5, 11]
    rows = rows_of(max_message=100)
    assert len(table_of([batch_of(bodies, t=times)], rows)) == 1
    assert rows.undecodable == {
        (0, UndecodableReason.SYNTAX): 1,
        (0, UndecodableReason.SHAPE): 1,
        (10, UndecodableReason.UNKNOWN_COLUMNS): 1,
        (10, UndecodableReason.SYNTAX): 1,
        (None, UndecodableReason.SYNTAX): 1,
        (10, UndecodableReason.TOO_LARGE): 1,
    }, "the one at 20 belongs to another time"


def test_without_event_time_all_belong_to_the_one_tile() -> None:
    rows = DecodedRows(
        config=rows_of().config, decoder=rows_of().decoder, plan=replace(PLAN, time_column=None), edges=[0, 1]
    )
    assert table_of([batch_of(["{", "{"])], rows) == []
    assert rows.undecodable == {(0, UndecodableReason.SYNTAX): 2}
    rows = rows_of()
    table_of([batch_of(["{", "{"]).drop_columns(["t"])], rows)
    assert rows.undecodable == {(None, UndecodableReason.SYNTAX): 2}


def test_a_decoder_gets_few_bytes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    class Watched(LinesDecoder):
        def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
            calls.append(sum(len(message.as_py()) for message in messages))
            return super().decode(messages, declared)

    monkeypatch.setattr(decoded_rows, "_CALL_BYTES", 100)
    body = '{"n": 1}\n' * 5
    rows = rows_of()
    rows.decoder = Watched(config=rows.config)
    assert len(table_of([batch_of([body] * 50)], rows)) == 250
    assert max(calls) <= 100 + len(body)
    assert sum(calls) == 50 * len(body)


ROWS = st.fixed_dictionaries(
    {"n": st.sampled_from([0, 1.5, None, "x", []])}, optional={"c": st.sampled_from(["a", "b", {}])}
)
BODIES = st.lists(
    st.one_of(
        st.sampled_from(["{", "", "[]", '{"x": 1}', '{"n": {}}', None]),
        st.lists(ROWS, min_size=1, max_size=3).map(lambda rows: "\n".join(map(json.dumps, rows))),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(BODIES, st.lists(st.integers(0, 12), max_size=4), st.integers(0, 2**32))
def test_any_cut_and_order_of_batches_gives_the_same_bytes(
    bodies: list[Any], cuts: list[int], seed: int
) -> None:
    rng = random.Random(seed)
    times = [rng.choice([-1, 0, 5, 10, 25, None]) for _ in bodies]
    ids = [f"id{place}" for place in range(len(bodies))]

    def counted(batches: list[pa.RecordBatch]) -> Any:
        rows = rows_of()
        result = summarise(PLAN, rows.batches(iter(batches)), EDGES)
        tiles = {key: encode_summary(part) for key, part in result.tiles.items()}
        return tiles, result.rows, result.untimed, result.outside, rows.undecodable

    whole = batch_of(bodies, t=times, id=pa.array(ids, pa.string()))
    places = [0, *sorted(min(cut, len(bodies)) for cut in cuts), len(bodies)]
    parts = [whole.slice(low, high - low) for low, high in pairwise(places)]
    rng.shuffle(parts)
    assert counted(parts) == counted([whole])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": pa.RecordBatch.from_pydict({"n": [1, 2]})}, "other columns"),
        ({"rows": np.array([1])}, "other numbers"),
        ({"rows": np.array([2, 1])}, "other numbers"),
        ({"rows": np.array([2, 0])}, "neither"),
        ({"undecodable": {0: UndecodableReason.SHAPE}}, "both"),
        ({"undecodable": {5: UndecodableReason.SHAPE}}, "both"),
    ],
)
def test_a_decoder_that_does_not_add_up_is_refused(change: dict[str, Any], words: str) -> None:
    declared = DeclaredColumns(columns=(Column(name="n", kind=Kind.NUMERIC),))
    decoded = Decoded.from_rows(declared, [[{"n": 1}], [{"n": 2}]])
    assert checked(decoded, declared, 2) is decoded
    with pytest.raises(ValueError, match=words):
        checked(replace(decoded, **change), declared, 2)
