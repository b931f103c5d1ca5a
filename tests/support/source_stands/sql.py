"""SQLite everywhere, and PostgreSQL where it is there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from peers import free_port
from postgres import postgres_server
from source_tables import TIMES, VALUES

from source_stands import SECRET, Outage, Stand


class SqlStand(Stand):
    module = "driftwatch.sources.sql"
    margin = 0
    ordered = False

    @property
    def url(self) -> str:
        raise NotImplementedError

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"type": "sql", "url": self.url, "table": "rows", "time_column": "t", **changes}

    def mistakes(self) -> Mapping[str, dict[str, Any]]:
        return {
            "no URL": {"url": "here and there"},
            "an unknown database": {"url": "nosuch://me@127.0.0.1/rows"},
            "an unknown driver": {"url": "mysql+nosuch://me@127.0.0.1/rows"},
            "a table whose name is no text": {"table": "a\ud800"},
            "a query that is no text": {"table": None, "query": "SELECT '\ud800' AS t"},
        }

    def refused(self) -> Mapping[str, dict[str, Any]]:
        return {
            "no table and no query": {"table": None},
            "a table and a query": {"query": "SELECT 1 AS t"},
            "no URL": {"url": None},
            "two URLs": {"url_file": "url"},
            "an empty time column": {"time_column": ""},
            "a number for a timeout": {"timeout": 5},
        }

    def secretive(self) -> Mapping[str, dict[str, Any]]:
        address = f"127.0.0.1:{free_port()}/rows"
        file = self.folder / "url"
        file.write_text(f"postgresql://me:{SECRET}@{address}\n", encoding="utf-8")
        return {
            "a password": {"url": f"postgresql://me:{SECRET}@{address}"},
            "a password in a file": {"url": None, "url_file": str(file)},
            "a password in parts": {"url": f"postgresql://me:a%2F{SECRET}%40@{address}"},
            "a password as an option": {"url": f"postgresql://me@{address}?password={SECRET}"},
            "no URL": {"url": f"postgresql:/{SECRET}"},
            "an unknown database": {"url": f"nosuch://me:{SECRET}@{address}"},
            "a database file": {"url": f"sqlite:////nowhere/rows.db?password={SECRET}"},
        }


class Sqlite(SqlStand):
    name = "sql on SQLite"
    #: It has no decimals, booleans, times and NaN, and one zero.
    times = frozenset(TIMES) - {"decimal seconds"}
    values = frozenset(VALUES) - {
        "decimals", "booleans", "dates", "local times", "zoned times", "NaN beside null", "negative zero",
    }  # fmt: skip
    timeless = pa.array([b"\x00", b"\xff"])

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, address)
        self.file = folder / "da ta#1%.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    @property
    def places(self) -> tuple[str, ...]:
        return (str(self.folder), "'rows'")

    def put(self, content: pa.Table) -> None:
        columns = ", ".join(f"{_quoted(field.name)} {_sqlite_type(field.type)}" for field in content.schema)
        marks = ", ".join("?" * content.num_columns)
        values = [_sqlite_values(column) for column in content.columns]
        with closing(sqlite3.connect(self.file)) as link, link:
            link.execute("DROP TABLE IF EXISTS rows")
            link.execute(f"CREATE TABLE rows ({columns})")
            link.executemany(f"INSERT INTO rows VALUES ({marks})", zip(*values, strict=True))

    def outages(self) -> Mapping[str, Outage]:
        return {
            "the file is away": self._away,
            "the file is damaged": self._damaged,
            "the table is away": self._without_table,
        }

    @contextmanager
    def _away(self) -> Iterator[dict[str, Any]]:
        self.file.rename(self.folder / "away")
        yield self.settings()
        assert not self.file.exists(), "it was created"
        (self.folder / "away").rename(self.file)

    @contextmanager
    def _damaged(self) -> Iterator[dict[str, Any]]:
        data = self.file.read_bytes()
        self.file.write_bytes(b"no database at all" * 100)
        yield self.settings()
        self.file.write_bytes(data)

    @contextmanager
    def _without_table(self) -> Iterator[dict[str, Any]]:
        self._execute("ALTER TABLE rows RENAME TO others")
        yield self.settings()
        self._execute("ALTER TABLE others RENAME TO rows")

    def _execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.file)) as link, link:
            link.execute(statement)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sqlite_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    if pa.types.is_binary(kind):
        return "BLOB"
    return "REAL" if pa.types.is_floating(kind) else "DATETIME" if pa.types.is_temporal(kind) else "TEXT"


def _sqlite_values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_temporal(column.type) or pa.types.is_decimal(column.type):
        return list(column.cast(pa.string()).to_pylist())
    return list(column.to_pylist())


class Postgres(SqlStand):
    name = "sql on PostgreSQL"
    peer = True
    times = frozenset(TIMES) - {"nanoseconds"}
    values = frozenset(VALUES)

    @classmethod
    @contextmanager
    def service(cls) -> Iterator[str]:
        with postgres_server() as url:
            yield url

    @property
    def url(self) -> str:
        return self.address

    @property
    def places(self) -> tuple[str, ...]:
        return ("127.0.0.1", "'rows'")

    def put(self, content: pa.Table) -> None:
        columns = ", ".join(f"{_quoted(field.name)} {_postgres_type(field.type)}" for field in content.schema)
        values = [column.to_pylist() for column in content.columns]
        with psycopg.connect(self.address, autocommit=False) as link:
            link.execute("DROP TABLE IF EXISTS rows")
            link.execute(f"CREATE TABLE rows ({columns})")
            with link.cursor().copy("COPY rows FROM STDIN") as copy:
                for row in zip(*values, strict=True):
                    copy.write_row(row)

    def outages(self) -> Mapping[str, Outage]:
        port = free_port()
        elsewhere = self.address.rpartition(":")[0] + f":{port}/postgres"
        return {
            "nobody listens": self._by({"url": elsewhere}),
            "another database": self._by({"url": f"{self.address}_of_others"}),
            "no rights": self._by(
                {"url": self.address.replace("//me:", "//stranger:")},
                "CREATE ROLE stranger LOGIN",
                "DROP ROLE stranger",
            ),
            "the table is away": self._by(
                {}, "ALTER TABLE rows RENAME TO others", "ALTER TABLE others RENAME TO rows"
            ),
        }

    def _by(self, changes: dict[str, Any], begin: str = "", end: str = "") -> Outage:
        @contextmanager
        def outage() -> Iterator[dict[str, Any]]:
            self._execute(begin)
            yield self.settings(**changes)
            self._execute(end)

        return outage

    def _execute(self, statement: str) -> None:
        if statement:
            with psycopg.connect(self.address, autocommit=True) as link:
                link.execute(statement)

    def interrupt(self) -> None:
        self._execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def _postgres_type(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    for fits, name in (
        (types.is_integer, "BIGINT"), (types.is_floating, "DOUBLE PRECISION"), (types.is_boolean, "BOOLEAN"),
        (types.is_decimal, "NUMERIC"), (types.is_date, "DATE"),
    ):  # fmt: skip
        if fits(kind):
            return name
    return "TEXT"


STANDS = (Sqlite, Postgres)
