"""The SQL source on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import postgres_server

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import Span
from driftwatch.errors import ConfigError, SchemaMismatch, SourceUnavailable
from driftwatch.sources._sqlconnection import connected
from driftwatch.sources.sql import SqlConfig, SqlSource, open_source

HOUR = 3600 * 10**9
DAY = 24 * HOUR
START = 15796 * DAY


def sql(url: str, **changes: Any) -> SqlSource:
    settings = {"type": "sql", "url": url, "table": "flights", "time_column": "t"} | changes
    return open_source(SqlConfig(**{key: value for key, value in settings.items() if value is not None}))


def rows(source: SqlSource, span: Span | None, columns: list[str] | None = None) -> list[Any]:
    batches = source.read(span, columns).batches
    return [value for batch in batches for value in batch.column("x").to_pylist()]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "da ta#1.db"
    with closing(sqlite3.connect(path)) as link, link:
        link.execute('CREATE TABLE flights (t TEXT, x INTEGER, "odd "" name" TEXT)')
        link.executemany(
            "INSERT INTO flights VALUES (?, ?, ?)",
            [(f"2013-04-{1 + hour // 24:02d} {hour % 24:02d}:00:00", hour, "a") for hour in range(96)],
        )
    return path


@pytest.mark.parametrize("unit", [None, 1, 1000])
def test_rows_far_from_the_span_are_not_fetched(database: Path, unit: int | None) -> None:
    """Neither by texts nor by numbers."""
    if unit is not None:
        with closing(sqlite3.connect(database)) as link, link:
            link.execute("ALTER TABLE flights RENAME TO others")
            link.execute(
                f"CREATE TABLE flights AS SELECT (1364774400 + 3600 * x) * {unit} AS t, x FROM others"
            )
    span = Span(start=START + 3 * DAY, end=START + 4 * DAY)
    fetched = rows(sql(f"sqlite:///{database}"), span, ["x"])
    assert set(range(72, 96)) <= set(fetched)
    assert len(fetched) < 60


def test_times_of_several_types_in_one_column(database: Path) -> None:
    with closing(sqlite3.connect(database)) as link, link:
        link.execute("CREATE TABLE mixed (t, x INTEGER)")
        link.execute("INSERT INTO mixed SELECT t, x FROM flights WHERE x < 60")
        link.execute("INSERT INTO mixed SELECT 1364774400 + 3600 * x, x FROM flights WHERE x >= 60")
        link.execute("INSERT INTO mixed VALUES ('never', 1), (x'00', 1), ('', 1)")
    source = sql(f"sqlite:///{database}", table="mixed")
    assert source.extent() == Span(start=START, end=START + 95 * HOUR + 1)
    for first in (10, 55, 80):
        span = Span(start=START + first * HOUR, end=START + (first + 10) * HOUR)
        assert set(range(first, first + 10)) <= set(rows(source, span, ["x"]))


def test_a_text_in_another_encoding_does_not_end_the_reading(database: Path) -> None:
    with closing(sqlite3.connect(database)) as link, link:
        link.execute("UPDATE flights SET x = CAST(x'5afc72696368' AS TEXT) WHERE x = 5")
    assert rows(sql(f"sqlite:///{database}"), None, ["x"])[4:7] == ["4", "Z\\xfcrich", "6"]


def test_a_batch_of_long_texts_has_few_rows(database: Path) -> None:
    query = "SELECT a.t, printf('%.*c', 2000 * (b.x > 50), 'x') AS x FROM flights AS a, flights AS b"
    weights = [
        batch.nbytes
        for batch in sql(f"sqlite:///{database}", table=None, query=query).read(None, None).batches
    ]
    assert sum(weights) > 8 << 20
    assert max(weights) < 16 << 20


def test_a_query_with_colons_percents_and_a_semicolon(database: Path) -> None:
    query = "SELECT *, ':x' AS p, '100%' AS q FROM flights WHERE x % 2 = 0;"
    source = sql(f"sqlite:///{database}", table=None, query=query)
    assert rows(source, None) == list(range(0, 96, 2))
    (batch,) = source.read(None, ["p", "q", 'odd " name', "absent"]).batches
    assert batch.schema.names == ["p", "q", 'odd " name', "t"]
    assert (batch.column("p")[0].as_py(), batch.column("q")[0].as_py()) == (":x", "100%")


def test_mixed_values_of_one_column_keep_their_text(database: Path) -> None:
    with closing(sqlite3.connect(database)) as link, link:
        link.execute("UPDATE flights SET x = 'oops' WHERE x = 5")
    assert rows(sql(f"sqlite:///{database}"), None, ["x"])[4:7] == ["4", "oops", "6"]


def test_sqlite_is_never_written_and_never_created(database: Path, tmp_path: Path) -> None:
    source = sql(f"sqlite:///{database}", table=None, query="SELECT 1 AS t); DELETE FROM flights; --")
    with pytest.raises(ConfigError, match="expected one SELECT"):
        rows(source, None)
    url = sa.make_url(f"sqlite:///{database}")
    with connected(url, 1) as link, pytest.raises(sa.exc.OperationalError, match="readonly"):
        link.execute(sa.text("DELETE FROM flights"))
    with pytest.raises(SourceUnavailable, match="unable to open"):
        sql(f"sqlite:///{tmp_path}/none.db").version(None)
    assert not (tmp_path / "none.db").exists()


def test_what_is_not_there_is_named(database: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no such table"):
        sql(f"sqlite:///{database}", table='no"; DROP TABLE flights').version(None)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


def _fill(url: str, *statements: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.pool.NullPool)
    with engine.begin() as link:
        for statement in statements:
            link.execute(sa.text(statement))
    engine.dispose()


@pytest.mark.peer
def test_postgres_streams_and_refuses_writes_and_waits(postgres: str) -> None:
    _fill(
        postgres,
        "DROP TABLE IF EXISTS flights",
        "CREATE TABLE flights AS SELECT now() AS t, x, x::numeric / 3 AS y, ARRAY[1.5, 2] AS v "
        "FROM generate_series(0, 49999) AS x",
    )
    batches = list(sql(postgres).read(None, ["x", "y", "v"]).batches)
    assert len(batches) > 4
    assert sum(batch.num_rows for batch in batches) == 50_000
    writing = sql(postgres, table=None, query="DELETE FROM flights RETURNING t, x")
    with pytest.raises(SourceUnavailable, match="the database answered"):
        list(writing.read(None, None).batches)
    url = sa.make_url(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with connected(url, 1) as link, pytest.raises(sa.exc.InternalError, match="read-only"):
        link.execute(sa.text("DELETE FROM flights"))
    slow = sql(postgres, table=None, query="SELECT now() AS t, pg_sleep(30) AS x", timeout="1s")
    with pytest.raises(SourceUnavailable, match="statement timeout"):
        slow.version(None)
    with pytest.raises(SourceUnavailable) as missing:
        sql(postgres, table="nowhere").version(None)
    assert "hunter2" not in str(missing.value)


@pytest.mark.peer
def test_postgres_times_beyond_those_of_python_and_of_other_types(postgres: str) -> None:
    _fill(
        postgres,
        "DROP TABLE IF EXISTS far",
        "CREATE TABLE far AS SELECT TIMESTAMPTZ '2013-04-01T00:00Z' + x * INTERVAL '1 hour' AS t, x, "
        "'infinity'::timestamp AS a, '12000-01-01'::date AS b FROM generate_series(0, 9) AS x",
        "INSERT INTO far VALUES ('infinity', 10), ('-infinity', 11), "
        "('12000-01-01', 12), ('0044-03-15 BC', 13)",
    )
    source, span = sql(postgres, table="far"), Span(start=START, end=START + 10 * HOUR)
    assert source.extent() == Span(start=START, end=START + 9 * HOUR + 1)
    assert rows(source, span, ["x"]) == list(range(10))
    assert source.version(span) != source.version(None)
    (batch,) = source.read(None, None).batches
    assert batch.column("a").to_pylist()[:1] == ["infinity"]
    assert batch.column("b").to_pylist()[:1] == ["12000-01-01"]
    assert event_times(batch.column("t"), "UTC")[1].tolist() == [True] * 10 + [False] * 4
    seconds = sql(postgres, table=None, query="SELECT extract(epoch FROM t) AS t, x FROM far WHERE x < 10")
    assert seconds.extent() == Span(start=START, end=START + 9 * HOUR + 1)
    with pytest.raises(SchemaMismatch, match=r"expected times in column 't'\. Got timedelta"):
        sql(postgres, table=None, query="SELECT t - now() AS t, x FROM far WHERE x < 10").extent()


@pytest.mark.peer
def test_fields_of_documents_in_postgres_are_columns(postgres: str) -> None:
    """Also when a document among them is none, and lists where they are exploded."""
    _fill(
        postgres,
        "DROP TABLE IF EXISTS logs",
        "CREATE TABLE logs AS SELECT TIMESTAMPTZ '2013-04-01T00:00Z' + x * INTERVAL '1 hour' AS t, x, "
        "jsonb_build_object('age', 30 + x, 'in', jsonb_build_object('z', x / 2.0)) AS request, "
        "jsonb_build_array(jsonb_build_object('p', x), jsonb_build_object('p', -x)) AS items "
        "FROM generate_series(0, 3) AS x",
        "UPDATE logs SET request = NULL WHERE x = 1",
        "UPDATE logs SET request = '\"ERR\"' WHERE x = 2",
    )
    logs: dict[str, Any] = {"table": None, "query": "SELECT * FROM logs ORDER BY x"}
    (batch,) = sql(postgres, **logs).read(None, ["request.age", "request.in.z"]).batches
    assert batch.drop_columns("t").to_pydict() == {
        "request.age": [30, None, None, 33], "request.in.z": [0.0, None, None, 1.5],
    }  # fmt: skip
    (batch,) = sql(postgres, **logs).read(None, None).batches
    assert {"request.age", "request", "x"} <= set(batch.schema.names)
    assert batch.column("request").to_pylist() == [None, None, "ERR", None]
    reading = sql(postgres, **logs, explode="items").read(None, ["items.p", "x"])
    (batch,) = reading.batches
    assert batch.column("items.p").to_pylist() == [0, 0, 1, -1, 2, -2, 3, -3]
    assert batch.column("x").to_pylist() == [0, 0, 1, 1, 2, 2, 3, 3]
    renamed = sql(postgres, **logs).read(None, ["request.Age", "x"])
    assert list(renamed.batches)
    assert renamed.other_columns[0] == "request.age"


def test_times_of_a_database_in_a_declared_format(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as link, link:
        link.execute("CREATE TABLE flights (t TEXT, x TEXT)")
        link.executemany(
            "INSERT INTO flights VALUES (?, ?)", [("01.04.2013 10:00", "1.234,5"), ("31.03.2013 10:00", "2")]
        )
    source = sql(f"sqlite:///{path}", time_format="%d.%m.%Y %H:%M", decimal=",", thousands=".")
    assert source.extent() == Span(start=START - 14 * HOUR, end=START + 10 * HOUR + 1)
    assert rows(source, Span(start=START, end=START + DAY), ["x"]) == [1234.5, 2.0], (
        "the engine drops the other"
    )


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m%d%H%M%S"])
def test_numbers_that_spell_dates_are_found_by_their_span(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.db"
    days = [datetime(2013, 3, 1) + timedelta(days=day) for day in range(90)]
    with closing(sqlite3.connect(path)) as link, link:
        link.execute("CREATE TABLE flights (t INTEGER, x INTEGER)")
        link.executemany(
            "INSERT INTO flights VALUES (?, ?)",
            [(int(day.strftime(form)), place) for place, day in enumerate(days)],
        )
    source = sql(f"sqlite:///{path}")
    assert source.extent() == Span(start=START - 31 * DAY, end=START + 58 * DAY + 1)
    fetched = rows(source, Span(start=START, end=START + DAY), ["x"])
    assert 31 in fetched
    assert len(fetched) < 8


@pytest.mark.peer
def test_a_postgres_table_of_another_schema(postgres: str) -> None:
    _fill(postgres, 'DROP SCHEMA IF EXISTS "Odd" CASCADE', 'CREATE SCHEMA "Odd"')
    _fill(postgres, 'CREATE TABLE "Odd"."Ta ble" AS SELECT now() AS t, 7 AS x')
    assert rows(sql(postgres, table="Odd.Ta ble"), None, ["x"]) == [7]
