"""Structures, lists and an index in files of every format that has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftwatch.core.schema import Span
from driftwatch.errors import SchemaMismatch
from driftwatch.sources._formats import parquet
from driftwatch.sources.base import Reading
from driftwatch.sources.files import FilesConfig, FilesSource, open_source

DAY = 24 * 3600 * 10**9
#: 2026-03-01T00:00:00Z
START = 20513 * DAY
LOGS: list[dict[str, Any]] = [
    {
        "request": {"age": 30 + place, "city": "ab"[place % 2], "at": f"2026-03-0{1 + place // 3} 10:00:00"},
        "response": {"score": place / 10, "items": [{"sku": f"s{place}", "price": 1.5}] * (place % 3)},
        "a.b": place,
    }
    for place in range(6)
]


def write(folder: Path, kind: str, rows: list[dict[str, Any]], name: str = "logs") -> Path:
    path = folder / f"{name}.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def source(path: Path, **changes: Any) -> FilesSource:
    settings = {"type": "files", "path": str(path), "time_column": "request.at", "unfinished": 0, **changes}
    return open_source(FilesConfig(**settings))


def columns(reading: Reading) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    rows = 0
    for batch in reading.batches:
        for name in {*values, *batch.schema.names}:
            cells = batch.column(name).to_pylist() if name in batch.schema.names else [None] * batch.num_rows
            values.setdefault(name, [None] * rows).extend(cells)
        rows += batch.num_rows
    assert reading.rejected == [], reading.rejected
    return values


def problem(reading: Reading) -> str:
    assert [batch for batch in reading.batches if batch.num_rows] == []
    (rejected,) = reading.rejected
    return f"{rejected.problem}: {rejected.detail}"


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_fields_are_columns(tmp_path: Path, kind: str) -> None:
    opened = source(write(tmp_path, kind, LOGS))
    everything = columns(opened.read(None, None))
    assert set(everything) == {
        "request.age", "request.city", "request.at", "response.score", "response.items", "a.b",
    }  # fmt: skip
    assert everything["request.age"] == list(range(30, 36))
    wanted = columns(opened.read(None, ["request.age", "a.b"]))
    assert set(wanted) == {"request.age", "a.b", "request.at"}
    assert wanted["a.b"] == list(range(6))
    assert set(columns(source(write(tmp_path, kind, LOGS), time_column=None).read(None, ["a.b"]))) == {"a.b"}


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_the_event_time_may_be_a_field(tmp_path: Path, kind: str) -> None:
    opened = source(write(tmp_path, kind, LOGS))
    extent = opened.extent()
    assert extent is not None
    assert (extent.start - START, extent.end - START) == (10 * DAY // 24, DAY + 10 * DAY // 24 + 1)
    assert "'request.when'" in problem(
        source(tmp_path / f"logs.{kind}", time_column="request.when").read(None, None)
    )


def test_only_the_fields_asked_for_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    iter_batches = pq.ParquetFile.iter_batches

    def spied(file: Any, **options: Any) -> Any:
        read.append(options["columns"])
        return iter_batches(file, **options)

    monkeypatch.setattr(parquet.pq.ParquetFile, "iter_batches", spied)
    path = write(tmp_path, "parquet", LOGS)
    columns(source(path, time_column=None).read(None, ["request.age"]))
    exploded = source(path, time_column=None, explode="response.items")
    columns(exploded.read(None, ["response.items.price", "a.b"]))
    assert [set(paths) for paths in read] == [
        {"request.age"}, {"response.items.list.element.price", "a.b"},
    ]  # fmt: skip


def test_row_groups_outside_the_span_are_skipped_by_a_field(tmp_path: Path) -> None:
    times = pa.array([START + day * DAY for day in range(4)]).cast(pa.timestamp("ns", "UTC"))
    request = pa.StructArray.from_arrays([times, pa.array(range(4))], names=["at", "x"])
    pq.write_table(pa.table({"request": request}), tmp_path / "a.parquet", row_group_size=1)
    opened = source(tmp_path / "a.parquet")
    rows = columns(opened.read(Span(start=START + DAY, end=START + 2 * DAY), ["request.x"]))
    assert rows["request.x"] == [1]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_structure_may_be_null_or_missing(tmp_path: Path, kind: str) -> None:
    times = {"at": "2026-03-01T00:00:00Z"}
    write(tmp_path, kind, [{"request": {"age": 1}, **times}, {"request": None, **times}], "a")
    write(tmp_path, kind, [{"x": 1, **times}], "b")
    values = columns(source(tmp_path / f"*.{kind}", time_column="at").read(None, ["request.age", "x"]))
    assert values["request.age"] == [1, None, None]
    write(tmp_path, kind, [{"request": None, **times}], "a")
    only = source(tmp_path / f"a.{kind}", time_column="at").read(None, ["request.age"])
    assert columns(only)["request.age"] == [None]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_path_that_meets_the_name_of_a_column_is_refused(tmp_path: Path, kind: str) -> None:
    rows = [{"a": {"b": 1, "c": 2}, "a.b": 3}]
    opened = source(write(tmp_path, kind, rows), time_column=None)
    for wanted in (None, ["a.b"]):
        assert problem(opened.read(None, wanted)) == (
            "foreign_schema: column 'a.b' is named twice: by a column of that name and by the field 'b' "
            "of the structure 'a'. Rename one of the two."
        )
    assert columns(opened.read(None, ["a.c"])) == {"a.c": [2]}


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_items_become_rows_where_it_is_declared(tmp_path: Path, kind: str) -> None:
    opened = source(write(tmp_path, kind, LOGS), explode="response.items")
    everything = columns(opened.read(None, None))
    assert everything["response.items.sku"] == ["s1", "s2", "s2", "s4", "s5", "s5"]
    assert everything["request.age"] == [31, 32, 32, 34, 35, 35]
    assert columns(opened.read(None, ["request.age"])) == {
        "request.age": [31, 32, 32, 34, 35, 35], "request.at": everything["request.at"],
    }  # fmt: skip
    assert columns(opened.read(None, ["response.items.price"]))["response.items.price"] == [1.5] * 6
    assert "expected the lists 'gone' to explode" in problem(
        source(tmp_path / f"logs.{kind}", explode="gone").read(None, None)
    )
    assert "expected lists in column 'a.b' (explode)" in problem(
        source(tmp_path / f"logs.{kind}", explode="a.b").read(None, None)
    )


@pytest.mark.parametrize("odd", [{"sku": "a", "price": 1.0}, 5, "text"])
@pytest.mark.parametrize("place", [1, 4_000])
def test_a_value_to_explode_that_is_no_list_rejects_its_file(tmp_path: Path, odd: Any, place: int) -> None:
    """Beside lists in one block, or in a block of its own."""
    rows: list[dict[str, Any]] = [{"n": n, "l": [{"sku": "a", "price": 1.0}]} for n in range(4_000)]
    rows[place:place] = [{"n": n, "l": odd} for n in range(4_000)]
    opened = source(write(tmp_path, "jsonl", rows), time_column=None, explode="l")
    for wanted in (None, ["l.price", "n"]):
        detail = problem(opened.read(None, wanted))
        assert detail.startswith("foreign_schema: expected lists in column 'l' (explode). Got type ")
        assert detail.endswith("Name a column that has lists in every row, or leave explode out.")


@pytest.mark.parametrize("value", [{"sku": "a"}, 5])
def test_a_parquet_column_to_explode_that_is_no_list_rejects_its_file(tmp_path: Path, value: Any) -> None:
    path = write(tmp_path, "parquet", [{"t": START, "l": value}] * 3)
    opened = source(path, time_column="t", explode="l")
    assert "expected lists in column 'l' (explode)" in problem(opened.read(None, None))
    with pytest.raises(SchemaMismatch, match=r"or leave explode out\.$"):
        opened.extent()


def test_json_fields_keep_their_types_beside_an_odd_one(tmp_path: Path) -> None:
    """Times keep their zone, whichever fields of other lines are of another type."""
    rows: list[dict[str, Any]] = [
        {"at": "2026-03-01T00:00:00Z", "r": {"age": place, "when": "2026-03-01T02:00:00+02:00", "x": 1}}
        for place in range(4)
    ]
    whole = columns(source(write(tmp_path, "jsonl", rows), time_column="at").read(None, None))
    assert whole["r.when"] == ["2026-03-01T02:00:00+02:00"] * 4
    rows[1]["r"]["x"], rows[2]["r"] = "odd", "ERR"
    odd = columns(source(write(tmp_path, "jsonl", rows), time_column="at").read(None, None))
    assert odd["r.age"] == [0, 1, None, 3]
    assert odd["r.when"] == ["2026-03-01T02:00:00+02:00"] * 2 + [None, "2026-03-01T02:00:00+02:00"]
    assert odd["r.x"] == ["1", "odd", None, "1"]
    assert odd["r"] == [None, None, "ERR", None]


def test_an_index_that_pandas_wrote_is_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index([7, 7]))
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv")
    pd.read_csv(tmp_path / "a.csv").to_csv(tmp_path / "b.csv")
    frame.rename_axis("ts").to_parquet(tmp_path / "named.parquet")
    for name in ("a.parquet", "a.csv", "b.csv"):
        assert columns(source(tmp_path / name, time_column=None).read(None, None)) == {"x": [1, 2]}, name
    assert columns(source(tmp_path / "named.parquet", time_column=None).read(None, None)) == {
        "x": [1, 2], "ts": [7, 7],
    }  # fmt: skip
    asked = source(tmp_path / "a.parquet", time_column="__index_level_0__").read(None, None)
    assert set(columns(asked)) == {"x", "__index_level_0__"}, "a declared time column comes"
