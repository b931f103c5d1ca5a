"""A window's tiles, one per slice: those the store has, and those that must be read, once, from the source.

A window that is decided is made of the data as it is then: a slice that a glance stored before is read again
when the source's version of it changed. The same look, later, finds rows that came late. What differs becomes
a new version of the slice; verdicts keep the version that they were made of.

What was seen is not unseen: a slice stays as it was when its rows are gone (the source keeps them for less
time than we do), and while some file cannot be read (it is being written again) unless all that was seen is
still there. Fewer or other rows in files that can all be read are a correction, and taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span
from driftwatch.core.windows import slices
from driftwatch.results.results import RejectedFile
from driftwatch.store.history import History
from driftwatch.summary.moving_sum import Key, MovingSum
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary, total

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool, TilesRead

Tiles = dict[tuple[int, str | None], Summary]
Parts = dict[str | None, Summary]

#: Stands for the version of data of which some file could not be read: it is looked at again every time.
INCOMPLETE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReading:
    """The tiles of a window by (start, segment) with the version of each slice, and what was read for it.

    ``sources`` are the source's versions of the slices' data. ``fresh`` are the tiles that were read just now
    and are not in the store yet, ``late_rows`` the rows they have beyond the stored ones; ``kept`` slices are
    older than what the source has now, which is less. ``untimed`` rows that were read have no usable event
    time and are in no tile; None when nothing was read.
    """

    tiles: Tiles
    versions: dict[int, int]
    sources: dict[int, str]
    fresh: Tiles = field(default_factory=dict)
    rejected: tuple[RejectedFile, ...] = ()
    rows: int = 0
    late_rows: int = 0
    kept: int = 0
    untimed: int | None = None
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
    config: MonitorConfig,
    plan: Plan,
    readers: ReaderPool,
    edges: list[int],
    known: Sequence[str | None] | None = None,
    *,
    sums: bool = True,
    sample: bool = False,
) -> TilesRead:
    """Read tiles from the source in a reader process, without those of ``known`` versions.

    ``sums`` and the row ``sample`` are left there unless asked for.
    """
    return readers.tiles(
        plan,
        config.source,
        edges,
        seconds=config.limits.seconds,
        memory=int(config.limits.memory),
        rows=config.limits.rows,
        known=known,
        sums=sums,
        sample=sample,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSource:
    """Where a monitor's tiles come from.

    ``sums`` has those that are read come with the sums of their row sample, ``sample`` with that sample.
    """

    config: MonitorConfig
    plan: Plan
    history: History
    readers: ReaderPool
    sums: bool = True
    sample: bool = False


def pull(wells: TileSource, window: Span) -> TileReading:
    """The window's tiles as the source has them now. Raises the source's errors.

    Cheap when nothing changed since the stored ones: the source is only asked for its versions.
    """
    edges = _edges(wells.config, window)
    return _checked(wells, edges, _stored(wells, edges))


def late(wells: TileSource, window: Span) -> TileReading | None:
    """``pull`` of a decided window; None when not all of it is stored, so that nothing can be late."""
    edges = _edges(wells.config, window)
    found = _stored(wells, edges)
    if len(found.versions) < len(edges) - 1:
        return None
    return _checked(wells, edges, found)


def glance(wells: TileSource, window: Span, sliding: Mapping[str | None, MovingSum]) -> TileReading:
    """The window's tiles, of which only those that are not stored are read. Raises the source's errors.

    Those that are in the sums already come without counts.
    """
    edges = _edges(wells.config, window)
    found = _listed(wells, edges, sliding)
    missing = [place for place, edge in enumerate(edges[:-1]) if edge not in found.versions]
    if not missing:
        return found
    part = edges[missing[0] : missing[-1] + 2]
    read = _read(wells, part, [None] * (len(part) - 1))
    wanted = {edges[place] for place in missing}
    newest = wells.history.newest_versions(wells.config.name, part[0], part[-1])
    return _merged(found, read, part, newest, wanted)


def _checked(wells: TileSource, edges: list[int], found: TileReading) -> TileReading:
    """The stored slices, and in the place of those that changed what was read now."""
    # The version of a lone slice comes with its rows: a source that is slow to list is listed once.
    known = [found.sources.get(edge) for edge in edges[:-1]] if found.tiles or len(edges) > 2 else None
    read = _read(wells, edges, known)
    newest = wells.history.newest_versions(wells.config.name, edges[0], edges[-1])
    return _merged(found, read, edges, newest, {start for start, _ in read.tiles})


def _read(wells: TileSource, edges: list[int], known: Sequence[str | None] | None) -> TilesRead:
    return read_tiles(
        wells.config, wells.plan, wells.readers, edges, known, sums=wells.sums, sample=wells.sample
    )


def _edges(config: MonitorConfig, window: Span) -> list[int]:
    return slices(window, config.window.length, config.window.step, config.timezone)


def _stored(wells: TileSource, edges: list[int]) -> TileReading:
    """The slices that the store has; one of another length was cut by another configuration."""
    found = TileReading(tiles={}, versions={}, sources={})
    ends = dict(pairwise(edges))
    plan, name = wells.plan, wells.config.name
    for segment in plan.segments:
        for tile in wells.history.tiles(name, segment, edges[0], edges[-1], plan.fingerprint):
            if ends.get(tile.start) != tile.summary.span.end:
                continue
            found.tiles[tile.start, segment] = tile.summary
            if segment is None:
                found.versions[tile.start] = tile.version
                found.sources[tile.start] = tile.source_version
    return found


def _listed(wells: TileSource, edges: list[int], sliding: Mapping[str | None, MovingSum]) -> TileReading:
    """As ``_stored``; what is in the sums already is not decoded again."""
    found = TileReading(tiles={}, versions={}, sources={})
    ends = dict(pairwise(edges))
    plan, monitor, history = wells.plan, wells.config.name, wells.history
    for name in plan.segments:
        for start, version, source in history.listed(monitor, name, edges[0], edges[-1], plan.fingerprint):
            tile = sliding[name].known((start, version))
            if tile is None:
                stored = history.tile(monitor, name, start, version)
                tile = None if stored is None else stored.summary
            if tile is None or ends.get(start) != tile.span.end:
                continue
            found.tiles[start, name] = tile
            if name is None:
                found.versions[start], found.sources[start] = version, source
    return found


def slid(
    wells: TileSource, window: Span, read: TileReading, sliding: Mapping[str | None, MovingSum]
) -> Parts:
    """One summary per segment of the slices of a ``glance``: the sums of the last one, moved on.

    None of a segment of which a tile is gone from the store.
    """
    parts: Parts = {}
    plan, monitor, history = wells.plan, wells.config.name, wells.history
    for name in plan.segments:
        if any(sliding[name].known((start, read.versions[start])) for start, of in read.fresh if of == name):
            # The store has lost a slice, which was read and numbered again.
            sliding[name].forget()
        keys = [
            (start, read.versions[start]) for start, segment in sorted(read.tiles, key=str) if segment == name
        ]

        def load(key: Key, name: str | None = name) -> Summary | None:
            tile = read.tiles.get((key[0], name))
            # One of the last window has no counts with it.
            if tile is not None and tile.counts and read.versions[key[0]] == key[1]:
                return tile
            stored = history.tile(monitor, name, *key)
            return None if stored is None else stored.summary

        whole = sliding[name].total(keys, load) if keys else Summary.zero(plan, window).seal(plan)
        if whole is not None:
            parts[name] = replace(whole, span=window)
    return parts


def _merged(
    found: TileReading, read: TilesRead, edges: list[int], newest: dict[int, int], wanted: set[int]
) -> TileReading:
    """What was read of the ``wanted`` slices, in the place of what was known of them where it may."""
    now = dict(zip(edges, read.versions, strict=False))
    tiles, fresh = dict(found.tiles), Tiles()
    versions, sources = dict(found.versions), dict(found.sources)
    late_rows = kept = 0
    stored, came = _by_slice(found.tiles), _by_slice(read.tiles)
    for start in sorted(wanted):
        before, parts = stored.get(start, {}), came[start]
        if before and _same(before, parts):
            continue
        if before and _less(before, parts, incomplete=bool(read.rejected)):
            kept += 1
            continue
        late_rows += max(parts[None].rows - before[None].rows, 0) if before else 0
        for name in before:
            del tiles[start, name]
        fresh |= {(start, name): part for name, part in parts.items()}
        versions[start] = newest.get(start, 0) + 1
        sources[start] = INCOMPLETE if read.rejected else now[start]
    return TileReading(
        tiles=tiles | fresh,
        versions=versions,
        sources=sources,
        fresh=fresh,
        rejected=read.rejected,
        rows=read.rows,
        late_rows=late_rows,
        kept=kept,
        untimed=None if read.unchanged else read.untimed_rows,
        newest_row=read.newest_row,
        seconds=read.seconds,
    )


def _by_slice(tiles: Tiles) -> dict[int, Parts]:
    found: dict[int, Parts] = {}
    for (start, name), part in tiles.items():
        found.setdefault(start, {})[name] = part
    return found


def _same(before: Parts, now: Parts) -> bool:
    """True when every segment has the same rows as far as its summary tells."""
    return {name: part.drop_sample() for name, part in before.items()} == {
        name: part.drop_sample() for name, part in now.items()
    }


def _less(before: Parts, now: Parts, *, incomplete: bool) -> bool:
    """True when a slice may show less than it did for reasons that are not the data's."""
    if now[None].rows == 0:
        return before[None].rows > 0
    return incomplete and not all(name in now and _within(part, now[name]) for name, part in before.items())


def _within(before: Summary, now: Summary) -> bool:
    """True when every cell has what it had: rows came, and none went."""
    return all(
        bool(
            (counts.cells <= now.counts[name].cells).all()
            and (counts.special <= now.counts[name].special).all()
        )
        for name, counts in before.counts.items()
    )
