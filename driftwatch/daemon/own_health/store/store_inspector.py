"""Looks at the store's files and at the errors of its database, and tries whether it works again."""

from __future__ import annotations

import logging
import sqlite3

from driftwatch.daemon.own_health.store.store_state import StoreLook
from driftwatch.errors import StoreError
from driftwatch.store.database import Database, Footing
from driftwatch.store.disk import disk_trouble
from driftwatch.store.file_identity import FileIdentity, identity_of
from driftwatch.store.locks import DaemonLock
from driftwatch.store.records import StoreState
from driftwatch.store.reserve import Reserve

log = logging.getLogger(__name__)

_DISK_CODES = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
_CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
#: SQLite's answers that give the free space inside the file.
_SPACE = ("freelist_count", "page_size")
#: Free space inside the file with which a full disk is no obstacle: a reserve and a log are as large.
_INNER_BYTES = 8 * 1024 * 1024


class StoreInspector:
    """``note_error`` is called by any thread, everything else by one thread at a time."""

    def __init__(self, database: Database, lock: DaemonLock, reserve: Reserve) -> None:
        self._database, self._lock, self._reserve = database, lock, reserve
        self._identities: tuple[FileIdentity, ...] = ()
        self._codes: set[int] = set()

    def note_error(self, code: int) -> None:
        self._codes.add(code & 0xFF)

    def remember(self) -> None:
        """Take what stands at the paths now for the daemon's own."""
        path = self._database.path
        log_file = path.with_name(f"{path.name}-wal")
        files = (identity_of(path), identity_of(log_file))
        self._identities = (*(item for item in files if item is not None), *self._lock.identities())

    def look(self, *, is_failing: bool) -> StoreLook:
        """Return what is seen; while ``is_failing``, also whether the store works again."""
        identity = self._identity()
        if identity is not StoreState.OK:
            return StoreLook(identity=identity)
        failure = self._failure()
        can_commit = is_failing and failure is None and self._recover()
        return StoreLook(failure=failure, can_commit=can_commit)

    def _identity(self) -> StoreState:
        try:
            states = [item.state() for item in self._identities]
        except OSError as error:
            log.warning("the store's files cannot be looked at", extra={"error": str(error)})
            return StoreState.OK
        return next((state for state in states if state is not StoreState.OK), StoreState.OK)

    def _failure(self) -> StoreState | None:
        codes, self._codes = self._codes, set()
        if codes & _CORRUPT_CODES:
            return StoreState.CORRUPT
        trouble = disk_trouble(self._database.path)
        if sqlite3.SQLITE_FULL in codes or (codes & _DISK_CODES and trouble == "full"):
            return StoreState.FULL
        # One error of the disk may be all there is to it.
        is_lasting = bool(codes & _DISK_CODES) and (trouble == "read_only" or not self._can_commit())
        self._codes = set()
        return StoreState.READ_ONLY if is_lasting else None

    def _can_commit(self) -> bool:
        try:
            self._database.probe()
        except StoreError:
            return False
        return True

    def _inner_bytes(self) -> int:
        """Return the free space inside the file, which later commits can take."""
        (pages,), (size,) = (self._database.query(f"PRAGMA {name}")[0] for name in _SPACE)
        return int(pages) * int(size)

    def _recover(self) -> bool:
        try:
            if self._database.footing is not Footing.FILE:
                self._lock.complete()
                self._database.reopen()
                self.remember()
            has_room = self._reserve.make() or self._inner_bytes() >= _INNER_BYTES
            if has_room:
                self._database.probe()
        except (StoreError, OSError):
            has_room = False
        # Its errors were those of this attempt.
        self._codes = set()
        return has_room
