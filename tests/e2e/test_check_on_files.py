"""`driftwatch check` on production files of every layout, sound and not.

Files are read in a child process either way. A process of its own prints the same, which is tried once.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from driftwatch.cli import main
from driftwatch.summary.serial import decode_reference

DAY = datetime(2024, 3, 21, tzinfo=UTC)
ROWS, REFERENCE_DAYS = 200, 20
COLUMNS = ("amount", "count", "city", "fresh")


def rows(first: datetime, days: int, seed: int) -> pa.Table:
    """Rows of whole days in the order of time, a tenth of the cities missing."""
    random, size = np.random.default_rng(seed), days * ROWS
    cities = random.choice(["north", "south", "east"], size).astype(object)
    cities[random.random(size) < 0.1] = None
    return pa.table(
        {
            "when": pa.array([first + timedelta(days=days) * (row / size) for row in range(size)]),
            "amount": random.normal(3, 1, size).round(4),
            "count": random.poisson(4, size),
            "city": pa.array(cities.tolist()),
            "fresh": random.random(size) < 0.3,
        }
    )


TODAY = rows(DAY, 1, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path)


def folder_of(folder: Path) -> Path:
    """A reference, and a configuration whose source is everything under ``in``."""
    reference = rows(DAY - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, 1)
    pq.write_table(reference, folder / "reference.parquet")
    (folder / "in").mkdir()
    configure(folder)
    return folder


def configure(folder: Path, **changes: Any) -> None:
    monitor = {
        "name": "m",
        "reference": {"path": str(folder / "reference.parquet"), "time_column": "when"},
        "source": {"type": "files", "path": str(folder / "in" / "**" / "*"), "time_column": "when"},
        "window": {"length": "1d", "min_rows": 50},
        **changes,
    }
    config = {"version": 1, "storage": {"path": str(folder / "store")}, "monitors": [monitor]}
    (folder / "c.yaml").write_text(json.dumps(config))


def words_for(folder: Path) -> list[str]:
    at = (DAY + timedelta(days=1)).isoformat()
    return ["check", str(folder / "c.yaml"), "--at", at, "--format", "json"]


def check(folder: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and answer for the day."""
    result = CliRunner().invoke(main, words_for(folder))
    assert result.stdout, result.stderr
    return result.exit_code, json.loads(result.stdout)


def statistics(answer: dict[str, Any], *columns: str) -> dict[tuple[str, str], Any]:
    return {
        (item["column"], item["detector"]): item["statistic"]
        for item in answer["columns"]
        if not columns or item["column"] in columns
    }


def lines(table: pa.Table) -> bytes:
    records = [{**row, "when": row["when"].isoformat()} for row in table.to_pylist()]
    return "".join(json.dumps(row) + "\n" for row in records).encode()


def text(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink)
    return sink.getvalue().to_pybytes()


def hive(folder: Path) -> None:
    """By date and city, neither of them in the files; and another day, whose file must not be opened."""
    for city in ("north", "south", "east", None):
        mine = TODAY.filter(pa.array([value == city for value in TODAY["city"].to_pylist()]))
        name = "__HIVE_DEFAULT_PARTITION__" if city is None else city
        path = folder / f"date={DAY:%Y-%m-%d}" / f"city={name}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(mine.drop_columns(["city"]), path)
    damaged_file = folder / f"date={DAY + timedelta(days=40):%Y-%m-%d}" / "city=north" / "part-0.parquet"
    damaged_file.parent.mkdir(parents=True)
    damaged_file.write_bytes(b"damaged")


def halves(suffix: str, write: Callable[[pa.Table], bytes]) -> Callable[[Path], None]:
    def place(folder: Path) -> None:
        for part in range(2):
            (folder / f"{part}{suffix}").write_bytes(write(TODAY.slice(part * 100, 100)))

    return place


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "hive": hive,
    "jsonl": halves(".jsonl", lines),
    "jsonl.gz": halves(".jsonl.gz", lambda table: gzip.compress(lines(table))),
    "csv": halves(".csv", text),
    "csv.gz": halves(".csv.gz", lambda table: gzip.compress(text(table))),
    "unended": halves(".jsonl", lambda table: lines(table)[:-1]),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one sound file of the same rows comes to."""
    folder = folder_of(tmp_path_factory.mktemp("plain"))
    pq.write_table(TODAY, folder / "in" / "whole.parquet")
    code, answer = check(folder)
    command = [sys.executable, "-m", "driftwatch", *words_for(folder)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (process.returncode, json.loads(process.stdout)) == (code, answer)
    assert (code, answer["state"], answer["rows"]) == (0, "ok", ROWS)
    assert {item["column"] for item in answer["columns"]} == set(COLUMNS)
    return answer


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_production_is_measured_alike(
    folder: Path, plain: dict[str, Any], layout: str
) -> None:
    LAYOUTS[layout](folder / "in")
    code, answer = check(folder)
    assert (code, answer["state"], answer["rows"], answer["rejected_files"]) == (0, "ok", ROWS, [])
    assert statistics(answer) == statistics(plain)
    assert answer["newest_row"] == plain["newest_row"]


@pytest.mark.parametrize(("layout", "gone"), [("parquet", "amount"), ("csv", "city"), ("jsonl.gz", "count")])
def test_a_column_that_vanishes_is_broken_and_the_others_are_judged(
    folder: Path, plain: dict[str, Any], layout: str, gone: str
) -> None:
    left, place = TODAY.drop_columns([gone]), folder / "in" / f"a.{layout}"
    if layout == "parquet":
        pq.write_table(left, place)
    else:
        place.write_bytes(text(left) if layout == "csv" else gzip.compress(lines(left)))
    code, answer = check(folder)
    assert (code, answer["state"], answer["reason"]) == (1, "broken", "column_missing")
    assert answer["rows"] == ROWS
    assert [(item["column"], item["reason"]) for item in answer["broken"]] == [(gone, "column_missing")]
    column_names = [name for name in COLUMNS if name != gone]
    assert statistics(answer, *column_names) == statistics(plain, *column_names)
    assert all(value is not None for value in statistics(answer, *column_names).values())
    values = {name: value for (_, name), value in statistics(answer, gone).items() if value is not None}
    assert values == {"missing": 1.0}, "of the rest nothing is known"


def test_files_that_cannot_be_read_are_named_and_the_others_judged(folder: Path) -> None:
    source = {"type": "files", "path": str(folder / "in" / "*"), "time_column": "when"}
    configure(folder, source=source)
    bad = unreadable(folder / "in")
    code, answer = check(folder)
    assert (code, answer["state"], answer["reason"]) == (3, "source_error", "all_files_unreadable")
    assert {item["name"]: item["problem"] for item in answer["rejected_files"]} == bad
    pq.write_table(TODAY, folder / "in" / "good.parquet")
    code, answer = check(folder)
    assert (code, answer["state"], answer["rows"]) == (0, "ok", ROWS)
    assert {item["name"]: item["problem"] for item in answer["rejected_files"]} == bad
    assert all(item["detail"].endswith(".") for item in answer["rejected_files"])


def unreadable(folder: Path) -> dict[str, str]:
    """What a program that runs as root cannot read either."""
    (folder / "spark.parquet").mkdir()
    (folder / "spark.parquet" / "_SUCCESS").touch()
    (folder / "gone.parquet").symlink_to(folder / "nothing")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "device.parquet").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "noise.parquet").write_bytes(bytes(range(256)))
    (folder / "noise.csv.gz").write_bytes(bytes(range(256)))
    (folder / "empty.jsonl").touch()
    names = ("spark.parquet", "gone.parquet", "loop.csv", "device.parquet", "pipe.jsonl", "noise.parquet")
    return dict.fromkeys((*names, "noise.csv.gz"), "unreadable") | {"empty.jsonl": "empty"}


def test_more_rows_than_allowed_have_a_reason_of_their_own(folder: Path) -> None:
    pq.write_table(TODAY, folder / "in" / "whole.parquet")
    configure(folder, limits={"rows": ROWS - 1})
    code, answer = check(folder)
    assert (code, answer["state"], answer["reason"]) == (3, "source_error", "too_many_rows")
    assert f"at most {ROWS - 1} rows" in answer["detail"]
    assert f"Got {ROWS}" in answer["detail"]
    assert "limits.rows" in answer["detail"]
    configure(folder, limits={"rows": ROWS})
    assert check(folder)[0] == 0


def test_the_reference_says_how_many_files_it_was_built_from(folder: Path) -> None:
    reference = pq.read_table(folder / "reference.parquet")
    (folder / "before").mkdir()
    for part in range(4):
        pq.write_table(reference.slice(part * 1000, 1000), folder / "before" / f"{part}.parquet")
    (folder / "before" / "bad.parquet").write_bytes(b"damaged")
    configure(folder, reference={"path": str(folder / "before" / "*.parquet"), "time_column": "when"})
    words = [sys.executable, "-m", "driftwatch", "reference", "build", str(folder / "c.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert "reference built from 4,000 rows in 4 file(s)" in done.stderr
    assert "1 file(s) could not be read and were left out (bad.parquet: unreadable" in done.stderr
    with closing(sqlite3.connect(folder / "store" / "driftwatch.sqlite")) as link:
        ((content,),) = link.execute("SELECT content FROM reference_versions").fetchall()
    provenance = decode_reference(content).provenance
    assert provenance.files == 4
    assert any("bad.parquet" in note for note in provenance.notes)


def american(table: pa.Table) -> pa.Table:
    """The same rows with times that are not ISO 8601."""
    texts = pa.array([moment.strftime("%m/%d/%Y %H:%M") for moment in table["when"].to_pylist()])
    return table.set_column(0, "when", texts)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_rows_whose_time_cannot_be_read_are_never_silent(folder: Path, suffix: str) -> None:
    source = {"type": "files", "path": str(folder / "in" / "*"), "time_column": "when"}
    configure(folder, source=source)
    written = american(TODAY)
    path = folder / "in" / f"american.{suffix}"
    if suffix == "parquet":
        pq.write_table(written, path)
    else:
        rows = [json.dumps(row) + "\n" for row in written.to_pylist()]
        path.write_bytes(text(written) if suffix == "csv" else "".join(rows).encode())
    code, answer = check(folder)
    assert (code, answer["state"], answer["reason"]) == (3, "source_error", "all_files_unreadable")
    ((bad),) = answer["rejected_files"]
    assert (bad["name"], bad["problem"]) == (path.name, "foreign_schema")
    assert f"None of {ROWS} rows" in bad["detail"]
    pq.write_table(TODAY, folder / "in" / "good.parquet")
    code, answer = check(folder)
    assert (code, answer["state"], answer["rows"], answer["untimed_rows"]) == (0, "ok", ROWS, 0)
    assert [item["name"] for item in answer["rejected_files"]] == [path.name]


def test_rows_without_a_time_in_a_sound_file_are_counted_and_told(folder: Path) -> None:
    source = {"type": "files", "path": str(folder / "in" / "*"), "time_column": "when"}
    configure(folder, source=source)
    half = text(TODAY) + text(american(TODAY.slice(0, 70))).split(b"\n", 1)[1]
    (folder / "in" / "half.csv").write_bytes(half)
    code, answer = check(folder)
    assert (code, answer["state"], answer["rows"], answer["untimed_rows"]) == (0, "ok", ROWS, 70)
    assert answer["detail"] == "70 rows that were read have no usable event time and are in no window"
    assert answer["rejected_files"] == []


def test_a_table_whose_times_cannot_be_read_is_no_empty_one(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "rows.db")) as link, link:
        link.execute('CREATE TABLE rows ("when" TEXT, amount REAL, count INTEGER, city TEXT, fresh INTEGER)')
        values = [tuple(row.values()) for row in american(TODAY).to_pylist()]
        link.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", values)
    url = f"sqlite:///{folder / 'rows.db'}"
    configure(folder, source={"type": "sql", "url": url, "table": "rows", "time_column": "when"})
    code, answer = check(folder)
    assert (code, answer["state"], answer["reason"]) == (3, "source_error", "schema_mismatch")
    assert (answer["rows"], answer["untimed_rows"]) == (0, ROWS)
    assert "no row has a usable event time in 'when'; 200 rows" in answer["detail"]
