"""The file itself: opening, migrating, transactions; setting a corrupt one aside."""

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
_BUSY_MS = 10_000
#: How long a start looks for corruption.
_LOOK_SECONDS = 3.0
_UNUSABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOTADB}


class Database:
    """One connection to the history, shared by threads through a lock.

    ``read_only`` opens without writing anything. Writing commits survive power loss (WAL, synchronous
    FULL, about 4 ms each). Only the daemon checkpoints: two connections that both reset the WAL can lose
    commits in SQLite before 3.51.3.
    """

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
                timeout=_BUSY_MS / 1000,
            )
        except (sqlite3.Error, OSError) as error:
            raise not_opened(self.path, error) from error
        try:
            self._prepare(read_only, checkpoints)
        except (sqlite3.Error, OSError) as error:
            self._connection.close()
            raise not_opened(self.path, error) from error
        except StoreError:
            self._connection.close()
            raise

    def _prepare(self, read_only: bool, checkpoints: bool) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > len(MIGRATIONS):
            raise StoreTooNew(
                f"{self.path}: expected schema {len(MIGRATIONS)} or older. Got {found}: a newer driftwatch "
                "wrote it. Install that version, or use another storage.path."
            )
        if read_only:
            return
        self.path.chmod(0o600)
        self._use_wal()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {1000 if checkpoints else 0}")
        for version in range(found, len(MIGRATIONS)):
            self._migrate(version)

    def _use_wal(self) -> None:
        """SQLite does not wait by itself when several processes open a new file at once."""
        ends = time.monotonic() + _BUSY_MS / 1000
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                    raise
            time.sleep(0.02)

    def _migrate(self, version: int) -> None:
        with self.transaction() as connection:
            # Another process that opened the same file may have been faster.
            if int(connection.execute("PRAGMA user_version").fetchone()[0]) > version:
                return
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises ``StoreError``; whatever fails, the connection stays usable."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                raise StoreError(f"{self.path}: expected to write. Got {error}.") from error
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """All rows of a reading statement."""
        with self._lock:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except UnicodeEncodeError:
                # Half a surrogate pair: no text in the store can be equal to it.
                return []
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: expected to read. Got {error}.") from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()


def quarantine(folder: Path, now: int) -> Path | None:
    """Set a corrupt history aside under another name and return that; None when there is nothing to do.

    Only the holder of ``DaemonLock`` may call it. ``now`` is nanoseconds. The check of a large file is cut
    off after some seconds: what it would have found later shows when it is read.
    """
    path = folder / FILE
    if not path.exists() or not _corrupt(path):
        return None
    aside = path.with_name(f"{FILE}.corrupt-{now // 1_000_000_000}")
    for ending in ("-wal", "-shm", ""):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    log.critical(
        "the history was corrupt and was set aside: evidence and open incidents start anew",
        extra={"file": str(aside)},
    )
    return aside


def _corrupt(path: Path) -> bool:
    deadline = time.monotonic() + _LOOK_SECONDS
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


def not_opened(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """What keeps a history from being opened, told apart: the configured place, or trouble within."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return StoreUnusable(
            f"{path}: expected driftwatch's history. Got a file that is not a database. Move it away, or "
            "give another storage.path."
        )
    if isinstance(error, OSError) or code in _UNUSABLE:
        return StoreUnusable(
            f"{path.parent}: expected a folder that this user can write the history to. Got {error}. Change "
            "its owner or permissions, or give another storage.path."
        )
    return StoreError(f"{path}: expected a history that can be opened. Got {error}.")
