"""Finds the smallest fault a configuration would have detected, by injecting faults into history.

The faults go into every window of a calm period, which is replayed by the arithmetic of checks, from the
evidence and baseline of that time. The period has no page of its own, so a page is due to the fault. One
period is one draw: another may give the next size up or down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from driftwatch.core.schema import Span, iso
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import JointDetector, WindowContext
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.results.results import State, Statistic, Verdict
from driftwatch.results.streams import StreamList
from driftwatch.summary.faults import Fault, make_injection, robust_scale
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Windows of a calm period, within which a fault has to page.
MAX_CALM_WINDOWS = 30
#: Columns that faults are injected into, spread evenly over the columns of a wider monitor.
MAX_INJECTED_COLUMNS = 20
#: Sizes of faults, smallest first: shifts in robust scales, others in shares of rows.
SIZES = {
    Fault.SHIFT: (0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0),
    Fault.VALUE: (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    Fault.MISSING: (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalmPeriod:
    """Windows (all segments together) without a page, and the state before the first."""

    segment_state: SegmentState
    windows: tuple[Summary, ...]
    #: Windows in state ok.
    ok_windows: int

    @property
    def span_text(self) -> str:
        return f"{iso(self.windows[0].span.start)} - {iso(self.windows[-1].span.end)}"


@dataclass(slots=True, kw_only=True)
class CalmPeriodFinder:
    """Finds the calm period with most windows in state ok; ties go to the longest, then the latest.

    Periods of up to ``MAX_CALM_WINDOWS`` windows follow each other. A page or a window without data ends one.
    Only one period is in memory beside the best.
    """

    best: CalmPeriod | None = None
    segment_state: SegmentState | None = None
    windows: list[Summary] = field(default_factory=list)
    ok_windows: int = 0

    def add(self, segment_state: SegmentState, window: Summary, verdict: Verdict) -> None:
        """Add a window; ``segment_state`` is the state before it."""
        if verdict.page:
            self.end_period()
            return
        self.segment_state = segment_state if self.segment_state is None else self.segment_state
        self.windows.append(window)
        self.ok_windows += verdict.state is State.OK
        if len(self.windows) == MAX_CALM_WINDOWS:
            self.end_period()

    def end_period(self) -> None:
        if self.segment_state is not None:
            period = CalmPeriod(
                segment_state=self.segment_state, windows=tuple(self.windows), ok_windows=self.ok_windows
            )
            if self.best is None or _calmness(period) >= _calmness(self.best):
                self.best = period
        self.segment_state, self.windows, self.ok_windows = None, [], 0


def _calmness(period: CalmPeriod) -> tuple[int, int]:
    return period.ok_windows, len(period.windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultTrial:
    size: float
    #: Windows from the onset to the page, 1 is the first; None without a page.
    delay: int | None
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSensitivity:
    """Trials of one fault in one column, largest first, up to the first miss."""

    column: str
    fault: Fault
    trials: tuple[FaultTrial, ...] = ()
    #: Why there are no trials.
    reason: str = ""

    @property
    def smallest_detected(self) -> FaultTrial | None:
        """The trial of the smallest size that paged; every larger one paged too."""
        return next((item for item in reversed(self.trials) if item.delay is not None), None)

    def to_json(self) -> dict[str, Any]:
        trial = self.smallest_detected
        return {
            "column": self.column,
            "fault": str(self.fault),
            "unit": self.fault.unit,
            "smallest": None if trial is None else trial.size,
            "delay_windows": None if trial is None else trial.delay,
            "names_the_column": None if trial is None else trial.named,
            "tried": [{"size": item.size, "delay_windows": item.delay} for item in self.trials],
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    calm_period: CalmPeriod | None
    n_watched: int
    columns: tuple[str, ...]
    faults: tuple[FaultSensitivity, ...]

    @property
    def n_windows(self) -> int:
        return 0 if self.calm_period is None else len(self.calm_period.windows)

    def to_json(self) -> dict[str, Any]:
        first = None if self.calm_period is None else iso(self.calm_period.windows[0].span.start)
        last = None if self.calm_period is None else iso(self.calm_period.windows[-1].span.end)
        return {
            "from": first,
            "to": last,
            "within_windows": self.n_windows,
            "ok_windows": None if self.calm_period is None else self.calm_period.ok_windows,
            "columns_watched": self.n_watched,
            "columns_injected": len(self.columns),
            "columns": [item.to_json() for item in self.faults],
        }


def sensitivity(
    evaluator: Evaluator,
    calm_period: CalmPeriod | None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    max_columns: int = MAX_INJECTED_COLUMNS,
) -> Sensitivity:
    """Inject every fault in falling sizes until one does not page. Pure; uses all rows, no segments.

    A smaller size that pages by luck is not searched for: from the reported size upwards every size tried
    paged. Cost: at most one decision per column, fault, size and window, in practice a third of it; joint
    detectors measure once.
    """
    measured_columns = {column for _, column in evaluator.targets}
    columns_in_order = evaluator.reference.plan.columns
    watched_columns = tuple(column.name for column in columns_in_order if column.name in measured_columns)
    indices = (
        np.linspace(0, len(watched_columns) - 1, min(len(watched_columns), max_columns)).round().astype(int)
    )
    columns = tuple(watched_columns[index] for index in indices)
    faults: list[FaultSensitivity] = []
    if calm_period is not None:
        memoized_targets = tuple(
            (MemoizedDetector(detector) if isinstance(detector, JointDetector) else detector, column)
            for detector, column in evaluator.targets
        )
        run = _Run(
            evaluator=Evaluator(evaluator.context, memoized_targets, evaluator.config),
            calm_period=calm_period,
        )
        for n_done, column in enumerate(columns, start=1):
            faults += [run.fault_sensitivity(column, fault) for fault in run.faults(column)]
            progress(n_done, len(columns))
    return Sensitivity(
        calm_period=calm_period, n_watched=len(watched_columns), columns=columns, faults=tuple(faults)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    evaluator: Evaluator
    calm_period: CalmPeriod

    @property
    def reference(self) -> Reference:
        return self.evaluator.reference

    def faults(self, column: str) -> tuple[Fault, ...]:
        grid, counts = self.reference.plan.grids[column], self.reference.summary.counts[column]
        return Fault.VALUE if robust_scale(grid, counts) is None else Fault.SHIFT, Fault.MISSING

    def fault_sensitivity(self, column: str, fault: Fault) -> FaultSensitivity:
        if not self.reference.summary.counts[column].present:
            return FaultSensitivity(
                column=column, fault=fault, reason="the reference has no row with a value"
            )
        if column in self.calm_period.segment_state.suspended:
            return FaultSensitivity(
                column=column, fault=fault, reason="set aside by an incident that was open"
            )
        trials = []
        for size in reversed(SIZES[fault]):
            trials.append(self._try(column, fault, size))
            if trials[-1].delay is None:
                break
        return FaultSensitivity(column=column, fault=fault, trials=tuple(trials))

    def _try(self, column: str, fault: Fault, size: float) -> FaultTrial:
        plan, segment_state = self.reference.plan, self.calm_period.segment_state
        injected_fault = make_injection(
            plan.grids[column], self.reference.summary.counts[column], column, fault, size
        )
        for number, window in enumerate(self.calm_period.windows, start=1):
            faulty = injected_fault.apply(window)
            evaluation = self.evaluator.evaluate(faulty, segment_state, gauges=False)
            if evaluation.verdict.page:
                named_columns = {name for incident in evaluation.opened for name in incident.columns}
                return FaultTrial(size=size, delay=number, named=column in named_columns)
            segment_state = evaluation.segment_state
        return FaultTrial(size=size, delay=None)


class MemoizedDetector(JointDetector):
    """Joint detector that computes streams once per span: faults move only counts, which it does not read."""

    def __init__(self, detector: JointDetector) -> None:
        self.detector = detector
        self.name, self.unit = detector.name, detector.unit
        self.default, self.pools = detector.default, detector.pools
        self.evidence, self.sums = detector.evidence, detector.sums
        self._streams_by_span: dict[Span, StreamList] = {}

    def applies(self, reference: Reference) -> bool:
        return self.detector.applies(reference)

    def measure(self, window: WindowContext) -> Statistic:
        return self.detector.measure(window)

    def streams(self, window: WindowContext) -> StreamList:
        span = window.window.span
        if span not in self._streams_by_span:
            self._streams_by_span[span] = self.detector.streams(window)
        return self._streams_by_span[span]
