"""Row counts are compared with production's own past: the test set is no traffic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner

from driftwatch.cli import main

START, REFERENCE_DAYS, DAYS, USUAL_ROWS = datetime(2026, 1, 1, tzinfo=UTC), 40, 36, 1036


def table(start: datetime, rows_a_day: list[int], seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    moments = [
        start + timedelta(days=day, seconds=row * (86_400 / rows))
        for day, rows in enumerate(rows_a_day)
        for row in range(rows)
    ]
    return pa.table(
        {"ts": pa.array(moments, pa.timestamp("us", "UTC")), "amount": rng.normal(size=len(moments))}
    )


def backtest(folder: Path, rows_a_day: list[int]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    production_start = START + timedelta(days=REFERENCE_DAYS)
    pq.write_table(table(START, rng.poisson(493, REFERENCE_DAYS).tolist(), 1), folder / "reference.parquet")
    pq.write_table(table(production_start, rows_a_day, 2), folder / "production.parquet")
    monitor = {
        "name": "m",
        "reference": {"path": str(folder / "reference.parquet"), "time_column": "ts"},
        "source": {"type": "files", "path": str(folder / "production.parquet"), "time_column": "ts"},
    }
    path = folder / "driftwatch.yaml"
    path.write_text(json.dumps({"version": 1, "storage": {"path": str(folder / "s")}, "monitors": [monitor]}))
    result = CliRunner().invoke(main, ["backtest", str(path), "--format", "json"], catch_exceptions=False)
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def test_twice_the_rows_of_the_test_set_is_no_drift(tmp_path: Path) -> None:
    """A false page within 36 days has a chance of at most 36/90 by the promise; the seed is fixed."""
    result = backtest(tmp_path, np.random.default_rng(2).poisson(USUAL_ROWS, DAYS).tolist())
    assert {window["state"] for window in result["windows"]} == {"ok"}


def test_a_fall_from_production_s_own_past_pages_with_both_numbers(tmp_path: Path) -> None:
    rows = np.random.default_rng(2).poisson(USUAL_ROWS, DAYS).tolist()
    rows[30:] = [520] * 6
    result = backtest(tmp_path, rows)
    (page,) = result["pages"]
    (effect,) = [item["effect"] for item in page["columns"] if item["detector"] == "volume"]
    assert effect.startswith("rows 1,0")
    assert effect.endswith("→ 520 (-50%)") or "→ 520 (" in effect
