"""The SQL source on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from peers import free_port
from pydantic import ValidationError

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import Span
from driftwatch.errors import ConfigError, DataError, SchemaMismatch, SourceUnavailable
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


def test_sqlite_rows_of_the_span_extent_and_version(database: Path) -> None:
    source = sql(f"sqlite:///{database}")
    span = Span(start=START + 2 * DAY, end=START + 3 * DAY)
    assert set(range(48, 72)) <= set(rows(source, span, ["x"])) < set(range(96))
    assert rows(source, None) == list(range(96))
    assert source.extent() == Span(start=START, end=START + 95 * HOUR + 1)
    version, empty_version = (
        source.version(span),
        source.version(Span(start=START + 30 * DAY, end=START + 31 * DAY)),
    )
    assert version == source.version(span) == source.read(span, ["x"]).version != empty_version
    assert source.versions([span, None]) == [version, source.version(None)]
    with closing(sqlite3.connect(database)) as link, link:
        link.execute("INSERT INTO flights VALUES ('2013-04-03 05:00', 1000, 'b')")
    assert source.version(span) != version
    assert 1000 in rows(source, span, ["x"])


def test_sqlite_numbers_since_1970(database: Path) -> None:
    for unit in (10**9, 10**6):
        with closing(sqlite3.connect(database)) as link, link:
            link.execute("DROP TABLE flights")
            link.execute("CREATE TABLE flights (t INTEGER, x INTEGER)")
            link.executemany(
                "INSERT INTO flights VALUES (?, ?)", [((START + h * HOUR) // unit, h) for h in range(5)]
            )
        span = Span(start=START + HOUR, end=START + 3 * HOUR)
        assert rows(sql(f"sqlite:///{database}"), span, ["x"]) == [1, 2]


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
    with pytest.raises(SourceUnavailable):
        rows(source, None)
    with source._connected() as link, pytest.raises(sa.exc.OperationalError, match="readonly"):
        link.connection.execute(sa.text("DELETE FROM flights"))
    with pytest.raises(SourceUnavailable, match="unable to open"):
        sql(f"sqlite:///{tmp_path}/none.db").version(None)
    assert not (tmp_path / "none.db").exists()


def test_what_is_not_there_is_named(database: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no such table"):
        sql(f"sqlite:///{database}", table='no"; DROP TABLE flights').version(None)
    with pytest.raises(SchemaMismatch, match="expected the time column 'when'"):
        sql(f"sqlite:///{database}", time_column="when").version(None)
    with pytest.raises(SchemaMismatch, match="expected any of the columns 'gone'"):
        rows(sql(f"sqlite:///{database}"), None, ["gone"])


def test_an_empty_table_has_no_extent_and_no_rows(database: Path) -> None:
    with closing(sqlite3.connect(database)) as link, link:
        link.execute("DELETE FROM flights")
    source = sql(f"sqlite:///{database}")
    assert source.extent() is None
    assert rows(source, Span(start=0, end=1), ["x"]) == []


def test_configuration_and_secrets(tmp_path: Path) -> None:
    right = {"type": "sql", "url": "sqlite://", "table": "x", "time_column": "t"}
    SqlConfig.model_validate(right)
    for wrong in (
        {"url": None},
        {"url_file": "x"},
        {"table": None},
        {"query": "SELECT 1"},
        {"time_column": None},
    ):
        with pytest.raises(ValidationError):
            SqlConfig.model_validate({**right, **wrong})
    with pytest.raises(ConfigError) as caught:
        sql("no url hunter2").version(None)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(DataError) as failure:
        sql("sqlite:////nowhere/x.db?password=hunter2").version(None)
    assert "hunter2" not in str(failure.value)
    secret = tmp_path / "url"
    secret.write_text("postgresql://me:hun%2Fter2@127.0.0.1:1/db\n", encoding="utf-8")
    source = open_source(SqlConfig(type="sql", url_file=secret, table="x", time_column="t"))
    with pytest.raises(SourceUnavailable) as down:
        source.version(None)
    assert "127.0.0.1" in str(down.value)
    assert "hun" not in str(down.value)
    assert "hunter" not in repr(SqlConfig(type="sql", url="a://hunter", table="x", time_column="t"))


def _postgres_programs() -> Path:
    paths = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not paths and os.environ.get("CI"):
        pytest.fail("PostgreSQL is not installed, and CI must not skip it")
    if not paths:
        pytest.skip("PostgreSQL is not installed")
    return paths[-1].parent


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A cluster of its own on a free loopback port; the server refuses to run as root."""
    programs = _postgres_programs()
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="dw-pg-") as folder:
        if as_user:
            subprocess.run(["chown", "postgres", folder], check=True)
        data, port = f"{folder}/data", free_port()
        quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(
            [*as_user, programs / "initdb", "-D", data, "-A", "trust", "-U", "me", "--no-sync"],
            cwd="/",
            **quiet,
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*as_user, programs / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-o", options, "-l", f"{folder}/log", "start"], cwd="/", **quiet)
        try:
            yield f"postgresql://me:hunter2@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], cwd="/", **quiet)


def _fill(url: str, *statements: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.pool.NullPool)
    with engine.begin() as link:
        for statement in statements:
            link.execute(sa.text(statement))
    engine.dispose()


@pytest.mark.peer
def test_postgres_types_of_time(postgres: str) -> None:
    _fill(postgres, 'DROP SCHEMA IF EXISTS "Odd" CASCADE', 'CREATE SCHEMA "Odd"')
    span = Span(start=START + 24 * HOUR, end=START + 48 * HOUR)
    for name, kind in {"aware": "timestamptz", "naive": "timestamp", "days": "date", "text": "text"}.items():
        _fill(
            postgres,
            f"CREATE TABLE \"Odd\".\"{name}\" AS SELECT (TIMESTAMPTZ '2013-04-01T00:00Z' AT TIME ZONE 'UTC'"
            f" + x * INTERVAL '1 hour')::{kind} AS t, x FROM generate_series(0, 95) AS x",
        )
        if kind == "timestamptz":
            _fill(
                postgres,
                f"UPDATE \"Odd\".\"{name}\" SET t = TIMESTAMPTZ '2013-04-01T00:00Z' + x * INTERVAL '1 hour'",
            )
        source = sql(postgres, table=f"Odd.{name}")
        inside = []
        for batch in source.read(span, ["x"]).batches:
            times, usable = event_times(batch.column("t"), "UTC")
            assert usable.all()
            in_span = (times >= span.start) & (times < span.end)
            inside += [x for x, keep in zip(batch.column("x").to_pylist(), in_span, strict=True) if keep]
        assert sorted(inside) == list(range(24, 48)), name
        extent = source.extent()
        assert extent is not None
        assert extent.start == START, name


@pytest.mark.peer
def test_postgres_streams_and_refuses_writes_and_waits(postgres: str) -> None:
    _fill(
        postgres,
        "DROP TABLE IF EXISTS flights",
        "CREATE TABLE flights AS SELECT now() AS t, x, x::numeric / 3 AS y, ARRAY[1.5, 2] AS v "
        "FROM generate_series(0, 49999) AS x",
    )
    batches = list(sql(postgres).read(None, ["x", "y", "v"]).batches)
    assert [batch.num_rows for batch in batches] == [20_000, 20_000, 10_000]
    writing = sql(postgres, table=None, query="DELETE FROM flights RETURNING t, x")
    with pytest.raises(SourceUnavailable, match="the database answered"):
        list(writing.read(None, None).batches)
    with sql(postgres)._connected() as link, pytest.raises(sa.exc.InternalError, match="read-only"):
        link.connection.execute(sa.text("DELETE FROM flights"))
    slow = sql(postgres, table=None, query="SELECT now() AS t, pg_sleep(30) AS x", timeout="1s")
    with pytest.raises(SourceUnavailable, match="statement timeout"):
        slow.version(None)
    with pytest.raises(SourceUnavailable) as missing:
        sql(postgres, table="nowhere").version(None)
    assert "hunter2" not in str(missing.value)
