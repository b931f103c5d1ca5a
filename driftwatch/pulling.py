"""A window's tiles: those the store has, and the missing ones read once from the source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from driftwatch.config.schema import MonitorConfig
from driftwatch.store.history import History
from driftwatch.store.records import StoredTile
from driftwatch.summary.plan import Plan
from driftwatch.summary.result import RejectedFile
from driftwatch.summary.schema import Span
from driftwatch.summary.summary import Summary, total
from driftwatch.windows import boundaries

if TYPE_CHECKING:
    from driftwatch.reading.pool import ReaderPool, TilesRead

Tiles = dict[tuple[int, str | None], Summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """The tiles of a window by (start, segment) with the version of each start, and what was read for it.

    ``fresh`` are the tiles that were read just now and are not in the store yet.
    """

    tiles: Tiles
    versions: dict[int, int]
    fresh: Tiles
    source_version: str
    rejected: tuple[RejectedFile, ...] = ()
    rows: int = 0
    newest_row: int | None = None
    seconds: float = 0.0

    def windows(self, plan: Plan, window: Span) -> dict[str | None, Summary]:
        """One summary per segment: the sum of its tiles, none when it had no rows."""
        parts = {}
        for name in plan.segments:
            mine = [part for (_, segment), part in self.tiles.items() if segment == name]
            whole = total(mine) if mine else Summary.zero(plan, window).seal(plan)
            parts[name] = replace(whole, span=window)
        return parts

    def used(self, segment: str | None) -> tuple[tuple[int, int], ...]:
        """(start, version) of each tile of a segment, for the verdict."""
        return tuple(
            (start, self.versions[start]) for start, name in sorted(self.tiles, key=str) if name == segment
        )


def read_tiles(
    config: MonitorConfig, plan: Plan, readers: ReaderPool, edges: list[int], known: str | None = None
) -> TilesRead:
    """Read tiles from the source in a reader process."""
    return readers.tiles(
        plan,
        config.source,
        edges,
        seconds=config.limits.seconds,
        memory=int(config.limits.memory),
        rows=config.limits.rows,
        known_version=known,
    )


def pull(config: MonitorConfig, plan: Plan, history: History, readers: ReaderPool, window: Span) -> Pulled:
    """The window's tiles. Stored ones are not read again. Raises the source's errors."""
    edges = boundaries(config.window.step, config.timezone, window.start, window.end)
    tiles: Tiles = {}
    versions: dict[int, int] = {}
    if len(edges) > 2:
        tiles, versions = _stored(config, plan, history, window)
    missing = [edge for edge in edges[:-1] if edge not in versions]
    if not missing:
        return Pulled(tiles=tiles, versions=versions, fresh={}, source_version="")
    read = read_tiles(config, plan, readers, edges[edges.index(missing[0]) :])
    fresh = {key: part for key, part in read.tiles.items() if key[0] in missing}
    return Pulled(
        tiles={**tiles, **fresh},
        versions={**versions, **dict.fromkeys(missing, 1)},
        fresh=fresh,
        source_version=read.version,
        rejected=tuple(read.rejected),
        rows=read.rows,
        newest_row=read.newest_row,
        seconds=read.seconds,
    )


def _stored(
    config: MonitorConfig, plan: Plan, history: History, window: Span
) -> tuple[Tiles, dict[int, int]]:
    tiles: Tiles = {}
    versions: dict[int, int] = {}
    for segment in plan.segments:
        for tile in history.tiles(config.name, segment, window.start, window.end, plan.fingerprint):
            tiles[tile.start, segment] = tile.summary
            if segment is None:
                versions[tile.start] = tile.version
    return tiles, versions


def late_tiles(
    config: MonitorConfig, plan: Plan, history: History, readers: ReaderPool, window: Span
) -> tuple[list[StoredTile], int]:
    """New versions of a decided window's tiles whose data changed since, and how many rows came late.

    Cheap when nothing changed: the source is only asked for its version.
    """
    edges = boundaries(config.window.step, config.timezone, window.start, window.end)
    late: list[StoredTile] = []
    rows = 0
    known = {
        (tile.start, segment): tile
        for segment in plan.segments
        for tile in history.tiles(config.name, segment, window.start, window.end, plan.fingerprint)
    }
    first = known.get((edges[0], None))
    if first is None or any((edge, None) not in known for edge in edges[:-1]):
        return [], 0
    read = read_tiles(config, plan, readers, edges, first.source_version)
    if read.unchanged:
        return [], 0
    for (start, segment), part in read.tiles.items():
        old = known.get((start, segment))
        if old is not None and old.summary.counts == part.counts and old.summary.rows == part.rows:
            continue
        version = known[start, None].version + 1
        late.append(
            StoredTile(
                segment=segment,
                start=start,
                version=version,
                source_version=read.version,
                summary=part.drop_sample(),
            )
        )
        if segment is None and old is not None:
            rows += max(part.rows - old.summary.rows, 0)
    return late, rows
