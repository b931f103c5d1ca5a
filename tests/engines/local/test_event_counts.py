"""Event times alone: rows by period, and the newest one that is not in the future."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.engines.local import event_counts
from driftwatch.engines.local.event_counts import newest_time, row_counts
from driftwatch.errors import DataError, SchemaMismatch
from driftwatch.sources import files, sql
from driftwatch.sources.base import Source, SourceConfig

HOUR, DAY = 3600 * NANOSECONDS, 86_400 * NANOSECONDS
START = 20_513 * DAY
FAR = int(datetime(2199, 1, 1, tzinfo=UTC).timestamp()) * NANOSECONDS
Opened = tuple[SourceConfig, Source]


def table(times: list[int | None]) -> pa.Table:
    stamps = pa.array([time and time // 1000 for time in times], pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.table({"at": stamps, "x": pa.array(range(len(times)), pa.int64())})


def as_files(path: Path, **changes: object) -> Opened:
    config = files.CONFIG.model_validate(
        {"type": "files", "path": str(path), "time_column": "at", "unfinished": 0, **changes}
    )
    return config, files.open_source(config)


def parquet(folder: Path, times: list[int | None]) -> Opened:
    pq.write_table(table(times), folder / "a.parquet", row_group_size=3)
    return as_files(folder / "a.parquet")


def csv(folder: Path, times: list[int | None]) -> Opened:
    pacsv.write_csv(table(times), folder / "a.csv")
    return as_files(folder / "a.csv")


def dated_folders(folder: Path, times: list[int | None]) -> Opened:
    """A row without a time lies in the first day's file."""
    by_day: dict[int, list[int | None]] = {}
    for time in times:
        by_day.setdefault((START if time is None else time) // DAY, []).append(time)
    for day, rows in by_day.items():
        place = folder / "days" / f"date={datetime.fromtimestamp(day * 86_400, tz=UTC):%Y-%m-%d}"
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(table(rows), place / "a.parquet")
    return as_files(folder / "days")


def sqlite(folder: Path, times: list[int | None]) -> Opened:
    (folder / "rows.db").unlink(missing_ok=True)
    with closing(sqlite3.connect(folder / "rows.db")) as link, link:
        link.execute("CREATE TABLE log (at TEXT, x INTEGER)")
        texts = [
            None
            if time is None
            else f"{datetime.fromtimestamp(time // NANOSECONDS, tz=UTC):%Y-%m-%d %H:%M:%S}"
            for time in times
        ]
        link.executemany("INSERT INTO log VALUES (?, 1)", [(text,) for text in texts])
    config = sql.CONFIG.model_validate(
        {"type": "sql", "url": f"sqlite:///{folder / 'rows.db'}", "table": "log", "time_column": "at"}
    )
    return config, sql.open_source(config)


PLACES = pytest.mark.parametrize("place", [parquet, csv, dated_folders, sqlite])
Place = Callable[[Path, list[int | None]], Opened]


@PLACES
def test_rows_are_counted_by_period_and_rows_without_a_time_in_none(place: Place, tmp_path: Path) -> None:
    times = [START, START + HOUR - NANOSECONDS, START + HOUR, None, START + 30 * HOUR, 0, FAR]
    opened = place(tmp_path, times)
    assert row_counts(*opened, 3600) == Counter(time // HOUR for time in times if time is not None)
    assert row_counts(*opened, 900)[START * 4 // HOUR] == 1
    within = Span(start=START, end=START + HOUR)
    times_within = [time for time in times if time is not None and within.start <= time < within.end]
    assert row_counts(*opened, 900, within).total() == len(times_within) > 0


@PLACES
def test_the_newest_row_is_never_one_of_the_future(place: Place, tmp_path: Path) -> None:
    opened = place(tmp_path, [START, START + 40 * DAY, START + 40 * DAY + HOUR, FAR, 0, None])
    assert newest_time(*opened, START + 50 * DAY) == START + 40 * DAY + HOUR
    assert newest_time(*opened, START + 40 * DAY + HOUR) == START + 40 * DAY
    assert newest_time(*opened, START + 300 * DAY) == START + 40 * DAY + HOUR, "however long ago it was"
    assert newest_time(*opened, START) == 0
    assert newest_time(*opened, 0) is None
    assert newest_time(*opened, FAR + 1) == FAR


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.one_of(st.none(), st.integers(-(10**9), 7 * 10**9)), max_size=9),
    until=st.integers(-(10**9), 7 * 10**9),
)
def test_it_is_the_newest_before_the_moment(tmp_path: Path, times: list[int | None], until: int) -> None:
    stamps = [time and time * NANOSECONDS for time in times]
    expected = max((time for time in stamps if time is not None and time < until * NANOSECONDS), default=None)
    assert newest_time(*parquet(tmp_path, stamps), until * NANOSECONDS) == expected


def test_without_a_row_of_the_future_no_row_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, source = parquet(tmp_path, [START, START + HOUR])
    monkeypatch.setattr(
        files.FilesSource, "read", lambda *_: pytest.fail("the statistics of the file tell it")
    )
    assert newest_time(config, source, START + DAY) == START + HOUR


def test_the_number_of_periods_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_counts, "MAX_PERIODS", 3)
    opened = parquet(tmp_path, [START + hour * HOUR for hour in range(4)])
    with pytest.raises(DataError, match=r"at most 3 periods of 3600 s\. Got more"):
        row_counts(*opened, 3600)
    assert sum(row_counts(*opened, 7200).values()) == 4


def test_no_column_of_times_is_named(tmp_path: Path) -> None:
    pq.write_table(table([START]), tmp_path / "a.parquet")
    with pytest.raises(SchemaMismatch, match="time_column"):
        row_counts(*as_files(tmp_path / "a.parquet", time_column=None), 3600)


def test_files_that_cannot_be_read_are_named_when_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("at,x\n2026-03-01T00:00:00Z,1\n2026-03-01T00:00:00Z,1,2\n")
    expected = r"odd.csv: unreadable, expected 2 values in every row. Got a row with 3.$"
    with pytest.raises(SchemaMismatch, match=expected):
        row_counts(*as_files(tmp_path), 3600)
    csv(tmp_path, [START])
    assert sum(row_counts(*as_files(tmp_path), 3600).values()) == 1
