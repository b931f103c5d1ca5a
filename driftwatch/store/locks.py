"""Who decides windows in a storage folder: the one daemon, or one check at a time. Kernel locks on files."""

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
from driftwatch.store.database import not_opened

log = logging.getLogger(__name__)

#: Held by the one daemon of a folder, and by whoever decides windows there: that daemon, or one check.
_DAEMON, _DECIDING = "daemon.lock", "check.lock"
_POLL_SECONDS = 0.05
#: Whoever asks for a daemon holds its lock for a moment; a daemon that starts then must not be turned away.
_ASKING_SECONDS = 0.5
#: How long a daemon waits for a check that is going on, and a check for another one.
_DAEMON_WAITS, _CHECK_WAITS = 20.0, 60.0


class _FileLock:
    """A kernel lock on a file that says who holds it; freed when the process dies."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise not_opened(path, error) from error

    def take(self) -> bool:
        """Take it if it is free."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return True

    def take_within(self, seconds: float) -> bool:
        """Take it as soon as it is free; False when it was not in time."""
        ends = time.monotonic() + seconds
        while not self.take():
            if time.monotonic() > ends:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    @property
    def holder(self) -> str:
        """The process that took it last."""
        self._file.seek(0)
        return self._file.read().strip() or "unknown"

    def close(self) -> None:
        """Let another one in."""
        self._file.close()


class DaemonLock:
    """Held by the one daemon of a storage folder, from which on nobody else decides windows there.

    A check that is going on is waited for. Raises ``StoreUnusable`` naming the process that does not let go,
    or when the folder cannot be written.
    """

    def __init__(self, folder: Path, *, wait: float = _DAEMON_WAITS) -> None:
        self._only = _FileLock(folder, _DAEMON)
        if not self._only.take_within(_ASKING_SECONDS):
            holder = self._only.holder
            self._only.close()
            raise StoreUnusable(
                f"{folder}: expected to be the only daemon here. Process {holder} holds it. Stop it, or "
                "give this one another storage.path."
            )
        self._deciding = _FileLock(folder, _DECIDING)
        if self._deciding.take():
            return
        holder = self._deciding.holder
        log.warning("waiting for a check that is going on", extra={"holder": holder})
        if not self._deciding.take_within(wait):
            self.release()
            raise StoreUnusable(
                f"{folder}: expected the check that is going on to end within {wait:g} s. Process {holder} "
                "still checks. Let it end or stop it, then start again."
            )

    def release(self) -> None:
        """Let another daemon in."""
        self._deciding.close()
        self._only.close()


@contextmanager
def deciding(folder: Path, say: Callable[[str], None], *, wait: float = _CHECK_WAITS) -> Iterator[bool]:
    """The right of one process without a daemon to decide windows; False when a daemon has it.

    Another check is waited for, and ``say`` told so. Raises ``StoreError`` when it does not end in time.
    """
    lock = _FileLock(folder, _DECIDING)
    try:
        yield _decides(folder, lock, say, wait)
    finally:
        lock.close()


def _decides(folder: Path, lock: _FileLock, say: Callable[[str], None], wait: float) -> bool:
    ends, told = time.monotonic() + wait, False
    while not daemon_running(folder):
        if lock.take():
            return True
        if not told:
            say(f"{folder}: process {lock.holder} checks here already; waiting for it, at most {wait:g} s")
            told = True
        if time.monotonic() > ends:
            raise StoreError(
                f"{folder}: expected the check that is going on to end within {wait:g} s. Process "
                f"{lock.holder} still checks. Try again later."
            )
        time.sleep(_POLL_SECONDS)
    return False


def daemon_running(folder: Path) -> bool:
    """True while a daemon holds the storage folder."""
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
        raise not_opened(path, error) from error
    return False
