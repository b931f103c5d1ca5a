"""Decided windows as they were cut: a change of the settings cuts windows, slices or cells anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from driftwatch.core.schema import Span
from driftwatch.core.windows import slice_boundaries
from driftwatch.monitor.check import Monitor


def decided_windows(monitor: Monitor, windows: Sequence[Span]) -> list[Span]:
    """Return the windows with a verdict that overlap ``windows`` of today's length, oldest first."""
    verdicts, name = monitor.history.verdicts, monitor.config.name
    spans = {span for window in windows for span in verdicts.spans(name, window)}
    return sorted(spans, key=lambda span: (span.end, span.start))


def decided_edges(monitor: Monitor, window: Span) -> list[int]:
    """Return the boundaries of the slices that a window was decided on, of which the last one is its end."""
    config, name = monitor.config, monitor.config.name
    today = slice_boundaries(window, config.window.length, config.window.step, config.timezone)
    data = monitor.history.verdicts.get(name, None, window.end)
    if data is None or data["configuration"] == monitor.configuration:
        return today
    spans = []
    for start, version in data["tiles"]:
        tile = monitor.history.tiles.get(name, None, start, version)
        if tile is not None:
            spans.append(tile.summary.span)
    spans.sort(key=lambda span: span.start)
    is_whole = all(first.end == second.start for first, second in pairwise(spans))
    if not spans or not is_whole or (spans[0].start, spans[-1].end) != (window.start, window.end):
        return today
    return [*(span.start for span in spans), window.end]


def versions_on_other_cells(monitor: Monitor, window: Span) -> dict[int, str]:
    """Return the source's versions of a window that was judged on other cells, by start of the slice."""
    name, plan = monitor.config.name, monitor.reference.plan.fingerprint
    data = monitor.history.verdicts.get(name, None, window.end)
    if data is None or data["reference"] == monitor.reference.fingerprint:
        return {}
    tiles = [monitor.history.tiles.get(name, None, start, version) for start, version in data["tiles"]]
    return {
        tile.start: tile.source_version for tile in tiles if tile is not None and tile.summary.plan != plan
    }


def judged_rows(monitor: Monitor, window: Span) -> int:
    """Return the rows of a window that its verdict and its late parts rest on."""
    name, history = monitor.config.name, monitor.history
    parts = history.late_parts.of_window(name, None, window.end)
    data = history.verdicts.get(name, None, window.end)
    return sum(int(item["rows"]) for item in (*parts, data) if item is not None)
