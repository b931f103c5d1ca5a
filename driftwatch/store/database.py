"""The file itself: opening, migrating, transactions, the lock that keeps a second daemon out."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from driftwatch.errors import StoreError, StoreTooNew
from driftwatch.store.migrations import MIGRATIONS

log = logging.getLogger(__name__)

FILE = "driftwatch.sqlite"
_BUSY_MS = 10_000
#: How long a start looks for corruption.
_LOOK_SECONDS = 3.0


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
                raise StoreError(f"{self.path}: expected the history. There is none; run a check first.")
            self._connection = sqlite3.connect(
                f"file:{_uri(self.path)}?mode={'ro' if read_only else 'rwc'}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_MS / 1000,
            )
            self._prepare(read_only, checkpoints)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self.path}: expected a history that can be opened. Got {error}.") from error

    def _prepare(self, read_only: bool, checkpoints: bool) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > len(MIGRATIONS):
            connection.close()
            raise StoreTooNew(
                f"{self.path}: expected schema {len(MIGRATIONS)} or older. Got {found}: a newer driftwatch "
                "wrote it. Install that version, or use another storage.path."
            )
        if read_only:
            return
        self.path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {1000 if checkpoints else 0}")
        for version in range(found, len(MIGRATIONS)):
            with self.transaction():
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


class DaemonLock:
    """Held by the one daemon of a storage folder; freed by the kernel when the process dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: IO[str] = (folder / "daemon.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise StoreError(
                f"{folder}: expected to be the only daemon here. Process {holder} holds it. Stop it, or "
                "give this one another storage.path."
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let another daemon in."""
        self._file.close()


def daemon_running(folder: Path) -> bool:
    """True while a daemon holds the storage folder."""
    path = folder / "daemon.lock"
    if not path.exists():
        return False
    with path.open("r", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
