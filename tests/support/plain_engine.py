"""An engine that counts row by row in plain Python: the second engine, and the yardstick of every other.

It keeps no row sample, and says so. As a plugin it is ``engine: {type: plain}``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import plain_values as read
import pyarrow as pa

import driftwatch.summary.named_rows as named_rows
from driftwatch.core.schema import Column, Kind, Span
from driftwatch.engines.base import Counted, EngineConfig, SourceRows
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import SPECIAL, Counts
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.named_rows import NamedRows
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary


class PlainConfig(EngineConfig):
    type: Literal["plain"] = "plain"


CONFIG = PlainConfig


def open_engine(_config: PlainConfig) -> PlainEngine:
    return PlainEngine()


@dataclass(frozen=True)
class PlainEngine:
    def summarise(self, plan: Plan, rows: SourceRows, edges: Sequence[int], *, seal: bool = True) -> Counted:
        batches = list(rows.batches())
        return with_strays(count(plan, batches, edges, seal=seal), plan, batches, edges, rows.history)


class Absent:
    """The batch has no such column."""


SPECIAL_OF: dict[Any, str] = {
    read.Missing: "null",
    read.NotANumber: "nan",
    read.WrongType: "wrong_type",
    Absent: "absent",
}


@dataclass
class Row:
    time: int | None
    segment: str | None
    #: By column of the plan: a float, a text, or why there is neither.
    values: dict[str, Any]
    #: By identity column, as the batch holds them.
    identity: dict[str, Any] = field(default_factory=dict)


def count(
    plan: Plan, batches: Iterable[pa.RecordBatch], edges: Sequence[int], *, seal: bool = True
) -> Counted:
    tiles, outside, untimed = tiles_of(plan, batches, edges)
    spans = {low: Span(start=low, end=high) for low, high in pairwise(edges)}
    summaries = {key: summary_of(plan, rows, spans[key[0]], seal=seal) for key, rows in tiles.items()}
    rows = [row for (_, segment), tile in tiles.items() if segment is None for row in tile]
    times = [row.time for row in rows if row.time is not None]
    return Counted(
        tiles=dict(sorted(summaries.items(), key=lambda item: (item[0][0], item[0][1] or ""))),
        rows=len(rows),
        newest_row=max(times, default=None),
        outside=outside,
        untimed=untimed,
    )


def with_strays(
    counted: Counted,
    plan: Plan,
    batches: Iterable[pa.RecordBatch],
    edges: Sequence[int],
    history: Span | None,
) -> Counted:
    times = [row.time for batch in batches for row in rows_of(plan, batch) if row.time is not None]
    if plan.time_column is None or history is None:
        return counted
    outside = [time for time in times if not edges[0] <= time < edges[-1]]
    return replace(
        counted,
        early_rows=Counter(time // (86_400 * 10**9) for time in outside if time < history.start),
        future_rows=Counter(time // (86_400 * 10**9) for time in outside if time >= history.end),
    )


def tiles_of(
    plan: Plan, batches: Iterable[pa.RecordBatch], edges: Sequence[int]
) -> tuple[dict[tuple[int, str | None], list[Row]], int, int]:
    """Rows by tile and segment, and how many are outside and without time."""
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError("the edges do not increase")
    if plan.time_column is None and len(edges) > 2:
        raise ValueError("without time there is one tile")
    tiles: dict[tuple[int, str | None], list[Row]] = {(start, None): [] for start in edges[:-1]}
    outside = untimed = 0
    for batch in batches:
        for row in rows_of(plan, batch):
            if plan.time_column is not None and row.time is None:
                untimed += 1
                continue
            place = 0 if row.time is None else bisect_right(edges, row.time) - 1
            if not 0 <= place < len(edges) - 1:
                outside += 1
                continue
            tiles[edges[place], None].append(row)
            if row.segment is not None:
                tiles.setdefault((edges[place], row.segment), []).append(row)
    return tiles, outside, untimed


def rows_of(plan: Plan, batch: pa.RecordBatch) -> Iterable[Row]:
    columns: dict[str, pa.Array] = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        columns.setdefault(name, array)
    for place in range(batch.num_rows):
        time = columns.get(plan.time_column) if plan.time_column is not None else None
        yield Row(
            time=None if time is None else read.event_time(read.value_of(time[place]), plan.timezone),
            segment=segment_of(plan, columns, place),
            values={
                column.name: value_of(column, columns.get(column.name), place, plan.timezone)
                for column in plan.columns
            },
            identity={
                name: read.value_of(columns[name][place]) for name in plan.identity_columns if name in columns
            },
        )


def segment_of(plan: Plan, columns: dict[str, pa.Array], place: int) -> str | None:
    if plan.segmentation is None:
        return None
    array = columns.get(plan.segmentation.column)
    level = read.Missing if array is None else read.level(read.value_of(array[place]))
    if not isinstance(level, str):
        return "other"
    grid = plan.grids.get(plan.segmentation.column)
    form = "text" if grid is None else str(getattr(grid, "form", "text"))
    if grid is not None and plan.column(plan.segmentation.column).kind is Kind.NUMERIC:
        form = grid.precision
    form = {"number": "d", "single": "f", "half": "e"}.get(form, form)
    return (*plan.segmentation.levels, "other")[read.cell_of_level(plan.segmentation.levels, form, level)]


def value_of(column: Column, array: pa.Array | None, place: int, timezone: str) -> Any:
    if array is None:
        return Absent
    value = read.value_of(array[place])
    if column.kind is Kind.NUMERIC:
        return read.number(value)
    if column.kind is Kind.DATETIME:
        return read.seconds(value, timezone)
    if column.kind is Kind.TEXT:
        return read.length(value)
    if column.kind is Kind.VECTOR:
        return read.norm(value, array.type)
    return read.level(value)


def summary_of(plan: Plan, rows: Sequence[Row], span: Span, *, seal: bool) -> Summary:
    counts = {
        column.name: counts_of(plan, column, [row.values[column.name] for row in rows])
        for column in plan.columns
    }
    named = {
        column.name: levels
        for column in plan.columns
        if (levels := unseen_of(plan, column, [row.values[column.name] for row in rows], seal=seal))
    }
    return Summary(
        plan=plan.fingerprint,
        span=span,
        rows=len(rows),
        counts=ColumnCounts.from_mapping(counts),
        named=named,
    )


def unseen_of(plan: Plan, column: Column, values: Sequence[Any], *, seal: bool) -> NamedRows | None:
    """Levels without a cell: those with the smallest hashes, of a sealed tile the largest of these."""
    grid = plan.grids[column.name]
    rows = Counter(
        value
        for value in values
        if isinstance(grid, LevelGrid)
        and isinstance(value, str)
        and cell_of_level(grid, value) == len(grid.levels)
    )
    levels = sorted(rows, key=level_hash)[: named_rows.OPEN_LEVELS]
    if seal:
        largest = sorted(levels, key=lambda level: (-rows[level], level_hash(level)))
        levels = sorted(largest[: named_rows.SEALED_LEVELS], key=level_hash)
    return named_of(
        [level_hash(level) for level in levels],
        [rows[level] for level in levels],
        names=tuple(level if len(level) <= 80 else level[:79] + "…" for level in levels),
        limit=None if seal else named_rows.OPEN_LEVELS,
    )


def named_of(
    keys: Sequence[int], rows: Sequence[int], *, names: tuple[str, ...] = (), limit: int | None = None
) -> NamedRows | None:
    if not keys:
        return None
    return NamedRows(
        keys=np.array(keys, dtype=np.uint64), rows=np.array(rows, dtype=np.int64), names=names, limit=limit
    )


def level_hash(level: str) -> int:
    return read.bytes_hash(level.encode("utf-8", "surrogatepass"))


def counts_of(plan: Plan, column: Column, values: Sequence[Any]) -> Counts:
    grid = plan.grids[column.name]
    special: Counter[str] = Counter()
    cells: Counter[int] = Counter()
    edges = () if isinstance(grid, LevelGrid) else tuple(grid.edges.tolist())
    for value in values:
        if isinstance(value, type):
            special[SPECIAL_OF[value]] += 1
        elif isinstance(grid, LevelGrid):
            cells[cell_of_level(grid, value)] += 1
        else:
            cells[cell_of(edges, value, grid.precision)] += 1
            special["positive_infinity"] += value == float("inf")
            special["negative_infinity"] += value == float("-inf")
    return Counts(
        cells=np.array([cells[cell] for cell in range(grid.n_cells)], dtype=np.int64),
        special=np.array([special[name] for name in SPECIAL], dtype=np.int64),
    )


def cell_of_level(grid: LevelGrid, value: Any) -> int:
    form = {"number": "d", "single": "f", "half": "e"}.get(grid.form, str(grid.form))
    return read.cell_of_level(grid.levels, form, value)


def cell_of(edges: Sequence[float], value: float, precision: str = "d") -> int:
    """Cell 2i + 1 is edge i itself, cell 2i the open gap below it.

    Value and edges are compared in the narrower of their types; of equal edges the last has the value.
    """
    narrowest = min(precision, getattr(value, "precision", "d"), key="efd".index)
    value = read.rounded(value, narrowest)
    rounded = [read.rounded(edge, narrowest) for edge in edges]
    # An edge beyond the narrower type's range stays where it is.
    edges = [edge if math.isinf(near) else near for edge, near in zip(edges, rounded, strict=True)]
    above = bisect_right(edges, value)
    return 2 * above - 1 if above and edges[above - 1] == value else 2 * above
