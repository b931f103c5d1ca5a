"""What a person is told first: moved, nothing moved, or could not look; since when, and why."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView
from driftwatch.daemon.status.staleness import is_stale
from driftwatch.notify.base import IncidentKind
from driftwatch.results import words
from driftwatch.results.names import columns_only, listed_words
from driftwatch.results.results import State, Verdict

_ACKNOWLEDGED = (
    "Its incident is closed. The next window tells whether it is over; this verdict was made before."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """``kind`` is one of moved, same, blind; ``headline`` says it in words and ``why`` explains."""

    kind: str
    headline: str
    why: str

    @property
    def word(self) -> str:
        """The kind as it is called."""
        return words.WORD[self.kind]

    @property
    def symbol(self) -> str:
        """The mark beside the word."""
        return words.SYMBOL[self.kind]


def look_at(view: MonitorView, segment: SegmentView | None, now: int) -> Look:
    """The newest state of a segment in words. An old *ok* is not an *ok*: it could not look since."""
    if segment is None or segment.verdict is None:
        due = "" if view.next_run_at is None else f" The next one is due {words.ago(view.next_run_at, now)}."
        failed = f" {view.last_failure}" if view.last_failure else ""
        return Look(kind=words.BLIND, headline="no check has completed yet", why=f"{due}{failed}".strip())
    verdict = segment.verdict
    incidents = open_here(view, segment.segment)
    if verdict.state.moved:
        headline = _moved(view, segment, now)
        if acknowledged(view, segment):
            return Look(kind=words.MOVED, headline=f"{headline}; acknowledged", why=_ACKNOWLEDGED)
        return Look(kind=words.MOVED, headline=headline, why=_why(verdict))
    if verdict.state is not State.OK:
        since = words.day(blind_since(segment), now)
        return Look(
            kind=words.BLIND,
            headline=f"could not look since {since}: {_reason(verdict)}",
            why=_detail(verdict),
        )
    if is_stale(view, segment, now):
        return Look(
            kind=words.BLIND,
            headline=f"could not look: no check since {words.ago(segment.looked_at, now)}",
            why="Nothing had moved then. Checks should have come since; see whether the scheduler runs.",
        )
    if incidents:
        return Look(
            kind=words.SAME,
            headline=f"nothing moved of late, {words.plural(len(incidents), 'incident')} still open",
            why="An incident stays open until it resolves or somebody acknowledges it.",
        )
    watched = (
        "" if view.reference is None else f" in {words.plural(len(view.reference.plan.columns), 'column')}"
    )
    return Look(kind=words.SAME, headline=f"nothing moved{watched}", why="")


def open_here(view: MonitorView, segment: str | None) -> list[OpenIncident]:
    """Open incidents of one segment that say something moved, oldest first."""
    here = [item for item in view.incidents if item.segment == segment and item.kind != IncidentKind.BLIND]
    return sorted(here, key=lambda item: item.opened_at)


def acknowledged(view: MonitorView, segment: SegmentView) -> bool:
    """True when the newest verdict says drifting and every incident behind it was closed since."""
    verdict = segment.verdict
    drifting = verdict is not None and verdict.state is State.DRIFTING
    return drifting and not open_here(view, segment.segment)


def began(view: MonitorView, segment: SegmentView, kind: IncidentKind | None = None) -> int | None:
    """First bad window of what is open or named now; ``kind`` None counts every open incident."""
    known = [
        item.opened_at if item.onset is None else item.onset
        for item in open_here(view, segment.segment)
        if kind is None or item.kind == kind
    ]
    if not known and segment.verdict is not None and segment.verdict.onset is not None:
        known = [segment.verdict.onset]
    return min(known, default=None)


def moved_columns(view: MonitorView, segment: SegmentView) -> list[str]:
    """What is broken, named by an open incident or by the newest verdict; all columns together among it."""
    verdict = segment.verdict
    broken = [] if verdict is None else [item.column for item in verdict.breakages]
    named = [] if verdict is None else [item.column for item in verdict.named]
    opened = [column for item in open_here(view, segment.segment) for column in item.columns]
    return list(dict.fromkeys([*broken, *named, *opened]))


def blind_since(segment: SegmentView) -> int:
    """Start of the first of the newest windows in a row that could not be looked at, as messages say it."""
    if segment.verdict is None:
        return 0
    window = segment.verdict.window
    known = sorted({end: state for end, _, state, _ in segment.trail if end < window.end}.items())
    first = window.end
    while known and words.kind_of(known[-1][1]) == words.BLIND:
        first = known.pop()[0]
    if first == window.end:
        return window.start
    # Windows can have been skipped before it, and one day a year is an hour shorter.
    return max(first - (window.end - window.start), known[-1][0] if known else 0)


def _moved(view: MonitorView, segment: SegmentView, now: int) -> str:
    verdict = segment.verdict
    broken = verdict is not None and verdict.state is State.BROKEN
    what = "inputs are broken" if broken else "inputs drifted"
    names, kind = moved_columns(view, segment), None
    columns = columns_only(names)
    if verdict is not None and verdict.breakages:
        columns, kind = [item.column for item in verdict.breakages], IncidentKind.BROKEN
    watched = None if view.reference is None else len(view.reference.plan.columns)
    of = "" if watched is None else f" of {watched}"
    noun = "column" if (watched or len(columns)) == 1 else "columns"
    together = ", ".join(listed_words(names)) or "all columns together"
    count = f": {len(columns)}{of} {noun}" if columns else f": {together}"
    # A verdict names nothing of its own while the incident it rests on is open.
    count = count if names else ""
    since = began(view, segment, kind)
    return f"{what}{count}" + ("" if since is None else f", since {words.day(since, now)}")


def _why(verdict: Verdict) -> str:
    if verdict.breakages:
        return f"{words.REASON_WORDS[verdict.reason].capitalize()}."
    return f"{words.REASON_WORDS[verdict.reason].capitalize()}. {verdict.detail}".strip()


def _reason(verdict: Verdict) -> str:
    if verdict.state in (State.CALIBRATING, State.INSUFFICIENT):
        return words.STATE_WORDS[verdict.state]
    return words.REASON_WORDS[verdict.reason]


def _detail(verdict: Verdict) -> str:
    if verdict.state is State.INSUFFICIENT and verdict.smallest_effect is not None:
        effect = words.percent(verdict.smallest_effect)
        return f"{verdict.detail} The smallest change that could be seen is {effect} of the traffic.".strip()
    return verdict.detail
