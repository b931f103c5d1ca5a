"""A pool of warm child processes that read untrusted input, each call with a deadline and a memory limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from driftwatch.core.schema import Span, TypeNames
from driftwatch.decoders.base import DecoderConfig
from driftwatch.engines.base import Capability, EngineConfig
from driftwatch.engines.local import LocalConfig
from driftwatch.engines.local.answers import (
    FilesRead,
    SourceFailed,
    TilesRead,
    checked,
    planned,
    rejected_files,
    tiles_read,
)
from driftwatch.engines.local.reader_handle import Deadline, Reader
from driftwatch.errors import ReaderDied
from driftwatch.sources.base import SourceConfig
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import decode_summary, with_fingerprint
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FilesRead", "ReaderPool", "TilesRead"]

_LOCAL = LocalConfig()


class ReaderPool:
    """A thread-safe pool of at most ``workers`` busy children; a call waits until one is free.

    Every call raises ``SourceTimeout`` past its deadline (the child is killed), ``ReaderDied`` when the child
    died or ran out of memory, and the source's own errors.
    """

    def __init__(self, workers: int, *, spare: int = 0) -> None:
        self._free = threading.Condition()
        self._slots = workers
        # Children start when first needed. This many more are kept started, so that a killed one is replaced
        # without waiting.
        self._spare = spare
        self._idle: list[Reader] = []
        self._busy: set[Reader] = set()
        self._closed = False
        # The kernel kills a child when the *thread* that started it ends: one lasting thread starts them all.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader-starter")

    def tiles(
        self,
        plan: Plan,
        source: SourceConfig,
        boundaries: Sequence[int],
        *,
        seconds: float,
        memory: int,
        rows: int,
        # Rows outside it are counted apart.
        history: Span | None = None,
        stored_versions: Sequence[str | None] | None = None,
        # Sums for joint statistics and the row sample cost more than all counts.
        sums: bool = True,
        sample: bool = True,
        engine: EngineConfig = _LOCAL,
        decode: DecoderConfig | None = None,
    ) -> TilesRead:
        """Count rows in the tiles ``[boundaries[i], boundaries[i + 1])``.

        A tile whose data still has the version ``stored_versions[i]`` is not read. Sums and sample are left
        out if the engine has none.
        """
        started = time.monotonic()
        has_sample = Capability.ROW_SAMPLE in engine.capabilities
        plan = plan if plan.fingerprint else with_fingerprint(plan)
        header = {
            "op": "tiles",
            "plan": plan.fingerprint,
            "source": source.model_dump(mode="json"),
            "boundaries": [int(edge) for edge in boundaries],
            "rows": rows,
            "history": _span_json(history),
            "stored_versions": None if stored_versions is None else list(stored_versions),
            "sums": sums and has_sample,
            "sample": sample and has_sample,
            "engine": engine.model_dump(mode="json"),
            "decode": None if decode is None else decode.model_dump(mode="json"),
            "memory": memory,
        }
        tiles: dict[tuple[int, str | None], Summary] = {}
        types: dict[int, TypeNames] = {}
        with self._reader() as reader:
            done: dict[str, Any] = {}
            for answer, blob in planned(reader, header, plan, Deadline(seconds=seconds)):
                if answer["kind"] == "tile":
                    tiles[answer["start"], answer["segment"]] = decode_summary(blob)
                    if answer["types"]:
                        types[answer["start"]] = {
                            name: tuple(names) for name, names in answer["types"].items()
                        }
                done = answer
        return replace(tiles_read(done, tiles, types), seconds=time.monotonic() - started)

    def extent(self, source: SourceConfig, *, seconds: float, memory: int) -> Span | None:
        """Return the span of event times, or None when the source has no row."""
        done = self._ask({"op": "extent", "source": source.model_dump(mode="json")}, seconds, memory)
        extent = done["extent"]
        return None if extent is None else Span(start=extent[0], end=extent[1])

    def newest(self, source: SourceConfig, until: int, *, seconds: float, memory: int) -> int | None:
        """Return the newest event time before ``until``, or None."""
        header = {"op": "newest", "source": source.model_dump(mode="json"), "until": until}
        newest: int | None = self._ask(header, seconds, memory)["newest"]
        return newest

    def row_counts(
        self,
        source: SourceConfig,
        period: int,
        *,
        seconds: float,
        memory: int,
        span: Span | None = None,
    ) -> dict[int, int]:
        """Return rows by the number of their period of so many seconds since 1970."""
        header = {
            "op": "row_counts",
            "source": source.model_dump(mode="json"),
            "period": period,
            "span": _span_json(span),
        }
        return dict(self._ask(header, seconds, memory)["counts"])

    def versions(
        self, source: SourceConfig, spans: Sequence[Span | None], *, seconds: float, memory: int
    ) -> list[str]:
        """Return the version of each span's data (None: all), in their order."""
        header = {
            "op": "versions",
            "source": source.model_dump(mode="json"),
            "spans": [_span_json(span) for span in spans],
        }
        return [str(version) for version in self._ask(header, seconds, memory)["versions"]]

    def batches(
        self,
        source: SourceConfig,
        columns: Sequence[str] | None,
        *,
        memory: int,
        # The time spent waiting for the child; the caller's own does not count.
        seconds: float,
        span: Span | None = None,
        # Filled in at the end.
        files_read: FilesRead | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield all rows of the source (or of ``span``), some MiB at a time.

        The iterator occupies a child until it is exhausted or closed.
        """
        import pyarrow as pa

        header = {
            "op": "rows",
            "source": source.model_dump(mode="json"),
            "columns": None if columns is None else list(columns),
            "span": _span_json(span),
            "memory": memory,
        }
        deadline = Deadline(seconds=seconds)
        with self._reader() as reader:
            reader.ask(header, b"", deadline)
            for answer, blob in checked(reader.answers(deadline), memory):
                if answer["kind"] == "rows":
                    with pa.ipc.open_stream(blob) as stream:
                        yield from stream
                elif files_read is not None:
                    files_read.files = answer["files"]
                    files_read.rejected = tuple(rejected_files(answer))

    def ping(self, *, seconds: float = 60.0) -> None:
        self._ask({"op": "ping"}, seconds, None)

    def close(self, grace: float = 0.0) -> None:
        """Wait up to ``grace`` seconds for running calls, then kill every child. Idempotent."""
        with self._free:
            self._closed = True
            self._free.notify_all()
            self._free.wait_for(lambda: not self._busy, timeout=grace)
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for reader in idle:
            reader.kill()
        for reader in busy:
            reader.stop()
        self._starter.shutdown(wait=True)
        with self._free:
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.kill()

    def _ask(self, header: dict[str, Any], seconds: float, memory: int | None) -> dict[str, Any]:
        done: dict[str, Any] = {}
        deadline = Deadline(seconds=seconds)
        with self._reader() as reader:
            reader.ask({**header, "memory": memory}, b"", deadline)
            for answer, _ in checked(reader.answers(deadline), memory or 0):
                done = answer
        return done

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        # The child returns to the pool only after a complete answer.
        reader = self._borrow()
        sound = False
        try:
            yield reader
            sound = True
        except ReaderDied:
            if self._closed:
                raise ReaderDied("the readers were closed while this source was being read.") from None
            raise
        except SourceFailed as failed:
            sound = True
            raise failed.error from None
        finally:
            self._return(reader, sound=sound)

    def _borrow(self) -> Reader:
        with self._free:
            self._free.wait_for(lambda: self._closed or self._slots > 0)
            if self._closed:
                raise ReaderDied("the readers are closed.")
            self._slots -= 1
            while self._idle:
                reader = self._idle.pop()
                if reader.alive:
                    self._busy.add(reader)
                    self._restock()
                    return reader
                reader.kill()
        try:
            reader = self._starter.submit(Reader.start).result()
        except BaseException:
            with self._free:
                self._slots += 1
                self._free.notify_all()
            if self._closed:
                raise ReaderDied("the readers are closed.") from None
            raise
        with self._free:
            self._busy.add(reader)
            self._restock()
            closed = self._closed
        if closed:
            self._return(reader, sound=False)
            raise ReaderDied("the readers are closed.")
        return reader

    def _restock(self) -> None:
        # The caller holds the lock.
        if not self._closed and len(self._idle) < self._spare:
            self._starter.submit(self._start_spare)

    def _start_spare(self) -> None:
        with self._free:
            needed = not self._closed and len(self._idle) < self._spare
        if not needed:
            return
        reader = Reader.start()
        with self._free:
            self._idle.append(reader)

    def _return(self, reader: Reader, *, sound: bool) -> None:
        with self._free:
            self._busy.discard(reader)
            keep = sound and not self._closed
            if keep:
                self._idle.append(reader)
            self._slots += 1
            self._free.notify_all()
        if not keep:
            reader.kill()


def _span_json(span: Span | None) -> list[int] | None:
    return None if span is None else [span.start, span.end]
