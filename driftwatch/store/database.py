"""Opens and migrates the SQLite file, and runs transactions."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from driftwatch.errors import DiskFault, StoreError, StoreTooNew, StoreUnusable
from driftwatch.store.damage import DamageLog
from driftwatch.store.disk import CORRUPT_ERRORS, DISK_CODES, mark_corrupt, open_error
from driftwatch.store.migrations import MIGRATIONS

log = logging.getLogger(__name__)

FILE = "driftwatch.sqlite"
#: How long SQLite waits for another process that writes.
_BUSY_TIMEOUT_MS = 10_000


class Footing(StrEnum):
    """What a database stands on."""

    FILE = "file"
    #: The file without its index beside it, for which a full disk has no room; no other process can open it.
    ALONE = "alone"
    #: Empty tables in memory, which take no writes: the file cannot be opened at present.
    MEMORY = "memory"


class Database:
    """SQLite connections that threads share through locks; ``read_only`` writes nothing.

    The daemon's (``checkpoints``) starts on a disk that fails too, and ``reopen`` tries again. It reads
    through a connection of its own, so that nobody who reads waits for a commit to reach the disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool = False,
        checkpoints: bool = False,
        prepare: Callable[[], object] | None = None,  # comes before each opening of the file
    ) -> None:
        self.path = folder / FILE
        #: Gets SQLite's error code of each failure, in the thread that failed.
        self.on_error: Callable[[int], None] = _ignore
        self.footing = Footing.FILE
        self._read_only, self._checkpoints, self._prepare_file = read_only, checkpoints, prepare
        self._lock = threading.RLock()
        #: The rows that were skipped since they are damaged.
        self.damage = DamageLog()
        self._read_lock = threading.Lock()
        #: The thread inside a transaction: it reads what it writes.
        self._writer: int | None = None
        self._reader: sqlite3.Connection | None = None
        #: Why no transaction begins any more.
        self._refusal = ""
        try:
            self._open()
        except DiskFault as fault:
            if not checkpoints:
                raise
            self._open_makeshift(fault)

    def _open(self) -> None:
        self.footing = Footing.FILE
        if self._read_only:
            if not self.path.exists():
                raise StoreUnusable(f"{self.path}: expected the history. There is none; run a check first.")
        else:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise open_error(self.path, error) from error
        self._connect("ro" if self._read_only else "rwc")
        if self._checkpoints:
            self._reader = _connection(self.path, "ro")
            self._reader.execute("PRAGMA trusted_schema = OFF")

    def _open_makeshift(self, fault: DiskFault) -> None:
        log.error("the history cannot be opened as usual", extra={"error": str(fault)})
        self.footing = Footing.ALONE
        try:
            self._connect("rw")
        except StoreError:
            self.footing = Footing.MEMORY
            self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            for statements in MIGRATIONS:
                for statement in statements:
                    self._connection.execute(statement)

    def reopen(self) -> None:
        """Open the file as usual after a makeshift start. Raises ``StoreError`` while that still fails."""
        with self._lock, self._read_lock:
            self._connection.close()
            try:
                self._open()
            except DiskFault as fault:
                self._open_makeshift(fault)
                raise
            except StoreError as error:
                self._open_makeshift(DiskFault(str(error)))
                raise

    def _connect(self, mode: str) -> None:
        if self._prepare_file is not None:
            self._prepare_file()
        try:
            self._connection = _connection(self.path, mode)
        except (sqlite3.Error, OSError) as error:
            raise open_error(self.path, error) from error
        try:
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            self._connection.close()
            raise _open_failed(self.path, error, self._read_only) from error
        except StoreError as error:
            self._connection.close()
            cause = error.__cause__
            if isinstance(cause, sqlite3.Error):
                raise _open_failed(self.path, cause, self._read_only) from error
            raise

    def _prepare(self) -> None:
        connection = self._connection
        if self.footing is Footing.ALONE:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StoreTooNew(
                f"{self.path}: expected schema {len(MIGRATIONS)} or older. Got {version}: a newer driftwatch "
                "wrote it. Install that version; or go back to a backup of this one with `driftwatch store "
                "restore`, or use another storage.path."
            )
        if self._read_only:
            if version < len(MIGRATIONS):
                raise StoreUnusable(
                    f"{self.path}: expected schema {len(MIGRATIONS)}. Got {version}: an older driftwatch "
                    "wrote it. Run `driftwatch check` or start the daemon once, which brings it up to date."
                )
            return
        self.path.chmod(0o600)
        _use_wal(connection)
        # With WAL and FULL a commit survives power loss, at about 4 ms each.
        connection.execute("PRAGMA synchronous = FULL")
        # Only the daemon checkpoints: before SQLite 3.51.3, two connections that both reset the WAL can lose
        # commits.
        connection.execute(f"PRAGMA wal_autocheckpoint = {1000 if self._checkpoints else 0}")
        for step in range(version, len(MIGRATIONS)):
            self._migrate(step)

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
            outer_writer = self._writer
            try:
                self._check_writable()
                self._writer = threading.get_ident()
                self._connection.execute("BEGIN IMMEDIATE")
                # Commits at the end of the block, and rolls back when the block or the commit fails.
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                raise self._failed("write", error) from error
            finally:
                self._writer = outer_writer

    def _check_writable(self) -> None:
        if self.footing is Footing.MEMORY:
            raise DiskFault(f"{self.path}: expected to write. The disk does not let it be opened at present.")
        if self._refusal:
            raise StoreError(f"{self.path}: expected to write. {self._refusal}")

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows of a SELECT. Raises ``StoreError``."""
        is_reader = self._reader is not None and self._writer != threading.get_ident()
        with self._read_lock if is_reader else self._lock:
            connection = self._reader if is_reader and self._reader is not None else self._connection
            try:
                return connection.execute(sql, parameters).fetchall()
            except UnicodeEncodeError:
                # Half a surrogate pair: no text in the store can be equal to it.
                return []
            except sqlite3.Error as error:
                if "decode to UTF-8" not in str(error):
                    raise self._failed("read", error) from error
            try:
                return _rows_of_bytes(connection, sql, parameters)
            except sqlite3.Error as error:
                raise self._failed("read", error) from error

    def _failed(self, what: str, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in CORRUPT_ERRORS and not self._read_only:
            mark_corrupt(self.path)
        self.on_error(code)
        error_type = DiskFault if code & 0xFF in DISK_CODES else StoreError
        return error_type(f"{self.path}: expected to {what}. Got {error}.")

    def probe(self) -> None:
        """Commit a change of nothing. Raises ``StoreError``."""
        with self.transaction() as connection:
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def refuse_writes(self, reason: str) -> None:
        """Let no transaction begin any more; one that runs ends as it would."""
        self._refusal = reason

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other thread write meanwhile."""
        with self._lock:
            yield

    def close(self) -> None:
        with self._lock, self._read_lock:
            if self._reader is not None:
                self._reader.close()
            self._connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite itself does not wait when several processes open a new file at once.
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _open_failed(path: Path, error: sqlite3.Error | OSError, is_read_only: bool) -> StoreError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPT_ERRORS and not is_read_only:
        # A short search does not see all damage: the next opening must not end here again.
        mark_corrupt(path)
    return open_error(path, error)


def _ignore(_code: int) -> None:
    return


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri_of(path, mode),
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_TIMEOUT_MS / 1000,
    )
    connection.row_factory = sqlite3.Row
    return connection


def _rows_of_bytes(
    connection: sqlite3.Connection, sql: str, parameters: tuple[object, ...]
) -> list[sqlite3.Row]:
    # A text of some row is no UTF-8: that row is damaged, the others are not.
    connection.text_factory = _tolerant_text
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.text_factory = str


def _tolerant_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def uri_of(path: Path, mode: str) -> str:
    """Return SQLite's name of a file, which says how it is opened."""
    name = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{name}?mode={mode}"
