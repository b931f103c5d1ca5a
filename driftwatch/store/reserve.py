"""Space that the daemon keeps beside its store: with it a full disk still takes the end of what was begun.

Its first block holds a note. It is written in place, so that a full disk takes it too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from driftwatch.store.disk import disk_trouble

RESERVE_FILE = "driftwatch.reserve"
#: As much as SQLite's log grows between two checkpoints; of a small disk an eighth.
_MAX_BYTES, _SHARE = 4 * 1024 * 1024, 8
_NOTE_BYTES = 4096


class Reserve:
    """No method raises when the disk fails: then there is no reserve, or no note."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RESERVE_FILE

    def make(self) -> bool:
        """Reserve the space, and say whether the disk has as much again; False means that it is full."""
        try:
            with self._open() as file:
                disk = os.fstatvfs(file.fileno())
                size = self._size(disk)
                missing = max(size - os.fstat(file.fileno()).st_blocks * 512, 0)
                if disk.f_bavail * disk.f_frsize < size + missing:
                    return False
                if missing:
                    os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the space back to the disk, but not that of the note."""
        try:
            if self._path.stat().st_size > _NOTE_BYTES:
                os.truncate(self._path, _NOTE_BYTES)
        except OSError:
            return

    def release_if_full(self) -> bool:
        """Give the space back when the disk is full, and say whether it was."""
        is_full = disk_trouble(self._path) == "full"
        if is_full:
            self.release()
        return is_full

    def read_note(self) -> str:
        try:
            with self._path.open("rb") as file:
                return file.read(_NOTE_BYTES).rstrip(b"\0 ").decode("utf-8", "replace")
        except OSError:
            return ""

    def write_note(self, text: str) -> bool:
        """Replace the note; False means that the disk does not take it."""
        data = text.encode()[:_NOTE_BYTES].ljust(_NOTE_BYTES, b" ")
        try:
            with self._open() as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return False
        return True

    def _open(self) -> BinaryIO:
        return os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")

    def _size(self, disk: os.statvfs_result) -> int:
        size = min(_MAX_BYTES, disk.f_blocks * disk.f_frsize // _SHARE)
        return max(size - size % _NOTE_BYTES, _NOTE_BYTES)
