"""The token that requests need: read anew for each, and from memory while the disk does not answer."""

from __future__ import annotations

import asyncio
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from driftwatch.core.settings import read_secret

#: How long a request waits for the file when a token is in memory, and when none is.
_WAIT_SECONDS, _FIRST_WAIT_SECONDS = 0.05, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    text: str = ""
    #: Why it cannot be used, after the name of the setting; empty when it can.
    problem: str = ""


class TokenFile:
    """Used by the event loop's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # One read at a time, so that a disk that hangs holds one thread.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="token")
        self._read: Future[Token] | None = None
        self._token: Token | None = None

    async def token(self) -> Token:
        if self._read is None:
            self._read = self._pool.submit(_read, self._path)
        seconds = _FIRST_WAIT_SECONDS if self._token is None else _WAIT_SECONDS
        # Not cancelled when the wait ends: a later request takes what it reads.
        await asyncio.wait([asyncio.wrap_future(self._read)], timeout=seconds)
        if self._read is not None and self._read.done():
            self._token, self._read = self._read.result(), None
        return self._token or Token(problem="cannot be read.")


def _read(path: Path) -> Token:
    try:
        mode = path.stat().st_mode
        text = read_secret(None, path)
    except (OSError, UnicodeDecodeError):
        return Token(problem="cannot be read.")
    if mode & stat.S_IROTH:
        # A start and a reload refuse it as well.
        return Token(problem="must not be readable by everybody; run chmod 600 on it.")
    return Token(text=text) if text else Token(problem="is empty.")
