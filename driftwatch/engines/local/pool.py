"""A pool of warm child processes that read untrusted input, each call with a deadline and a memory limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from driftwatch.core.schema import Span
from driftwatch.decoders.base import DecoderConfig
from driftwatch.engines.base import Capability, EngineConfig
from driftwatch.engines.local import LocalConfig
from driftwatch.engines.local.answers import (
    FilesRead,
    TilesRead,
    checked,
    planned,
    rejected_files,
    tiles_read,
)
from driftwatch.engines.local.readers.culprit import Choice, Limits, ReadFailed, Searches
from driftwatch.engines.local.readers.open_pieces import Opened, clear, read_board
from driftwatch.engines.local.readers.processes import Processes
from driftwatch.engines.local.readers.quarantine import Quarantine, source_key
from driftwatch.engines.local.readers.reader_handle import (
    Deadline,
    Evidence,
    Reader,
    ReaderLost,
    SourceFailed,
)
from driftwatch.engines.local.readers.starter import Starter
from driftwatch.errors import PieceLeftOut, ReaderDied, SourceTimeout, TooManyRows
from driftwatch.sources.base import Piece, SourceConfig
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import with_fingerprint

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FilesRead", "ReaderPool", "TilesRead"]

_LOCAL = LocalConfig()


class ReaderPool:
    """A thread-safe pool of at most ``workers`` busy children; a call waits until one is free.

    Every call raises ``SourceTimeout`` past its deadline (the child is killed), ``ReaderDied`` when the child
    died or ran out of memory, and the source's own errors. A piece that does this when it is read alone is
    put into quarantine, and the others are read (``culprit``).
    """

    def __init__(
        self,
        workers: int,
        *,
        spare: int = 0,
        quarantine: Quarantine | None = None,
        # The time by which a file is old enough: a wall clock that was set makes none older.
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._now = now
        self.processes = Processes(workers, spare=spare)
        self._searches = Searches(quarantine=quarantine or Quarantine())

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

        def attempt(choice: Choice) -> tuple[TilesRead, Opened]:
            with self._reader(source) as reader:
                answers = planned(reader, header | self._choice_json(choice), plan, _deadline(choice))
                return tiles_read(answers), read_board(reader.board)

        read = self._searches.read(attempt, source_key(source), Limits(seconds=seconds, memory=memory))
        return replace(read, seconds=time.monotonic() - started)

    def extent(self, source: SourceConfig, *, seconds: float, memory: int) -> Span | None:
        """Return the span of event times, or None when the source has no row."""
        extent = self._ask({"op": "extent"}, source, seconds, memory)["extent"]
        return None if extent is None else Span(start=extent[0], end=extent[1])

    def newest(self, source: SourceConfig, until: int, *, seconds: float, memory: int) -> int | None:
        """Return the newest event time before ``until``, or None."""
        newest: int | None = self._ask({"op": "newest", "until": until}, source, seconds, memory)["newest"]
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
        header = {"op": "row_counts", "period": period, "span": _span_json(span)}
        return dict(self._ask(header, source, seconds, memory)["counts"])

    def versions(
        self, source: SourceConfig, spans: Sequence[Span | None], *, seconds: float, memory: int
    ) -> list[str]:
        """Return the version of each span's data (None: all), in their order."""
        header = {"op": "versions", "spans": [_span_json(span) for span in spans]}
        return [str(version) for version in self._ask(header, source, seconds, memory)["versions"]]

    def batches(
        self,
        source: SourceConfig,
        columns: Sequence[str] | None,
        *,
        memory: int,
        # The time spent waiting for the child; the caller's own does not count.
        seconds: float,
        span: Span | None = None,
        # No more than so many batches of the source; None: all.
        limit: int | None = None,
        # Filled in at the end.
        files_read: FilesRead | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield all rows of the source (or of ``span``), some MiB at a time.

        The iterator occupies a child until it is exhausted or closed. Raises ``PieceLeftOut`` where another
        read will go without what ended this one.
        """
        header = {
            "op": "rows",
            "source": source.model_dump(mode="json"),
            "columns": None if columns is None else list(columns),
            "span": _span_json(span),
            "batches": limit,
            "memory": memory,
        }
        key, limits = source_key(source), Limits(seconds=seconds, memory=memory)

        def drain(choice: Choice) -> tuple[None, Opened]:
            files_read = FilesRead()
            for _ in self._rows(source, header, choice, files_read):
                pass
            return None, Opened(count=files_read.files)

        left_out = self._searches.quarantine.of(key, seconds, memory)
        try:
            yield from self._rows(source, header, Choice(left_out=left_out, seconds=seconds), files_read)
        except ReadFailed as failure:
            pieces = self._searches.find(drain, key, limits, failure)
            if not pieces:
                raise failure.error from None
            names = tuple(piece.name for piece in pieces)
            text = f"{failure.error} From now on it is read without {', '.join(names)}: read again."
            raise PieceLeftOut(text, names) from None

    def _rows(
        self, source: SourceConfig, header: dict[str, Any], choice: Choice, files_read: FilesRead | None
    ) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        deadline = _deadline(choice)
        with self._reader(source) as reader:
            reader.ask(header | self._choice_json(choice), b"", deadline)
            for answer, blob in checked(reader.answers(deadline), header["memory"]):
                if answer["kind"] == "rows":
                    with pa.ipc.open_stream(blob) as stream:
                        yield from stream
                elif files_read is not None:
                    files_read.files = answer["files"]
                    files_read.rejected = tuple(rejected_files(answer))

    def ping(self, *, seconds: float = 60.0) -> None:
        with self.processes.reader("") as reader:
            deadline = Deadline(seconds=seconds)
            reader.ask({"op": "ping"}, b"", deadline)
            for _ in checked(reader.answers(deadline), 0):
                pass

    @property
    def starter(self) -> Starter:
        return self.processes.starter

    def close(self, grace: float = 0.0) -> None:
        """Wait up to ``grace`` seconds for running calls, then kill every child. Idempotent."""
        self.processes.close(grace)

    def _ask(
        self, request: dict[str, Any], source: SourceConfig, seconds: float, memory: int
    ) -> dict[str, Any]:
        header = {**request, "source": source.model_dump(mode="json"), "memory": memory}

        def attempt(choice: Choice) -> tuple[dict[str, Any], Opened]:
            done: dict[str, Any] = {}
            deadline = _deadline(choice)
            with self._reader(source) as reader:
                reader.ask(header | self._choice_json(choice), b"", deadline)
                for answer, _ in checked(reader.answers(deadline), memory):
                    done = answer
                return done, read_board(reader.board)

        return self._searches.read(attempt, source_key(source), Limits(seconds=seconds, memory=memory))

    def _choice_json(self, choice: Choice) -> dict[str, Any]:
        left_out = [
            [piece.path, piece.name, piece.size, piece.modified, detail]
            for piece, detail in choice.left_out.items()
        ]
        return {
            "left_out": left_out,
            "left_out_paths": dict(choice.left_out_paths),
            "only": None if choice.only is None else list(choice.only),
            "now": self._now(),
        }

    @contextmanager
    def _reader(self, source: SourceConfig) -> Iterator[Reader]:
        """Lend a reader. Raises ``ReadFailed`` when it is lost, naming the source and what was open."""
        with self.processes.reader(source_key(source)) as reader:
            clear(reader.board)
            try:
                yield reader
            except SourceFailed as failed:
                if isinstance(failed.error, TooManyRows):
                    opened = read_board(reader.board)
                    failed.error = TooManyRows(_located(str(failed.error), source, opened.pieces))
                raise
            except (ReaderLost, SourceTimeout) as error:
                if self.processes.closed:
                    raise ReaderDied("the readers were closed while this source was being read.") from None
                evidence = error.evidence if isinstance(error, ReaderLost) else Evidence.TIMEOUT
                opened = read_board(reader.board)
                kind = ReaderDied if isinstance(error, ReaderLost) else SourceTimeout
                located = kind(_located(str(error), source, opened.pieces))
                raise ReadFailed(located, evidence, opened) from None


def _located(text: str, source: SourceConfig, pieces: Sequence[Piece]) -> str:
    where = f", {pieces[0].name} open" if pieces else ""
    return f"{source.described}{where}: {text}"


def _deadline(choice: Choice) -> Deadline:
    return Deadline(seconds=choice.seconds)


def _span_json(span: Span | None) -> list[int] | None:
    return None if span is None else [span.start, span.end]
