"""Writes a segment's headline: moved, nothing moved, or could not look; since when, and why."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView
from driftwatch.daemon.status.staleness import is_stale
from driftwatch.decide.combined_score import REST_NOTE
from driftwatch.monitor.column_labels import column_labels, single_columns
from driftwatch.monitor.incidents.ending_text import ending_line
from driftwatch.notify.base import IncidentKind
from driftwatch.results import text_format
from driftwatch.results.results import Reason, State, Verdict

_ACKNOWLEDGED = (
    "Its incident is closed. The next window tells whether it is over; this verdict was made before."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    #: ``words.MOVED``, ``words.SAME`` or ``words.BLIND``.
    kind: str
    headline: str
    why: str

    @property
    def word(self) -> str:
        return text_format.KIND_WORDS[self.kind]

    @property
    def symbol(self) -> str:
        return text_format.KIND_SYMBOLS[self.kind]


def headline_of(view: MonitorView, segment: SegmentView | None, now: int) -> Headline:
    """Describe a segment's newest state in words; an outdated *ok* is shown as a failure to look."""
    if segment is not None:
        segment = view.current(segment)
    if segment is None or segment.verdict is None:
        return _unchecked(view, now)
    verdict, incidents = segment.verdict, open_incidents(view, segment.segment)
    if verdict.state.moved:
        headline = _moved(view, segment, now)
        if is_acknowledged(view, segment):
            return Headline(kind=text_format.MOVED, headline=f"{headline}; acknowledged", why=_ACKNOWLEDGED)
        return Headline(kind=text_format.MOVED, headline=headline, why=_why(verdict))
    if verdict.state is not State.OK:
        since = text_format.format_date(blind_since(segment), now)
        return Headline(
            kind=text_format.BLIND,
            headline=f"could not look since {since}: {_reason(verdict, now)}",
            why=_detail(verdict),
        )
    if is_stale(view, segment, now):
        newest = text_format.format_relative_time(segment.usable_at, now)
        return Headline(
            kind=text_format.BLIND,
            headline=f"could not look: no check since {newest}",
            why="Nothing had moved then. Checks should have come since; see whether the scheduler runs.",
        )
    if incidents:
        count = text_format.format_count(len(incidents), "incident")
        return Headline(
            kind=text_format.SAME,
            headline=f"nothing moved of late, {count} still open",
            why="An incident stays open until it resolves or somebody acknowledges it.",
        )
    watched = text_format.watched_text(verdict)
    return Headline(
        kind=text_format.SAME,
        headline=f"nothing moved in {watched}" if watched else "nothing moved",
        why=_detail(verdict),
    )


def _unchecked(view: MonitorView, now: int) -> Headline:
    next_check = (
        ""
        if view.next_run_at is None
        else f" The next one is due {text_format.format_relative_time(view.next_run_at, now)}."
    )
    failure = f" {view.last_failure}" if view.last_failure else ""
    return Headline(
        kind=text_format.BLIND,
        headline="no check has completed yet",
        why=f"{next_check}{failure}".strip(),
    )


def open_incidents(view: MonitorView, segment: str | None) -> list[OpenIncident]:
    """Return a segment's open drift and broken incidents, oldest first."""
    incidents = [item for item in view.incidents_of(segment) if item.kind != IncidentKind.BLIND]
    return sorted(incidents, key=lambda item: item.opened_at)


def is_acknowledged(view: MonitorView, segment: SegmentView) -> bool:
    """Return True when the newest verdict is drifting but has no open incident any more."""
    verdict = segment.verdict
    is_drifting = verdict is not None and verdict.state is State.DRIFTING
    return is_drifting and not open_incidents(view, segment.segment)


def onset(view: MonitorView, segment: SegmentView, kind: IncidentKind | None = None) -> int | None:
    """Return the earliest onset of the open incidents (of ``kind``), or else that of the newest verdict."""
    onsets = [
        item.opened_at if item.onset is None else item.onset
        for item in open_incidents(view, segment.segment)
        if kind is None or item.kind == kind
    ]
    if not onsets and segment.verdict is not None and segment.verdict.onset is not None:
        onsets = [segment.verdict.onset]
    return min(onsets, default=None)


def moved_columns(view: MonitorView, segment: SegmentView) -> list[str]:
    """Return columns and joint detectors that are broken or named by an open incident or newest verdict."""
    verdict = segment.verdict
    broken = [] if verdict is None else [item.column for item in verdict.breakages]
    named = [] if verdict is None else [item.column for item in verdict.named]
    opened = [column for item in open_incidents(view, segment.segment) for column in item.columns]
    return list(dict.fromkeys([*broken, *named, *opened]))


def blind_since(segment: SegmentView) -> int:
    """Return the start of the newest unbroken run of windows that could not be checked."""
    if segment.verdict is None:
        return 0
    window = segment.verdict.window
    states = sorted({end: state for end, _, state, _ in segment.trail if end < window.end}.items())
    first_end = window.end
    while states and text_format.state_kind(states[-1][1]) == text_format.BLIND:
        first_end = states.pop()[0]
    if first_end == window.end:
        return window.start
    # Earlier windows may have been skipped, and one day a year is an hour shorter.
    return max(first_end - (window.end - window.start), states[-1][0] if states else 0)


def _moved(view: MonitorView, segment: SegmentView, now: int) -> str:
    verdict = segment.verdict
    is_broken = verdict is not None and verdict.state is State.BROKEN
    subject = "inputs are broken" if is_broken else "inputs drifted"
    names, kind = moved_columns(view, segment), None
    columns = single_columns(names)
    if verdict is not None and is_broken:
        kind = IncidentKind.BROKEN
        incidents = [item for item in open_incidents(view, segment.segment) if item.kind == kind]
        columns = (
            [item.column for item in verdict.breakages]
            or [column for item in incidents for column in item.columns]
            or columns
        )
    watched = None if view.reference is None else len(view.reference.plan.columns)
    # The plan also counts a column that only sorts rows into segments.
    if verdict is not None and verdict.watched is not None and verdict.watched.of >= len(columns):
        watched = verdict.watched.of
    total = "" if watched is None else f" of {watched}"
    noun = "column" if (watched or len(columns)) == 1 else "columns"
    joint = ", ".join(column_labels(names)) or "all columns together"
    count = f": {len(columns)}{total} {noun}" if columns else f": {joint}"
    # A verdict names no columns itself while its incident is open.
    count = count if names else ""
    since = onset(view, segment, kind)
    return f"{subject}{count}" + ("" if since is None else f", since {text_format.format_date(since, now)}")


def _why(verdict: Verdict) -> str:
    if verdict.breakages:
        return f"{text_format.REASON_WORDS[verdict.reason].capitalize()}."
    if verdict.reason is Reason.INCIDENT_OPEN and verdict.endings:
        line = ending_line(verdict.endings[-1], verdict.window.seconds)
        line = f"It is {line}" if verdict.endings[-1].recurring else f"It {line}"
        # Which joint detectors rest meanwhile is said with the window.
        notes = [note for note in verdict.detail.split("; ") if REST_NOTE not in note]
        detail = f"{'; '.join(notes)}." if verdict.detail and notes else ""
        return f"{text_format.REASON_WORDS[verdict.reason].capitalize()}. {line}. {detail}".strip()
    return f"{text_format.REASON_WORDS[verdict.reason].capitalize()}. {verdict.detail}".strip()


def _until(verdict: Verdict, now: int) -> str:
    if verdict.state is not State.CALIBRATING or verdict.calibrating_until is None:
        return ""
    return f", until {text_format.format_date(verdict.calibrating_until, now)}"


def _reason(verdict: Verdict, now: int) -> str:
    if verdict.reason is not Reason.COLUMNS_UNWATCHED and verdict.state in (
        State.CALIBRATING,
        State.INSUFFICIENT,
    ):
        return text_format.STATE_WORDS[verdict.state] + _until(verdict, now)
    return text_format.REASON_WORDS[verdict.reason]


def _detail(verdict: Verdict) -> str:
    is_short = verdict.state is State.INSUFFICIENT and verdict.reason is not Reason.COLUMNS_UNWATCHED
    if is_short and verdict.smallest_effect is not None:
        effect = text_format.format_percent(verdict.smallest_effect)
        return f"{verdict.detail} The smallest change that could be seen is {effect} of the traffic.".strip()
    return verdict.detail
