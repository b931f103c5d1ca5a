"""The smallest fault a configuration would have caught: faults injected into a calm stretch of its history.

The stretch is replayed with the fault in it from its first window on, by the arithmetic of every check and
from the evidence and the knowledge that there were. It has no page of its own: a page is the fault's doing.
One stretch is one draw: another may give the next size up or down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Column, Span, iso
from driftwatch.decide.state import SegmentState
from driftwatch.detectors.base import Detector
from driftwatch.monitor.evaluate import Look, judge
from driftwatch.results.results import State, Statistic, Verdict
from driftwatch.results.streams import StreamList
from driftwatch.summary.faults import Fault, injection, spread
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Windows within which a fault has to page.
WITHIN = 30
#: Columns that faults are injected into; a wider monitor has this many looked at, evenly over its columns.
MOST_COLUMNS = 20
#: Sizes tried, smallest first.
SIZES = {
    Fault.SHIFT: (0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0),
    Fault.VALUE: (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    Fault.MISSING: (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Windows of all rows without a page, and the track before the first of them."""

    segment_state: SegmentState
    windows: tuple[Summary, ...]
    ok: int

    @property
    def words(self) -> str:
        """From when to when."""
        return f"{iso(self.windows[0].span.start)} - {iso(self.windows[-1].span.end)}"


@dataclass(slots=True, kw_only=True)
class Calm:
    """Finds the stretch while history is replayed: most windows in state ok, the longest, the latest.

    Stretches of up to ``WITHIN`` windows follow each other and end at a page and at a window that could not
    be looked at, so that one track and the windows of one stretch are held beside the best.
    """

    best: Stretch | None = None
    segment_state: SegmentState | None = None
    windows: list[Summary] = field(default_factory=list)
    ok: int = 0

    def add(self, before: SegmentState, window: Summary, verdict: Verdict) -> None:
        """One more window that was looked at, with the track before it."""
        if verdict.page:
            self.cut()
            return
        self.segment_state = before if self.segment_state is None else self.segment_state
        self.windows.append(window)
        self.ok += verdict.state is State.OK
        if len(self.windows) == WITHIN:
            self.cut()

    def cut(self) -> None:
        """The stretch ends here."""
        if self.segment_state is not None:
            found = Stretch(segment_state=self.segment_state, windows=tuple(self.windows), ok=self.ok)
            if self.best is None or _calmer(found) >= _calmer(self.best):
                self.best = found
        self.segment_state, self.windows, self.ok = None, [], 0


def _calmer(stretch: Stretch) -> tuple[int, int]:
    return stretch.ok, len(stretch.windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A size, and the windows from its onset to the page: 1 is the first, None no page within the stretch."""

    size: float
    delay: int | None
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """What became of one fault of one column: sizes tried, largest first, up to the first not caught.

    ``reason`` says why nothing was tried.
    """

    column: str
    fault: Fault
    tried: tuple[Tried, ...] = ()
    reason: str = ""

    @property
    def smallest(self) -> Tried | None:
        """The smallest size that paged, as did every larger one; None when not even the largest did."""
        return next((item for item in reversed(self.tried) if item.delay is not None), None)

    def to_json(self) -> dict[str, Any]:
        """One object of ``injected.columns`` of ``backtest --format json``."""
        found = self.smallest
        return {
            "column": self.column,
            "fault": str(self.fault),
            "unit": self.fault.unit,
            "smallest": None if found is None else found.size,
            "delay_windows": None if found is None else found.delay,
            "names_the_column": None if found is None else found.named,
            "tried": [{"size": item.size, "delay_windows": item.delay} for item in self.tried],
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Every fault injected into the stretch, of ``len(columns)`` of the ``watched`` columns."""

    stretch: Stretch | None
    watched: int
    columns: tuple[str, ...]
    caught: tuple[Caught, ...]

    @property
    def within(self) -> int:
        """Windows that a fault had to page."""
        return 0 if self.stretch is None else len(self.stretch.windows)

    def to_json(self) -> dict[str, Any]:
        """The object ``injected`` of ``backtest --format json``."""
        first = None if self.stretch is None else iso(self.stretch.windows[0].span.start)
        last = None if self.stretch is None else iso(self.stretch.windows[-1].span.end)
        return {
            "from": first,
            "to": last,
            "within_windows": self.within,
            "ok_windows": None if self.stretch is None else self.stretch.ok,
            "columns_watched": self.watched,
            "columns_injected": len(self.columns),
            "columns": [item.to_json() for item in self.caught],
        }


def sensitivity(
    config: MonitorConfig,
    reference: Reference,
    chosen: Sequence[Look],
    stretch: Stretch | None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    most: int = MOST_COLUMNS,
) -> Sensitivity:
    """Inject every fault in falling sizes until one is not caught. Pure; of all rows, not of segments.

    A fault of the next smaller size that would page by luck is not looked for: what is reported is the size
    from which on every one tried paged. Cost: at most a window decided for each column, fault, size and
    window of the stretch, in practice a third of it; what all columns show jointly is measured once.
    """
    looked = {column for _, column in chosen}
    watched = tuple(column.name for column in reference.plan.columns if column.name in looked)
    places = np.linspace(0, len(watched) - 1, min(len(watched), most)).round().astype(int)
    columns = tuple(watched[place] for place in places)
    caught: list[Caught] = []
    if stretch is not None:
        remembering = tuple(
            (Remembering.of(detector) if detector.joint else detector, column) for detector, column in chosen
        )
        run = _Run(config=config, reference=reference, stretch=stretch, chosen=remembering)
        for done, column in enumerate(columns, start=1):
            caught += [run.caught(column, fault) for fault in run.faults(column)]
            progress(done, len(columns))
    return Sensitivity(stretch=stretch, watched=len(watched), columns=columns, caught=tuple(caught))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    config: MonitorConfig
    reference: Reference
    stretch: Stretch
    chosen: tuple[Look, ...]

    def faults(self, column: str) -> tuple[Fault, ...]:
        grid, counts = self.reference.plan.grids[column], self.reference.summary.counts[column]
        return Fault.VALUE if spread(grid, counts) is None else Fault.SHIFT, Fault.MISSING

    def caught(self, column: str, fault: Fault) -> Caught:
        if not self.reference.summary.counts[column].present:
            return Caught(column=column, fault=fault, reason="the reference has no row with a value")
        if column in self.stretch.segment_state.aside:
            return Caught(column=column, fault=fault, reason="set aside by an incident that was open")
        tried = []
        for size in reversed(SIZES[fault]):
            tried.append(self._try(column, fault, size))
            if tried[-1].delay is None:
                break
        return Caught(column=column, fault=fault, tried=tuple(tried))

    def _try(self, column: str, fault: Fault, size: float) -> Tried:
        plan, segment_state = self.reference.plan, self.stretch.segment_state
        fault_in = injection(plan.grids[column], self.reference.summary.counts[column], column, fault, size)
        for number, window in enumerate(self.stretch.windows, start=1):
            faulty = fault_in.into(window)
            decision, _ = judge(
                self.reference, faulty, self.chosen, segment_state, self.config, segment=None, gauges=False
            )
            if decision.page:
                opened = {name for incident in decision.opened for name in incident.columns}
                return Tried(size=size, delay=number, named=column in opened)
            segment_state = decision.segment_state
        return Tried(size=size, delay=None)


@dataclass(slots=True, kw_only=True, eq=False)
class Remembering:
    """A joint detector that draws from a span once: only counts move, so no fault is in what it looks at."""

    inner: Detector
    name: str
    joint: bool
    unit: str
    default: bool
    pools: bool
    evidence: bool
    sums: bool
    known: dict[Span, StreamList] = field(default_factory=dict)

    @classmethod
    def of(cls, inner: Detector) -> Remembering:
        """The same detector with a memory."""
        return cls(
            inner=inner,
            name=inner.name,
            joint=inner.joint,
            unit=inner.unit,
            default=inner.default,
            pools=inner.pools,
            evidence=inner.evidence,
            sums=inner.sums,
        )

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """As the detector itself."""
        return self.inner.applies(column, reference)

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """The gauge."""
        return self.inner.measure(reference, window, column)

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """The streams, remembered."""
        if window.span not in self.known:
            self.known[window.span] = self.inner.streams(reference, window, column)
        return self.known[window.span]
