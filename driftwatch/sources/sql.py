"""A table or query of a SQL database, read only, through SQLAlchemy."""

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
from driftwatch.core.settings import Duration, one_of, read_secret, without_credentials
from driftwatch.errors import ConfigError, DataError, MissingExtra, SchemaMismatch, SourceUnavailable
from driftwatch.sources._sqltime import predicate
from driftwatch.sources.base import Reading, SourceConfig

if TYPE_CHECKING:
    import sqlalchemy as sa

_ROWS = 20_000


class SqlConfig(SourceConfig):
    """Where the rows are.

    ``url`` or ``url_file`` (a file with the URL, so that its password stays out of the configuration);
    ``table`` (or ``schema.table``) or ``query``, one SELECT. ``timeout`` is the server's limit on one
    statement (PostgreSQL).
    """

    type: Literal["sql"]
    time_column: Annotated[str, Field(min_length=1)]
    url: Annotated[str | None, Field(repr=False)] = None
    url_file: Path | None = None
    table: str | None = None
    query: str | None = None
    timeout: Duration = 300

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        one_of(self, "url", "url_file")
        one_of(self, "table", "query")
        return self


CONFIG = SqlConfig


def open_source(config: SqlConfig) -> SqlSource:
    """The rows a configuration names. Nothing is connected yet. Raises ``MissingExtra``."""
    try:
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise MissingExtra("sqlalchemy", "sql") from error
    return SqlSource(config=config)


@dataclass(slots=True, kw_only=True)
class SqlSource:
    """A table or query as a ``Source``. Every call is one read-only transaction of its own."""

    config: SqlConfig

    def version(self, span: Span | None) -> str:
        """Row count and newest time of the span: a value changed in place is not noticed."""
        return self.versions([span])[0]

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        """``version`` of each span: one count over each, all in one transaction."""
        with self._connected() as link:
            return [link.version(span) for span in spans]

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Rows of the span, 20,000 at a time, through a server-side cursor where there is one."""
        version = self.version(span)
        return Reading(batches=self._rows(span, columns), version=version)

    def extent(self) -> Span | None:
        """Oldest and newest event time, by MIN and MAX: cheap with an index on the time column."""
        with self._connected() as link:
            ends = link.ends()
        array = _array([end for end in ends if end is not None])
        times, usable = event_times(array, self.config.timezone)
        if not usable.any():
            return None
        return Span(start=int(times[usable].min()), end=int(times[usable].max()) + 1)

    def _rows(self, span: Span | None, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        with self._connected() as link:
            yield from link.batches(span, columns)

    @contextmanager
    def _connected(self) -> Iterator[_Link]:
        """A read-only transaction. What the driver raises is retold without secrets and without rows."""
        import sqlalchemy as sa

        url = self._url()
        try:
            engine = _engine(url)
            try:
                with engine.connect() as connection:
                    _read_only(connection, self.config.timeout)
                    yield _Link(connection=connection, config=self.config)
            finally:
                engine.dispose()
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "the driver", "postgres") from error
        except sa.exc.SQLAlchemyError as error:
            raise _retold(error, url) from None

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
class _Link:
    """One open transaction."""

    connection: sa.Connection
    config: SqlConfig

    def version(self, span: Span | None) -> str:
        """See ``SqlSource.version``."""
        import sqlalchemy as sa

        rows, time = self._from()
        chosen = sa.select(sa.func.count(), sa.func.max(time)).select_from(rows)
        count, newest = self.connection.execute(self._within(chosen, rows, time, span)).one()
        return hashlib.sha256(f"{count} {newest!r}".encode()).hexdigest()

    def ends(self) -> tuple[Any, Any]:
        """Oldest and newest value of the time column."""
        import sqlalchemy as sa

        rows, time = self._from()
        low, high = self.connection.execute(
            sa.select(sa.func.min(time), sa.func.max(time)).select_from(rows)
        ).one()
        return low, high

    def batches(self, span: Span | None, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """Rows of the span with those of ``columns`` that exist."""
        import sqlalchemy as sa

        rows, time = self._from()
        known = list(rows.c.keys())
        wanted = known if columns is None else [name for name in dict.fromkeys(columns) if name in known]
        asked = set(columns or ()) - {self.config.time_column}
        if asked and not asked & set(wanted):
            listed = ", ".join(repr(name[:60]) for name in sorted(asked)[:8])
            raise SchemaMismatch(f"{self._where()}: expected any of the columns {listed}. Got none of them.")
        wanted = list(dict.fromkeys((*wanted, self.config.time_column)))
        chosen = self._within(sa.select(*(rows.c[name] for name in wanted)), rows, time, span)
        streaming = self.connection.execution_options(stream_results=True, yield_per=_ROWS)
        for part in streaming.execute(chosen).partitions(_ROWS):
            arrays = [_array(list(values)) for values in zip(*part, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, names=wanted)

    def _from(self) -> tuple[Any, Any]:
        """The rows as something to select from, and their time column."""
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

    def _within(self, chosen: Any, rows: Any, time: Any, span: Span | None) -> Any:
        """The rows of the span, by bound values of the type that the column holds."""
        import sqlalchemy as sa

        if span is None:
            return chosen
        first = sa.select(time).select_from(rows).where(time.is_not(None)).limit(1)
        example = self.connection.execute(first).scalar()
        bounds = predicate(example, span, self.config.timezone)
        if bounds is None:
            return chosen
        low, high = bounds
        kind = rows.c[self.config.time_column]
        return chosen.where(kind >= sa.bindparam("low", low), kind < sa.bindparam("high", high))

    def _where(self) -> str:
        return f"table {self.config.table!r}" if self.config.table else "the query"


def _engine(url: sa.URL) -> sa.Engine:
    """An engine that keeps no connection; SQLite files are opened read only and never created."""
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
    """Ask the server itself to refuse writes."""
    import sqlalchemy as sa

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(timeout) * 1000}"))
    elif connection.dialect.name == "sqlite":
        connection.execute(sa.text("PRAGMA query_only = ON"))


def _retold(error: Exception, url: sa.URL) -> DataError:
    """The driver's first line; what may quote rows or carry the password is left out."""
    origin = getattr(error, "orig", None) or error
    line = (str(origin).strip().splitlines() or [""])[0][:300]
    for secret in (url.password, quote(str(url.password or ""), safe="")):
        if secret:
            line = line.replace(str(secret), "***")
    kind = type(origin).__name__
    said = f"{url.render_as_string(hide_password=True)}: the database answered {kind}: {line}. "
    return SourceUnavailable(
        f"{without_credentials(said)}"
        "Check that it is up, that the user may read the table, and that the names are right."
    )


def _array(values: list[Any]) -> pa.Array:
    """Values of one column; what does not go together keeps its text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        texts = [None if value is None else str(value) for value in values]
        return pa.array([text and text.encode("utf-8", "backslashreplace").decode() for text in texts])
