"""The state that exporter and pages show: immutable, replaced as a whole after each check."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from driftwatch.daemon.own_health.own_health import OwnHealth
from driftwatch.decide.incidents.open_verdict import with_open_incidents
from driftwatch.results.results import Verdict
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    key: str
    kind: str
    segment: str | None
    columns: tuple[str, ...]
    opened_at: int
    onset: int | None
    muted_until: int | None
    #: Where it is open, if that is not ``segment`` alone.
    segments: tuple[str | None, ...] = ()
    #: What came after its page, one line a window: whether it paged again, and the text.
    joined: tuple[tuple[bool, str], ...] = ()
    #: End of the window of its newest page, if that is not the first.
    paged_again_at: int | None = None
    #: What its newest page said of each column or joint detector.
    effects: tuple[tuple[str, str], ...] = ()

    @property
    def all_segments(self) -> tuple[str | None, ...]:
        return self.segments or (self.segment,)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentView:
    """The state of one segment of a monitor."""

    segment: str | None
    verdict: Verdict | None
    #: The newest verdict that had data; its statistics are the published gauges.
    usable_verdict: Verdict | None
    usable_at: int | None
    #: (window end, evidence or None, state, page) of up to 400 newest verdicts, oldest first.
    trail: tuple[tuple[int, float | None, str, bool], ...]
    #: The summary behind ``usable_verdict``; None after retention deleted it.
    window: Summary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestView:
    #: (outcome, number of trials ever).
    outcomes: tuple[tuple[str, int], ...]
    #: Summed over detected trials; None before the first.
    delay_windows: int | None
    measured_at: int | None
    #: About the stored trials of the configured faults.
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorView:
    """The state of one monitor. Times are nanoseconds since 1970 UTC; None is unknown."""

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
    #: (reason, count since the process started), as are ``skipped`` and ``rejected``.
    failures: tuple[tuple[str, int], ...]
    skipped: tuple[tuple[str, int], ...]
    rejected: tuple[tuple[str, int], ...]
    rows_read: int
    late_rows: int
    #: Time slices of decided windows whose rows were changed in place.
    corrected_slices: int
    #: Windows that wait for their rows; None before the monitor is loaded.
    owed_windows: int | None
    #: How long a window waits for its rows (``window.patience``).
    patience_seconds: int
    untimed_rows: int | None
    #: Rows of the newest read stamped before the history, and in the future.
    stray_rows: tuple[int, int] | None = None
    #: None when the self-test is off.
    selftest: SelftestView | None = None

    def segment(self, name: str | None) -> SegmentView | None:
        return next((view for view in self.segments if view.segment == name), None)

    def incidents_of(self, name: str | None) -> tuple[OpenIncident, ...]:
        """Return what is open in a segment, with the kind and the columns that it has there."""
        view = self.segment(name)
        verdict = None if view is None else view.usable_verdict
        endings = {} if verdict is None else {item.key: item for item in verdict.endings}
        incidents = []
        for item in self.incidents:
            if name not in item.all_segments:
                continue
            ending = endings.get(item.key)
            if item.segments and ending is not None:
                columns = tuple(column.column for column in ending.columns)
                item = replace(item, kind=ending.kind, columns=columns)
            incidents.append(replace(item, segment=name))
        return tuple(incidents)

    def current(self, segment: SegmentView) -> SegmentView:
        """Return the segment as it is while the monitor's incidents are open."""
        incidents = self.incidents_of(segment.segment)
        verdict, usable_verdict = (
            None if item is None else with_open_incidents(item, incidents)
            for item in (segment.verdict, segment.usable_verdict)
        )
        return replace(segment, verdict=verdict, usable_verdict=usable_verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkView:
    name: str
    #: Delivered messages.
    delivered: int
    #: (reason, failed attempts).
    failed: tuple[tuple[str, int], ...]
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    version: str
    taken_at: int
    started_at: int
    #: Configuration, references and state are loaded.
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
    own_health: OwnHealth = field(default_factory=OwnHealth)

    def monitor(self, name: str) -> MonitorView | None:
        return next((view for view in self.monitors if view.name == name), None)
