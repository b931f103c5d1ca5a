"""Reads a window's tiles, one per time slice: stored ones, and new or changed ones from the source.

A window is decided on the data that the source has at that moment: a slice stored by a gauge refresh is read
again when the source's version of it changed. Reading a decided window again finds late rows. Changed data
becomes a new version of the slice; verdicts keep their versions.

Stored slices never shrink: the stored version stays if the source no longer has the rows (its retention is
shorter than ours), or if a cell lost rows while a file cannot be read (it is being rewritten) or messages
cannot be decoded. Fewer or other rows in readable files are a correction, and replace it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span, merge_type_names
from driftwatch.core.windows import slice_boundaries
from driftwatch.monitor.reading import Parts, Reading, Tiles, is_growth, lost_rows, same_rows
from driftwatch.monitor.stray_rows import past_of, with_strays
from driftwatch.results.results import FileProblem
from driftwatch.store.history import History
from driftwatch.summary.moving_sum import MovingSum, TileKey
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool, TilesRead

#: Source version of a slice with an unreadable file or message: it matches no version, so the slice is read
#: again. Files in quarantine are left out of it by a version of its own.
INCOMPLETE_SOURCE_VERSION = ""


def read_tiles(
    config: MonitorConfig,
    plan: Plan,
    readers: ReaderPool,
    edges: Sequence[int],
    stored_versions: Sequence[str | None] | None = None,
    *,
    history: Span | None = None,
    sums: bool = True,
    sample: bool = False,
) -> TilesRead:
    """Read tiles in a reader process, except slices whose source version is already stored.

    Rows outside the ``history`` are counted. The row ``sample`` and its ``sums`` are computed only on
    request.
    """
    return readers.tiles(
        plan,
        config.source,
        edges,
        seconds=config.limits.seconds,
        memory=int(config.limits.memory),
        rows=config.limits.rows,
        history=history,
        stored_versions=stored_versions,
        sums=sums,
        sample=sample,
        engine=config.engine,
        decode=config.decode,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSource:
    config: MonitorConfig
    plan: Plan
    history: History
    readers: ReaderPool
    sums: bool = True
    sample: bool = False


def read_window(tile_source: TileSource, window: Span, now: int) -> Reading:
    """Return a window's tiles as the source has them now. Raises the source's errors.

    An unchanged window is cheap: only versions are compared.
    """
    config, edges = tile_source.config, _slice_edges(tile_source.config, window)
    past = past_of(config, tile_source.history, window, now)
    reading, tiles_read = _read_changes(tile_source, edges, stored_tiles(tile_source, edges), past)
    return with_strays(reading, tiles_read, reading.rows, window, config.window)


def reread_window(tile_source: TileSource, edges: Sequence[int]) -> Reading | None:
    """Read a decided window again for late rows; None when not all of its tiles are stored."""
    stored = stored_tiles(tile_source, edges)
    # No row of a tile that was never stored can be late.
    if len(stored.versions) < len(edges) - 1:
        return None
    return _read_changes(tile_source, edges, stored)[0]


def read_missing(
    tile_source: TileSource, window: Span, moving_sums: Mapping[str | None, MovingSum]
) -> Reading:
    """Return a window's tiles, reading those not stored; tiles within ``moving_sums`` come without counts.

    Raises the source's errors.
    """
    edges = _slice_edges(tile_source.config, window)
    stored = _listed_tiles(tile_source, edges, moving_sums)
    missing_slices = [index for index, edge in enumerate(edges[:-1]) if edge not in stored.versions]
    if not missing_slices:
        return stored
    read_edges = edges[missing_slices[0] : missing_slices[-1] + 2]
    n_slices = len(read_edges) - 1
    # As in ``_read_changes``: the version of a single slice comes with its rows.
    tiles_read = _read(tile_source, read_edges, [None] * n_slices if n_slices > 1 else None)
    missing_starts = {edges[index] for index in missing_slices}
    newest_versions = tile_source.history.tiles.newest_versions(
        tile_source.config.name, read_edges[0], read_edges[-1]
    )
    return _merge(stored, tiles_read, read_edges, newest_versions, missing_starts)


def _read_changes(
    tile_source: TileSource, edges: Sequence[int], stored: Reading, past: Span | None = None
) -> tuple[Reading, TilesRead]:
    # The source version of a single slice comes with its rows: a source that is slow to list is listed once.
    stored_versions = (
        [stored.source_versions.get(edge) for edge in edges[:-1]] if stored.tiles or len(edges) > 2 else None
    )
    tiles_read = _read(tile_source, edges, stored_versions, past)
    newest_versions = tile_source.history.tiles.newest_versions(tile_source.config.name, edges[0], edges[-1])
    starts = {start for start, _ in tiles_read.tiles}
    return _merge(stored, tiles_read, edges, newest_versions, starts), tiles_read


def _read(
    tile_source: TileSource,
    edges: Sequence[int],
    stored_versions: Sequence[str | None] | None,
    past: Span | None = None,
) -> TilesRead:
    return read_tiles(
        tile_source.config,
        tile_source.plan,
        tile_source.readers,
        edges,
        stored_versions,
        history=past,
        sums=tile_source.sums,
        sample=tile_source.sample,
    )


def _slice_edges(config: MonitorConfig, window: Span) -> list[int]:
    return slice_boundaries(window, config.window.length, config.window.step, config.timezone)


def stored_tiles(tile_source: TileSource, edges: Sequence[int]) -> Reading:
    """Return the newest stored version of each slice between the edges."""
    tiles: dict[tuple[int, str | None], Summary] = {}
    versions: dict[int, int] = {}
    source_versions: dict[int, str] = {}
    ends = dict(pairwise(edges))
    plan, name = tile_source.plan, tile_source.config.name
    damaged_starts: set[int] = set()
    for segment in plan.segments:
        stored, damaged = tile_source.history.tiles.read(name, segment, edges[0], edges[-1], plan.fingerprint)
        damaged_starts |= damaged
        for tile in stored:
            end = ends.get(tile.start)
            if end is None:
                continue
            if end != tile.summary.span.end:
                # Another configuration cut slices of another length since, or before.
                older = tile_source.history.tiles.newest_of_span(
                    name, segment, Span(start=tile.start, end=end), plan.fingerprint
                )
                if older is None:
                    continue
                tile = older
            tiles[tile.start, segment] = tile.summary
            if segment is None:
                versions[tile.start] = tile.version
                source_versions[tile.start] = tile.source_version
    return _without_slices(tiles, versions, source_versions, damaged_starts)


def _without_slices(
    tiles: dict[tuple[int, str | None], Summary],
    versions: dict[int, int],
    source_versions: dict[int, str],
    starts: set[int],
) -> Reading:
    """Leave out slices with a damaged tile of any segment: they are read again as a whole."""
    return Reading(
        tiles={key: tile for key, tile in tiles.items() if key[0] not in starts} if starts else tiles,
        versions={start: item for start, item in versions.items() if start not in starts},
        source_versions={start: item for start, item in source_versions.items() if start not in starts},
    )


def _listed_tiles(
    tile_source: TileSource, edges: Sequence[int], moving_sums: Mapping[str | None, MovingSum]
) -> Reading:
    tiles: dict[tuple[int, str | None], Summary] = {}
    versions: dict[int, int] = {}
    source_versions: dict[int, str] = {}
    ends = dict(pairwise(edges))
    plan, monitor, history = tile_source.plan, tile_source.config.name, tile_source.history
    damaged_starts: set[int] = set()
    for segment in plan.segments:
        for start, version, source_version in history.tiles.newest_keys(
            monitor, segment, edges[0], edges[-1], plan.fingerprint
        ):
            # A tile in the moving sums is not decoded again.
            tile = moving_sums[segment].tile((start, version))
            if tile is None:
                stored = history.tiles.get(monitor, segment, start, version)
                tile = None if stored is None else stored.summary
            if tile is None:
                damaged_starts.add(start)
            if tile is None or ends.get(start) != tile.span.end:
                continue
            tiles[start, segment] = tile
            if segment is None:
                versions[start], source_versions[start] = version, source_version
    return _without_slices(tiles, versions, source_versions, damaged_starts)


def moved_window(
    tile_source: TileSource, window: Span, reading: Reading, moving_sums: Mapping[str | None, MovingSum]
) -> Parts:
    """Move the sums to the next window and return a summary per segment.

    A segment is left out if the store has lost one of its tiles.
    """
    summaries: Parts = {}
    plan, monitor, history = tile_source.plan, tile_source.config.name, tile_source.history
    for segment in plan.segments:
        if any(
            moving_sums[segment].tile((start, reading.versions[start]))
            for start, new_segment in reading.new_tiles
            if new_segment == segment
        ):
            # The store lost a slice, which was read and numbered again.
            moving_sums[segment].clear()
        keys = [
            (start, reading.versions[start])
            for start, tile_segment in sorted(reading.tiles, key=str)
            if tile_segment == segment
        ]

        def load(key: TileKey, segment: str | None = segment) -> Summary | None:
            tile = reading.tiles.get((key[0], segment))
            # A tile of the last window comes without counts.
            if tile is not None and tile.counts and reading.versions[key[0]] == key[1]:
                return tile
            stored = history.tiles.get(monitor, segment, *key)
            return None if stored is None else stored.summary

        window_sum = moving_sums[segment].total(keys, load) if keys else Summary.zero(plan, window).seal(plan)
        if window_sum is not None:
            summaries[segment] = replace(window_sum, span=window)
    return summaries


def _merge(
    stored_reading: Reading,
    tiles_read: TilesRead,
    edges: Sequence[int],
    newest_versions: dict[int, int],
    starts: set[int],
) -> Reading:
    current_versions = dict(zip(edges, tiles_read.versions, strict=False))
    tiles, new_tiles = dict(stored_reading.tiles), dict[tuple[int, str | None], Summary]()
    versions, source_versions = dict(stored_reading.versions), dict(stored_reading.source_versions)
    late_rows = retained_slices = corrected_slices = 0
    stored_slices, read_slices = _group_by_slice(stored_reading.tiles), _group_by_slice(tiles_read.tiles)
    undecodable_starts = {item.start for item in tiles_read.undecodable}
    # What is in quarantine is part of the version.
    has_mendable = any(item.problem is not FileProblem.QUARANTINED for item in tiles_read.rejected)
    for start in sorted(starts):
        stored_parts, read_parts = stored_slices.get(start, {}), read_slices[start]
        if stored_parts and same_rows(stored_parts, read_parts):
            continue
        is_incomplete = bool(tiles_read.rejected) or start in undecodable_starts
        may_mend = has_mendable or start in undecodable_starts
        if stored_parts and lost_rows(stored_parts, read_parts, incomplete=is_incomplete):
            retained_slices += 1
            continue
        corrected_slices += bool(stored_parts) and not is_growth(stored_parts, read_parts)
        late_rows += max(read_parts[None].rows - stored_parts[None].rows, 0) if stored_parts else 0
        for segment in stored_parts:
            del tiles[start, segment]
        new_tiles |= {(start, segment): part for segment, part in read_parts.items()}
        versions[start] = newest_versions.get(start, 0) + 1
        source_versions[start] = INCOMPLETE_SOURCE_VERSION if may_mend else current_versions[start]
    return Reading(
        tiles=tiles | new_tiles,
        versions=versions,
        source_versions=source_versions,
        new_tiles=new_tiles,
        rejected=tiles_read.rejected,
        rows_read=tiles_read.rows,
        late_rows=late_rows,
        corrected_slices=corrected_slices,
        retained_slices=retained_slices,
        untimed_rows=None if tiles_read.unchanged else tiles_read.untimed_rows,
        undecodable=tiles_read.undecodable,
        other_columns=tiles_read.other_columns,
        types=merge_type_names(tiles_read.types.values()),
        newest_row=tiles_read.newest_row,
        read_seconds=tiles_read.seconds,
    )


def _group_by_slice(tiles: Tiles) -> dict[int, Parts]:
    parts_by_slice: dict[int, Parts] = {}
    for (start, segment), part in tiles.items():
        parts_by_slice.setdefault(start, {})[segment] = part
    return parts_by_slice
