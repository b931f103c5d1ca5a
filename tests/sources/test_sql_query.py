"""Queries as they stand in files: with comments and semicolons, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres import postgres_server

from driftwatch.errors import ConfigError
from driftwatch.sources._sqlquery import one_select
from driftwatch.sources.sql import SqlConfig, SqlSource, open_source

SELECT = "SELECT t, x, 'a;b -- c' AS c FROM flights"
QUERIES = [
    SELECT,
    f"{SELECT} -- all of them",
    f"{SELECT} -- all of them; really",
    f"{SELECT} --",
    f"{SELECT} /* all; of them */",
    f"{SELECT} /* all\nof them */ -- really\n",
    f"{SELECT};",
    f"{SELECT}; -- all of them",
    f"{SELECT} -- all of them\n;",
    f"{SELECT};\n;  ;\r\n/* the end */ ; -- of it\r\n",
    f"{SELECT}\n",
    f"{SELECT}\r",
    f"  \r\n{SELECT}\r\n",
    f"-- all of them;\n{SELECT}",
    f"/* all of them; */ {SELECT}",
    f"; {SELECT}",
    f"WITH rows AS ({SELECT}) SELECT * FROM rows; -- all of them",
    f"-- first\nWITH rows AS (\n{SELECT} -- inside;\n)\nSELECT * FROM rows -- last",
    "SELECT t, x, 'a;b -- c' AS c /* ; */ FROM flights -- ;\nWHERE x >= 0;",
    "SELECT t, x, 'it''s; --' AS c, '/*' AS d, 'x' AS \"odd;\"\"--name\" FROM flights -- '",
    f"{SELECT} WHERE x - -1 > 0 -- it's all",
    f"{SELECT} /* without an end",
]
SEVERAL = [
    f"{SELECT}; {SELECT}",
    f"{SELECT}; DELETE FROM flights",
    f"{SELECT}; -- one\n{SELECT}; -- two",
    "SELECT 'it''s' AS t; SELECT 2",
    "SELECT 1 AS t /* ; */; x",
]
NONE = ["", " \n", ";", "-- SELECT 1", "/* SELECT 1 */;"]


def sql(url: str, query: str) -> SqlSource:
    return open_source(SqlConfig(type="sql", url=url, query=query, time_column="t"))


def values(source: SqlSource) -> list[Any]:
    return sorted(x for batch in source.read(None, ["x"]).batches for x in batch.column("x").to_pylist())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("queries") / "rows.db"
    with closing(sqlite3.connect(path)) as link, link:
        link.execute("CREATE TABLE flights (t TEXT, x INTEGER)")
        link.execute("INSERT INTO flights VALUES ('2013-04-01', 0), ('2013-04-02', 1)")
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        with psycopg.connect(url) as link:
            link.execute("CREATE TABLE flights AS SELECT now() AS t, x FROM generate_series(0, 1) AS x")
        yield url


@pytest.mark.parametrize("query", QUERIES)
def test_one_select_is_read(database: str, query: str) -> None:
    source = sql(database, query)
    assert values(source) == [0, 1]
    assert source.extent() is not None
    assert source.version(None)


@pytest.mark.parametrize("query", [*SEVERAL, *NONE])
def test_another_number_of_statements_is_refused(database: str, query: str) -> None:
    got = "several, separated by a semicolon" if query in SEVERAL else "none"
    for ask in (sql(database, query).extent, lambda: sql(database, query).version(None)):
        with pytest.raises(ConfigError, match=f"source.query: expected one SELECT. Got {got}"):
            ask()


@pytest.mark.peer
def test_postgres_reads_one_select(postgres: str) -> None:
    own = [
        "SELECT t, x, $$;'$$ AS c, $a_1$ $$; $a_1$ AS d, E'it\\';' AS e FROM flights; -- $$",
        "SELECT t, x /* of /* each; */ ; */ FROM flights",
        "SELECT t, x, (ARRAY[1, 2])[1] AS c, '[' AS d FROM flights;",
        "SELECT t, x::int AS x, U&'\\0061;' AS c, x AS typE FROM flights WHERE 'e' = 'e';",
        "SELECT t, x FROM flights -- a line's end\rWHERE x >= 0;",
    ]
    for query in [*QUERIES, *own]:
        assert values(sql(postgres, query)) == [0, 1], query
    for query in [*SEVERAL, *NONE, "SELECT $$;$$ AS t; SELECT 2"]:
        with pytest.raises(ConfigError, match=r"source\.query: expected one SELECT"):
            sql(postgres, query).extent()


@pytest.mark.parametrize(
    ("dialect", "query", "statement"),
    [
        ("sqlite", "SELECT [a;b], `c;d` FROM x; -- e", "SELECT [a;b], `c;d` FROM x"),
        ("mysql", "SELECT 'it\\';', `a;` # it's;\nFROM x; # end", "SELECT 'it\\';', `a;` # it's;\nFROM x"),
        ("mysql", "SELECT 5--3 FROM x -- y", "SELECT 5--3 FROM x"),
        ("mariadb", 'SELECT "\\";" FROM x;', 'SELECT "\\";" FROM x'),
        ("mssql", "SELECT [a;b] /* c /* d */ ; */ FROM x;", "SELECT [a;b] /* c /* d */ ; */ FROM x"),
        ("oracle", "SELECT 'a;''' FROM x; -- y", "SELECT 'a;''' FROM x"),
        ("postgresql", "SELECT 'a\\'; -- b'", "SELECT 'a\\'"),
    ],
)
def test_each_database_has_its_own_quotations(dialect: str, query: str, statement: str) -> None:
    assert one_select(query, dialect) == statement


def test_a_long_query_is_taken_at_once() -> None:
    names = ", ".join(f"'{place};' AS c{place}" for place in range(20_000))
    assert one_select(f"SELECT {names} -- ;\n;", "postgresql").endswith("c19999")
