"""Versions of SQL rows: their content, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from postgres import postgres_server
from sqlalchemy import event

from driftwatch.core.schema import Span
from driftwatch.errors import SchemaMismatch, SourceUnavailable
from driftwatch.sources import _sqlversions
from driftwatch.sources.sql import SqlConfig, SqlSource, open_source

HOUR = 3600 * 10**9
START = 15796 * 24 * HOUR
HOURS = [Span(start=START + hour * HOUR, end=START + (hour + 1) * HOUR) for hour in range(48)]

Execute = Callable[..., None]


def sql(url: str, **changes: Any) -> SqlSource:
    settings = {"type": "sql", "url": url, "table": "flights", "time_column": "t", **changes}
    return open_source(SqlConfig(**{key: value for key, value in settings.items() if value is not None}))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres(server: str) -> Iterator[tuple[str, Execute]]:
    with psycopg.connect(server, autocommit=True) as link:
        link.execute("DROP TABLE IF EXISTS flights")
        yield server, lambda statement: link.execute(statement)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[str, Execute]]:
    with closing(sqlite3.connect(tmp_path / "rows.db", isolation_level=None)) as link:
        yield f"sqlite:///{tmp_path}/rows.db", lambda statement: link.execute(statement)


@contextmanager
def noted() -> Iterator[list[str]]:
    """The statements that SQLAlchemy sends."""
    statements: list[str] = []

    def note(_link: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(sa.Engine, "before_cursor_execute", note)


#: A table of 48 hours, as each database writes it.
IN_POSTGRES = (
    "CREATE TABLE flights AS SELECT TIMESTAMPTZ '2013-04-01T00:00Z' + x * INTERVAL '10 minutes' AS t, x, "
    "x / 3.0::float8 AS y, now() AS changed FROM generate_series(0, 287) AS x"
)
IN_SQLITE = (
    "CREATE TABLE flights AS WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 287) "
    "SELECT datetime('2013-04-01', (10 * x) || ' minutes') AS t, x, x / 3.0 AS y, "
    "'2014-01-01' AS changed FROM n"
)


def _check_hours(source: SqlSource, execute: Execute) -> None:
    """One statement or two read the versions of all hours, and a change is one of its hour alone."""
    first = source.versions([*HOURS, None])
    assert len(set(first)) == 49
    assert first == [source.version(span) for span in [*HOURS, None]]
    execute("UPDATE flights SET y = y * 100 WHERE x = 61")
    second = source.versions([*HOURS, None])
    assert [place for place in range(49) if first[place] != second[place]] == [10, 48]
    execute("UPDATE flights SET y = (SELECT max(y) FROM flights AS o WHERE o.x = 62) WHERE x = 63")
    execute("DELETE FROM flights WHERE x = 100")
    third = source.versions([*HOURS, None])
    assert [place for place in range(49) if second[place] != third[place]] == [10, 16, 48]


def test_a_change_is_one_of_its_hour_in_sqlite(database: tuple[str, Execute]) -> None:
    url, execute = database
    execute(IN_SQLITE)
    _check_hours(sql(url), execute)


def test_thousands_of_neighbouring_spans_are_read_at_once_and_far_ones_in_parts(
    database: tuple[str, Execute],
) -> None:
    url, execute = database
    execute(IN_SQLITE)
    minute = HOUR // 60
    minutes = [Span(start=START + k * minute, end=START + (k + 1) * minute) for k in range(2_880)]
    days = [
        Span(start=item.start + k * 86_400_000_000_000, end=item.end + k * 86_400_000_000_000)
        for k, item in enumerate(HOURS * 9)
    ]
    source = sql(url)
    with noted() as statements:
        versions = source.versions(minutes)
    assert sum("BETWEEN" in item or ">=" in item for item in statements) == 1
    assert [versions[k] for k in (0, 1, 610, 2_879)] == [
        source.version(minutes[k]) for k in (0, 1, 610, 2_879)
    ]
    assert len(set(versions)) == 289, "a row every ten minutes, and nothing between"
    assert source.versions(days)[0] == source.version(HOURS[0])


def test_a_change_is_one_of_its_hour_whatever_the_format_of_times(database: tuple[str, Execute]) -> None:
    url, execute = database
    execute(IN_SQLITE)
    execute("UPDATE flights SET t = strftime('%d.%m.%Y %H:%M', t)")
    _check_hours(sql(url, time_format="%d.%m.%Y %H:%M"), execute)


def test_a_change_is_one_of_its_hour_with_times_of_several_types(database: tuple[str, Execute]) -> None:
    url, execute = database
    execute(IN_SQLITE)
    execute("UPDATE flights SET t = CAST(strftime('%s', t) AS INTEGER) * (1 + 999 * (x % 3)) WHERE x % 2")
    execute("INSERT INTO flights VALUES (NULL, 1, 1, 1), ('never', 1, 1, 1), (x'00', 1, 1, 1)")
    _check_hours(sql(url), execute)


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "query"])
def test_a_change_is_one_of_its_hour_in_postgres(postgres: tuple[str, Execute], kind: str) -> None:
    url, execute = postgres
    execute(IN_POSTGRES)
    if kind == "timestamp":
        execute("ALTER TABLE flights ALTER t TYPE timestamp USING t AT TIME ZONE 'UTC'")
    execute("INSERT INTO flights VALUES (NULL, 1, 1, now()), ('infinity', 1, 1, now())")
    source = sql(url) if kind != "query" else sql(url, table=None, query="SELECT * FROM flights; -- all")
    _check_hours(source, execute)


@pytest.mark.peer
def test_all_spans_cost_one_statement_in_postgres(postgres: tuple[str, Execute]) -> None:
    url, execute = postgres
    execute(IN_POSTGRES)
    source = sql(url)
    with noted() as statements:
        source.versions(HOURS)
        many = len(statements)
        source.versions(HOURS[:1])
    assert many == len(statements) - many
    assert sum("hashtextextended" in statement for statement in statements) == 2


@pytest.mark.peer
def test_a_change_of_any_type_of_postgres_is_noticed(postgres: tuple[str, Execute]) -> None:
    url, execute = postgres
    execute("DROP TYPE IF EXISTS mood, pair CASCADE")
    execute("CREATE TYPE mood AS ENUM ('sad', 'good')")
    execute("CREATE TYPE pair AS (a int, b text)")
    pairs = {
        "json": ("'{\"a\": 1}'", "'{\"a\": 2}'"),
        "jsonb": ("'[1, null]'", "'[1, 0]'"),
        "int[]": ("'{1,2}'", "'{2,1}'"),
        "text[]": ("'{NULL}'", "'{\"NULL\"}'"),
        "float8": ("'NaN'", "'infinity'"),
        "float4": ("0.1", "0.10000001"),
        "numeric": ("'NaN'", "1e200"),
        "mood": ("'sad'", "'good'"),
        "pair": ("'(1,)'", "'(1,\"\")'"),
        "bytea": ("'\\x00'", "'\\x0000'"),
        "text": ("''", "NULL"),
        "uuid": ("'00000000-0000-0000-0000-000000000000'", "'00000000-0000-0000-0000-000000000001'"),
        "interval": ("'1 month'", "'30 days'"),
        "inet": ("'10.0.0.1'", "'10.0.0.2'"),
        "int4range": ("'[1,2)'", "'[1,3)'"),
        "point": ("'(0,1)'", "'(1,0)'"),
        "tsvector": ("'a'", "'b'"),
        "xml": ("'<a/>'", "'<b/>'"),
        "timestamptz": ("'infinity'", "'-infinity'"),
        "date": ("'12000-01-01'", "'0044-03-15 BC'"),
        "bit varying": ("B'1'", "B'11'"),
        "bool": ("true", "false"),
    }
    for kind, (first, second) in pairs.items():
        execute("DROP TABLE IF EXISTS flights")
        execute(f"CREATE TABLE flights AS SELECT TIMESTAMPTZ '2013-04-01T00:30Z' AS t, {first}::{kind} AS c")
        before = sql(url).versions([HOURS[0], None])
        assert before[0] == before[1], kind
        execute(f"UPDATE flights SET c = {second}::{kind}")
        assert not set(before) & set(sql(url).versions([HOURS[0], None])), kind


@pytest.mark.peer
def test_a_type_that_has_no_text_leaves_the_other_columns(postgres: tuple[str, Execute]) -> None:
    url, execute = postgres
    execute(IN_POSTGRES)
    execute("DROP TYPE IF EXISTS mute CASCADE")
    execute("CREATE TYPE mute")
    execute("CREATE FUNCTION mute_in(cstring) RETURNS mute AS 'textin' LANGUAGE internal IMMUTABLE STRICT")
    execute("CREATE FUNCTION mute_out(mute) RETURNS cstring AS 'any_out' LANGUAGE internal IMMUTABLE STRICT")
    execute("CREATE TYPE mute (INPUT = mute_in, OUTPUT = mute_out, LIKE = text)")
    execute("ALTER TABLE flights ADD COLUMN m mute DEFAULT 'x'")
    _check_hours(sql(url), execute)
    assert sum(batch.num_rows for batch in sql(url).read(HOURS[0], ["x"]).batches) == 6


@pytest.mark.peer
def test_a_server_without_the_hash_has_its_rows_read(
    postgres: tuple[str, Execute], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, execute = postgres
    execute(IN_POSTGRES)
    execute(
        "ALTER TABLE flights ADD COLUMN j jsonb DEFAULT '{\"a\": [1.5, null]}', ADD d numeric DEFAULT 0.1"
    )
    monkeypatch.setattr(_sqlversions, "_server_contents", lambda *_: None)
    _check_hours(sql(url), execute)
    first = sql(url).version(HOURS[0])
    execute("UPDATE flights SET j = '{\"a\": [1.5, 0]}' WHERE x = 1")
    second = sql(url).version(HOURS[0])
    execute("UPDATE flights SET d = 0.2 WHERE x = 1")
    assert len({first, second, sql(url).version(HOURS[0])}) == 3


@pytest.mark.peer
def test_a_user_who_may_not_call_the_hash_has_the_rows_of_the_spans_read_alone(
    postgres: tuple[str, Execute],
) -> None:
    url, execute = postgres
    execute(IN_POSTGRES)
    execute("DROP ROLE IF EXISTS guest")
    execute("CREATE ROLE guest LOGIN")
    execute("GRANT SELECT ON flights TO guest")
    execute("REVOKE EXECUTE ON FUNCTION hashtextextended(text, bigint) FROM PUBLIC")
    try:
        guest = sql(url.replace("me:hunter2", "guest"))
        with noted() as statements:
            guest.versions(HOURS[:2])
        assert not [item for item in statements if "length" in item]
        _check_hours(guest, execute)
    finally:
        execute("GRANT EXECUTE ON FUNCTION hashtextextended(text, bigint) TO PUBLIC")
        execute("DROP OWNED BY guest")
        execute("DROP ROLE guest")


@pytest.mark.peer
def test_a_timeout_of_a_version_is_an_outage(postgres: tuple[str, Execute]) -> None:
    """It is not tried again in other ways."""
    url, execute = postgres
    execute("CREATE TABLE flights AS SELECT now() AS t, 1 AS x")
    execute(
        "CREATE OR REPLACE FUNCTION slow(x int) RETURNS text LANGUAGE sql STABLE "
        "AS 'SELECT pg_sleep(30 * x)::text'"
    )
    slow = sql(url, table=None, query="SELECT t, slow(x) AS x FROM flights", timeout="1s")
    with noted() as statements, pytest.raises(SourceUnavailable, match="statement timeout"):
        slow.version(None)
    assert sum("CAST" in statement for statement in statements) == 1


def _check_updated_column(url: str, execute: Execute) -> None:
    source = sql(url, updated_column="changed")
    first = source.versions([*HOURS, None])
    execute("UPDATE flights SET y = -y")
    assert source.versions([*HOURS, None]) == first, "what the column does not tell is not noticed"
    for newest in ("2015-01-01", "2015-01-01", "2013-01-01"):
        # The same newest time of change, and one that is not the newest.
        first = source.versions([*HOURS, None])
        execute(f"UPDATE flights SET changed = '{newest}' WHERE x = (SELECT max(x) FROM flights WHERE x < 66 "
                f"AND changed <> '{newest}')")  # fmt: skip
        second = source.versions([*HOURS, None])
        assert [place for place in range(49) if first[place] != second[place]] == [10, 48]
    execute("UPDATE flights SET changed = NULL WHERE x = 66")
    execute("DELETE FROM flights WHERE x = 72")
    third = source.versions([*HOURS, None])
    assert [place for place in range(49) if second[place] != third[place]] == [11, 12, 48]
    execute("UPDATE flights SET t = (SELECT t FROM flights AS o WHERE o.x = 78) WHERE x = 79")
    fourth = source.versions([*HOURS, None])
    assert [place for place in range(49) if third[place] != fourth[place]] == [13, 48]
    with pytest.raises(SchemaMismatch, match=r"expected the updated_column 'change'\. Got .*'changed'"):
        sql(url, updated_column="change").version(None)


def test_an_updated_column_tells_changes_in_sqlite(database: tuple[str, Execute]) -> None:
    url, execute = database
    execute(IN_SQLITE)
    _check_updated_column(url, execute)


@pytest.mark.peer
def test_an_updated_column_tells_changes_in_postgres(postgres: tuple[str, Execute]) -> None:
    url, execute = postgres
    execute(IN_POSTGRES)
    _check_updated_column(url, execute)


def test_a_query_with_two_columns_of_one_name_has_a_version(database: tuple[str, Execute]) -> None:
    url, execute = database
    execute(IN_SQLITE)
    joined = "SELECT a.*, b.x, b.y AS z FROM flights AS a JOIN flights AS b ON a.x = b.x;"
    _check_hours(sql(url, table=None, query=joined), execute)


@pytest.mark.peer
def test_a_query_with_two_columns_of_one_name_has_a_version_in_postgres(
    postgres: tuple[str, Execute],
) -> None:
    url, execute = postgres
    execute(IN_POSTGRES)
    joined = "SELECT a.*, b.x, b.y AS z FROM flights AS a JOIN flights AS b ON a.x = b.x;"
    _check_hours(sql(url, table=None, query=joined), execute)
