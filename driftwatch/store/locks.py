"""Kernel file locks: only one daemon or check at a time decides windows in a storage folder.

A folder that is removed and made anew has another lock file. So the daemon also holds an abstract Unix socket
of the folder's path, where there are such sockets (Linux): nobody begins there before it has ended.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from driftwatch.errors import DiskFault, StoreError, StoreUnusable
from driftwatch.store.database import FILE
from driftwatch.store.disk import open_error
from driftwatch.store.file_identity import FileIdentity, identity_of_open

log = logging.getLogger(__name__)

#: Locked by the one daemon of a folder; locked by the process that decides windows there, daemon or check.
_DAEMON, _DECIDING = "daemon.lock", "check.lock"
_POLL_SECONDS = 0.05
#: Process, user and group at the other end of a Unix socket.
_PEER = struct.Struct("3i")
#: ``daemon_running`` locks the file for a moment; a daemon that starts in that moment waits this long.
_PROBE_SECONDS = 0.5
#: How long a daemon waits for a running check, and a check for another check.
_DAEMON_WAIT_SECONDS, _CHECK_WAIT_SECONDS = 20.0, 60.0


class _FileLock:
    """A kernel lock on a file that stores its holder's process id; released when the process dies."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _opened(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno != errno.EROFS or not self._path.exists():
                # Without a file the disk is at fault where there is a history, else the configuration.
                raise open_error(folder / FILE, error) from error
            # A lock needs no write.
            self._file = _opened(self._path, os.O_RDONLY)

    def take(self) -> bool:
        """Lock without waiting; False means that another process holds the lock."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        text = str(os.getpid()).encode()
        try:
            # In place: a full disk takes it where an earlier holder stood.
            os.pwrite(self._file.fileno(), text, 0)
            os.ftruncate(self._file.fileno(), len(text))
        except OSError as error:
            log.warning("the lock does not say who holds it", extra={"error": str(error)})
        return True

    @property
    def identity(self) -> FileIdentity:
        return identity_of_open(self._path, self._file.fileno())

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
        return os.pread(self._file.fileno(), 64, 0).decode("ascii", "replace").strip() or "unknown"

    def close(self) -> None:
        self._file.close()


def _opened(path: Path, flags: int) -> IO[bytes]:
    mode = "rb" if flags == os.O_RDONLY else "r+b"
    return os.fdopen(os.open(path, flags | os.O_CLOEXEC, 0o666), mode, buffering=0)


class _Address:
    """An abstract Unix socket named after a folder's path in this process's view of the file system."""

    def __init__(self, folder: Path) -> None:
        try:
            view = str(Path("/proc/self/ns/mnt").readlink())
        except OSError:
            view = ""
        path = os.path.realpath(folder)
        self._name = "\0driftwatch-" + hashlib.sha256(f"{view} {path}".encode()).hexdigest()[:32]
        self._socket: socket.socket | None = None

    def holder(self) -> int | None:
        """Return the process that holds the address, if it is this user's; None when nobody does."""
        if not sys.platform.startswith("linux"):
            return None
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                channel.setblocking(False)
                channel.connect(self._name)
                peer = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        except OSError:
            return None
        process, user, _ = _PEER.unpack(peer)
        # Any user of the machine can take the name; only this user's daemon has to do with the folder.
        return int(process) if user in (os.geteuid(), 0) else None

    def take_in(self, seconds: float) -> int | None:
        """Take the address within ``seconds``; otherwise return the process that still holds it."""
        deadline = time.monotonic() + seconds
        while True:
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                channel.bind(self._name)
                channel.listen()
            except OSError:
                channel.close()
                process = self.holder()
                # A system without abstract sockets, or somebody else's socket: the file locks are left.
                if process is None:
                    return None
                if time.monotonic() > deadline:
                    return process
                time.sleep(_POLL_SECONDS)
            else:
                self._socket = channel
                return None

    def release(self) -> None:
        if self._socket is not None:
            self._socket.close()


class DaemonLock:
    """The daemon's lock on a storage folder: no other process decides windows there.

    Waits for a running check. Raises ``StoreUnusable`` when another process holds a lock too long (with its
    id) or the folder cannot be written. A disk that is full delays the lock files, not the lock.
    """

    def __init__(self, folder: Path, *, wait: float = _DAEMON_WAIT_SECONDS) -> None:
        self._folder, self._wait = folder, wait
        self._daemon: _FileLock | None = None
        self._deciding: _FileLock | None = None
        self._address = _Address(folder)
        try:
            self.complete()
        except DiskFault as fault:
            log.error("the lock has no file yet", extra={"error": str(fault)})
        except StoreError:
            self.release()
            raise
        process = self._address.take_in(wait)
        if process is not None:
            self.release()
            raise StoreUnusable(
                f"{folder}: expected to be the only daemon here. Process {process} runs on a folder that was "
                "here before and was removed or replaced; it ends by itself. Start again then."
            )

    def complete(self) -> None:
        """Take the locks that have no file yet. Raises ``DiskFault`` while the disk has no room for them."""
        if self._daemon is None:
            daemon = _FileLock(self._folder, _DAEMON)
            if not daemon.take_in(_PROBE_SECONDS):
                holder = daemon.holder
                daemon.close()
                raise StoreUnusable(
                    f"{self._folder}: expected to be the only daemon here. Process {holder} holds it. Stop "
                    "it, or give this one another storage.path."
                )
            self._daemon = daemon
        if self._deciding is None:
            self._deciding = self._lock_checks()

    def _lock_checks(self) -> _FileLock:
        deciding_lock = _FileLock(self._folder, _DECIDING)
        if deciding_lock.take():
            return deciding_lock
        holder = deciding_lock.holder
        log.warning("waiting for a check that is going on", extra={"holder": holder})
        if not deciding_lock.take_in(self._wait):
            deciding_lock.close()
            raise StoreUnusable(
                f"{self._folder}: expected the check that is going on to end within {self._wait:g} s. "
                f"Process {holder} still checks. Let it end or stop it, then start again."
            )
        return deciding_lock

    def identities(self) -> tuple[FileIdentity, ...]:
        return tuple(lock.identity for lock in (self._daemon, self._deciding) if lock is not None)

    def release(self) -> None:
        self._address.release()
        for lock in (self._deciding, self._daemon):
            if lock is not None:
                lock.close()


def refuse_orphans(folder: Path) -> None:
    """Raise ``StoreUnusable`` when a daemon runs on what stood at the folder's path earlier."""
    daemon_running(folder)


@contextmanager
def deciding(
    folder: Path, say: Callable[[str], None], *, wait: float = _CHECK_WAIT_SECONDS
) -> Iterator[bool]:
    """Lock the folder for one check; yield False when a daemon is running there.

    Reports through ``say`` that it waits for another check. Raises ``StoreError`` when that takes too long.
    """
    refuse_orphans(folder)
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
    """Return whether a daemon runs on the folder.

    Raises ``StoreUnusable`` when one runs on what stood at the path earlier: a history begun here would be
    another one.
    """
    path = folder / _DAEMON
    try:
        if path.exists() and _is_locked(path):
            return True
    except OSError as error:
        raise open_error(path, error) from error
    process = _Address(folder).holder()
    if process is None or (path.exists() and _is_locked(path)):
        return process is not None
    raise StoreUnusable(
        f"{folder}: expected the folder of the daemon that runs, process {process}. Its lock is not here: "
        "the folder was removed or replaced, or its disk is full. Put it back, or stop the daemon first."
    )


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
