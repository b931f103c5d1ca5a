"""The engine of this machine: Arrow batches in, one summary per tile and segment out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.arrow.levels import Met
from driftwatch.core.arrays import Int64Array
from driftwatch.core.schema import Span
from driftwatch.engines.base import Counted
from driftwatch.engines.local.threads import Threads
from driftwatch.summary.batch import Batch, Levels
from driftwatch.summary.plan import OTHER, Plan
from driftwatch.summary.summary import Shares, Summary, total

#: Small batches of one schema are joined up to this many rows, since each costs a fixed price per column.
_JOINED = 1 << 16


def summarise(
    plan: Plan, batches: Iterable[pa.RecordBatch], boundaries: Sequence[int], *, seal: bool = True
) -> Counted:
    """Count rows in the tiles ``[boundaries[i], boundaries[i + 1])`` (nanoseconds, increasing).

    The same bytes for any split of the rows into batches and any order. Without ``plan.time_column`` every
    row goes to the only tile. Every tile has a summary of all rows, of none if there were none; segments
    only where they have rows. Memory is one batch and the summaries.
    """
    edges = np.asarray(boundaries, dtype=np.int64)
    if len(edges) < 2 or (np.diff(edges) <= 0).any():
        raise ValueError(f"boundaries: expected two or more, increasing. Got {list(boundaries)[:5]}.")
    if plan.time_column is None and len(edges) != 2:
        raise ValueError(f"a plan without time column has one tile. Got {len(edges) - 1}.")
    count = _Count(plan=plan, edges=edges)
    with Threads() as hands:
        for batch in hands.ahead(_joined(batches)):
            count.add(batch, hands)
            # The next one but one is read from here on, and finds the room of this one.
            del batch
    return count.finish(seal)


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """``summarise`` as a plugin."""

    name: str = "local"

    def summarise(
        self, plan: Plan, batches: Iterable[pa.RecordBatch], boundaries: Sequence[int], *, seal: bool = True
    ) -> Counted:
        """See ``driftwatch.engines.local.count.summarise``."""
        return summarise(plan, batches, boundaries, seal=seal)


ENGINE = LocalEngine()


@dataclass(slots=True, kw_only=True)
class _Count:
    """A count that is going on. With segments, ``parts`` holds these only: together they are all rows."""

    plan: Plan
    edges: Int64Array
    parts: dict[tuple[int, str | None], Summary] = field(default_factory=dict)
    rows: int = 0
    outside: int = 0
    untimed: int = 0
    newest: int | None = None
    met: dict[str, Met] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch, hands: Threads) -> None:
        """Count one batch."""
        plan = self.plan
        encoded = encode(
            batch,
            columns=plan.columns,
            carried=plan.carried,
            time_column=plan.time_column,
            timezone=plan.timezone,
            segment_column=None if plan.segmentation is None else plan.segmentation.column,
            salt=plan.salt,
            hashed=plan.sample_rows > 0,
            met=self.met,
            shares=hands.shares(batch),
        )
        self.untimed += encoded.untimed
        tiles = np.zeros(encoded.rows, dtype=np.int64)
        if encoded.time is not None:
            tiles = np.searchsorted(self.edges, encoded.time, side="right") - 1
            inside = (tiles >= 0) & (tiles < len(self.edges) - 1)
            if not inside.all():
                kept = np.flatnonzero(inside)
                self.outside += encoded.rows - len(kept)
                encoded, tiles = encoded.take(kept), tiles[kept]
        if not encoded.rows:
            return
        if encoded.time is not None:
            newest = int(encoded.time.max())
            self.newest = newest if self.newest is None else max(self.newest, newest)
        self.rows += encoded.rows
        self._spread(encoded, tiles, hands.shares(batch))

    def _spread(self, encoded: Batch, tiles: Int64Array, shares: Shares[Any]) -> None:
        """Sort rows by tile and segment once, then count each run."""
        split = self.plan.segmentation
        names: tuple[str | None, ...] = (None,)
        key = tiles
        if split is not None:
            names = split.names()
            key = tiles * len(names) + _segments(encoded.segment, split.levels, encoded.rows)
        first = int(key[0])
        if (key == first).all():
            self._keep(first, names, encoded, shares)
            return
        steps = np.diff(key)
        order = np.argsort(key, kind="stable") if (steps < 0).any() else None
        ordered = key if order is None else key[order]
        cuts = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)]
        for start, stop in pairwise(cuts):
            # Rows in the order of time, as most files have them, are not copied.
            run = encoded.take(slice(start, stop) if order is None else order[start:stop])
            self._keep(int(ordered[start]), names, run, shares)

    def _keep(self, key: int, names: tuple[str | None, ...], rows: Batch, shares: Shares[Any]) -> None:
        tile, segment = divmod(key, len(names))
        span = self._span(tile)
        place = (span.start, names[segment])
        known = self.parts.get(place)
        upto = None if known is None or known.sample is None else known.sample.upto
        part = Summary.of(self.plan, rows, span, shares, upto)
        self.parts[place] = part if known is None else known + part

    def _span(self, tile: int) -> Span:
        return Span(start=int(self.edges[tile]), end=int(self.edges[tile + 1]))

    def finish(self, seal: bool) -> Counted:
        """All tiles, those without rows too."""
        tiles = dict(self.parts)
        spans = [self._span(tile) for tile in range(len(self.edges) - 1)]
        mine: dict[int, list[Summary]] = {span.start: [] for span in spans}
        for (start, _), part in self.parts.items():
            mine[start].append(part)
        for span in spans:
            parts = mine[span.start]
            tiles[span.start, None] = total(parts) if parts else Summary.zero(self.plan, span)
        if seal:
            tiles = {place: part.seal(self.plan) for place, part in tiles.items()}
        return Counted(
            tiles=dict(sorted(tiles.items(), key=lambda item: (item[0][0], item[0][1] or ""))),
            rows=self.rows,
            newest_row=self.newest,
            outside=self.outside,
            untimed=self.untimed,
        )


def _segments(column: Levels | None, listed: tuple[str, ...], rows: int) -> Int64Array:
    """Number of each row's segment; what is not listed or missing falls to the last, ``other``."""
    rest = listed.index(OTHER) if OTHER in listed else len(listed)
    if column is None:
        return np.full(rows, rest, dtype=np.int64)
    number = {level: place for place, level in enumerate(listed)}
    table = np.array([*(number.get(level, rest) for level in column.levels), rest, rest], dtype=np.int64)
    return table[column.codes]


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows in fewer batches, in order."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if not held and batch.num_rows > _JOINED // 4:
            # No other is waited for: each that is held weighs as much as one that is counted.
            yield batch
            continue
        if held and (rows + batch.num_rows > _JOINED or batch.schema != held[0].schema):
            yield from _together(held)
            held, rows = [], 0
        held.append(batch)
        rows += batch.num_rows
    yield from _together(held)


def _together(held: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if len(held) < 2:
        yield from held
        return
    yield from pa.Table.from_batches(held).combine_chunks().to_batches()
