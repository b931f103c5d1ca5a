"""``check-config`` names the monitors whose stored reference keeps every window from being ``ok``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from driftwatch.cli import main


def configuration(folder: Path, columns: str = "") -> Path:
    rng = np.random.default_rng(1)
    times = pa.array(np.arange(2000) * 600 + 1_767_225_600, pa.timestamp("s"))
    vectors = rng.normal(size=(2000, 3)).tolist()
    pq.write_table(
        pa.table({"ts": times, "x": rng.normal(size=2000), "emb": vectors}), folder / "reference.parquet"
    )
    path = folder / "driftwatch.yaml"
    path.write_text(
        f"version: 1\nstorage: {{path: {folder}/store}}\nmonitors:\n  - name: m\n"
        f"    reference: {{path: {folder}/reference.parquet, time_column: ts}}\n"
        f"    source: {{type: files, path: {folder}/reference.parquet, time_column: ts}}\n{columns}",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ("", "m: its windows will be insufficient (columns_unwatched), not ok: 1 of 2 columns"),
        ("    columns: {emb: {watch: norm}}\n", ""),
        ("    columns: {emb: {role: ignore}}\n", ""),
    ],
)
def test_a_vector_is_named_until_somebody_says_what_is_enough(
    tmp_path: Path, columns: str, line: str
) -> None:
    path = configuration(tmp_path, columns)
    before = CliRunner().invoke(main, ["check-config", str(path)])
    assert before.exit_code == 0
    assert "columns_unwatched" not in before.output, "nothing is stored yet"
    assert CliRunner().invoke(main, ["reference", "build", str(path)]).exit_code == 0
    result = CliRunner().invoke(main, ["check-config", str(path)])
    assert result.exit_code == 0
    assert line in result.output
    assert bool(line) == ("emb (its norm is watched, its direction is not)" in result.output)


def test_a_store_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "driftwatch.sqlite").write_bytes(b"no database" * 100)
    result = CliRunner().invoke(main, ["check-config", str(path)])
    assert result.exit_code == 0
    assert "The stored references were not looked at." in result.output
