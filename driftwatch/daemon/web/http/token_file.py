"""The token that requests need: read anew for each, and from memory while the disk does not answer."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from driftwatch.core.settings import read_secret

#: How long a request waits for the file when a token is in memory, and when none is.
_WAIT_SECONDS, _FIRST_WAIT_SECONDS = 0.05, 2.0


class TokenFile:
    """Used by the event loop's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # One read at a time, so that a disk that hangs holds one thread.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="token")
        self._read: Future[str | None] | None = None
        self._token: str | None = None

    async def token(self) -> str | None:
        """Return the token; None when the file cannot be read or is empty."""
        if self._read is None:
            self._read = self._pool.submit(_read, self._path)
        seconds = _FIRST_WAIT_SECONDS if self._token is None else _WAIT_SECONDS
        # Not cancelled when the wait ends: a later request takes what it reads.
        await asyncio.wait([asyncio.wrap_future(self._read)], timeout=seconds)
        if self._read is not None and self._read.done():
            self._token, self._read = self._read.result(), None
        return self._token


def _read(path: Path) -> str | None:
    try:
        return read_secret(None, path) or None
    except (OSError, UnicodeDecodeError):
        return None
