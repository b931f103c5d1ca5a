"""Counts past production on the plan in force, where the stored tiles are on an older one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from driftwatch.core.schema import Span
from driftwatch.core.windows import slice_boundaries, window_boundaries
from driftwatch.detectors.base import requires_sums
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.tiles import read_tiles
from driftwatch.summary.summary import Summary

TilesBySegment = dict[str | None, list[Summary]]
#: Windows that one read counts, which bounds its memory.
_WINDOWS_PER_READ = 16


def stored_tiles(monitor: Monitor, span: Span) -> TilesBySegment:
    """Return the newest stored tiles on the plan in force, oldest first."""
    plan, name = monitor.reference.plan, monitor.config.name
    return {
        segment: [
            tile.summary
            for tile in monitor.history.tiles.newest(name, segment, span.start, span.end, plan.fingerprint)
        ]
        for segment in plan.segments
    }


def is_counted(monitor: Monitor, span: Span) -> bool:
    """Return whether every slice stored in ``span`` is stored on the plan in force too."""
    plan, name, tiles = monitor.reference.plan, monitor.config.name, monitor.history.tiles
    starts = {start for start, *_ in tiles.newest_keys(name, None, span.start, span.end, plan.fingerprint)}
    return starts.issuperset(tiles.newest_versions(name, span.start, span.end))


def recounted_tiles(monitor: Monitor, span: Span) -> TilesBySegment:
    """Return tiles of the windows in ``span``: stored ones where they are complete, else what the source has.

    Raises the source's errors.
    """
    stored = stored_tiles(monitor, span)
    tiles: TilesBySegment = {segment: [] for segment in monitor.reference.plan.segments}
    missing_windows = []
    for window in _windows(monitor, span):
        if _is_covered(window, stored[None]):
            for segment, items in stored.items():
                tiles[segment] += [item for item in items if _lies_in(item, window)]
        else:
            missing_windows.append(window)
    for first in range(0, len(missing_windows), _WINDOWS_PER_READ):
        for segment, tile in _read(monitor, missing_windows[first : first + _WINDOWS_PER_READ]):
            tiles[segment].append(tile)
    return {
        segment: sorted((item for item in items if item.rows), key=lambda item: item.span.start)
        for segment, items in tiles.items()
    }


def _windows(monitor: Monitor, span: Span) -> list[Span]:
    config = monitor.config
    edges = window_boundaries(config.window.length, config.timezone, span.start, span.end)
    return [
        Span(start=max(start, span.start), end=min(end, span.end))
        for start, end in pairwise(edges)
        if min(end, span.end) > max(start, span.start)
    ]


def _lies_in(tile: Summary, window: Span) -> bool:
    return window.start <= tile.span.start and tile.span.end <= window.end


def _is_covered(window: Span, tiles: Sequence[Summary]) -> bool:
    # Another window length may have cut other slices, of which one can reach into the next window.
    position = window.start
    for tile in tiles:
        if _lies_in(tile, window):
            if tile.span.start != position:
                return False
            position = tile.span.end
    return position == window.end


def _read(monitor: Monitor, windows: Sequence[Span]) -> Iterator[tuple[str | None, Summary]]:
    config, keep_samples = monitor.config, monitor.recorder.keep_samples
    edges: set[int] = set()
    for window in windows:
        edges.update(slice_boundaries(window, config.window.length, config.window.step, config.timezone))
    tiles_read = read_tiles(
        config,
        monitor.reference.plan,
        monitor.readers,
        sorted(edges),
        sums=requires_sums(detector for detector, _ in monitor.evaluator.targets),
        sample=keep_samples,
    )
    for (_, segment), tile in tiles_read.tiles.items():
        # Windows in between are stored.
        if any(_lies_in(tile, window) for window in windows):
            yield segment, tile if keep_samples else tile.drop_sample()
