"""Equal values in another type: no page, and one line in verdict and page says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from daemon_world import MINUTE, World

from driftwatch.cli import main
from driftwatch.core.schema import iso
from driftwatch.reference.build import ReferenceBuild, build_reference

ROWS = 300
#: Minutes in the reference's types, and minutes after them in others.
EQUAL, OTHER = 4, 4
HOSTILE = "<b>\u202eyap"
CHANGES = [
    {"column": HOSTILE, "reference": "float64", "current": "float32"},
    {"column": "count", "reference": "integer", "current": "float64"},
    {"column": "fresh", "reference": "boolean", "current": "integer"},
    {"column": "half", "reference": "float64", "current": "text"},
    {"column": "paid", "reference": "boolean", "current": "text"},
    {"column": "share", "reference": "float64", "current": "decimal"},
]
OTHER_TYPES: dict[str, Any] = {
    HOSTILE: lambda array: array.cast(pa.float32()),
    "count": lambda array: array.cast(pa.float64()),
    "fresh": lambda array: array.cast(pa.int8()),
    "half": lambda array: pa.array([str(value) for value in array.to_pylist()]),
    "paid": lambda array: pa.array([str(value) for value in array.to_pylist()]),
    "share": lambda array: array.cast(pa.decimal128(10, 2)),
    "gone": lambda array: pa.nulls(len(array)),
}


def write(
    path: Path, start: int, end: int, rows: int, seed: int, types: dict[str, Any] | None = None
) -> None:
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {
        HOSTILE: pa.array(rng.normal(size=rows).astype(np.float32).astype(np.float64)),
        "same": pa.array(rng.normal(size=rows)),
        "city": pa.array(rng.choice(["a", "b"], rows)),
        "count": pa.array(rng.poisson(4, rows)),
        "fresh": pa.array(rng.random(rows) < 0.4),
        "paid": pa.array(rng.random(rows) < 0.4),
        "half": pa.array(rng.integers(0, 99, rows) / 2),
        "share": pa.array(rng.integers(0, 90, rows) / 4),
        # Mostly empty: a window without a value has no type.
        "gone": pa.nulls(rows, pa.float64()),
    }
    for name, dress in (types or {}).items():
        columns[name] = dress(columns[name])
    times = start + np.arange(rows) * ((end - start) // rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"at": pa.array(times, pa.timestamp("ns", "UTC")), **columns}), path)


def world_of(folder: Path, types: dict[str, Any] = OTHER_TYPES, **settings: Any) -> World:
    world = World(folder, **settings)
    write(folder / "reference.parquet", world.start - 40 * MINUTE, world.start, 40 * ROWS, 1)
    for number in range(EQUAL + OTHER):
        begin = world.start + number * MINUTE
        path = folder / "m" / f"{number:04}.parquet"
        write(path, begin, begin + MINUTE, ROWS, 100 + number, types if number >= EQUAL else None)
    return world


def answer(*words: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == exit_code, (result.output, result.exception)
    return json.loads(result.stdout)


def words_of(world: World, number: int) -> list[str]:
    return ["--monitor", "m", "--window", iso(world.start + (number + 1) * MINUTE)]


def test_a_backtest_names_the_columns_from_the_first_window_that_has_them(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    result = answer("backtest", str(world.config), "--format", "json", "--no-inject")
    assert result["pages"] == []
    assert not [item["reason"] for item in result["windows"] if item["broken"]]
    changes = [window["type_changes"] for window in result["windows"]]
    assert changes == [[]] * EQUAL + [CHANGES] * OTHER


def test_the_daemon_says_it_in_verdict_and_pages_and_explain_agrees(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    with world.inside(1) as inside:
        for number in range(EQUAL + OTHER):
            inside.to(number + 1)
        first, *_, newest = inside.verdicts()
        end = iso(newest["window"]["end"])
        pages = [inside.page(f"/monitors/m/windows/{end}"), inside.page("/monitors/m")]
        quiet_page = inside.page(f"/monitors/m/windows/{iso(first['window']['end'])}")
        api = json.loads(inside.page("/api/v1/monitors/m"))
    assert not newest["page"]
    assert [item["column"] for item in newest["type_changes"]] == [item["column"] for item in CHANGES]
    assert "type_changes" not in first
    assert api["windows"][0]["type_changes"] == CHANGES
    for page in pages:
        assert page.count("<dt>another type</dt>") == 1
        assert "&lt;b&gt;\\u202eyap: float64 became float32; count: integer became float64" in page
        assert "paid: boolean became text; and 1 more" in page
        assert "\u202e" not in page
    assert "<dt>another type</dt>" not in quiet_page
    explained = answer("explain", str(world.config), *words_of(world, EQUAL), "--format", "json")
    assert explained["equal"]
    assert explained["recomputed"]["type_changes"] == CHANGES
    terminal = CliRunner().invoke(main, ["explain", str(world.config), *words_of(world, EQUAL)])
    assert "another type" in terminal.stdout
    assert "\u202e" not in terminal.stdout


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (OTHER_TYPES, CHANGES),
        ({}, []),
        ({"gone": lambda array: pa.nulls(len(array)), "count": lambda array: pa.nulls(len(array))}, []),
        ({"count": lambda array: pa.nulls(len(array), pa.float64())}, []),
    ],
    ids=["others", "equal", "no values", "no values of a type"],
)
def test_a_check_says_it_of_columns_with_values(
    tmp_path: Path, types: dict[str, Any], expected: list[Any]
) -> None:
    world = world_of(tmp_path, types)
    at = iso(world.start + (EQUAL + OTHER) * MINUTE)
    result = CliRunner().invoke(main, ["check", str(world.config), "--at", at, "--format", "json"])
    window = json.loads(result.stdout)
    assert (window["end"], window["rows"]) == (at, ROWS)
    assert window["type_changes"] == expected


def test_a_reference_without_types_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_an_earlier_release(*values: Any, **settings: Any) -> ReferenceBuild:
        build = build_reference(*values, **settings)
        provenance = replace(build.reference.provenance, types={})
        return replace(build, reference=replace(build.reference, provenance=provenance))

    monkeypatch.setattr("driftwatch.monitor.reference_in_force.build_reference", of_an_earlier_release)
    world = world_of(tmp_path)
    with world.inside(1) as inside:
        for number in range(EQUAL + 1):
            inside.to(number + 1)
        assert len(inside.verdicts()) == EQUAL + 1
        assert all("type_changes" not in item for item in inside.verdicts())
