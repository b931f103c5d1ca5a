"""The operations of a reader process: each yields frames, the last one of kind ``done``."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import islice, pairwise
from types import ModuleType
from typing import Any

import pyarrow as pa

from driftwatch.core import plugins
from driftwatch.core.schema import Span
from driftwatch.engines.base import Counted, Engine, SourceRows, Undecodable, columns_of
from driftwatch.engines.local.event_counts import newest_time, row_counts
from driftwatch.engines.local.readers.frames import MAX_PLANS
from driftwatch.engines.local.readers.open_pieces import OpenPieces
from driftwatch.errors import ConfigError, DataError
from driftwatch.results.results import FileProblem
from driftwatch.sources.base import (
    MAX_OTHER_COLUMNS,
    Clocked,
    Piece,
    PieceChoice,
    Piecewise,
    Reading,
    Source,
    SourceConfig,
)
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import decode_plan, encode_summary

#: Rows for building a reference are sent in pieces of about this many bytes.
_PIECE_BYTES = 32 << 20

Frame = tuple[dict[str, Any], bytes]
Answers = Iterator[Frame]
_Opened = tuple[SourceConfig, Source]


class PlanUnknown(Exception):
    """Raised when this process has forgotten a request's plan; the parent sends it again."""


@dataclass(slots=True, kw_only=True)
class Worker:
    open_pieces: OpenPieces
    #: Pieces left out of the versions of this request, and why.
    passed: dict[Piece, str] = field(default_factory=dict)
    plans: OrderedDict[str, Plan] = field(default_factory=OrderedDict)

    def answer(self, header: dict[str, Any], blob: bytes) -> Answers:
        operations: dict[str, Callable[[dict[str, Any], bytes], Answers]] = {
            "ping": self._ping,
            "versions": self._versions,
            "extent": self._extent,
            "newest": self._newest,
            "row_counts": self._row_counts,
            "rows": self._rows,
            "tiles": self._tiles,
        }
        self.open_pieces.clear()
        self.passed.clear()
        return operations[header["op"]](header, blob)

    def _source(self, header: dict[str, Any], config: dict[str, Any] | None = None) -> _Opened:
        settings, source = _source(header["source"] if config is None else config)
        if isinstance(source, Piecewise):
            source.piece_choice = PieceChoice(
                left_out={
                    Piece(path=path, name=name, size=size, modified=modified): detail
                    for path, name, size, modified, detail in header["left_out"]
                },
                left_out_paths=header["left_out_paths"],
                only=header["only"],
                opened=self.open_pieces.note,
                passed=self.passed.__setitem__,
            )
        if isinstance(source, Clocked):
            source.now = lambda: int(header["now"])
        return settings, source

    def _ping(self, _header: dict[str, Any], _blob: bytes) -> Answers:
        yield {"kind": "done"}, b""

    def _versions(self, header: dict[str, Any], _blob: bytes) -> Answers:
        spans = [None if span is None else Span(start=span[0], end=span[1]) for span in header["spans"]]
        yield {"kind": "done", "versions": self._source(header)[1].versions(spans)}, b""

    def _extent(self, header: dict[str, Any], _blob: bytes) -> Answers:
        extent = self._source(header)[1].extent()
        yield {"kind": "done", "extent": None if extent is None else [extent.start, extent.end]}, b""

    def _newest(self, header: dict[str, Any], _blob: bytes) -> Answers:
        settings, source = self._source(header)
        yield {"kind": "done", "newest": newest_time(settings, source, header["until"])}, b""

    def _row_counts(self, header: dict[str, Any], _blob: bytes) -> Answers:
        settings, source = self._source(header)
        counts = row_counts(settings, source, header["period"], _span(header))
        yield {"kind": "done", "counts": sorted(counts.items())}, b""

    def _rows(self, header: dict[str, Any], _blob: bytes) -> Answers:
        reading = self._source(header)[1].read(_span(header), header["columns"])
        for batch in islice(reading.batches, header["batches"]):
            for piece in _pieces(batch):
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, piece.schema) as writer:
                    writer.write_batch(piece)
                yield {"kind": "rows"}, sink.getvalue().to_pybytes()
        yield {"kind": "done", "rejected": _rejected(reading), "files": reading.files}, b""

    def _tiles(self, header: dict[str, Any], blob: bytes) -> Answers:
        plan = self._plan(header["plan"], blob)
        if not (header["sums"] or header["sample"]):
            # Only the row sample needs row hashes and the identity columns.
            plan = replace(plan, sample_rows=0, identity_columns=())
        if not header["sums"]:
            # Every tile is complete, and sealed; only its sums are not wanted.
            plan = replace(plan, projection=None)
        edges: list[int] = header["boundaries"]
        engine = open_engine(header["engine"])
        settings, source = self._source(header, _timed(header["source"], plan))
        spans = [_span_of(plan, tile) for tile in pairwise(edges)]
        stored_versions: list[str | None] | None = header["stored_versions"]
        # Versions are taken before the rows: a change in between is read once more, never missed.
        versions = None if stored_versions is None else source.versions(spans)
        takes_version = versions is None and len(spans) == 1
        totals = _Totals(versions=versions or [])
        for low, high in _changed_runs(stored_versions, versions, len(spans)):
            run = edges[low : high + 1]
            rows = SourceRows(
                settings=settings,
                source=source,
                span=_span_of(plan, (run[0], run[-1])),
                columns=columns_of(plan),
                max_rows=header["rows"],
                history=_span(header, "history"),
                needs_version=takes_version,
            )
            if header["decode"] is not None:
                rows = _with_decoder(rows, header["decode"], plan, run, totals.undecodable)
            counted = engine.summarise(plan, rows, run, seal=True)
            _check_counted(header, rows, counted, run)
            for (start, segment), summary in counted.tiles.items():
                part = summary if header["sample"] else summary.drop_sample()
                # Compressing what only crosses a pipe costs more than counting it.
                tile = {"kind": "tile", "start": start, "segment": segment}
                types = counted.types.get(start, {}) if segment is None else {}
                yield {**tile, "types": dict(types)}, encode_summary(part, level=0)
            totals.add(rows.reading, counted)
            if takes_version:
                totals.versions = [rows.version()]
        # Of stored tiles too is said what they lack.
        totals.reject([piece.name, FileProblem.QUARANTINED, detail] for piece, detail in self.passed.items())
        yield {"kind": "done", **totals.header()}, b""

    def _plan(self, key: str, blob: bytes) -> Plan:
        if blob:
            self.plans[key] = decode_plan(blob)
        if key not in self.plans:
            raise PlanUnknown(key)
        self.plans.move_to_end(key)
        while len(self.plans) > MAX_PLANS:
            self.plans.popitem(last=False)
        return self.plans[key]


def _check_counted(header: dict[str, Any], rows: SourceRows, counted: Counted, run: list[int]) -> None:
    """Raise ``ConfigError`` or ``DataError`` if a window would be decided on less than was asked for."""
    name = f"engine {header['engine']['type']}"
    if header["decode"] is not None and rows.reading is None:
        raise ConfigError(
            f"{name}: expected one that reads rows, since decode is set. It counts elsewhere, where messages "
            "are not decoded. Leave one of the two out."
        )
    starts = sorted({start for start, segment in counted.tiles if segment is None})
    if starts != run[:-1] or any(start not in starts for start, _ in counted.tiles):
        raise DataError(
            f"{name}: expected one tile for each of {len(run) - 1}. Got {len(starts)}: a bug in it."
        )
    if rows.source_version is None:
        raise DataError(
            f"{name}: expected it to ask for the version before it counts. It did not: a bug in it."
        )


@dataclass(slots=True, kw_only=True)
class _Totals:
    versions: list[str]
    unchanged: bool = True
    #: Each file once.
    rejected: list[list[str]] = field(default_factory=list)
    files: int = 0
    rows: int = 0
    newest_row: int | None = None
    untimed: int = 0
    #: Rows of the same file come with the read of every run.
    early_rows: Counter[int] = field(default_factory=Counter)
    future_rows: Counter[int] = field(default_factory=Counter)
    undecodable: Undecodable = field(default_factory=Counter)
    other_columns: list[str] = field(default_factory=list)

    def add(self, reading: Reading | None, counted: Counted) -> None:
        self.unchanged = False
        if reading is not None:
            self.reject(_rejected(reading))
            self.files += reading.files
            names = (name for name in reading.other_columns if name not in self.other_columns)
            self.other_columns += list(names)[: MAX_OTHER_COLUMNS - len(self.other_columns)]
        self.rows += counted.rows
        # Runs are added in time order.
        self.newest_row = self.newest_row if counted.newest_row is None else counted.newest_row
        self.untimed += counted.untimed
        self.early_rows |= Counter(counted.early_rows)
        self.future_rows |= Counter(counted.future_rows)

    def reject(self, files: Iterable[list[str]]) -> None:
        self.rejected += [item for item in files if item not in self.rejected]

    def header(self) -> dict[str, Any]:
        undecodable = [[start, reason, count] for (start, reason), count in self.undecodable.items() if count]
        header = {item.name: getattr(self, item.name) for item in fields(self)}
        strays = {name: sorted(header[name].items()) for name in ("early_rows", "future_rows")}
        return {**header, "undecodable": undecodable, **strays}


def _changed_runs(
    stored_versions: list[str | None] | None, versions: list[str] | None, tiles: int
) -> Iterator[tuple[int, int]]:
    """Yield ``[low, high)`` of neighbouring tiles whose version differs from the stored one."""
    low = 0
    for place in range(tiles):
        if stored_versions is not None and versions is not None and stored_versions[place] == versions[place]:
            if low < place:
                yield low, place
            low = place + 1
    if low < tiles:
        yield low, tiles


def _source(config: dict[str, Any]) -> _Opened:
    module, settings = _plugin("sources", config)
    return settings, module.open_source(settings)


def open_engine(config: dict[str, Any]) -> Engine:
    module, settings = _plugin("engines", config)
    engine: Engine = module.open_engine(settings)
    return engine


def _plugin(room: str, config: dict[str, Any]) -> tuple[ModuleType, Any]:
    module = plugins.load(room, str(config["type"]))
    return module, module.CONFIG.model_validate(config)


def _with_decoder(
    rows: SourceRows, config: dict[str, Any], plan: Plan, edges: list[int], undecodable: Undecodable
) -> SourceRows:
    # Most reads need no decoder.
    from driftwatch.engines.local.decoded_rows import DecodedRows

    module, settings = _plugin("decoders", config)
    decoded = DecodedRows(
        config=settings,
        decoder=module.open_decoder(settings),
        plan=plan,
        edges=edges,
        undecodable=undecodable,
    )
    return replace(rows, columns=[*rows.columns, settings.column], decoded=decoded.batches)


def _span_of(plan: Plan, tile: tuple[int, int]) -> Span | None:
    return None if plan.time_column is None else Span(start=tile[0], end=tile[1])


def _timed(config: dict[str, Any], plan: Plan) -> dict[str, Any]:
    # With a time column the source can skip old rows.
    return {**config, "time_column": config.get("time_column") or plan.time_column}


def _span(header: dict[str, Any], key: str = "span") -> Span | None:
    span = header.get(key)
    return None if span is None else Span(start=span[0], end=span[1])


def _rejected(reading: Reading) -> list[list[str]]:
    return [[item.name, item.problem.value, item.detail] for item in reading.rejected]


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    size = max(1, batch.num_rows * _PIECE_BYTES // max(batch.nbytes, 1))
    # Columns without rows tell something too.
    for start in range(0, max(batch.num_rows, 1), size):
        yield batch.slice(start, size)
