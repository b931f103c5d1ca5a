"""View models of monitors and incidents, computed before any template runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftwatch.charts import column_chart
from driftwatch.charts.evidence_chart import sparkline
from driftwatch.core.schema import Kind, iso
from driftwatch.daemon.status.headline import Headline, headline_of
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView, Snapshot
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.http.paging import ListPage, list_page
from driftwatch.monitor.column_labels import single_columns
from driftwatch.notify.base import IncidentKind
from driftwatch.results import text_format
from driftwatch.results.results import NamedColumn, Verdict

MONITORS_PER_PAGE = 40
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
    )


def newest_evidence(segment: SegmentView) -> float | None:
    """Return the evidence of the newest verdict, else of the newest verdict with data."""
    for verdict in (segment.verdict, segment.usable_verdict):
        if verdict is not None and verdict.evidence is not None:
            return verdict.evidence
    return None


def incident_views(view: MonitorView, segment: str | None) -> list[IncidentView]:
    incidents = [incident for incident in view.incidents if incident.segment == segment]
    return [
        IncidentView(incident=incident, options=_acknowledge_options(view.name, incident))
        for incident in sorted(incidents, key=lambda incident: -incident.opened_at)
    ]


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


def joint_named(verdict: Verdict) -> list[NamedColumn]:
    """Return the joint detectors that the verdict names; they concern no single column."""
    return [item for item in verdict.named if not single_columns([item.column])]


def explain_command(verdict: Verdict) -> str:
    parts = ["--monitor", verdict.monitor, "--window", iso(verdict.window.end)]
    if verdict.segment is not None:
        parts += ["--segment", text_format.escape_invisible(verdict.segment)]
    return f"driftwatch explain CONFIG {shlex.join(parts)}"


def counted_quantity(kind: Kind) -> str:
    return {Kind.TEXT: "length of the text", Kind.VECTOR: "norm of the vector"}.get(kind, "")
