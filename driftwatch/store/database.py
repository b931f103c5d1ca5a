"""Opens and migrates the SQLite file, runs transactions, and moves a corrupt file away."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftwatch.errors import StoreError, StoreTooNew, StoreUnusable
from driftwatch.store.migrations import MIGRATIONS

log = logging.getLogger(__name__)

FILE = "driftwatch.sqlite"
#: How long SQLite waits for another process that writes.
_BUSY_TIMEOUT_MS = 10_000
#: How long a start may search a large file for corruption; corruption beyond that shows when it is read.
_CORRUPTION_CHECK_SECONDS = 3.0
#: Errors of the configured path, not of the file's content.
_PATH_ERRORS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOTADB}


class Database:
    """One SQLite connection that threads share through a lock; ``read_only`` writes nothing."""

    def __init__(self, folder: Path, *, read_only: bool = False, checkpoints: bool = False) -> None:
        self.path = folder / FILE
        self._lock = threading.RLock()
        try:
            if not read_only:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not self.path.exists():
                raise StoreUnusable(f"{self.path}: expected the history. There is none; run a check first.")
            self._connection = sqlite3.connect(
                f"file:{_uri(self.path)}?mode={'ro' if read_only else 'rwc'}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_TIMEOUT_MS / 1000,
            )
        except (sqlite3.Error, OSError) as error:
            raise open_error(self.path, error) from error
        try:
            self._prepare(read_only, checkpoints)
        except (sqlite3.Error, OSError) as error:
            self._connection.close()
            raise open_error(self.path, error) from error
        except StoreError:
            self._connection.close()
            raise

    def _prepare(self, read_only: bool, checkpoints: bool) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StoreTooNew(
                f"{self.path}: expected schema {len(MIGRATIONS)} or older. Got {version}: a newer driftwatch "
                "wrote it. Install that version, or use another storage.path."
            )
        if read_only:
            if version < len(MIGRATIONS):
                raise StoreUnusable(
                    f"{self.path}: expected schema {len(MIGRATIONS)}. Got {version}: an older driftwatch "
                    "wrote it. Run `driftwatch check` or start the daemon once, which brings it up to date."
                )
            return
        self.path.chmod(0o600)
        self._use_wal()
        # With WAL and FULL a commit survives power loss, at about 4 ms each.
        connection.execute("PRAGMA synchronous = FULL")
        # Only the daemon checkpoints: before SQLite 3.51.3, two connections that both reset the WAL can lose
        # commits.
        connection.execute(f"PRAGMA wal_autocheckpoint = {1000 if checkpoints else 0}")
        for step in range(version, len(MIGRATIONS)):
            self._migrate(step)

    def _use_wal(self) -> None:
        # SQLite itself does not wait when several processes open a new file at once.
        deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _migrate(self, version: int) -> None:
        with self.transaction() as connection:
            # Another process may have migrated the file meanwhile.
            if int(connection.execute("PRAGMA user_version").fetchone()[0]) > version:
                return
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all statements or none. Raises ``StoreError``; the connection stays usable."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                # Commits at the end of the block, and rolls back when the block or the commit fails.
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: expected to write. Got {error}.") from error

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows of a SELECT. Raises ``StoreError``."""
        with self._lock:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except UnicodeEncodeError:
                # Half a surrogate pair: no text in the store can be equal to it.
                return []
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: expected to read. Got {error}.") from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def quarantine(folder: Path, now: int) -> Path | None:
    """Rename a corrupt file and return its new path, or None when the file is sound or absent.

    Only the holder of ``DaemonLock`` may call it. ``now`` is in nanoseconds.
    """
    path = folder / FILE
    if not path.exists() or not _corrupt(path):
        return None
    renamed = path.with_name(f"{FILE}.corrupt-{now // 1_000_000_000}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(renamed.with_name(renamed.name + suffix))
    log.critical(
        "the history was corrupt and was set aside: evidence and open incidents start anew",
        extra={"file": str(renamed)},
    )
    return renamed


def _corrupt(path: Path) -> bool:
    deadline = time.monotonic() + _CORRUPTION_CHECK_SECONDS
    connection = sqlite3.connect(f"file:{_uri(path)}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    finally:
        connection.close()


def _uri(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def open_error(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """Return ``StoreUnusable`` when the configured path is at fault, else ``StoreError``."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return StoreUnusable(
            f"{path}: expected driftwatch's history. Got a file that is not a database. Move it away, or "
            "give another storage.path."
        )
    if isinstance(error, OSError) or code in _PATH_ERRORS:
        return StoreUnusable(
            f"{path.parent}: expected a folder that this user can write the history to. Got {error}. Change "
            "its owner or permissions, or give another storage.path."
        )
    return StoreError(f"{path}: expected a history that can be opened. Got {error}.")
