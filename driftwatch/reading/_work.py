"""What a reader process is asked to do: each operation yields frames, the last one of kind ``done``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from driftwatch import plugins
from driftwatch.engines.local import summarise
from driftwatch.errors import DataError
from driftwatch.sources.base import Reading, Source
from driftwatch.summary.plan import Plan
from driftwatch.summary.schema import Span
from driftwatch.summary.serial import decode_plan, encode_summary

#: Plans that a reader remembers; the pool counts along.
PLANS = 8
#: Rows for building a reference travel in pieces of about this many bytes.
PIECE = 32 << 20

Frame = tuple[dict[str, Any], bytes]
Answers = Iterator[Frame]


class PlanUnknown(Exception):
    """Raised when a plan is named that this process does not remember: it must be sent again."""


@dataclass(slots=True, kw_only=True)
class Worker:
    """Operations by name; remembers the plans it was sent."""

    plans: OrderedDict[str, Plan] = field(default_factory=OrderedDict)

    def answer(self, header: dict[str, Any], blob: bytes) -> Answers:
        """Frames that answer one request."""
        operations: dict[str, Callable[[dict[str, Any], bytes], Answers]] = {
            "ping": self._ping,
            "version": self._version,
            "extent": self._extent,
            "rows": self._rows,
            "tiles": self._tiles,
        }
        return operations[header["op"]](header, blob)

    def _ping(self, _header: dict[str, Any], _blob: bytes) -> Answers:
        yield {"kind": "done"}, b""

    def _version(self, header: dict[str, Any], _blob: bytes) -> Answers:
        yield {"kind": "done", "version": open_source(header["source"]).version(_span(header))}, b""

    def _extent(self, header: dict[str, Any], _blob: bytes) -> Answers:
        extent = open_source(header["source"]).extent()
        yield {"kind": "done", "extent": None if extent is None else [extent.start, extent.end]}, b""

    def _rows(self, header: dict[str, Any], _blob: bytes) -> Answers:
        reading = open_source(header["source"]).read(_span(header), header["columns"])
        for batch in reading.batches:
            for piece in _pieces(batch):
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, piece.schema) as writer:
                    writer.write_batch(piece)
                yield {"kind": "rows"}, sink.getvalue().to_pybytes()
        yield {"kind": "done", **_told(reading)}, b""

    def _tiles(self, header: dict[str, Any], blob: bytes) -> Answers:
        plan = self._plan(header["plan"], blob)
        edges: list[int] = header["boundaries"]
        source = open_source(_timed(header["source"], plan))
        span = Span(start=edges[0], end=edges[-1]) if plan.time_column is not None else None
        known = header["known_version"]
        if known is not None and source.version(span) == known:
            yield {"kind": "done", "unchanged": True, "version": known}, b""
            return
        reading = source.read(span, _columns(plan))
        counted = summarise(plan, _bounded(reading, header["rows"]), edges)
        for (start, segment), summary in counted.tiles.items():
            yield {"kind": "tile", "start": start, "segment": segment}, encode_summary(summary)
        told = {"rows": counted.rows, "newest_row": counted.newest_row, "untimed": counted.untimed}
        yield {"kind": "done", "unchanged": False, **_told(reading), **told}, b""

    def _plan(self, key: str, blob: bytes) -> Plan:
        if blob:
            self.plans[key] = decode_plan(blob)
        if key not in self.plans:
            raise PlanUnknown(key)
        self.plans.move_to_end(key)
        while len(self.plans) > PLANS:
            self.plans.popitem(last=False)
        return self.plans[key]


def open_source(config: dict[str, Any]) -> Source:
    """The source that a configuration names, validated by its own settings."""
    module = plugins.load("sources", str(config["type"]))
    source: Source = module.open_source(module.CONFIG.model_validate(config))
    return source


def _timed(config: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The source with the plan's time column when it names none itself, so that it can skip what is old."""
    return {**config, "time_column": config.get("time_column") or plan.time_column}


def _columns(plan: Plan) -> list[str]:
    names = [*(column.name for column in plan.columns), *plan.carried]
    names += [plan.time_column] if plan.time_column is not None else []
    names += [plan.segmentation.column] if plan.segmentation is not None else []
    return list(dict.fromkeys(names))


def _span(header: dict[str, Any]) -> Span | None:
    span = header.get("span")
    return None if span is None else Span(start=span[0], end=span[1])


def _told(reading: Reading) -> dict[str, Any]:
    rejected = [[item.name, item.problem.value, item.detail] for item in reading.rejected]
    return {"version": reading.version, "rejected": rejected, "files": reading.files}


def _bounded(reading: Reading, limit: int) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in reading.batches:
        rows += batch.num_rows
        if rows > limit:
            raise DataError(
                f"expected at most {limit:,} rows in one read (limits.rows). Got more. "
                "Raise limits.rows or make the window shorter."
            )
        yield batch


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    size = max(1, batch.num_rows * PIECE // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, size):
        yield batch.slice(start, size)
