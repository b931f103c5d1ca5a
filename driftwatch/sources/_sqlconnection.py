"""Opens read-only transactions of a database; its errors are raised without secrets and without rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from driftwatch.core.settings import redact_credentials
from driftwatch.errors import ConfigError, DataError, MissingExtra, SourceUnavailable

if TYPE_CHECKING:
    import sqlalchemy as sa


@contextmanager
def connected(url: sa.URL, timeout: int) -> Iterator[sa.Connection]:
    """Open one transaction; ``timeout`` limits a statement, in seconds."""
    import sqlalchemy as sa

    try:
        engine = _engine(url)
        try:
            with engine.connect() as connection:
                _read_only(connection, timeout)
                yield connection
        finally:
            engine.dispose()
    except UnicodeEncodeError as error:
        raise ConfigError(
            "source: expected names, and a query, that UTF-8 can encode. Got half of a surrogate pair."
        ) from error
    except sa.exc.SQLAlchemyError as error:
        raise _source_error(error, url) from None


def _engine(url: sa.URL) -> sa.Engine:
    """Create an engine that keeps no connection; SQLite files are opened read only and never created."""
    import sqlalchemy as sa

    options: dict[str, Any] = {"poolclass": sa.pool.NullPool, "hide_parameters": True}
    if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith("file:"):
        return sa.create_engine("sqlite://", creator=lambda: _open_file(url.database or ""), **options)
    try:
        return sa.create_engine(url, **options)
    except (sa.exc.ArgumentError, ImportError) as error:
        if isinstance(error, ImportError) and error.name == "psycopg":
            raise MissingExtra("psycopg", "postgres") from error
        raise ConfigError(
            f"source.url: expected a database whose driver is installed. Got {url.drivername!r}. "
            "Install the package of SQLAlchemy's dialect, or check the URL's beginning."
        ) from None


def _open_file(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
    # A text in another encoding must not make all other rows unreadable.
    connection.text_factory = lambda data: data.decode("utf-8", "backslashreplace")
    return connection


def _read_only(connection: sa.Connection, timeout: int) -> None:
    # The server itself refuses writes.
    import sqlalchemy as sa

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(timeout) * 1000}"))
        _load_any_time(connection)
    elif connection.dialect.name == "sqlite":
        connection.execute(sa.text("PRAGMA query_only = ON"))


def _load_any_time(connection: sa.Connection) -> None:
    # Times that Python cannot hold, such as infinity, become texts: one of them must not end the reading.
    adapters = getattr(connection.connection.driver_connection, "adapters", None)
    if adapters is None:
        return
    from psycopg import DataError as DriverDataError
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    def tolerant(loader: type[Any]) -> type[Loader]:
        class TolerantLoader(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._load = loader(oid, context).load

            def load(self, data: Any) -> Any:
                try:
                    return self._load(data)
                except DriverDataError:
                    return bytes(data).decode()

        return TolerantLoader

    for name in ("date", "timestamp", "timestamptz"):
        oid = adapters.types[name].oid
        adapters.register_loader(oid, tolerant(adapters.get_loader(oid, Format.TEXT)))


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
