"""Reads a table or query of a SQL database through SQLAlchemy and never writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from driftwatch.core.schema import Span
from driftwatch.core.settings import Duration, exclusive_setting, read_secret
from driftwatch.errors import ConfigError, MissingExtra, SourceUnavailable
from driftwatch.sources._sqlconnection import connected
from driftwatch.sources._sqlrows import SqlRows
from driftwatch.sources.base import Reading, SourceConfig

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa


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
        with self._opened() as rows:
            return [rows.version(span) for span in spans]

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Read rows through a server-side cursor where the database has one."""
        version = self.version(span)
        return Reading(batches=self._batches(span, columns), version=version)

    def extent(self) -> Span | None:
        """Return the span of event times by MIN and MAX, which is cheap with an index on the time column."""
        with self._opened() as rows:
            return rows.extent()

    def _batches(self, span: Span | None, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        with self._opened() as rows:
            yield from rows.batches(span, columns)

    @contextmanager
    def _opened(self) -> Iterator[SqlRows]:
        config = self.config
        with connected(self._url(), config.timeout) as connection:
            if config.table is not None:
                yield SqlRows.of_table(connection, config.table, config.time_column, config.timezone)
            else:
                yield SqlRows.of_query(connection, config.query or "", config.time_column, config.timezone)

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
