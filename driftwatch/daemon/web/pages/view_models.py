"""What the pages show of monitors and incidents, worked out before any template runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftwatch.charts import column_chart
from driftwatch.charts.evidence_chart import sparkline
from driftwatch.core.schema import Kind, iso
from driftwatch.daemon.status.headline import Look, look_at
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView, Snapshot
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.http.paging import Part, part_of
from driftwatch.notify.base import IncidentKind
from driftwatch.results import words
from driftwatch.results.names import columns_only
from driftwatch.results.results import NamedColumn, Verdict

#: Monitors on one page; segments and incidents said of each.
PER_PAGE = 40
MOST_SAID = 4
ORDER = (words.MOVED, words.BLIND, words.SAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One monitor on the first page."""

    name: str
    url: str
    model: str
    look: Look
    evidence: float | None
    meter: Markup
    spark: Markup
    looked_at: int | None
    window_end: int | None
    rows: int | None
    incidents: tuple[OpenIncident, ...]
    segments: tuple[tuple[str, str, Look], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One page of monitors; ``counts`` are of all that match the search, by kind."""

    part: Part[Row]
    counts: tuple[tuple[str, int], ...]
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to acknowledge an incident: why, the verdict for the form, the command for a terminal."""

    why: str
    verdict: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An open incident and the ways to close it."""

    incident: OpenIncident
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who may change things: the name they gave, and the proof their forms carry."""

    name: str
    proof: str


def fleet(
    snapshot: Snapshot, now: int, links: Links, search: str = "", kind: str = "", page: int = 1
) -> Fleet:
    """Monitors whose name or model holds ``search``: those that moved first, then those that could not look.

    Only the monitors of one page are worked out whole.
    """
    wanted = search.casefold()
    known = [view for view in snapshot.monitors if wanted in f"{view.name} {_model(view)}".casefold()]
    looks = {view.name: _worst(view, now) for view in known}
    counts = tuple((each, sum(found == each for found in looks.values())) for each in ORDER)
    picked = [view for view in known if not kind or looks[view.name] == kind]
    picked.sort(key=lambda view: ORDER.index(looks[view.name]))
    part = part_of(picked, page, PER_PAGE, search)
    rows = tuple(_row(view, now, links) for view in part.items)
    shown = Part(
        items=rows, page=part.page, pages=part.pages, total=part.total, asked=search, before=part.before
    )
    return Fleet(part=shown, counts=counts, kind=kind)


def _model(view: MonitorView) -> str:
    return " ".join(part for part in (view.model_name, view.model_version) if part)


def _worst(view: MonitorView, now: int) -> str:
    segments: Sequence[SegmentView | None] = view.segments or (None,)
    if view.segment(None) is None:
        segments = (None, *segments)
    return min((look_at(view, item, now).kind for item in segments), key=ORDER.index)


def _row(view: MonitorView, now: int, links: Links) -> Row:
    overall = view.segment(None)
    looked = None if overall is None else overall.looked
    evidence = None if overall is None else newest_evidence(overall)
    others = [item for item in view.segments if item.segment is not None]
    told = [
        (str(item.segment), links.monitor(view.name, item.segment), look_at(view, item, now))
        for item in others
    ]
    return Row(
        name=view.name,
        url=links.monitor(view.name),
        model=_model(view),
        look=look_at(view, overall, now),
        evidence=evidence,
        meter=column_chart.meter(evidence),
        spark=sparkline(() if overall is None else overall.trail),
        looked_at=None if overall is None else overall.looked_at,
        window_end=None if looked is None else looked.window.end,
        rows=None if looked is None else looked.rows,
        incidents=view.incidents,
        segments=tuple(sorted(told, key=lambda item: ORDER.index(item[2].kind))),
    )


def newest_evidence(segment: SegmentView) -> float | None:
    """Evidence of the newest verdict, or of the newest one that could look."""
    for verdict in (segment.verdict, segment.looked):
        if verdict is not None and verdict.evidence is not None:
            return verdict.evidence
    return None


def incidents(view: MonitorView, segment: str | None) -> list[Incident]:
    """The open incidents of a segment, newest first, with the ways to acknowledge them."""
    here = [item for item in view.incidents if item.segment == segment]
    return [
        Incident(incident=item, ways=_ways(view.name, item))
        for item in sorted(here, key=lambda item: -item.opened_at)
    ]


def _ways(monitor: str, item: OpenIncident) -> tuple[Way, ...]:
    start = f"driftwatch ack CONFIG {shlex.join(['--monitor', monitor, '--incident', item.key])}"
    known = Way(why="known, be quiet for a while", verdict="muted", command=f"{start} --as muted --until 2d")
    if item.kind == IncidentKind.BLIND:
        return (known,)
    return (
        Way(why="the cause was repaired", verdict="fixed", command=f"{start} --as fixed"),
        Way(
            why="this is the new normal: the reference is rebased",
            verdict="accepted",
            command=f"{start} --as accepted",
        ),
        known,
    )


def jointly(verdict: Verdict) -> list[NamedColumn]:
    """What a verdict names of all columns together."""
    return [item for item in verdict.named if not columns_only([item.column])]


def explain_command(verdict: Verdict) -> str:
    """The command that recomputes a verdict."""
    parts = ["--monitor", verdict.monitor, "--window", iso(verdict.window.end)]
    if verdict.segment is not None:
        parts += ["--segment", words.visible(verdict.segment)]
    return f"driftwatch explain CONFIG {shlex.join(parts)}"


def counted_as(kind: Kind) -> str:
    """What is counted of a kind whose values are not counted themselves."""
    return {Kind.TEXT: "length of the text", Kind.VECTOR: "norm of the vector"}.get(kind, "")
