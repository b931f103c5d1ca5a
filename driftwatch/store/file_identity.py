"""Which file stands at a path: device and inode, whatever its name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from driftwatch.store.records import StoreState


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    path: Path
    device: int
    inode: int

    def state(self) -> StoreState:
        """Return whether the file still stands at its path. Raises ``OSError`` when the disk does not say."""
        try:
            current = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return StoreState.GONE
        is_same = (current.st_dev, current.st_ino) == (self.device, self.inode)
        return StoreState.OK if is_same else StoreState.REPLACED


def identity_of(path: Path) -> FileIdentity | None:
    """Return the identity of what stands at a path; None when nothing does. Raises ``OSError``."""
    try:
        current = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileIdentity(path=path, device=current.st_dev, inode=current.st_ino)


def identity_of_open(path: Path, descriptor: int) -> FileIdentity:
    current = os.fstat(descriptor)
    return FileIdentity(path=path, device=current.st_dev, inode=current.st_ino)
