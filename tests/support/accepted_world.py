"""Days of eight columns, one of which shifts, pages, and is accepted: without files and store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
from alarms.path import Monitor as MeasuredMonitor
from alarms.path import Rows, configure, summarise_window

from driftwatch.core.windows import boundary_after
from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.monitor.acceptance.rebase import rebase_on
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluation.window_verdict import Decided
from driftwatch.summary.reference import AcceptedSpan
from driftwatch.summary.summary import Summary

ROWS, COLUMNS, BLOCKS, HEALTHY_DAYS, SHIFT = 500, 8, 28, 10, 0.6


@dataclass
class AcceptedWorld:
    """One run by its seed. ``shifts`` are those of columns by position, from the next day on."""

    seed: int
    blocks: int = BLOCKS
    shifts: dict[int, float] = field(default_factory=dict)
    tiles: list[Summary] = field(default_factory=list)
    day: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.seed, 77])
        config = configure("1d", "1 per 90d")
        blocks = [self._rows() for _ in range(self.blocks)]
        self.measured = MeasuredMonitor.learn(config, blocks)
        self.monitor = Monitor(
            config=config,
            reference=self.measured.reference,
            history=SimpleNamespace(references=SimpleNamespace(blocks=lambda *_: ())),  # type: ignore[arg-type]
            readers=None,  # type: ignore[arg-type]
            recorder=None,  # type: ignore[arg-type]
        )
        self.state: SegmentState = replace(self.measured.first, reference=self.monitor.reference.fingerprint)

    def _rows(self) -> Rows:
        values = self.rng.standard_normal((ROWS, COLUMNS))
        for column, shift in self.shifts.items():
            values[:, column] += shift
        return {f"c{column}": np.ascontiguousarray(values[:, column]) for column in range(COLUMNS)}

    def pass_day(self) -> Decided:
        plan = self.measured.reference.plan
        span = MeasuredMonitor._span(self.monitor.config, self.day)
        summary = summarise_window(plan, self._rows(), span, None, self.day).seal(plan).drop_sample()
        self.day += 1
        self.tiles.append(summary)
        decided = self.monitor.evaluator.evaluate(summary, self.state, gauges=False)
        self.state = decided.segment_state
        return decided

    def pages(self, days: int) -> list[tuple[int, tuple[str, ...]]]:
        """Pass days, and return the pages by their day, counted from 1."""
        pages = []
        for number in range(1, days + 1):
            pages += [(number, item.columns) for item in self.pass_day().opened]
        return pages

    def incident(self) -> Incident:
        """Pass days until the shift of c0 pages."""
        assert self.pages(HEALTHY_DAYS) == []
        self.shifts = {0: SHIFT}
        for _ in range(30):
            for item in self.pass_day().opened:
                return item
        raise AssertionError("the shift was not found")

    def accepted_tiles(self, onset: int) -> list[Summary]:
        return [item for item in self.tiles if item.span.start >= onset]

    def accept(self, incident: Incident) -> Sequence[Summary]:
        """Accept what was measured since the onset, and return it."""
        tiles = self.accepted_tiles(incident.onset)
        span = AcceptedSpan(columns=incident.columns, start=incident.onset, end=tiles[-1].span.end)
        self.state = replace(self.state, incidents=())
        self.monitor, states = rebase_on(self.monitor, {None: self.state}, {None: tiles}, span)
        self.state = states[None]
        return tiles

    def end_of(self, days: int) -> int:
        """Return when the window ends that is so many days after the newest one."""
        return boundary_after(self.tiles[-1].span.end, days, self.monitor.config.window.length)
