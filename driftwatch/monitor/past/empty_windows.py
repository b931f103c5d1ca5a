"""Tells by one read of many windows, which were empty, that they still are.

A folder of files has another version with each new file, whatever window its rows are of.
"""

from __future__ import annotations

from collections.abc import Sequence

from driftwatch.core.schema import Span
from driftwatch.errors import DataError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.tiles import read_tiles

#: Neighbouring windows of one read, which has a summary of each.
_WINDOWS_PER_READ = 64


class EmptyWindows:
    def __init__(self, monitor: Monitor, windows: Sequence[Span]) -> None:
        self._monitor = monitor
        self._runs: dict[int, list[Span]] = {}
        self._ends: set[int] = set()
        run: list[Span] = []
        for window in windows:
            if not run or run[-1].end != window.start or len(run) == _WINDOWS_PER_READ:
                run = []
            run.append(window)
            self._runs[window.end] = run

    def holds(self, window: Span) -> bool:
        run = self._runs.get(window.end, [])
        if len(run) > 1:
            self._read(run)
            run.clear()
        return window.end in self._ends

    def _read(self, run: Sequence[Span]) -> None:
        monitor, edges = self._monitor, [run[0].start, *(window.end for window in run)]
        try:
            # What has rows is read again for its verdict, with sums.
            tiles_read = read_tiles(
                monitor.config, monitor.reference.plan, monitor.readers, edges, [None] * len(run), sums=False
            )
        except DataError:
            # Each window will say what fails.
            return
        if not tiles_read.rejected and not tiles_read.undecodable:
            rows = {
                start: tile.rows for (start, segment), tile in tiles_read.tiles.items() if segment is None
            }
            self._ends |= {window.end for window in run if not rows.get(window.start)}
