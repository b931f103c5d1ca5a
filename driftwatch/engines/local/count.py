"""Counts Arrow batches into one summary per tile and segment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.arrow.levels import DictionaryMemo
from driftwatch.columns.arrow.type_names import type_name
from driftwatch.core.arrays import Int64Array
from driftwatch.core.schema import NANOSECONDS, Span, TypeNames, merge_type_names
from driftwatch.engines.base import Counted, SourceRows
from driftwatch.engines.local.threads import Threads
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import ParallelMap, Summary, total

#: Small batches of one schema are joined up to this many rows, since each batch has a fixed cost per column.
_JOINED_ROWS = 1 << 16
_DAY = 86_400 * NANOSECONDS
#: Characters of a type's name: that of a structure lists its fields.
_MAX_TYPE_CHARS = 80


def summarise(
    plan: Plan,
    batches: Iterable[pa.RecordBatch],
    boundaries: Sequence[int],
    *,
    seal: bool = True,
    history: Span | None = None,
) -> Counted:
    """Count rows in the tiles ``[boundaries[i], boundaries[i + 1])`` (nanoseconds, increasing).

    The result is the same, bit for bit, for any split of the rows into batches and any order. Every tile has
    a summary of all rows, even without rows; a segment only where it has rows. Memory holds one batch and the
    summaries.
    """
    edges = np.asarray(boundaries, dtype=np.int64)
    if len(edges) < 2 or (np.diff(edges) <= 0).any():
        raise ValueError(f"boundaries: expected two or more, increasing. Got {list(boundaries)[:5]}.")
    # Without a time column every row belongs to the only tile.
    if plan.time_column is None and len(edges) != 2:
        raise ValueError(f"a plan without time column has one tile. Got {len(edges) - 1}.")
    count = _Count(plan=plan, edges=edges, history=history)
    with Threads() as threads:
        for batch in threads.prefetch(_joined(batches)):
            count.add(batch, threads)
            # The batch after the next is read from this point on and may reuse this one's memory.
            del batch
    return count.finish(seal)


@dataclass(frozen=True, slots=True)
class LocalEngine:
    def summarise(self, plan: Plan, rows: SourceRows, edges: Sequence[int], *, seal: bool = True) -> Counted:
        return summarise(plan, rows.batches(), edges, seal=seal, history=rows.history)


@dataclass(slots=True, kw_only=True)
class _Count:
    plan: Plan
    edges: Int64Array
    history: Span | None = None
    #: With segments only their summaries, which add up to all rows.
    parts: dict[tuple[int, str | None], Summary] = field(default_factory=dict)
    rows: int = 0
    outside: int = 0
    untimed: int = 0
    early_rows: Counter[int] = field(default_factory=Counter)
    future_rows: Counter[int] = field(default_factory=Counter)
    newest: int | None = None
    memos: dict[str, DictionaryMemo] = field(default_factory=dict)
    #: By start of the tile.
    types: dict[int, TypeNames] = field(default_factory=dict)
    #: Cells of the segments' levels; None without segments.
    segment_grid: LevelGrid | None = field(init=False)

    def __post_init__(self) -> None:
        self.segment_grid = self.plan.segment_grid

    def add(self, batch: pa.RecordBatch, threads: Threads) -> None:
        plan = self.plan
        encoded = encode(
            batch,
            columns=plan.columns,
            carried=plan.identity_columns,
            time_column=plan.time_column,
            timezone=plan.timezone,
            segment_column=None if plan.segmentation is None else plan.segmentation.column,
            salt=plan.salt,
            hashed=plan.sample_rows > 0,
            memos=self.memos,
            shares=threads.shares(batch),
        )
        self.untimed += encoded.untimed_rows
        tiles = np.zeros(encoded.rows, dtype=np.int64)
        if encoded.time is not None:
            tiles = np.searchsorted(self.edges, encoded.time, side="right") - 1
            inside = (tiles >= 0) & (tiles < len(self.edges) - 1)
            if not inside.all():
                rows_inside = np.flatnonzero(inside)
                self._count_outside(encoded.time[~inside])
                encoded, tiles = encoded.take(rows_inside), tiles[rows_inside]
        if not encoded.rows:
            return
        if encoded.time is not None:
            newest = int(encoded.time.max())
            self.newest = newest if self.newest is None else max(self.newest, newest)
        self.rows += encoded.rows
        self._count_by_tile(encoded, tiles, threads.shares(batch), _type_names(batch, encoded))

    def _count_outside(self, times: Int64Array) -> None:
        self.outside += len(times)
        if self.history is None:
            return
        self.early_rows.update(_by_day(times[times < self.history.start]))
        self.future_rows.update(_by_day(times[times >= self.history.end]))

    def _count_by_tile(
        self, encoded: Batch, tiles: Int64Array, shares: ParallelMap[Any], types: TypeNames
    ) -> None:
        # Rows are sorted by tile and segment once, then each run of equal keys is counted.
        split, grid = self.plan.segmentation, self.segment_grid
        names: tuple[str | None, ...] = (None,)
        key = tiles
        if split is not None and grid is not None:
            names = split.names()
            key = tiles * len(names) + _segments(encoded.segment, grid, encoded.rows)
        first = int(key[0])
        if (key == first).all():
            self._add_rows(first, names, encoded, shares, types)
            return
        steps = np.diff(key)
        order = np.argsort(key, kind="stable") if (steps < 0).any() else None
        ordered = key if order is None else key[order]
        cuts = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)]
        for start, stop in pairwise(cuts):
            # Rows in time order, as in most files, are sliced without a copy.
            run = encoded.take(slice(start, stop) if order is None else order[start:stop])
            self._add_rows(int(ordered[start]), names, run, shares, types)

    def _add_rows(
        self,
        key: int,
        names: tuple[str | None, ...],
        rows: Batch,
        shares: ParallelMap[Any],
        types: TypeNames,
    ) -> None:
        tile, segment = divmod(key, len(names))
        span = self._span(tile)
        tile_key = (span.start, names[segment])
        previous = self.parts.get(tile_key)
        upto = None if previous is None or previous.sample is None else previous.sample.max_hash
        part = Summary.from_batch(self.plan, rows, span, shares, upto)
        self.parts[tile_key] = part if previous is None else previous + part
        self._add_types(span.start, rows, types)

    def _add_types(self, start: int, rows: Batch, types: TypeNames) -> None:
        tile_types = self.types.get(start, {})
        new_types = {
            column: names
            for column, names in types.items()
            if (present := tile_types.get(column, ())) != names
            and not set(names) <= set(present)
            and _has_value(rows.columns[column])
        }
        if new_types:
            self.types[start] = merge_type_names([tile_types, new_types])

    def _span(self, tile: int) -> Span:
        return Span(start=int(self.edges[tile]), end=int(self.edges[tile + 1]))

    def finish(self, seal: bool) -> Counted:
        tiles = dict(self.parts)
        spans = [self._span(tile) for tile in range(len(self.edges) - 1)]
        by_start: dict[int, list[Summary]] = {span.start: [] for span in spans}
        for (start, _), part in self.parts.items():
            by_start[start].append(part)
        for span in spans:
            parts = by_start[span.start]
            tiles[span.start, None] = total(parts) if parts else Summary.zero(self.plan, span)
        if seal:
            tiles = {tile_key: part.seal(self.plan) for tile_key, part in tiles.items()}
        return Counted(
            tiles=dict(sorted(tiles.items(), key=lambda item: (item[0][0], item[0][1] or ""))),
            rows=self.rows,
            newest_row=self.newest,
            outside=self.outside,
            untimed=self.untimed,
            early_rows=dict(self.early_rows),
            future_rows=dict(self.future_rows),
            types=self.types,
        )


def _type_names(batch: pa.RecordBatch, encoded: Batch) -> TypeNames:
    types: dict[str, tuple[str, ...]] = {}
    for name, data_type in zip(batch.schema.names, batch.schema.types, strict=True):
        # Of two columns of one name the first counts.
        if name in encoded.columns and name not in types:
            text = type_name(data_type)
            types[name] = () if text is None else (text[:_MAX_TYPE_CHARS],)
    return {name: names for name, names in types.items() if names}


def _has_value(column: Numbers | Levels) -> bool:
    if isinstance(column, Numbers):
        return column.nulls is None or len(column.nulls) < len(column.values)
    return bool((column.codes != -1).any())


def _by_day(times: Int64Array) -> dict[int, int]:
    days, rows = np.unique(times // _DAY, return_counts=True)
    return dict(zip(days.tolist(), rows.tolist(), strict=True))


def _segments(column: Levels | None, grid: LevelGrid, rows: int) -> Int64Array:
    """Return each row's segment number; missing and unlisted levels belong to ``other``, the last."""
    other = len(grid.levels)
    if column is None:
        return np.full(rows, other, dtype=np.int64)
    numbers = grid.index(column)
    return np.where(numbers < 0, other, numbers)


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    pending: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if not pending and batch.num_rows > _JOINED_ROWS // 4:
            # A large batch is passed on at once: holding one back costs as much memory as counting it.
            yield batch
            continue
        if pending and (rows + batch.num_rows > _JOINED_ROWS or batch.schema != pending[0].schema):
            yield from _concatenated(pending)
            pending, rows = [], 0
        pending.append(batch)
        rows += batch.num_rows
    yield from _concatenated(pending)


def _concatenated(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if len(batches) < 2:
        yield from batches
        return
    yield from pa.Table.from_batches(batches).combine_chunks().to_batches()
