"""Decided windows as they were cut: a change of the settings cuts windows, slices or cells anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from driftwatch.core.schema import Span
from driftwatch.core.windows import slice_boundaries
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.tiles import stored_tiles
from driftwatch.store.records import StoredCut


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedWindow:
    cut: StoredCut
    #: Boundaries of its slices.
    edges: tuple[int, ...]
    #: The source's version of each slice that was stored, when it was read.
    versions: Mapping[Span, str]

    @property
    def window(self) -> Span:
        return self.cut.window


def decided_windows(monitor: Monitor, windows: Sequence[Span]) -> list[DecidedWindow]:
    """Return the windows with a verdict that overlap ``windows`` of today's length, oldest first."""
    verdicts, name = monitor.history.verdicts, monitor.config.name
    cuts = {cut for window in windows for cut in verdicts.cuts(name, window)}
    ordered = sorted(cuts, key=lambda cut: (cut.window.end, cut.window.start))
    return [_decided_window(monitor, cut) for cut in ordered]


def _decided_window(monitor: Monitor, cut: StoredCut) -> DecidedWindow:
    config, plan, window = monitor.config, monitor.reference.plan, cut.window
    today = slice_boundaries(window, config.window.length, config.window.step, config.timezone)
    edges = today if cut.configuration == monitor.configuration else _edges_of_tiles(monitor, cut) or today
    if edges == today:
        keys = monitor.history.tiles.newest_keys(
            config.name, None, window.start, window.end, plan.fingerprint
        )
        versions = {start: version for start, _, version in keys}
    else:
        versions = dict(stored_tiles(monitor.tile_source(), edges).source_versions)
    # No row of a slice that was never stored can be late.
    versions = versions or versions_on_other_cells(monitor, cut)
    slices = [Span(start=start, end=end) for start, end in pairwise(edges) if start in versions]
    return DecidedWindow(
        cut=cut, edges=tuple(edges), versions={item: versions[item.start] for item in slices}
    )


def _edges_of_tiles(monitor: Monitor, cut: StoredCut) -> list[int] | None:
    """Return the boundaries of the slices that a window was decided on; None if the store has lost some."""
    tiles = [monitor.history.tiles.get(monitor.config.name, None, *tile) for tile in cut.tiles]
    spans = sorted((tile.summary.span for tile in tiles if tile is not None), key=lambda span: span.start)
    is_whole = all(first.end == second.start for first, second in pairwise(spans))
    if not spans or not is_whole or (spans[0].start, spans[-1].end) != (cut.window.start, cut.window.end):
        return None
    return [*(span.start for span in spans), cut.window.end]


def versions_on_other_cells(monitor: Monitor, cut: StoredCut) -> dict[int, str]:
    """Return the source's versions of a window that was judged on other cells, by start of the slice."""
    if cut.reference == monitor.reference.fingerprint:
        return {}
    plan = monitor.reference.plan.fingerprint
    tiles = [monitor.history.tiles.get(monitor.config.name, None, *tile) for tile in cut.tiles]
    return {
        tile.start: tile.source_version for tile in tiles if tile is not None and tile.summary.plan != plan
    }


def judged_rows(monitor: Monitor, window: Span) -> int:
    """Return the rows of a window that its verdict and its late parts rest on."""
    name, history = monitor.config.name, monitor.history
    parts = history.late_parts.all_of_window(name, None, window.end)
    data = history.verdicts.get(name, None, window.end)
    return sum(int(item["rows"]) for item in (*parts, data) if item is not None)
