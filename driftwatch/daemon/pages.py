"""What the pages show, worked out before any template runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from markupsafe import Markup

from driftwatch.daemon import bars, charts, words
from driftwatch.daemon.look import Look, look_at, moved_columns
from driftwatch.daemon.ranking import by_contribution
from driftwatch.daemon.snapshot import MonitorView, OpenIncident, SegmentView, Snapshot
from driftwatch.notify.base import IncidentKind
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid, NumericGrid
from driftwatch.summary.naming import columns_only
from driftwatch.summary.reference import Reference
from driftwatch.summary.result import NamedColumn, Statistic, Verdict
from driftwatch.summary.schema import Column, Kind, iso
from driftwatch.summary.summary import Summary

#: Columns drawn on one page; the others are listed in a table.
MOST_DRAWN = 60
#: Windows listed under the timeline.
MOST_WINDOWS = 30

_ORDER = (words.MOVED, words.BLIND, words.SAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One monitor on the first page, or one segment in the list of segments."""

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
class Incident:
    """An open incident and the commands that close it."""

    incident: OpenIncident
    commands: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One column: how it looked in the reference and how it looks now."""

    column: Column
    named: NamedColumn | None
    broken: str
    effects: tuple[str, ...]
    drawing: Markup
    statistics: tuple[Statistic, ...]
    missing: tuple[float | None, float | None]


class Links:
    """Paths of the pages below the prefix of ``web.external_url``. The request's Host is never used."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix.rstrip("/")

    def monitor(self, name: str, segment: str | None = None) -> str:
        """The page of one monitor, or of one of its segments."""
        return f"{self.prefix}/monitors/{quote(name, safe='')}{self._query(segment)}"

    def window(self, name: str, end: int, segment: str | None = None) -> str:
        """The page of one verdict."""
        return f"{self.prefix}/monitors/{quote(name, safe='')}/windows/{iso(end)}{self._query(segment)}"

    @staticmethod
    def _query(segment: str | None) -> str:
        if segment is None:
            return ""
        return "?" + urlencode({"segment": segment}, errors="surrogatepass")


def rows(snapshot: Snapshot, now: int, links: Links) -> list[Row]:
    """Every monitor, those that moved first, then those that could not look."""
    listed = [_row(view, now, links) for view in snapshot.monitors]
    return sorted(listed, key=lambda row: _ORDER.index(_worst(row)))


def _worst(row: Row) -> str:
    kinds = [row.look.kind, *(item.kind for _, _, item in row.segments)]
    return min(kinds, key=_ORDER.index)


def _row(view: MonitorView, now: int, links: Links) -> Row:
    overall = view.segment(None)
    looked = None if overall is None else overall.looked
    evidence = None if overall is None else newest_evidence(overall)
    others = [item for item in view.segments if item.segment is not None]
    return Row(
        name=view.name,
        url=links.monitor(view.name),
        model=" ".join(part for part in (view.model_name, view.model_version) if part),
        look=look_at(view, overall, now),
        evidence=evidence,
        meter=charts.meter(evidence),
        spark=charts.sparkline(() if overall is None else overall.trail),
        looked_at=None if overall is None else overall.looked_at,
        window_end=None if looked is None else looked.window.end,
        rows=None if looked is None else looked.rows,
        incidents=view.incidents,
        segments=tuple(
            (str(item.segment), links.monitor(view.name, item.segment), look_at(view, item, now))
            for item in others
        ),
    )


def newest_evidence(segment: SegmentView) -> float | None:
    """Evidence of the newest verdict, or of the newest one that could look."""
    for verdict in (segment.verdict, segment.looked):
        if verdict is not None and verdict.evidence is not None:
            return verdict.evidence
    return None


def incidents(view: MonitorView, segment: str | None) -> list[Incident]:
    """The open incidents of a segment with the commands to acknowledge them."""
    found = []
    for item in view.incidents:
        if item.segment == segment:
            start = shlex.join(["--monitor", view.name, "--incident", item.key])
            if item.kind == IncidentKind.BLIND:
                ways = [("quiet for a while", "muted --until 2d")]
            else:
                ways = [
                    ("the cause was repaired", "fixed"),
                    ("this is the new normal: the reference is rebased", "accepted"),
                    ("known, be quiet for a while", "muted --until 2d"),
                ]
            commands = tuple((why, f"driftwatch ack CONFIG {start} --as {way}") for why, way in ways)
            found.append(Incident(incident=item, commands=commands))
    return found


def jointly(verdict: Verdict) -> list[NamedColumn]:
    """What a verdict names of all columns together."""
    return [item for item in verdict.named if not columns_only([item.column])]


def explain_command(verdict: Verdict) -> str:
    """The command that recomputes a verdict."""
    parts = ["--monitor", verdict.monitor, "--window", iso(verdict.window.end)]
    if verdict.segment is not None:
        parts += ["--segment", words.visible(verdict.segment)]
    return f"driftwatch explain CONFIG {shlex.join(parts)}"


def cards(view: MonitorView, segment: SegmentView) -> tuple[list[Card], list[Card]]:
    """Columns in the order they matter: those that are drawn, and the rest."""
    if view.reference is None:
        return [], []
    reference = view.reference.at(segment.segment)
    known = {column.name: column for column in reference.plan.columns}
    ranked = [] if segment.looked is None else by_contribution(segment.looked)
    names = [
        name for name in dict.fromkeys([*moved_columns(view, segment), *ranked, *known]) if name in known
    ]
    window = comparable(segment, reference)
    made = [
        _card(known[name], segment.looked, reference, window, drawn=rank < MOST_DRAWN)
        for rank, name in enumerate(names)
    ]
    return made[:MOST_DRAWN], made[MOST_DRAWN:]


def comparable(segment: SegmentView, reference: Reference) -> Summary | None:
    """The window's summary while it is at hand and counted on the reference's own cells."""
    window = segment.window
    if window is None or segment.looked is None or window.plan != reference.plan.fingerprint:
        return None
    return window


def _card(
    column: Column, verdict: Verdict | None, reference: Reference, window: Summary | None, *, drawn: bool
) -> Card:
    here = () if verdict is None else tuple(item for item in verdict.statistics if item.column == column.name)
    named = None if verdict is None else next((i for i in verdict.named if i.column == column.name), None)
    broken = (
        "" if verdict is None else next((i.detail for i in verdict.breakages if i.column == column.name), "")
    )
    effects = [named.effect] if named is not None else []
    effects += [item.effect for item in here if item.effect]
    expected = reference.summary.counts.get(column.name)
    found = None if window is None else window.counts.get(column.name)
    return Card(
        column=column,
        named=named,
        broken=broken,
        effects=tuple(dict.fromkeys(effect for effect in effects if effect)),
        drawing=_drawing(column, reference, expected, found) if drawn else Markup(),
        statistics=here,
        missing=(_missing(expected), _missing(found)),
    )


def _missing(counts: Counts | None) -> float | None:
    return None if counts is None or not counts.rows else counts.missing / counts.rows


def _drawing(column: Column, reference: Reference, expected: Counts | None, found: Counts | None) -> Markup:
    grid = reference.plan.grids.get(column.name)
    if expected is None or found is None:
        return Markup()
    if isinstance(grid, LevelGrid):
        return charts.levels(bars.level_bars(grid, expected, found), column.name)
    if isinstance(grid, NumericGrid):
        numeric = bars.numeric_bars(grid, expected, found, column.kind)
        return Markup() if numeric is None else charts.histogram(numeric, column.name)
    return Markup()


def counted_as(kind: Kind) -> str:
    """What is counted of a kind whose values are not counted themselves."""
    return {Kind.TEXT: "length of the text", Kind.VECTOR: "norm of the vector"}.get(kind, "")
