"""The incident in plain words, for somebody who did not build the model: what, since when, what now."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.daemon.status.column_order import effects_of
from driftwatch.daemon.status.headline import Look, acknowledged, began, open_here
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView
from driftwatch.monitor.check import PATIENCE
from driftwatch.notify.base import IncidentKind
from driftwatch.results import words
from driftwatch.results.names import column_words, columns_only, listed_words, named_words
from driftwatch.results.results import NamedColumn, Reason, State, Verdict

#: Moves and unchanged columns that are said before "and N more".
MOST_MOVES, MOST_UNCHANGED = 4, 8

_UPSTREAM = "Ask what changed then: a deploy, an upstream table or export, a campaign, the season."
_ENDINGS = (
    "Repaired? Acknowledge it as fixed. The new normal? As accepted: the reference is rebased. "
    "Known for now? Mute it."
)
#: What to do when it could not look, by reason.
_BLIND = {
    Reason.SOURCE_UNAVAILABLE: "See whether the source answers from here; it is tried again by itself.",
    Reason.SOURCE_TIMEOUT: "See why the source is slow; limits.deadline says how long a read may take.",
    Reason.SOURCE_BEHIND: "See why the source delivers late; the window is tried again until it is late by "
    f"{PATIENCE} windows' length, then given up.",
    Reason.READER_DIED: "See the log: a read that needs more memory than limits.memory is killed.",
    Reason.TOO_MANY_ROWS: "See whether rows are written twice; limits.rows says how many a window may have.",
    Reason.ALL_FILES_UNREADABLE: "See who writes the files listed below; none of them could be read.",
    Reason.SCHEMA_MISMATCH: "See what changed the columns of the source.",
    Reason.NO_ROWS: "See whether the model had traffic, and whether its inputs are still written.",
    Reason.TOO_FEW_ROWS: "Nothing is broken: too few rows came. If that stays so, lengthen window.length.",
    Reason.EFFECT_TOO_SMALL_TO_SEE: "Nothing is broken: too few rows came. If that stays so, lengthen "
    "window.length.",
    Reason.BURN_IN: "Nothing: it learns what is usual. Breakage and gross shifts page meanwhile.",
    Reason.EXCLUDED: "Nothing: the configuration leaves this day out.",
}
_NO_CHECK = "See that the daemon runs, and its log; nothing is known of the inputs since."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the first screen of a monitor says beneath its headline. Texts may hold names from data.

    ``moves`` are (column or empty, effect).
    """

    moves: tuple[tuple[str, str], ...]
    more_moves: int
    since: str
    sure: str
    unchanged: tuple[str, ...]
    more_unchanged: int
    todo: tuple[str, ...]


def tell(view: MonitorView, segment: SegmentView, look: Look, now: int) -> Told:
    """The words for the newest state of a segment."""
    verdict = segment.verdict
    moves = _moves(view, segment) if look.kind == words.MOVED else []
    looked = segment.looked
    unchanged = () if looked is None or look.kind == words.BLIND else looked.unchanged
    return Told(
        moves=tuple(moves[:MOST_MOVES]),
        more_moves=max(len(moves) - MOST_MOVES, 0),
        since=_since(view, segment, look, now),
        sure=_sure(view, segment, look, now),
        unchanged=unchanged[:MOST_UNCHANGED],
        more_unchanged=max(len(unchanged) - MOST_UNCHANGED, 0),
        todo=_todo(view, segment, look, verdict, now),
    )


def _moves(view: MonitorView, segment: SegmentView) -> list[tuple[str, str]]:
    """Broken columns alone when there are any, else what the newest pages name."""
    verdict = segment.verdict
    if verdict is None:
        return []
    if verdict.breakages:
        return [(item.column, item.detail) for item in verdict.breakages]
    named = {item.column: item for item in verdict.named}
    opened = [column for item in reversed(open_here(view, segment.segment)) for column in item.columns]
    return [_move(name, named.get(name), segment.looked) for name in dict.fromkeys([*named, *opened])]


def _move(name: str, named: NamedColumn | None, looked: Verdict | None) -> tuple[str, str]:
    """A column that a page or an open incident names; its effect is today's when the page is older."""
    if not columns_only([name]):
        return ("", f"{column_words(name)} moved" if named is None else named_words(named))
    if named is not None and named.effect:
        return (name, named.effect)
    here = [item for item in (looked.statistics if looked else ()) if item.column == name]
    effect = next(iter(effects_of(here)), "")
    # Not what it was paged for: the column may be back by now.
    return (name, f"moved; now {effect}" if effect else "moved")


def _since(view: MonitorView, segment: SegmentView, look: Look, now: int) -> str:
    if look.kind != words.MOVED or segment.verdict is None:
        return ""
    broken = segment.verdict.state is State.BROKEN
    start = began(view, segment, IncidentKind.BROKEN if broken else None)
    if start is None:
        return ""
    others = [item for item in open_here(view, segment.segment) if item.kind != IncidentKind.BROKEN]
    earlier = ""
    if broken and others:
        moved = listed_words([column for item in others for column in item.columns])
        shown = ", ".join(words.shortened(words.visible(name), 60) for name in moved[:4])
        more = f" and {len(moved) - 4} more" if len(moved) > 4 else ""
        earlier = f" Drift incidents are open beside it: {shown}{more}."
    return f"{words.day(start, now)}, {words.ago(start, now)}.{earlier}"


def _sure(view: MonitorView, segment: SegmentView, look: Look, now: int) -> str:
    verdict = segment.verdict
    if look.kind == words.BLIND or verdict is None:
        looked = segment.looked
        if looked is None:
            return "Nothing is known: no window could be looked at yet."
        if looked is not verdict:
            then = words.STATE_WORDS[looked.state]
            return f"Nothing is known now. At the last look, {words.ago(segment.looked_at, now)}: {then}."
        return "Not enough to say. Gross shifts and breakage would page all the same."
    if verdict.state is State.BROKEN:
        return "Certain: it was counted, not estimated."
    budget = f"by chance that happens at most {view.budget}, all columns and checks together"
    if verdict.state is State.DRIFTING:
        paged = max((item.opened_at for item in open_here(view, segment.segment)), default=None)
        when = "" if paged is None else f" on {words.day(paged, now)}"
        if acknowledged(view, segment):
            return f"The evidence was complete when it paged; {budget}."
        return f"The evidence was complete{when}; {budget}."
    seen = verdict.smallest_effect
    smallest = "" if seen is None else f" A shift of {words.percent(seen)} of the rows would be seen at once."
    return f"Evidence {words.number(verdict.evidence)} of 1; at 1 it pages, and {budget}.{smallest}"


def _todo(
    view: MonitorView, segment: SegmentView, look: Look, verdict: Verdict | None, now: int
) -> tuple[str, ...]:
    if look.kind == words.BLIND:
        if verdict is None or verdict.state is State.OK:
            return (_NO_CHECK,)
        return (_BLIND.get(verdict.reason, _NO_CHECK),)
    if look.kind == words.SAME or verdict is None:
        return ()
    if verdict.state is State.BROKEN:
        return (
            "See what fills these columns upstream: an export, a join or a schema changed.",
            "It ends by itself once the values are back.",
        )
    if acknowledged(view, segment):
        return ("Nothing: it was acknowledged. The next windows are judged anew.",)
    return (_UPSTREAM, _ENDINGS)
