"""View models of monitors and incidents, computed before any template runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from driftwatch.charts import column_chart
from driftwatch.charts.evidence_chart import sparkline
from driftwatch.core.schema import NANOSECONDS, Kind, iso
from driftwatch.daemon.status.column_order import by_contribution
from driftwatch.daemon.status.headline import Headline, headline_of
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView, Snapshot
from driftwatch.daemon.status.verdict_reader import VerdictData
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.http.paging import ListPage, list_page
from driftwatch.monitor.column_labels import comparable_size, single_columns
from driftwatch.monitor.incidents.ending_text import column_endings, ending_line
from driftwatch.monitor.incidents.incident_lines import segment_name
from driftwatch.notify.base import IncidentKind
from driftwatch.results import text_format
from driftwatch.results.results import NamedColumn, Statistic, Verdict
from driftwatch.store.records import OwedWindow, StoredIncident

MONITORS_PER_PAGE = 40
#: Columns of which a part of late rows shows a gauge.
MAX_PART_GAUGES = 6
#: Kinds of headlines, the most urgent first.
KIND_ORDER = (text_format.MOVED, text_format.BLIND, text_format.SAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorRow:
    name: str
    url: str
    model: str
    status: Headline
    evidence: float | None
    meter: Markup
    sparkline: Markup
    usable_at: int | None
    window_end: int | None
    rows: int | None
    incidents: tuple[OpenIncident, ...]
    #: (name, URL, headline) of each segment.
    segments: tuple[tuple[str, str, Headline], ...]
    owed_windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    page: ListPage[MonitorRow]
    #: Number of monitors of each kind that match the search.
    counts: tuple[tuple[str, int], ...]
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeOption:
    reason: str
    #: Value in the form.
    verdict: str
    #: Equivalent command in a terminal.
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    incident: OpenIncident
    options: tuple[AcknowledgeOption, ...]
    #: Names of the segments, if they are several.
    segments: tuple[str, ...] = ()
    #: When it ends by itself; empty if unknown.
    ending: str = ""
    #: (column, why it is still part of it).
    waiting: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedView:
    key: str
    columns: tuple[str, ...]
    accepted_at: int
    #: That takes the acceptance back.
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePartView:
    verdict: Verdict
    decided_at: int | None
    kind: str
    gauges: tuple[Statistic, ...]
    command: str

    @property
    def share(self) -> float:
        return self.verdict.rows / max(self.verdict.rows + self.verdict.earlier_rows, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    name: str
    #: Token for the forms of the page.
    csrf_token: str


def fleet(
    snapshot: Snapshot, now: int, links: Links, search: str = "", kind: str = "", page: int = 1
) -> Fleet:
    """Return one page of monitors whose name or model contains ``search``, in the order of ``KIND_ORDER``."""
    needle = search.casefold()
    matches = [view for view in snapshot.monitors if needle in f"{view.name} {_model_label(view)}".casefold()]
    kinds = {view.name: _worst_kind(view, now) for view in matches}
    counts = tuple((name, sum(view_kind == name for view_kind in kinds.values())) for name in KIND_ORDER)
    views = [view for view in matches if not kind or kinds[view.name] == kind]
    views.sort(key=lambda view: KIND_ORDER.index(kinds[view.name]))
    view_page = list_page(views, page, MONITORS_PER_PAGE, search)
    rows = tuple(_monitor_row(view, now, links) for view in view_page.items)
    row_page = ListPage(
        items=rows,
        number=view_page.number,
        n_pages=view_page.n_pages,
        total=view_page.total,
        search=search,
        offset=view_page.offset,
    )
    return Fleet(page=row_page, counts=counts, kind=kind)


def _model_label(view: MonitorView) -> str:
    return " ".join(part for part in (view.model_name, view.model_version) if part)


def _worst_kind(view: MonitorView, now: int) -> str:
    segments: Sequence[SegmentView | None] = view.segments or (None,)
    if view.segment(None) is None:
        segments = (None, *segments)
    return min((headline_of(view, segment, now).kind for segment in segments), key=KIND_ORDER.index)


def _monitor_row(view: MonitorView, now: int, links: Links) -> MonitorRow:
    overall = view.segment(None)
    usable_verdict = None if overall is None else overall.usable_verdict
    evidence = None if overall is None else newest_evidence(overall)
    segments = [item for item in view.segments if item.segment is not None]
    segment_statuses = [
        (str(item.segment), links.monitor(view.name, item.segment), headline_of(view, item, now))
        for item in segments
    ]
    return MonitorRow(
        name=view.name,
        url=links.monitor(view.name),
        model=_model_label(view),
        status=headline_of(view, overall, now),
        evidence=evidence,
        meter=column_chart.meter(evidence),
        sparkline=sparkline(() if overall is None else overall.trail),
        usable_at=None if overall is None else overall.usable_at,
        window_end=None if usable_verdict is None else usable_verdict.window.end,
        rows=None if usable_verdict is None else usable_verdict.rows,
        incidents=view.incidents,
        segments=tuple(sorted(segment_statuses, key=lambda item: KIND_ORDER.index(item[2].kind))),
        owed_windows=view.owed_windows or 0,
    )


def newest_evidence(segment: SegmentView) -> float | None:
    """Return the evidence of the newest verdict, else of the newest verdict with data."""
    for verdict in (segment.verdict, segment.usable_verdict):
        if verdict is not None and verdict.evidence is not None:
            return verdict.evidence
    return None


def incident_views(view: MonitorView, segment: str | None) -> list[IncidentView]:
    segment_view = view.segment(segment)
    verdict = None if segment_view is None else segment_view.usable_verdict
    return [
        _incident_view(view.name, incident, verdict)
        for incident in sorted(view.incidents_of(segment), key=lambda incident: -incident.opened_at)
    ]


def _incident_view(monitor: str, incident: OpenIncident, verdict: Verdict | None) -> IncidentView:
    places = incident.all_segments
    endings = () if verdict is None else verdict.endings
    ending = next((item for item in endings if item.key == incident.key), None)
    entry = IncidentView(
        incident=incident,
        options=_acknowledge_options(monitor, incident),
        segments=tuple(segment_name(name) for name in places) if len(places) > 1 else (),
    )
    if ending is None or verdict is None:
        return entry
    seconds = verdict.window.seconds
    waiting = tuple(column_endings(ending, seconds))
    return replace(entry, ending=ending_line(ending, seconds), waiting=waiting)


def _acknowledge_options(monitor: str, incident: OpenIncident) -> tuple[AcknowledgeOption, ...]:
    command_start = f"driftwatch ack CONFIG {shlex.join(['--monitor', monitor, '--incident', incident.key])}"
    mute_option = AcknowledgeOption(
        reason="known, be quiet for a while",
        verdict="muted",
        command=f"{command_start} --as muted --until 2d",
    )
    if incident.kind == IncidentKind.BLIND:
        return (mute_option,)
    return (
        AcknowledgeOption(
            reason="the cause was repaired", verdict="fixed", command=f"{command_start} --as fixed"
        ),
        AcknowledgeOption(
            reason="this is the new normal: the reference is rebased",
            verdict="accepted",
            command=f"{command_start} --as accepted",
        ),
        mute_option,
    )


def accepted_views(incidents: Sequence[StoredIncident]) -> list[AcceptedView]:
    """Return what the newest acceptance covers, with how to take it back."""
    return [
        AcceptedView(
            key=item.key,
            columns=item.columns,
            accepted_at=item.resolved_at or item.opened_at,
            command=f"driftwatch ack CONFIG {shlex.join(['--monitor', item.monitor, '--undo', item.key])}",
        )
        for item in incidents
    ]


def late_part_views(verdict_data: VerdictData) -> list[LatePartView]:
    return [
        LatePartView(
            verdict=item.verdict,
            decided_at=item.decided_at,
            kind=text_format.state_kind(item.verdict.state),
            gauges=_largest_gauges(item.verdict),
            command=explain_command(item.verdict),
        )
        for item in verdict_data.late_parts
    ]


def _largest_gauges(verdict: Verdict) -> tuple[Statistic, ...]:
    # One of each of the columns that differ most.
    largest: dict[str, Statistic] = {}
    for item in sorted(verdict.statistics, key=comparable_size, reverse=True):
        if item.column is not None and comparable_size(item) >= 0:
            largest.setdefault(item.column, item)
    names = [name for name in by_contribution(verdict) if name in largest]
    return tuple(largest[name] for name in names[:MAX_PART_GAUGES])


def owed_text(owed: OwedWindow, patience_seconds: int) -> str:
    """Say what an owed window waits for."""
    patience = text_format.format_coarse_duration(patience_seconds)
    waited = text_format.format_coarse_duration(owed.waited / NANOSECONDS)
    return (
        f"Owed since {text_format.format_time(owed.window.end)}: nobody could look at it yet. It is judged "
        f"when its rows come, and given up when the source has answered for {patience} without them "
        f"(window.patience); {waited} of these are over."
    )


def joint_named(verdict: Verdict) -> list[NamedColumn]:
    """Return the joint detectors that the verdict names; they concern no single column."""
    return [item for item in verdict.named if not single_columns([item.column])]


def explain_command(verdict: Verdict) -> str:
    parts = ["--monitor", verdict.monitor, "--window", iso(verdict.window.end)]
    if verdict.segment is not None:
        parts += ["--segment", text_format.escape_invisible(verdict.segment)]
    if verdict.part:
        parts += ["--part", str(verdict.part)]
    return f"driftwatch explain CONFIG {shlex.join(parts)}"


def counted_quantity(kind: Kind) -> str:
    return {Kind.TEXT: "length of the text", Kind.VECTOR: "norm of the vector"}.get(kind, "")
