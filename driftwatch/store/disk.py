"""Tells a disk that fails, which may pass, from a path that is wrong."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Literal

from driftwatch.errors import DiskFault, StoreError, StoreUnusable

#: Beside a file that turned out to be corrupt while it was in use: the next start sets it aside at once.
CORRUPT_MARK = "driftwatch.sqlite.is-corrupt"
#: Errors of the file's structure.
CORRUPT_ERRORS = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
#: Errors of a disk that may pass.
DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
#: SQLite's primary codes of such errors, of a file that is open.
DISK_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
#: Errors of the configured path, not of the file's content.
_PATH_ERRORS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOTADB}
#: A disk with less free space has no room for SQLite's index, 32 KiB, and a first commit.
_FULL_BYTES = 256 * 1024


def open_error(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """Return ``DiskFault``, ``StoreUnusable`` when the configured path is at fault, or ``StoreError``."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return StoreUnusable(
            f"{path}: expected driftwatch's history. Got a file that is not a database. Move it away, or "
            "give another storage.path."
        )
    if _is_disk_fault(path, error, code):
        return DiskFault(f"{path}: expected a disk that takes writes. Got {error}.")
    if isinstance(error, OSError) or code in _PATH_ERRORS:
        return StoreUnusable(
            f"{path.parent}: expected a folder that this user can write the history to. Got {error}. Change "
            "its owner or permissions, or give another storage.path."
        )
    return StoreError(f"{path}: expected a history that can be opened. Got {error}.")


def _is_disk_fault(path: Path, error: sqlite3.Error | OSError, code: int) -> bool:
    if isinstance(error, OSError):
        # A new folder on a read-only disk is a mistake in the configuration.
        return error.errno in DISK_ERRNOS or (error.errno == errno.EROFS and path.exists())
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return True
    return code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and disk_trouble(path) is not None


def disk_trouble(path: Path) -> Literal["full", "read_only"] | None:
    """Return what the disk of a file lacks, as far as it says so itself."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return None
    if disk.f_flag & os.ST_RDONLY:
        return "read_only" if path.exists() else None
    is_full = disk.f_bavail * disk.f_frsize < _FULL_BYTES or (disk.f_files > 0 and disk.f_favail == 0)
    return "full" if is_full else None


def mark_corrupt(path: Path) -> None:
    """Leave a mark for the next start, with the identity of the file that it is about."""
    try:
        stat = path.stat()
        path.with_name(CORRUPT_MARK).write_text(f"{stat.st_dev} {stat.st_ino}", encoding="ascii")
    except OSError:
        # Without it the next start finds the damage as this one did.
        return
