"""Takes windows through ``Evaluator.evaluate`` for every segment in plan order, as checks and backtests do.

Nobody acknowledges: a page leaves its incident open in the segment states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alarms.path import Extra, Monitor, Rows, summarise_window, take
from alarms.tally import Step
from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.segment_state import SegmentState
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.monitor.evaluation.pages_elsewhere import PagesElsewhere
from driftwatch.results.results import OtherPage, Verdict
from driftwatch.summary.batch import Levels
from driftwatch.summary.plan import OTHER_SEGMENT, Segmentation
from driftwatch.summary.summary import Summary, total

SegmentStates = dict[str | None, SegmentState]


@dataclass(slots=True, kw_only=True)
class Watch:
    """A monitor of all rows and, with ``column``, of its levels, the last of which is ``other``."""

    evaluator: Evaluator
    segment_states: SegmentStates
    extra: Extra | None = None

    @classmethod
    def learn(
        cls,
        config: MonitorConfig,
        parts: Sequence[Rows],
        *,
        column: str | None = None,
        has_times: bool = True,
        sample_rows: int = 500,
        extra: Extra | None = None,
    ) -> Watch:
        """A watch whose reference consists of these windows, the last of which ends at time 0."""
        segmentation = (
            None if column is None else Segmentation(column=column, levels=_levels(parts, column)[:-1])
        )
        monitor = Monitor.learn(
            config,
            parts,
            has_times=has_times,
            sample_rows=sample_rows,
            extra=extra,
            segmentation=segmentation,
        )
        if segmentation is None:
            return cls(evaluator=monitor.evaluator, segment_states={None: monitor.first}, extra=extra)
        plan, blocks = monitor.reference.plan, dict[str, tuple[Summary, ...]]()
        for segment in segmentation.names():
            blocks[segment] = tuple(
                summarise_window(plan, _of_segment(part, segmentation, segment), _span(config, t), None, t)
                .seal(plan)
                .drop_sample()
                for t, part in enumerate(parts, -len(parts))
            )
        segments = {segment: total(items) for segment, items in blocks.items()}
        evaluator = Evaluator.from_config(replace(monitor.reference, segments=segments), config)
        states: SegmentStates = {None: monitor.first}
        for segment, items in blocks.items():
            context = evaluator.segment_context(segment)
            states[segment] = initial_segment_state(context, items, evaluator.targets, config, "c")
        return cls(evaluator=evaluator, segment_states=states)

    def _summaries(self, rows: Rows, t: int) -> Iterator[tuple[str | None, Summary]]:
        plan, span = self.evaluator.reference.plan, _span(self.evaluator.config, t)
        yield None, summarise_window(plan, rows, span, self.extra, t).seal(plan)
        if plan.segmentation is not None:
            for segment in plan.segmentation.names():
                segment_rows = _of_segment(rows, plan.segmentation, segment)
                yield segment, summarise_window(plan, segment_rows, span, None, t).seal(plan)

    def judge(self, rows: Rows, t: int) -> Step:
        """Judge window ``t``."""
        verdicts, new_keys, open_before = list[Verdict](), list[str](), self.open_keys
        for segment, summary in self._summaries(rows, t):
            decided = self.evaluator.evaluate(
                summary,
                self.segment_states[segment],
                segment=segment,
                gauges=False,
                other_pages=self.other_pages(segment),
            )
            self.segment_states[segment] = decided.segment_state
            verdicts.append(decided.verdict)
            new_keys += [item.key for item in decided.opened if item.key not in {*new_keys, *open_before}]
        return Step(
            verdicts=tuple(verdicts),
            new_keys=tuple(new_keys),
            open_keys=self.open_keys,
            ended_keys=(open_before | set(new_keys)) - self.open_keys,
        )

    @property
    def open_keys(self) -> frozenset[str]:
        return frozenset(item.key for state in self.segment_states.values() for item in state.incidents)

    def other_pages(self, segment: str | None) -> tuple[OtherPage, ...]:
        return PagesElsewhere(self.segment_states).of(segment)


def _span(config: MonitorConfig, t: int) -> Span:
    step = config.window.length * NANOSECONDS
    return Span(start=t * step, end=(t + 1) * step)


def _levels(parts: Sequence[Rows], column: str) -> tuple[str, ...]:
    values = parts[0][column]
    assert isinstance(values, Levels)
    return values.levels


def _of_segment(rows: Rows, segmentation: Segmentation, segment: str) -> Rows:
    values = rows[segmentation.column]
    assert isinstance(values, Levels)
    own_levels = [
        code
        for code, level in enumerate(values.levels)
        if segment == (level if level in segmentation.levels else OTHER_SEGMENT)
    ]
    return take(rows, np.flatnonzero(np.isin(values.codes, own_levels)))
