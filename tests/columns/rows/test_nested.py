"""Structures as columns of their fields."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.columns.rows.explode import explode
from driftwatch.columns.rows.nested import MAX_COLUMNS, Flattening, object_arrays
from driftwatch.errors import SchemaMismatch

OBJECTS = st.recursive(
    st.none() | st.integers(-9, 9),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.sampled_from("xyz"), OBJECTS, max_size=3), min_size=1, max_size=6)


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def flat(rows: pa.RecordBatch, wanted: list[str] | None = None) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = Flattening().flatten(rows, wanted).to_pydict()
    return columns


def test_a_null_structure_gives_null_fields() -> None:
    rows = batch(request=[{"age": 1, "in": {"z": 1.5}}, None, {"age": None, "in": None}], x=[1, 2, 3])
    assert flat(rows) == {"request.age": [1, None, None], "request.in.z": [1.5, None, None], "x": [1, 2, 3]}
    assert flat(rows.slice(1, 2)) == {"request.age": [None, None], "request.in.z": [None, None], "x": [2, 3]}
    assert flat(rows, ["request.in.z", "absent"]) == {"request.in.z": [1.5, None, None]}


def test_a_flat_batch_is_passed_on_as_it_is() -> None:
    rows = pa.RecordBatch.from_pydict({"a.b": [1], "c": [[1.0]]})
    assert Flattening().flatten(rows, None) is rows


def test_a_field_of_a_column_without_a_value_is_null() -> None:
    assert flat(batch(request=[None, None], x=[1, 2]), ["request.age", "x"]) == {
        "request.age": [None, None], "x": [1, 2],
    }  # fmt: skip
    assert flat(batch(r=[{"in": None}]), ["r.in.z"]) == {"r.in.z": [None]}


def test_a_structure_in_place_of_a_value_stays_one() -> None:
    """So that a number which became an object counts as of the wrong type, not as missing."""
    assert flat(batch(a=[{"b": 1}]), ["a"]) == {"a": [{"b": 1}]}
    assert flat(batch(a=[{"b": {"c": 1}}]), ["a.b"]) == {"a.b": [{"c": 1}]}


def test_a_name_that_two_columns_have_is_refused_where_it_is_wanted() -> None:
    rows = pa.RecordBatch.from_arrays(
        [pa.array([1]), pa.array([{"b": 2}]), pa.array([3])], names=["a.b", "a", "x"]
    )
    text = r"column 'a.b' is named twice: by a column of that name and by the field 'b' of the structure 'a'"
    for wanted in (None, ["a.b"]):
        with pytest.raises(SchemaMismatch, match=text):
            Flattening().flatten(rows, wanted)
    assert flat(rows, ["x"]) == {"x": [3]}
    twice = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(SchemaMismatch, match="column 'a' is named twice"):
        Flattening().flatten(twice, None)


def test_what_lies_too_deep_or_is_a_list_stays_nested() -> None:
    deep: Any = 1
    for name in "fedcba":
        deep = {name: deep}
    assert flat(batch(x=[deep])) == {"x.a.b.c.d": [{"e": {"f": 1}}]}
    assert flat(batch(x=[{"items": [{"p": 1}]}])) == {"x.items": [[{"p": 1}]]}


def test_fields_beyond_the_bound_stay_together() -> None:
    wide = {f"f{place}": place for place in range(MAX_COLUMNS)}
    columns = flat(batch(x=[1], wide=[wide]))
    assert len(columns) == MAX_COLUMNS + 1
    assert columns["wide"] == [{f"f{MAX_COLUMNS - 1}": MAX_COLUMNS - 1}]
    assert flat(batch(x=[1], wide=[wide]), [f"wide.f{MAX_COLUMNS - 1}"]) == {
        f"wide.f{MAX_COLUMNS - 1}": [MAX_COLUMNS - 1]
    }


def test_objects_whose_keys_are_data_are_bounded_over_all_batches() -> None:
    flattening, names = Flattening(), set[str]()
    for place in range(30):
        keys = {f"user{place}-{key}": 1.0 for key in range(100)}
        names |= set(flattening.flatten(batch(scores=[keys]), None).schema.names)
    assert len(names) == MAX_COLUMNS + 1
    assert "scores" in names


def encoded(cells: list[Any]) -> pa.Array:
    # Values that lie too deep are no objects here.
    return pa.array([None if isinstance(cell, dict) else cell for cell in cells], pa.int64())


def looked_up(row: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ROWS)
def test_every_value_is_where_its_path_leads(rows: list[dict[str, Any]]) -> None:
    names = sorted({name for row in rows for name in row})
    fields = [
        (name, array) for name in names for array in object_arrays([row.get(name) for row in rows], encoded)
    ]
    arrays, labels = [array for _, array in fields], [name for name, _ in fields]
    if not labels:
        return
    columns = flat(pa.RecordBatch.from_arrays(arrays, names=labels))
    for name, values in columns.items():
        assert values == [
            None if isinstance(value := looked_up(row, tuple(name.split("."))), dict) else value
            for row in rows
        ]
    leaves = {
        path for row in rows for path in paths(row) if looked_up(row, tuple(path.split("."))) is not None
    }
    assert leaves <= set(columns)


def paths(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [prefix.removesuffix(".")]
    return [path for name, item in value.items() for path in paths(item, f"{prefix}{name}.")]


def test_items_become_rows_and_other_columns_repeat() -> None:
    rows = batch(id=[1, 2, 3, 4], items=[[{"p": 1}, {"p": 2}], [], None, [{"p": 3}]])
    parts = list(explode(rows, "items", 2, 1 << 20))
    assert [part.num_rows for part in parts] == [2, 1]
    assert [row for part in parts for row in part.to_pylist()] == [
        {"id": 1, "items": {"p": 1}}, {"id": 1, "items": {"p": 2}}, {"id": 4, "items": {"p": 3}},
    ]  # fmt: skip
    assert list(explode(batch(id=[1], items=[None]), "items", 9, 99)) == []
    with pytest.raises(SchemaMismatch, match="expected lists in column 'id'"):
        list(explode(rows, "id", 9, 99))
