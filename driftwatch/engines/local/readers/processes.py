"""Warm reader processes, so many busy at once; one that hangs in the kernel blocks its source alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from driftwatch.engines.local.readers.reader_handle import Reader, SourceFailed
from driftwatch.engines.local.readers.starter import Starter
from driftwatch.errors import ReaderDied, SourceTimeout


class Processes:
    def __init__(self, workers: int, *, spare: int = 0) -> None:
        self._free = threading.Condition()
        self._slots = workers
        # Children start when first needed. This many more are kept started, so that a killed one is replaced
        # without waiting.
        self._spare = spare
        self.idle: list[Reader] = []
        self.busy: set[Reader] = set()
        # Killed readers that did not end, by what they read: a dead network share keeps them in the kernel.
        self._stuck: dict[str, Reader] = {}
        self.closed = False
        self.starter = Starter()

    @contextmanager
    def reader(self, source: str) -> Iterator[Reader]:
        """Lend a reader; it goes on only after a complete answer.

        Raises ``SourceTimeout`` at once while an earlier reader of the source hangs and cannot be killed: one
        process is lost to a dead share, not one for each look.
        """
        self._check_stuck(source)
        reader = self._borrow()
        sound = False
        try:
            yield reader
            sound = True
        except ReaderDied:
            if self.closed:
                raise ReaderDied("the readers were closed while this source was being read.") from None
            raise
        except SourceFailed as failed:
            sound = True
            raise failed.error from None
        finally:
            self._return(reader, source, sound=sound)

    def close(self, grace: float = 0.0) -> None:
        """Wait up to ``grace`` seconds for busy readers, then kill every child. Idempotent."""
        with self._free:
            self.closed = True
            self._free.notify_all()
            self._free.wait_for(lambda: not self.busy, timeout=grace)
            idle, self.idle = self.idle, []
            busy = list(self.busy)
        # One that does not end takes its time beside the others.
        for reader in (*idle, *busy):
            reader.end()
        for reader in idle:
            reader.kill()
        for reader in busy:
            reader.stop()
        self.starter.close()
        with self._free:
            idle, self.idle = self.idle, []
        for reader in idle:
            reader.kill()

    def _check_stuck(self, source: str) -> None:
        with self._free:
            stuck = self._stuck.get(source)
            if stuck is None:
                return
            if not stuck.alive:
                del self._stuck[source]
                return
        raise SourceTimeout(
            f"expected the source to be read. An earlier reader (process {stuck.process.pid}) hangs in it, "
            "and cannot be killed, as on a network share whose server is gone. It is not read until that "
            "process ends: mend or unmount the share."
        )

    def _borrow(self) -> Reader:
        with self._free:
            self._free.wait_for(lambda: self.closed or self._slots > 0)
            if self.closed:
                raise ReaderDied("the readers are closed.")
            self._slots -= 1
            while self.idle:
                reader = self.idle.pop()
                if reader.alive:
                    self.busy.add(reader)
                    self._restock()
                    return reader
                reader.kill()
        try:
            reader = self.starter.start()
        except BaseException:
            with self._free:
                self._slots += 1
                self._free.notify_all()
            if self.closed:
                raise ReaderDied("the readers are closed.") from None
            raise
        with self._free:
            self.busy.add(reader)
            self._restock()
            closed = self.closed
        if closed:
            self._return(reader, "", sound=False)
            raise ReaderDied("the readers are closed.")
        return reader

    def _restock(self) -> None:
        # The caller holds the lock.
        if not self.closed and len(self.idle) < self._spare:
            self.starter.submit(self._start_spare)

    def _start_spare(self) -> None:
        with self._free:
            needed = not self.closed and len(self.idle) < self._spare
        if not needed:
            return
        reader = Reader.start()
        with self._free:
            self.idle.append(reader)

    def _return(self, reader: Reader, source: str, *, sound: bool) -> None:
        with self._free:
            self.busy.discard(reader)
            keep = sound and not self.closed
            if keep:
                self.idle.append(reader)
            self._slots += 1
            self._free.notify_all()
        if not keep and not reader.kill():
            with self._free:
                self._stuck[source] = reader
