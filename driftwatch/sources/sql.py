"""Reads a table or query of a SQL database through SQLAlchemy and never writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from driftwatch.columns.rows.declared_rows import declared_rows
from driftwatch.columns.rows.nested import Flattening, check_lists, leaves
from driftwatch.columns.rows.row_options import RowOptions
from driftwatch.core.schema import Span
from driftwatch.core.settings import Duration, Since, exclusive_setting, read_secret
from driftwatch.errors import ConfigError, MissingExtra, SourceUnavailable
from driftwatch.sources._formats.header import other_columns
from driftwatch.sources._sqlconnection import connected
from driftwatch.sources._sqlrows import SqlRows, TimeSettings
from driftwatch.sources._sqlversions import row_versions
from driftwatch.sources.base import MAX_BATCH_BYTES, MAX_BATCH_ROWS, Reading, SourceConfig

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa


#: Characters of a query in an error.
_MAX_SHOWN_CHARS = 120


class SqlConfig(SourceConfig, RowOptions):
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
    #: Changes with every change of its row: versions then read it and the time column alone.
    updated_column: Annotated[str | None, Field(min_length=1), Since("0.2.0")] = None

    @property
    def described(self) -> str:
        if self.table is not None:
            return f"table {self.table!r}"
        text = " ".join((self.query or "").split())
        return f"query {text[:_MAX_SHOWN_CHARS]!r}{'...' if len(text) > _MAX_SHOWN_CHARS else ''}"

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


@dataclass(slots=True)
class _LazyVersion:
    take: Callable[[], str]
    value: str | None = None

    def before(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # A later version could hold changes that the rows lack.
        self.value = self.value or ""
        yield from batches


class _SqlReading(Reading):
    """Takes the version when it is asked for: it costs a scan, and most readings need none."""

    def __init__(
        self, *, version: _LazyVersion, batches: Iterator[pa.RecordBatch], other_columns: list[str]
    ) -> None:
        self._lazy_version = version
        super().__init__(batches=version.before(batches), version="", other_columns=other_columns)

    @property
    def version(self) -> str:
        if self._lazy_version.value is None:
            self._lazy_version.value = self._lazy_version.take()
        return self._lazy_version.value

    @version.setter
    def version(self, _version: str) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class SqlSource:
    """A SQL source; every call is a read-only transaction of its own."""

    config: SqlConfig

    def version(self, span: Span | None) -> str:
        return self.versions([span])[0]

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        """Return hashes of the content of all rows, or of the time and ``updated_column`` of all rows.

        PostgreSQL computes them in one statement; of other databases the rows are read.
        """
        with self._opened() as rows:
            return row_versions(rows, spans)

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Read rows through a server-side cursor where the database has one."""
        candidates = list[str]()
        return _SqlReading(
            version=_LazyVersion(take=lambda: self.version(span)),
            batches=self._batches(span, columns, candidates),
            other_columns=candidates,
        )

    def extent(self) -> Span | None:
        """Return the span of event times by MIN and MAX, which is cheap with an index on the time column."""
        with self._opened() as rows:
            return rows.extent()

    def _batches(
        self, span: Span | None, columns: Sequence[str] | None, candidates: list[str]
    ) -> Iterator[pa.RecordBatch]:
        config, options, flattening = self.config, self.config.row_options, Flattening()
        wanted = None if columns is None else tuple(dict.fromkeys((*columns, config.time_column)))
        with self._opened() as rows:
            for batch in rows.batches(span, columns, options.explode):
                if options.explode is not None:
                    check_lists(batch.schema, options.explode)
                flat = flattening.flatten(batch, wanted if options.explode is None else None)
                if wanted is not None and not candidates:
                    candidates += _similar_columns(wanted, batch.schema, rows.names, options.explode)
                yield from declared_rows(
                    flat,
                    options,
                    wanted=wanted,
                    time_column=config.time_column,
                    timezone=config.timezone,
                    flattening=flattening,
                    max_rows=MAX_BATCH_ROWS,
                    max_bytes=MAX_BATCH_BYTES,
                )

    @contextmanager
    def _opened(self) -> Iterator[SqlRows]:
        config = self.config
        time = TimeSettings(
            column=config.time_column,
            timezone=config.timezone,
            formats=config.time_formats,
            updated_column=config.updated_column,
        )
        with connected(self._url(), config.timeout) as connection:
            if config.table is not None:
                yield SqlRows.of_table(connection, config.table, time)
            else:
                yield SqlRows.of_query(connection, config.query or "", time)

    def _url(self) -> sa.URL:
        import sqlalchemy as sa

        try:
            text = read_secret(self.config.url, self.config.url_file) or ""
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "other bytes than UTF-8"
            raise SourceUnavailable(
                f"{self.config.url_file}: expected a file with the database URL. Got {reason}."
            ) from error
        try:
            return sa.make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text))
        except (sa.exc.ArgumentError, ValueError):
            # The error's own text quotes the URL, password and all.
            raise ConfigError(
                "source.url: expected a database URL such as postgresql://user@host/name. Got something else."
            ) from None


def _similar_columns(
    wanted: Sequence[str], schema: pa.Schema, names: Sequence[str], exploded: str | None
) -> list[str]:
    available = dict.fromkeys((*(leaf.name for leaf in leaves(schema, exploded)), *names))
    missing = [name for name in wanted if name not in available]
    return other_columns(missing, [name for name in available if name not in wanted]) if missing else []
