"""What a check asks the store costs the same after years as in the first week."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord
from driftwatch.store.tables.judging_order import JudgingOrder

HOUR = 3600 * 1_000_000_000
SEGMENTS = (None, *(f"s{number}" for number in range(5)))


def filled(folder: Path, windows: int) -> Database:
    """Return a store with so many verdicts and late parts, and one owed window, the last."""
    database = Database(folder)
    with database.transaction() as connection:
        for segment in SEGMENTS:
            connection.executemany(
                "INSERT INTO verdicts VALUES ('m', ?, ?, 'ok', 0.1, 0, 1, '{\"owed\": true}', NULL, NULL)",
                ((segment or "", end * HOUR) for end in range(1, windows + 1)),
            )
            connection.executemany(
                "INSERT INTO late_parts VALUES ('m', ?, ?, 1, 'ok', 0, 1, ?, '{}', NULL)",
                ((segment or "", end * HOUR, end * HOUR + 1) for end in range(1, windows)),
            )
        connection.execute("INSERT INTO owed_windows VALUES ('m', ?, ?, 0, 1, NULL)", (windows * HOUR, 0))
    return database


def judge(history: History, windows: int) -> None:
    verdicts = [
        (segment, windows * HOUR, {"state": "ok", "evidence": 0.1, "page": False}) for segment in SEGMENTS
    ]
    assert history.commit(CheckRecord(monitor="m", now=2, verdicts=verdicts))


QUERIES: dict[str, Callable[[History, sqlite3.Connection, int], object]] = {
    "newest window": lambda history, _, windows: history.verdicts.last_end("m") == windows * HOUR,
    "newest place": lambda _, connection, windows: JudgingOrder.last_place(connection, "m") == windows * HOUR,
    "owed window judged": lambda history, _, windows: judge(history, windows),
    "patience over": lambda history, _, windows: history.owed.wait(
        "m", 10, answered=True, max_gap=10, patience=1
    ),
    "newer owed window": lambda history, _, windows: history.owed.holds_newer("m", windows * HOUR),
    "parts of a window": lambda history, _, windows: history.late_parts.of_window("m", None, windows * HOUR),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_of_a_check_takes_as_long_after_years_as_in_the_first_week(name: str, tmp_path: Path) -> None:
    steps = []
    for windows in (50, 3_000):
        database = filled(tmp_path / str(windows), windows)
        connection, count = database._connection, [0]

        def step(count: list[int] = count) -> int:
            count[0] += 1
            return 0

        connection.set_progress_handler(step, 10)
        QUERIES[name](History(database), connection, windows)
        connection.set_progress_handler(None, 0)
        steps.append(count[0])
        database.close()
    week, years = steps
    assert years <= 1.5 * week + 10


def test_an_owed_window_is_replaced_in_every_segment_and_no_other_window_is(tmp_path: Path) -> None:
    database = filled(tmp_path, 50)
    judge(History(database), 50)
    rows = database.query("SELECT segment, window_end FROM verdicts WHERE content NOT LIKE '%owed%'")
    assert sorted(map(tuple, rows)) == sorted((segment or "", 50 * HOUR) for segment in SEGMENTS)
    assert database.query("SELECT count(*) FROM verdicts")[0][0] == 50 * len(SEGMENTS)
    database.close()
