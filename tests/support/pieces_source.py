"""A third source, for tests of the contract: a folder of Arrow files, every one a piece.

It keeps every rule; those of ``broken_sources`` change one method each.
"""

from __future__ import annotations

import hashlib
import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field
from source_stands import SECRET, Outage, Stand
from source_tables import TIMES, VALUES

from driftwatch.columns.arrow.event_time import event_times, is_time
from driftwatch.columns.rows.nested import Flattening
from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.core.schema import Span
from driftwatch.errors import ConfigError, SchemaMismatch, SourceUnavailable
from driftwatch.results.results import FileProblem, RejectedFile
from driftwatch.sources.base import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ROWS,
    Piece,
    PieceChoice,
    Reading,
    SourceConfig,
)


class PiecesConfig(SourceConfig):
    type: Literal["pieces"]
    path: Path
    password: str = Field(default="", repr=False)
    #: One of ``broken_sources``.
    fault: str = ""


CONFIG = PiecesConfig


def open_source(config: PiecesConfig) -> PiecesSource:
    if not config.fault:
        return PiecesSource(config)
    kind: type[PiecesSource] = importlib.import_module("broken_sources").BROKEN[config.fault]
    return kind(config)


def piece_of(path: Path) -> Piece:
    status = path.stat()
    return Piece(path=str(path), name=path.name, size=status.st_size, modified=status.st_mtime_ns)


class PiecesSource:
    def __init__(self, config: PiecesConfig) -> None:
        self.config = config
        self.piece_choice = PieceChoice()

    def __repr__(self) -> str:
        return f"PiecesSource({self.config.path})"

    def version(self, span: Span | None) -> str:
        return self.versions([span])[0]

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        return [self.version_of(span) for span in spans]

    def version_of(self, span: Span | None) -> str:
        return hashlib.sha256("".join(sorted(self.row_hashes(span))).encode()).hexdigest()

    def row_hashes(self, span: Span | None) -> Iterator[str]:
        for piece in self.pieces():
            for batch in self.kept_batches(piece):
                self.check_times(batch.schema)
                for row in self.cut(batch, span).to_pylist():
                    yield hashlib.sha256(repr(row).encode("utf-8", "replace")).hexdigest()

    def kept_batches(self, piece: Path) -> Iterator[pa.RecordBatch]:
        """The batches of a piece; none when it cannot be read, or is left out."""
        try:
            detail = self.piece_choice.detail(piece_of(piece))
            if detail is not None:
                self.piece_choice.passed(piece_of(piece), detail)
                return
            yield from self.stored(piece)
        except (pa.ArrowException, OSError):
            return

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        reading = Reading(batches=iter(()), version=self.version_of(span))
        reading.batches = self.batches(span, columns, reading)
        return reading

    def batches(
        self, span: Span | None, columns: Sequence[str] | None, reading: Reading
    ) -> Iterator[pa.RecordBatch]:
        for piece in self.pieces():
            try:
                if self.is_left_out(piece, reading):
                    continue
                if piece.exists():
                    self.piece_choice.opened(piece_of(piece))
                for batch in self.stored(piece):
                    self.check_times(batch.schema)
                    yield from self.bounded(self.selected(self.cut(batch, span), columns))
                reading.files += 1
            except (pa.ArrowException, OSError):
                self.reject(piece, reading)

    def is_left_out(self, piece: Path, reading: Reading) -> bool:
        detail = self.piece_choice.detail(piece_of(piece)) if piece.exists() else None
        if detail is not None:
            item = RejectedFile(name=piece.name, problem=FileProblem.QUARANTINED, detail=detail)
            reading.rejected.append(item)
        return detail is not None

    def reject(self, piece: Path, reading: Reading) -> None:
        name = piece.name if piece.name.isprintable() else ascii(piece.name)
        detail = "it is damaged, or was removed."
        reading.rejected.append(RejectedFile(name=name, problem=FileProblem.UNREADABLE, detail=detail))

    def extent(self) -> Span | None:
        if self.config.time_column is None:
            raise SchemaMismatch(f"{self.config.path}: expected a time_column. Got none.")
        ends: list[int] = []
        for piece in self.pieces():
            for batch in self.kept_batches(piece):
                self.check_times(batch.schema)
                times, usable = self.times(batch)
                ends += [int(time) for time in times[usable]]
                ends = [min(ends), max(ends)] if ends else []
        return self.extent_of(ends)

    def extent_of(self, ends: list[int]) -> Span | None:
        return Span(start=ends[0], end=ends[-1] + 1) if ends else None

    def pieces(self) -> list[Path]:
        if self.config.password == f"wrong {SECRET}":
            raise ConfigError(f"{self.config.path}: expected the password of this place. Got another.")
        if not self.config.path.is_dir():
            raise self.unavailable(
                f"{self.config.path}: expected a folder. Got none. Check that it is mounted."
            )
        only = self.piece_choice.only
        return sorted(path for path in self.config.path.iterdir() if only is None or str(path) in only)

    def unavailable(self, text: str) -> Exception:
        return SourceUnavailable(text)

    def stored(self, piece: Path) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(piece)) as file:
            reader = pa.ipc.open_file(file)
            for place in range(reader.num_record_batches):
                yield self.flat(reader.get_batch(place))

    def flat(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return Flattening().flatten(batch, None)

    def check_times(self, schema: pa.Schema) -> None:
        name = self.config.time_column
        if name is not None and (name not in schema.names or not is_time(schema.field(name).type)):
            raise SchemaMismatch(
                f"{self.config.path}: expected times in column {ascii(name)[:80]}. Got none."
            )

    def times(self, batch: pa.RecordBatch) -> tuple[Int64Array, BoolArray]:
        return event_times(batch.column(self.config.time_column), self.config.timezone)

    def cut(self, batch: pa.RecordBatch, span: Span | None) -> pa.RecordBatch:
        if span is None:
            return batch
        times, usable = self.times(batch)
        return batch.filter(pa.array(usable & self.inside(times, span)))

    def inside(self, times: Int64Array, span: Span) -> BoolArray:
        return (times >= span.start) & (times < span.end)

    def selected(self, batch: pa.RecordBatch, columns: Sequence[str] | None) -> pa.RecordBatch:
        if columns is None:
            return batch
        names = [name for name in dict.fromkeys(columns) if name in batch.schema.names]
        if set(columns) - {self.config.time_column} and not set(names) - {self.config.time_column}:
            raise self.mismatch(
                f"{self.config.path}: expected one of {ascii(list(columns))[:300]}. Got none."
            )
        return batch.select(list(dict.fromkeys([*names, self.config.time_column])))

    def mismatch(self, text: str) -> Exception:
        return SchemaMismatch(text)

    def bounded(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        size = max(1, min(MAX_BATCH_ROWS, MAX_BATCH_BYTES * batch.num_rows // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


class PiecesStand(Stand):
    name = "pieces"
    module = "pieces_source"
    piecewise = True
    times = frozenset(TIMES)
    values = frozenset(VALUES)
    margin = 0
    ordered = False
    structures = True
    fault = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"type": "pieces", "path": str(self.data), "time_column": "t", "fault": self.fault, **changes}

    @property
    def places(self) -> tuple[str, ...]:
        return (str(self.folder),)

    def put(self, content: pa.Table) -> None:
        """Two pieces, of two thirds and one third of the rows."""
        self.data.mkdir(exist_ok=True)
        for piece in self.data.iterdir():
            piece.unlink()
        first = (2 * len(content) + 2) // 3
        for place, part in enumerate((content.slice(0, first), content.slice(first))):
            sink = io.BytesIO()
            with pa.ipc.new_file(sink, part.schema) as writer:
                writer.write_table(part, max_chunksize=1000)
            (self.data / f"{place}.arrow").write_bytes(sink.getvalue())

    def outages(self) -> Mapping[str, Outage]:
        return {"the folder is away": self._away}

    @contextmanager
    def _away(self) -> Iterator[dict[str, Any]]:
        self.data.rename(self.folder / "away")
        yield self.settings()
        (self.folder / "away").rename(self.data)

    def mistakes(self) -> Mapping[str, dict[str, Any]]:
        return {"a wrong password": {"password": f"wrong {SECRET}"}}

    def refused(self) -> Mapping[str, dict[str, Any]]:
        return {"no path": {"path": None}}

    def secretive(self) -> Mapping[str, dict[str, Any]]:
        return {"a wrong password": {"password": f"wrong {SECRET}"}}

    def spoil(self) -> str:
        (self.data / "2 \n.arrow").write_bytes(b"ARROW1\0\0" + SECRET.encode())
        return ".arrow'"

    def interrupt(self) -> None:
        (self.data / "1.arrow").unlink()
