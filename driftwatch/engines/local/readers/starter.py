"""Starts readers in one lasting thread: the kernel kills a child when the *thread* that started it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from driftwatch.engines.local.readers.reader_handle import Reader
from driftwatch.errors import ReaderDied


class Starter:
    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader-starter")
        # When each start that has not ended yet began.
        self._starts: dict[object, float] = {}

    def start(self) -> Reader:
        """Raises ``ReaderDied`` when the system starts no process."""
        start = object()
        self._starts[start] = time.monotonic()
        try:
            return self.threads.submit(Reader.start).result()
        except OSError as error:
            text = f"no reader process can be started: {error}. See how many processes and files are allowed."
            raise ReaderDied(text) from error
        finally:
            del self._starts[start]

    def submit(self, work: Callable[[], None]) -> None:
        self.threads.submit(work)

    def close(self) -> None:
        # Whoever waits for a start is told.
        self.threads.shutdown(wait=True, cancel_futures=True)

    def starting_seconds(self) -> float:
        """Return the age of the oldest start that has not ended; 0 without one."""
        return max((time.monotonic() - began for began in tuple(self._starts.values())), default=0.0)

    @property
    def is_dead(self) -> bool:
        return any(not thread.is_alive() for thread in tuple(self.threads._threads))
