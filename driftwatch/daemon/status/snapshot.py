"""What the exporter and the web page show: immutable, replaced as a whole after each check."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.results.results import Verdict
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """An incident nobody has resolved yet."""

    key: str
    kind: str
    segment: str | None
    columns: tuple[str, ...]
    opened_at: int
    onset: int | None
    muted_until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentView:
    """One (monitor, segment): its newest verdict, its newest successful one, and the trail behind them.

    ``trail`` holds (window end, evidence or None, state, page) of up to 400 newest verdicts, oldest
    first. ``looked`` is the newest verdict that could look; its statistics are the published gauges.
    ``window`` is the summary it was computed from, for drawing; None after it was dropped.
    """

    segment: str | None
    verdict: Verdict | None
    looked: Verdict | None
    looked_at: int | None
    trail: tuple[tuple[int, float | None, str, bool], ...]
    window: Summary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestView:
    """What the self-test came to. ``outcomes`` count every trial there ever was.

    ``delay_windows`` is summed over the detected ones, None before the first. ``words`` speak of the trials
    of today's faults that are kept.
    """

    outcomes: tuple[tuple[str, int], ...]
    delay_windows: int | None
    measured_at: int | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorView:
    """One monitor as the outside sees it. Times are nanoseconds since 1970 UTC; None is unknown.

    ``failures``, ``skipped`` and ``rejected`` count by reason since the process started. ``selftest`` is None
    when it is off.
    """

    name: str
    source_type: str
    model_name: str
    model_version: str
    interval_seconds: int
    reference: Reference | None
    reference_loaded_at: int | None
    segments: tuple[SegmentView, ...]
    incidents: tuple[OpenIncident, ...]
    budget: str
    last_run_at: int | None
    last_success_at: int | None
    last_failure: str
    next_run_at: int | None
    duration_seconds: float | None
    read_seconds: float | None
    decide_seconds: float | None
    newest_row_at: int | None
    checks: int
    failures: tuple[tuple[str, int], ...]
    skipped: tuple[tuple[str, int], ...]
    rejected: tuple[tuple[str, int], ...]
    rows_read: int
    late_rows: int
    untimed_rows: int | None
    selftest: SelftestView | None = None

    def segment(self, name: str | None) -> SegmentView | None:
        """The view of one segment."""
        return next((view for view in self.segments if view.segment == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkView:
    """One notifier: how many messages it took and how many attempts failed, by reason."""

    name: str
    delivered: int
    failed: tuple[tuple[str, int], ...]
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole process at one moment. ``ready`` once configuration, references and state are loaded."""

    version: str
    taken_at: int
    started_at: int
    ready: bool
    scheduler_tick_at: int | None
    scheduler_alive: bool
    scheduler_ticks_lost: int
    reload_successful: bool
    reload_success_at: int | None
    store_errors: int
    checks_running: int
    monitors: tuple[MonitorView, ...]
    sinks: tuple[SinkView, ...]

    def monitor(self, name: str) -> MonitorView | None:
        """The view of one monitor."""
        return next((view for view in self.monitors if view.name == name), None)
