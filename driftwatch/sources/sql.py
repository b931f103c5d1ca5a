"""Reads a table or query of a SQL database through SQLAlchemy and never writes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import quote

import pyarrow as pa
from pydantic import Field, model_validator

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import Span
from driftwatch.core.settings import Duration, exclusive_setting, read_secret, redact_credentials
from driftwatch.errors import ConfigError, DataError, MissingExtra, SchemaMismatch, SourceUnavailable
from driftwatch.sources._sqltime import predicate
from driftwatch.sources.base import Reading, SourceConfig

if TYPE_CHECKING:
    import sqlalchemy as sa

#: Rows per fetch.
_FETCH_ROWS = 20_000


class SqlConfig(SourceConfig):
    """Settings of a SQL source: either ``url`` or ``url_file``, either ``table`` or ``query``."""

    type: Literal["sql"]
    time_column: Annotated[str, Field(min_length=1)]
    url: Annotated[str | None, Field(repr=False)] = None
    #: Keeps the password out of the configuration.
    url_file: Path | None = None
    #: May be ``schema.table``.
    table: str | None = None
    #: One SELECT.
    query: str | None = None
    #: The server's limit on one statement, in seconds (PostgreSQL).
    timeout: Duration = 300

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        exclusive_setting(self, "url", "url_file")
        exclusive_setting(self, "table", "query")
        return self


CONFIG = SqlConfig


def open_source(config: SqlConfig) -> SqlSource:
    """Return the source without connecting. Raises ``MissingExtra``."""
    try:
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise MissingExtra("sqlalchemy", "sql") from error
    return SqlSource(config=config)


@dataclass(slots=True, kw_only=True)
class SqlSource:
    """A SQL source; every call is a read-only transaction of its own."""

    config: SqlConfig

    def version(self, span: Span | None) -> str:
        """Return a hash of the span's row count and newest time; a value changed in place goes unnoticed."""
        return self.versions([span])[0]

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        with self._connected() as transaction:
            return [transaction.version(span) for span in spans]

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Read rows through a server-side cursor where the database has one."""
        version = self.version(span)
        return Reading(batches=self._rows(span, columns), version=version)

    def extent(self) -> Span | None:
        """Return the span of event times by MIN and MAX, which is cheap with an index on the time column."""
        with self._connected() as transaction:
            ends = transaction.ends()
        array = _array([end for end in ends if end is not None])
        times, usable = event_times(array, self.config.timezone)
        if not usable.any():
            return None
        return Span(start=int(times[usable].min()), end=int(times[usable].max()) + 1)

    def _rows(self, span: Span | None, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        with self._connected() as transaction:
            yield from transaction.batches(span, columns)

    @contextmanager
    def _connected(self) -> Iterator[_Transaction]:
        """Open a read-only transaction; the driver's errors are raised without secrets and without rows."""
        import sqlalchemy as sa

        url = self._url()
        try:
            engine = _engine(url)
            try:
                with engine.connect() as connection:
                    _read_only(connection, self.config.timeout)
                    yield _Transaction(connection=connection, config=self.config)
            finally:
                engine.dispose()
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "the driver", "postgres") from error
        except sa.exc.SQLAlchemyError as error:
            raise _source_error(error, url) from None

    def _url(self) -> sa.URL:
        import sqlalchemy as sa

        try:
            text = read_secret(self.config.url, self.config.url_file) or ""
        except OSError as error:
            raise SourceUnavailable(
                f"{self.config.url_file}: expected a file with the database URL. Got {error.strerror}."
            ) from error
        try:
            return sa.make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text))
        except sa.exc.ArgumentError:
            # The error's own text quotes the URL, password and all.
            raise ConfigError(
                "source.url: expected a database URL such as postgresql://user@host/name. Got something else."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transaction:
    connection: sa.Connection
    config: SqlConfig

    def version(self, span: Span | None) -> str:
        import sqlalchemy as sa

        rows, time = self._from()
        statement = sa.select(sa.func.count(), sa.func.max(time)).select_from(rows)
        count, newest = self.connection.execute(self._in_span(statement, rows, time, span)).one()
        return hashlib.sha256(f"{count} {newest!r}".encode()).hexdigest()

    def ends(self) -> tuple[Any, Any]:
        import sqlalchemy as sa

        rows, time = self._from()
        low, high = self.connection.execute(
            sa.select(sa.func.min(time), sa.func.max(time)).select_from(rows)
        ).one()
        return low, high

    def batches(self, span: Span | None, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        import sqlalchemy as sa

        rows, time = self._from()
        names = list(rows.c.keys())
        selected = names if columns is None else [name for name in dict.fromkeys(columns) if name in names]
        required = set(columns or ()) - {self.config.time_column}
        if required and not required & set(selected):
            listing = ", ".join(repr(name[:60]) for name in sorted(required)[:8])
            raise SchemaMismatch(f"{self._where()}: expected any of the columns {listing}. Got none of them.")
        selected = list(dict.fromkeys((*selected, self.config.time_column)))
        statement = self._in_span(sa.select(*(rows.c[name] for name in selected)), rows, time, span)
        streaming = self.connection.execution_options(stream_results=True, yield_per=_FETCH_ROWS)
        for part in streaming.execute(statement).partitions(_FETCH_ROWS):
            arrays = [_array(list(values)) for values in zip(*part, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, names=selected)

    def _from(self) -> tuple[Any, Any]:
        import sqlalchemy as sa

        rows = self._table() if self.config.table is not None else self._query()
        if self.config.time_column not in rows.c:
            raise SchemaMismatch(
                f"{self._where()}: expected the time column {self.config.time_column!r}. "
                f"Got {', '.join(repr(name[:60]) for name in list(rows.c.keys())[:8])}."
            )
        return rows, sa.type_coerce(rows.c[self.config.time_column], sa.types.NullType())

    def _table(self) -> Any:
        import sqlalchemy as sa

        schema, _, name = (self.config.table or "").rpartition(".")
        table = sa.table(name, schema=schema or None)
        names = list(self.connection.execute(sa.select(sa.text("*")).select_from(table).limit(0)).keys())
        return sa.table(name, *(sa.column(column) for column in names), schema=schema or None)

    def _query(self) -> Any:
        import sqlalchemy as sa

        text = (self.config.query or "").strip().rstrip(";").replace(":", "\\:")
        names = list(
            self.connection.execute(
                sa.select(sa.text("*")).select_from(sa.text(f"(\n{text}\n) AS driftwatch_rows")).limit(0)
            ).keys()
        )
        return sa.text(text).columns(*(sa.column(name) for name in names)).subquery("driftwatch_rows")

    def _in_span(self, statement: Any, rows: Any, time: Any, span: Span | None) -> Any:
        import sqlalchemy as sa

        if span is None:
            return statement
        first = sa.select(time).select_from(rows).where(time.is_not(None)).limit(1)
        example = self.connection.execute(first).scalar()
        bounds = predicate(example, span, self.config.timezone)
        if bounds is None:
            return statement
        low, high = bounds
        column = rows.c[self.config.time_column]
        return statement.where(column >= sa.bindparam("low", low), column < sa.bindparam("high", high))

    def _where(self) -> str:
        return f"table {self.config.table!r}" if self.config.table else "the query"


def _engine(url: sa.URL) -> sa.Engine:
    """Create an engine that keeps no connection; SQLite files are opened read only and never created."""
    import sqlite3

    import sqlalchemy as sa

    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return sa.create_engine(url, poolclass=sa.pool.NullPool, hide_parameters=True)
    address = f"file:{quote(url.database)}?mode=ro"
    return sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address, uri=True),
        poolclass=sa.pool.NullPool,
        hide_parameters=True,
    )


def _read_only(connection: sa.Connection, timeout: int) -> None:
    # The server itself refuses writes.
    import sqlalchemy as sa

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(timeout) * 1000}"))
    elif connection.dialect.name == "sqlite":
        connection.execute(sa.text("PRAGMA query_only = ON"))


def _source_error(error: Exception, url: sa.URL) -> DataError:
    """Quote the first line of the driver's error without secrets; further lines may quote rows."""
    origin = getattr(error, "orig", None) or error
    line = (str(origin).strip().splitlines() or [""])[0][:300]
    for secret in (url.password, quote(str(url.password or ""), safe="")):
        if secret:
            line = line.replace(str(secret), "***")
    kind = type(origin).__name__
    message = f"{url.render_as_string(hide_password=True)}: the database answered {kind}: {line}. "
    return SourceUnavailable(
        f"{redact_credentials(message)}"
        "Check that it is up, that the user may read the table, and that the names are right."
    )


def _array(values: list[Any]) -> pa.Array:
    # Mixed types become text.
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        texts = [None if value is None else str(value) for value in values]
        return pa.array([text and text.encode("utf-8", "backslashreplace").decode() for text in texts])
