"""From `init` to the page on files as others write them: nested logs, numbers as texts, other encodings."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from driftwatch.cli import main

START = datetime(2026, 3, 2, tzinfo=UTC)
ROWS, REFERENCE_DAYS, DAYS, BAD_DAY = 220, 20, 8, 5
Row = dict[str, Any]


def rows(first: int, days: int, seed: int, shift: Callable[[Row], Row] | None = None) -> list[Row]:
    """Logged requests of whole days; from ``BAD_DAY`` on ``shift`` changes them."""
    random = np.random.default_rng(seed)
    logged = []
    for number in range(days * ROWS):
        day = first + number / ROWS
        row = {
            "at": (START + timedelta(days=day)).isoformat().replace("+00:00", "Z"),
            "request": {
                "stated_income": round(float(random.lognormal(10, 0.4)), 2),
                "age": int(random.integers(18, 80)),
                "channel": str(random.choice(["web", "app", "branch"])),
            },
            "response": {"score": round(float(random.beta(2, 5)), 4), "model": {"version": "7"}},
        }
        logged.append(shift(row) if shift and number >= BAD_DAY * ROWS else row)
    return logged


def write(path: Path, logged: list[Row]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(logged), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in logged), encoding="utf-8")


def call(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def configured(folder: Path, kind: str) -> dict[str, Any]:
    config = folder / "c.yaml"
    made = call("init", folder / f"test.{kind}", "--current", folder / f"production.{kind}", "-o", config)
    assert made.exit_code == 0, made.output
    text = config.read_text().replace("./driftwatch-data", str(folder / "store"))
    config.write_text(text)
    monitor: dict[str, Any] = yaml.safe_load(text)["monitors"][0]
    return monitor


def backtested(folder: Path, *words: object) -> Any:
    result = call("backtest", folder / "c.yaml", "--format", "json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def states(result: Any) -> list[str]:
    return [window["state"] for window in result["windows"]]


def times_thousand(row: Row) -> Row:
    request = row["request"]
    moved = {"stated_income": request["stated_income"] * 1000, "age": request["age"] * 1000}
    return {**row, "request": {**request, **moved}}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_nested_logs_are_watched_field_by_field(tmp_path: Path, kind: str) -> None:
    write(tmp_path / f"test.{kind}", rows(-REFERENCE_DAYS, REFERENCE_DAYS, 1))
    write(tmp_path / f"production.{kind}", rows(0, DAYS, 2, times_thousand))
    monitor = configured(tmp_path, kind)
    text = (tmp_path / "c.yaml").read_text()
    for name in ("request.stated_income: numeric", "request.age: numeric", "request.channel: categorical",
                 "response.score: numeric"):  # fmt: skip
        assert name in text
    assert monitor["source"]["time_column"] == "at"
    result = backtested(tmp_path)
    pages = [window["start"][:10] for window in result["windows"] if window["page"]]
    assert pages[0] == (START + timedelta(days=BAD_DAY)).isoformat()[:10]
    named = {column["column"] for page in result["pages"] for column in page["columns"]}
    assert {"request.stated_income", "request.age"} <= named
    assert not {"drifting", "broken"} & set(states(result)[:BAD_DAY])


def test_the_event_time_and_segments_may_be_fields(tmp_path: Path) -> None:
    def nested_time(row: Row) -> Row:
        return {**{key: value for key, value in row.items() if key != "at"}, "meta": {"at": row["at"]}}

    for name, logged in (
        ("test", rows(-REFERENCE_DAYS, REFERENCE_DAYS, 1)),
        ("production", rows(0, DAYS, 2)),
    ):
        write(tmp_path / f"{name}.parquet", [nested_time(row) for row in logged])
    monitor = configured(tmp_path, "parquet")
    assert monitor["source"]["time_column"] == monitor["reference"]["time_column"] == "meta.at"
    config = tmp_path / "c.yaml"
    segments = "    segment_by: {column: request.channel}"
    config.write_text(config.read_text().replace("    # segment_by: {column: NAME, most: 20}", segments))
    result = backtested(tmp_path)
    assert {window["segment"] for window in result["windows"]} == {None, "app", "branch", "web", "other"}
    assert {window["rows"] for window in result["windows"] if window["segment"] is None} == {ROWS}


def frame(logged: list[Row], decimal: str, thousands: str) -> pd.DataFrame:
    """A table with amounts as a spreadsheet writes them."""
    signs = str.maketrans({",": thousands, ".": decimal})
    return pd.DataFrame(
        {
            "ts": [pd.Timestamp(row["at"]).strftime("%m/%d/%Y %I:%M %p") for row in logged],
            "amount": [f"{row['request']['stated_income']:,.2f}".translate(signs) for row in logged],
            "city": [
                {"web": "Zürich", "app": "Bern", "branch": "Genève"}[row["request"]["channel"]]
                for row in logged
            ],
        }
    )


@pytest.mark.parametrize(
    ("decimal", "thousands", "encoding", "mark"), [(".", ",", "utf-8", ","), (",", ".", "latin-1", ";")]
)
def test_spreadsheets_are_read_as_init_finds_them(
    tmp_path: Path, decimal: str, thousands: str, encoding: str, mark: str
) -> None:
    def five_times(row: Row) -> Row:
        request = row["request"]
        return {**row, "request": {**request, "stated_income": request["stated_income"] * 5}}

    test, production = rows(-REFERENCE_DAYS, REFERENCE_DAYS, 1), rows(0, DAYS, 2, five_times)
    for name, logged in (("test", test), ("production", production)):
        frame(logged, decimal, thousands).to_csv(
            tmp_path / f"{name}.csv", index=False, sep=mark, encoding=encoding
        )
    monitor = configured(tmp_path, "csv")
    for side in (monitor["reference"], monitor["source"]):
        assert side["thousands"] == thousands
        assert side.get("decimal", ".") == decimal
        assert side.get("encoding", "utf-8") in (encoding, "cp1252" if encoding == "latin-1" else encoding)
        assert side["time_format"] == "%m/%d/%Y %I:%M %p"
        assert side["time_column"] == "ts"
    assert "amount: numeric" in (tmp_path / "c.yaml").read_text()
    result = backtested(tmp_path)
    pages = [window["start"][:10] for window in result["windows"] if window["page"]]
    assert pages[0] == (START + timedelta(days=BAD_DAY)).isoformat()[:10]
    comparison = json.loads(
        call("compare", tmp_path / "test.csv", tmp_path / "production.csv", "--format", "json").stdout
    )
    kinds = {column["column"]: column["kind"] for column in comparison["columns"]}
    assert kinds["amount"] == "numeric"


def test_a_renamed_column_is_told_in_one_sentence_and_explained_alike(tmp_path: Path) -> None:
    write(tmp_path / "test.parquet", rows(-REFERENCE_DAYS, REFERENCE_DAYS, 1))

    def renamed(row: Row) -> Row:
        request = dict(row["request"])
        request["Age"] = request.pop("age")
        return {**row, "request": request}

    write(tmp_path / "production.parquet", [renamed(row) for row in rows(0, 2, 2)])
    config = {
        "version": 1,
        "storage": {"path": str(tmp_path / "store")},
        "monitors": [
            {
                "name": "m",
                "reference": {"path": str(tmp_path / "test.parquet"), "time_column": "at"},
                "source": {
                    "type": "files",
                    "path": str(tmp_path / "production.parquet"),
                    "time_column": "at",
                },
            }
        ],
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    end = (START + timedelta(days=1)).isoformat()
    window = json.loads(call("check", tmp_path / "c.yaml", "--at", end, "--format", "json").stdout)
    (broken,) = window["broken"]
    assert (broken["column"], broken["detail"]) == (
        "request.age",
        "the data no longer has this column; it has 'request.Age', which the reference does not have",
    )
    assert states(backtested(tmp_path))[0] == "broken"


def test_a_latin_1_file_against_a_utf_8_reference_says_what_to_set(tmp_path: Path) -> None:
    logged = rows(-REFERENCE_DAYS, REFERENCE_DAYS, 1)
    frame(logged, ".", "").assign(ts=[row["at"] for row in logged]).to_csv(tmp_path / "test.csv", index=False)
    recent = rows(0, 2, 2)
    frame(recent, ".", "").assign(ts=[row["at"] for row in recent]).to_csv(
        tmp_path / "production.csv", index=False, encoding="latin-1"
    )
    config = {
        "version": 1,
        "storage": {"path": str(tmp_path / "store")},
        "monitors": [
            {
                "name": "m",
                "reference": {"path": str(tmp_path / "test.csv"), "time_column": "ts"},
                "source": {"type": "files", "path": str(tmp_path / "production.csv"), "time_column": "ts"},
            }
        ],
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    end = (START + timedelta(days=1)).isoformat()
    window = json.loads(call("check", tmp_path / "c.yaml", "--at", end, "--format", "json").stdout)
    assert (window["state"], window["reason"]) == ("source_error", "all_files_unreadable")
    (rejected,) = window["rejected_files"]
    assert rejected["detail"].startswith("column 'city' holds bytes that are not utf-8. Set encoding")
    assert "column 'city' holds bytes that are not utf-8" in window["detail"]


def test_a_reference_that_names_a_column_twice_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("ts,a,b,a\n2026-03-01,1,2,3\n")
    (tmp_path / "production.csv").write_text("ts,a,b\n2026-03-02,1,2\n")
    source = {"type": "files", "path": str(tmp_path / "production.csv"), "time_column": "ts"}
    monitor = {"name": "m", "reference": {"path": str(tmp_path / "test.csv")}, "source": source}
    config = {"version": 1, "storage": {"path": str(tmp_path / "store")}, "monitors": [monitor]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    for words in (
        ("backtest", tmp_path / "c.yaml"),
        ("compare", tmp_path / "test.csv", tmp_path / "production.csv"),
    ):
        result = call(*words)
        assert result.exit_code == 3
        assert "column 'a' is named twice" in result.output
