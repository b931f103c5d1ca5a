"""Every Arrow type ends watched, or named with the reason."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from reference_worlds import monitor

import driftwatch
from driftwatch.core.schema import Kind, Role, Unwatched
from driftwatch.errors import ConfigError
from driftwatch.reference.build import build_reference
from driftwatch.summary.reference import Reference

ROWS = 60
NUMBERS = [float(row % 7) + 0.5 for row in range(ROWS)]
WHOLE = [row % 7 for row in range(ROWS)]
MOMENTS = [datetime(2020, 1, 1) + timedelta(days=row % 7) for row in range(ROWS)]
UNION = pa.UnionArray.from_sparse(
    pa.array([0, 1] * (ROWS // 2), pa.int8()), [pa.array(WHOLE), pa.array(["a"] * ROWS)]
)
WATCHED: dict[str, tuple[pa.Array, Kind]] = {
    **{
        str(t): (pa.array(WHOLE, t), Kind.NUMERIC)
        for t in (
            pa.int8(),
            pa.int16(),
            pa.int32(),
            pa.int64(),
            pa.uint8(),
            pa.uint16(),
            pa.uint32(),
            pa.uint64(),
            pa.float32(),
            pa.float64(),
        )
    },
    "halffloat": (pa.array([np.float16(value) for value in NUMBERS], pa.float16()), Kind.NUMERIC),
    **{
        str(t): (pa.array([Decimal(value) for value in WHOLE], t), Kind.NUMERIC)
        for t in (pa.decimal32(5, 1), pa.decimal64(9, 2), pa.decimal128(30, 4), pa.decimal256(60, 4))
    },
    "bool": (pa.array([value > 2 for value in WHOLE]), Kind.BOOLEAN),
    **{
        str(t): (pa.array([f"level {value}" for value in WHOLE], t), Kind.CATEGORICAL)
        for t in (
            pa.string(),
            pa.large_string(),
            pa.string_view(),
            pa.binary(),
            pa.large_binary(),
            pa.binary_view(),
        )
    },
    "fixed_size_binary": (pa.array([f"{value:04}" for value in WHOLE], pa.binary(4)), Kind.CATEGORICAL),
    **{
        str(t): (pa.array(WHOLE, pa.int64()).cast(t), Kind.NUMERIC)
        for t in (
            pa.duration("s"),
            pa.duration("ms"),
            pa.duration("us"),
            pa.duration("ns"),
            pa.time64("us"),
            pa.time64("ns"),
        )
    },
    **{
        str(t): (pa.array(WHOLE, pa.int32()).cast(t), Kind.NUMERIC) for t in (pa.time32("s"), pa.time32("ms"))
    },
    **{
        str(t): (pa.array(MOMENTS).cast(t), Kind.DATETIME)
        for t in (pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.date32(), pa.date64())
    },
    **{
        str(t): (pa.array([[value, 1.0] for value in NUMBERS], t), Kind.VECTOR)
        for t in (
            pa.list_(pa.float32()),
            pa.large_list(pa.float64()),
            pa.list_(pa.float64(), 2),
            pa.list_view(pa.float64()),
            pa.large_list_view(pa.float32()),
        )
    },
    "vector of integers": (pa.array([[value, 1] for value in WHOLE]), Kind.VECTOR),
    "dictionary of texts": (pa.array([str(value) for value in WHOLE]).dictionary_encode(), Kind.CATEGORICAL),
    "dictionary of integers": (pa.array(WHOLE).dictionary_encode(), Kind.CATEGORICAL),
    "run-end encoded": (pc.run_end_encode(pa.array(NUMBERS)), Kind.NUMERIC),
    "bool8": (pa.array([value % 2 for value in WHOLE], pa.int8()).cast(pa.int8()), Kind.CATEGORICAL),
    "uuid": (pa.array([bytes([value] * 16) for value in WHOLE], pa.uuid()), Kind.CATEGORICAL),
    "null": (pa.nulls(ROWS), Kind.CATEGORICAL),
    "null float": (pa.nulls(ROWS, pa.float64()), Kind.CATEGORICAL),
    "null text": (pa.nulls(ROWS, pa.string()), Kind.CATEGORICAL),
    "all NaN": (pa.array([float("nan")] * ROWS), Kind.CATEGORICAL),
    "constant text": (pa.array(["EUR"] * ROWS), Kind.CATEGORICAL),
    "constant number": (pa.array([7] * ROWS), Kind.CATEGORICAL),
    "constant float": (pa.array([7.5] * ROWS), Kind.CATEGORICAL),
    "constant truth": (pa.array([True] * ROWS), Kind.BOOLEAN),
}
NAMED: dict[str, tuple[pa.Array, Unwatched]] = {
    "struct": (pa.array([{"a": 1}] * ROWS), Unwatched.NESTED),
    "struct of views": (
        pa.array([{"a": "x"}] * ROWS, pa.struct([("a", pa.string_view())])),
        Unwatched.NESTED,
    ),
    "list of structs": (pa.array([[{"a": 1}]] * ROWS), Unwatched.NESTED),
    "map": (pa.array([[("k", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())), Unwatched.NESTED),
    "texts": (pa.array([["x"]] * ROWS), Unwatched.TYPE),
    "truths": (pa.array([[True]] * ROWS), Unwatched.TYPE),
    "matrix": (pa.array([[[1.0]]] * ROWS), Unwatched.TYPE),
    "times": (pa.array([[datetime(2020, 1, 1)]] * ROWS), Unwatched.TYPE),
    "list of nulls": (pa.array([[]] * ROWS, pa.list_(pa.null())), Unwatched.TYPE),
    "interval": (pa.array([(1, 2, 3)] * ROWS, pa.month_day_nano_interval()), Unwatched.TYPE),
    "union": (UNION, Unwatched.TYPE),
}


def built(array: pa.Array, **settings: Any) -> Reference:
    table = pa.table({"birth": array, "y": np.arange(ROWS) % 5 + 0.5})
    settings.setdefault("columns", {"birth": {"role": "feature"}})
    config = monitor(**settings)
    return build_reference(config, table.to_batches, built_at=0, source="memory", files=1).reference


@pytest.mark.parametrize("name", WATCHED)
def test_what_can_be_counted_is_watched(name: str) -> None:
    array, kind = WATCHED[name]
    reference = built(array)
    assert {column.name: column.kind for column in reference.plan.columns}["birth"] == kind
    counts = reference.summary.counts["birth"]
    assert counts.wrong_type == 0
    assert counts.present == (0 if "null" in name or name == "all NaN" else ROWS)
    table = pa.table({"birth": array, "y": np.arange(ROWS) % 5 + 0.5})
    assert not driftwatch.compare(table, table, columns=["birth", "y"]).drifted()


@pytest.mark.parametrize("name", NAMED)
def test_what_cannot_be_counted_is_a_named_feature(name: str) -> None:
    array, unwatched = NAMED[name]
    for settings in ({}, {"columns": {}}):
        reference = built(array, **settings)
        assert [column.name for column in reference.plan.columns] == ["y"]
        ((column),) = reference.provenance.set_aside
        assert (column.name, column.role, column.unwatched) == ("birth", Role.FEATURE, unwatched)
        assert "cannot be counted" in column.reason
    ((column),) = built(array, columns={"birth": {"role": "ignore"}}).provenance.set_aside
    assert (column.role, column.unwatched) == (Role.IGNORE, None)


@pytest.mark.parametrize(
    ("array", "kind", "choices"),
    [
        (NAMED["struct"][0], "numeric", "its values cannot be counted"),
        (pa.array(["x", "y"] * 30), "numeric", "must be categorical or boolean or text,"),
        (pa.array(NUMBERS), "datetime", "must be categorical or numeric or text,"),
        (pa.array(WHOLE), "vector", "Got vector for a column of type int64"),
        (pa.array(WHOLE), "boolean", "Got boolean for"),
        (WATCHED["duration[s]"][0], "datetime", "must be categorical or numeric"),
        (pa.array([[1.0, 2.0]] * ROWS), "numeric", "must be vector,"),
        (pa.array(MOMENTS), "numeric", "must be categorical or datetime,"),
        (pa.array([True, False] * 30), "vector", "must be categorical or boolean or numeric"),
    ],
)
def test_a_kind_that_a_column_cannot_have_is_refused(array: pa.Array, kind: str, choices: str) -> None:
    with pytest.raises(ConfigError, match=choices) as error:
        built(array, columns={"birth": {"kind": kind}})
    assert "columns.birth.kind" in str(error.value)
    # Nobody reads the kind of a column that is ignored.
    assert built(array, columns={"birth": {"kind": kind, "role": "ignore"}})


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array(["1", "2.5", "x"] * 20), "numeric"),
        (pa.array(["2026-03-01", "2026-03-02"] * 30), "datetime"),
        (pa.array([1.7e9, 1.8e9] * 30), "datetime"),
        (pa.array(WHOLE), "categorical"),
        (pa.array(["a", "b"] * 30), "boolean"),
        (pa.nulls(ROWS), "vector"),
    ],
)
def test_a_kind_that_a_column_can_have_is_taken(array: pa.Array, kind: str) -> None:
    columns = built(array, columns={"birth": {"kind": kind}}).plan.columns
    assert {column.name: column.kind for column in columns}["birth"] == kind


def test_times_of_day_are_seconds() -> None:
    array = pa.array([time(8), time(9, 30, 0, 500_000)] * 30, pa.time64("us"))
    grid = built(array, columns={"birth": {"kind": "numeric"}}).plan.grids["birth"]
    assert {8 * 3600.0, 9.5 * 3600 + 0.5} <= set(grid.edges.tolist())  # type: ignore[union-attr]
    assert date(2020, 1, 1)
