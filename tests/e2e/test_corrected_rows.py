"""Rows of a database that are corrected in place: a verdict is about the rows as they are when it is made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from daemon_world import MINUTE, NS, Inside, World, driftwatch, write_rows
from postgres import postgres_server
from psycopg.rows import tuple_row

from driftwatch.core.schema import iso
from driftwatch.monitor.explain import explain
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.results.verdict_json import window_json

HOUR = 60 * MINUTE
#: Midnight of a Tuesday.
START = 1_699_920_000 * NS
#: Six hours of the third day, which a glance at noon is the first to see.
SIX_HOURS = f"at >= '{iso(START + 54 * HOUR)}' AND at < '{iso(START + 60 * HOUR)}'"

Execute = Callable[[str], Any]


class Table(World):
    """Windows of a day, looked at every six hours, over a table of a database."""

    def __init__(self, folder: Path, url: str, execute: Execute, **source: Any) -> None:
        self.url, self.execute, self.source = url, execute, source
        super().__init__(folder, start=START, step=HOUR, window={"length": "1d", "every": "6h"})
        write_rows(folder / "reference.parquet", START - 20 * 24 * HOUR, START, 20_000, seed=99)

    def monitor(self, name: str) -> dict[str, Any]:
        source = {"type": "sql", "url": self.url, "table": "flows", "time_column": "at", **self.source}
        return {**super().monitor(name), "source": source}

    def fill(self, hours: range) -> None:
        """Rows like the reference's; those of each hour appear at once."""
        for hour in hours:
            path = self.folder / "hour.parquet"
            write_rows(path, START + hour * HOUR, START + (hour + 1) * HOUR, 40, seed=hour)
            rows = [
                f"('{iso(START + hour * HOUR + place * MINUTE)}', {x!r}, '{level}', '2023-11-01')"
                for place, (_, x, level) in enumerate(
                    zip(*pq.read_table(path).to_pydict().values(), strict=True)
                )
            ]
            self.execute(f"INSERT INTO flows VALUES {', '.join(rows)}")

    def backtest(self) -> list[dict[str, Any]]:
        result = driftwatch("backtest", self.config, "--format", "json")
        assert result.returncode == 0, result.stderr
        return list(json.loads(result.stdout)["windows"])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(
    params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.peer)],
)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Execute]]:
    """An empty table of a database: its URL, and how to run a statement there."""
    if request.param == "SQLite":
        with closing(sqlite3.connect(tmp_path / "rows.db", isolation_level=None)) as link:
            link.execute("CREATE TABLE flows (at TEXT, x REAL, level TEXT, changed TEXT)")
            yield f"sqlite:///{tmp_path}/rows.db", link.execute
        return
    url = request.getfixturevalue("server")
    with psycopg.connect(url, autocommit=True, row_factory=tuple_row) as link:
        link.execute("DROP TABLE IF EXISTS flows")
        link.execute("CREATE TABLE flows (at TIMESTAMPTZ, x FLOAT8, level TEXT, changed TIMESTAMPTZ)")
        yield url, link.execute


def slice_of(inside: Inside, hour: int) -> list[tuple[int, list[int]]]:
    """Each version of a stored slice of six hours, and its counts of the numeric column."""
    start, history = START + hour * HOUR, inside.daemon.session.history
    newest = history.tiles.newest_versions("m", start, start + 1)[start]
    stored = [history.tiles.get("m", None, start, number) for number in range(1, newest + 1)]
    return [(item.version, item.summary.counts["x"].cells.tolist()) for item in stored if item is not None]


@pytest.mark.parametrize("source", [{}, {"updated_column": "changed"}], ids=["content", "updated"])
def test_six_wrong_hours_that_are_corrected_before_the_verdict_page_nobody(
    tmp_path: Path, table: tuple[str, Execute], source: dict[str, Any]
) -> None:
    url, execute = table
    world = Table(tmp_path, url, execute, **source)
    with world.inside(1) as inside:
        for hour in range(0, 72, 6):
            world.fill(range(hour, hour + 6))
            if hour == 54:
                execute(f"UPDATE flows SET x = x * 100 WHERE {SIX_HOURS}")
            inside.to(60 * (hour + 6))
            if hour == 54:
                # As many rows, and the same times.
                execute(f"UPDATE flows SET x = x / 100, changed = '2023-11-16' WHERE {SIX_HOURS}")
        verdict = inside.verdicts()[-1]
        assert (verdict["state"], verdict["rows"], verdict["page"]) == ("ok", 960, False)
        (first, wrong), (second, right) = slice_of(inside, 54)
        assert (first, second, sum(wrong), sum(right)) == (1, 2, 240, 240)
        assert max(wrong) > 60 > 20 > max(right), "the glance saw values of which most were out of range"
        assert [number for number, _ in slice_of(inside, 48)] == [1], "other slices are not read again"
        assert inside.view().late_rows == 0
    past, decided = world.backtest()[-1], window_json(verdict_from_json(verdict))
    # Stored windows are not read again, so nobody saw their newest row.
    assert {name for name in past if past[name] != decided[name]} <= {"newest_row"}


def test_a_correction_after_the_verdict_is_a_new_version_and_no_late_row(
    tmp_path: Path, table: tuple[str, Execute]
) -> None:
    url, execute = table
    world = Table(tmp_path, url, execute)
    with world.inside(1) as inside:
        for hour in range(0, 72, 6):
            world.fill(range(hour, hour + 6))
            inside.to(60 * (hour + 6))
        decided = inside.verdicts()
        execute(f"UPDATE flows SET x = x * 100 WHERE {SIX_HOURS}")
        world.fill(range(72, 96))
        for hour in range(72, 96, 6):
            inside.to(60 * (hour + 6))
        assert inside.verdicts()[: len(decided)] == decided
        assert [number for number, _ in slice_of(inside, 54)] == [1, 2]
        assert [number for number, _ in slice_of(inside, 48)] == [1]
        assert inside.view().late_rows == 0
        config = inside.daemon.runner.slot("m").monitor.config
        assert explain(config, inside.daemon.session.history, None, START + 72 * HOUR).equal
