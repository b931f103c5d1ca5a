"""Constant and empty columns page when they leave their value; what cannot be watched is refused or said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from driftwatch.cli import main

START, DAY, DAYS, ROWS_A_DAY = 1_767_225_600, 86_400, 10, 300
CHANGES: dict[str, tuple[Any, Any]] = {
    "currency": ("EUR", "USD"),
    "number": (7, 8),
    "float": (1.5, 1.75),
    "flag": (True, False),
    "nothing": (None, 3.25),
}


def rows(seed: int, start: int, **changed: Any) -> pa.Table:
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, DAYS * DAY, DAYS * ROWS_A_DAY)) + start
    is_late = times >= start + DAYS * DAY // 2
    columns: dict[str, Any] = {"ts": pa.array(times, pa.timestamp("s")), "x": random.normal(size=len(times))}
    for name, (value, _) in CHANGES.items():
        data_type = pa.float64() if name == "nothing" else None
        values = [changed.get(name, value) if late else value for late in is_late]
        columns[name] = pa.array(values, data_type)
    # Columns that never change send no page.
    columns |= {f"constant{k}": [k] * len(times) for k in range(20)}
    return pa.table(columns)


def configuration(tmp_path: Path, reference: pa.Table, current: pa.Table, extra: str = "") -> Path:
    pq.write_table(reference, tmp_path / "reference.parquet")
    pq.write_table(current, tmp_path / "current.parquet")
    file = tmp_path / "driftwatch.yaml"
    file.write_text(
        f"version: 1\nstorage: {{path: {tmp_path}/store}}\nmonitors:\n  - name: m\n"
        f"    reference: {{path: {tmp_path}/reference.parquet, time_column: ts}}\n"
        f"    source: {{type: files, path: {tmp_path}/current.parquet, time_column: ts}}\n{extra}",
        encoding="utf-8",
    )
    return file


@pytest.mark.parametrize("name", [*CHANGES, None])
def test_leaving_the_only_value_pages_in_the_first_window(tmp_path: Path, name: str | None) -> None:
    from driftwatch.cli.verbs.backtest import run_backtests

    changed = {} if name is None else {name: CHANGES[name][1]}
    file = configuration(tmp_path, rows(1, START), rows(2, START + 20 * DAY, **changed))
    said: list[str] = []
    (result,) = run_backtests(
        file, None, None, None, said.append, _silent, inject=False, gauges=False
    ).results
    pages = [index for index, window in enumerate(result.to_json()["windows"]) if window["page"]]
    # A page of the unchanged world would be one of a budget of one in 90 days: 10 days have a chance of .11.
    assert pages[:1] == ([] if name is None else [DAYS // 2])
    if name is not None:
        assert {column["column"] for page in result.to_json()["pages"] for column in page["columns"]} == {
            name
        }
    command = ["compare", str(tmp_path / "reference.parquet"), str(tmp_path / "current.parquet")]
    outcome = CliRunner().invoke(main, [*command, "--fail-on-drift"])
    assert outcome.exit_code == int(name is not None), outcome.output


@pytest.mark.parametrize("verb", ["init", "check", "backtest"])
def test_a_monitor_without_a_feature_is_refused(tmp_path: Path, verb: str) -> None:
    times = pa.array(np.arange(600) * 600 + START, pa.timestamp("s"))
    data = pa.table({"ts": times, "request": [[{"age": 1.0}]] * 600, "order_id": np.arange(600)})
    file = configuration(tmp_path, data, data)
    paths = [str(tmp_path / f"{side}.parquet") for side in ("reference", "current")]
    arguments = ["init", paths[0], "--current", paths[1]] if verb == "init" else [verb, str(file)]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 2, outcome.output
    for words in (
        "at least one feature",
        "request: ",
        "list<element: struct<age: double>> cannot be counted",
        "order_id: ",
    ):
        assert words in outcome.output


def test_a_kind_that_a_column_cannot_have_is_said_with_file_and_line(tmp_path: Path) -> None:
    data = rows(1, START).append_column("request", pa.array([[{"age": 1.0}]] * (DAYS * ROWS_A_DAY)))
    file = configuration(
        tmp_path, data, data, "    columns:\n      x: {kind: numeric}\n      request: {kind: numeric}\n"
    )
    outcome = CliRunner().invoke(main, ["check", str(file)])
    assert outcome.exit_code == 2
    assert f"{file}:9: monitors.m.columns.request.kind: must be numeric, but" in outcome.output
    assert "list<element: struct<age: double>>" in outcome.output


def test_what_is_not_watched_is_said_on_every_verb(tmp_path: Path) -> None:
    data = rows(1, START).append_column("request", pa.array([[{"age": 1.0}]] * (DAYS * ROWS_A_DAY)))
    data = data.append_column("order_id", pa.array(np.arange(DAYS * ROWS_A_DAY)))
    file = configuration(tmp_path, data, data)
    paths = [str(tmp_path / f"{side}.parquet") for side in ("reference", "current")]
    for arguments in (
        ["init", paths[0], "--current", paths[1]],
        ["reference", "build", str(file)],
        ["check", str(file)],
        ["backtest", str(file), "--no-inject"],
        ["compare", *paths],
    ):
        words = " ".join(CliRunner().invoke(main, arguments).output.split())
        assert "list<element: struct<age: double>> cannot be counted" in words, arguments
        assert "set aside: order_id" in words, (arguments, words)


def _silent(_title: str) -> Any:
    from contextlib import nullcontext

    return nullcontext(lambda _done, _total: None)
