"""Kernel file locks: only one daemon or check at a time decides windows in a storage folder."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from driftwatch.errors import StoreError, StoreUnusable
from driftwatch.store.database import open_error

log = logging.getLogger(__name__)

#: Locked by the one daemon of a folder; locked by the process that decides windows there, daemon or check.
_DAEMON, _DECIDING = "daemon.lock", "check.lock"
_POLL_SECONDS = 0.05
#: ``daemon_running`` locks the file for a moment; a daemon that starts in that moment waits this long.
_PROBE_SECONDS = 0.5
#: How long a daemon waits for a running check, and a check for another check.
_DAEMON_WAIT_SECONDS, _CHECK_WAIT_SECONDS = 20.0, 60.0


class _FileLock:
    """A kernel lock on a file that stores its holder's process id; released when the process dies."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise open_error(path, error) from error

    def take(self) -> bool:
        """Lock without waiting; False means that another process holds the lock."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return True

    def take_in(self, seconds: float) -> bool:
        """Lock within ``seconds``; False means that another process still holds the lock."""
        deadline = time.monotonic() + seconds
        while not self.take():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    @property
    def holder(self) -> str:
        self._file.seek(0)
        return self._file.read().strip() or "unknown"

    def close(self) -> None:
        self._file.close()


class DaemonLock:
    """The daemon's lock on a storage folder: no other process decides windows there.

    Waits for a running check. Raises ``StoreUnusable`` when another process holds a lock too long (with its
    id) or the folder cannot be written.
    """

    def __init__(self, folder: Path, *, wait: float = _DAEMON_WAIT_SECONDS) -> None:
        self._daemon = _FileLock(folder, _DAEMON)
        if not self._daemon.take_in(_PROBE_SECONDS):
            holder = self._daemon.holder
            self._daemon.close()
            raise StoreUnusable(
                f"{folder}: expected to be the only daemon here. Process {holder} holds it. Stop it, or "
                "give this one another storage.path."
            )
        self._deciding = _FileLock(folder, _DECIDING)
        if self._deciding.take():
            return
        holder = self._deciding.holder
        log.warning("waiting for a check that is going on", extra={"holder": holder})
        if not self._deciding.take_in(wait):
            self.release()
            raise StoreUnusable(
                f"{folder}: expected the check that is going on to end within {wait:g} s. Process {holder} "
                "still checks. Let it end or stop it, then start again."
            )

    def release(self) -> None:
        self._deciding.close()
        self._daemon.close()


@contextmanager
def deciding(
    folder: Path, say: Callable[[str], None], *, wait: float = _CHECK_WAIT_SECONDS
) -> Iterator[bool]:
    """Lock the folder for one check; yield False when a daemon is running there.

    Reports through ``say`` that it waits for another check. Raises ``StoreError`` when that takes too long.
    """
    lock = _FileLock(folder, _DECIDING)
    try:
        yield _lock_for_check(folder, lock, say, wait)
    finally:
        lock.close()


def _lock_for_check(folder: Path, lock: _FileLock, say: Callable[[str], None], wait: float) -> bool:
    deadline, reported = time.monotonic() + wait, False
    while not daemon_running(folder):
        if lock.take():
            return True
        if not reported:
            say(f"{folder}: process {lock.holder} checks here already; waiting for it, at most {wait:g} s")
            reported = True
        if time.monotonic() > deadline:
            raise StoreError(
                f"{folder}: expected the check that is going on to end within {wait:g} s. Process "
                f"{lock.holder} still checks. Try again later."
            )
        time.sleep(_POLL_SECONDS)
    return False


def daemon_running(folder: Path) -> bool:
    path = folder / _DAEMON
    try:
        if not path.exists():
            return False
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except OSError as error:
        raise open_error(path, error) from error
    return False
