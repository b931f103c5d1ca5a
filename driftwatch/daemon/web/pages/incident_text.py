"""Describes an incident to a reader who did not build the model: what moved, since when, what to do."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.core.schema import Unwatched
from driftwatch.daemon.status.column_order import effects_of
from driftwatch.daemon.status.headline import Headline, is_acknowledged, onset, open_incidents
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView
from driftwatch.monitor.column_labels import column_label, column_labels, named_column_text, single_columns
from driftwatch.monitor.incidents.incident_lines import also_moved
from driftwatch.notify.base import IncidentKind
from driftwatch.results import text_format
from driftwatch.results.results import NamedColumn, Reason, State, Verdict

#: Moves that are told, and unchanged columns before "and N more".
MAX_MOVES, MAX_UNCHANGED = 4, 8

_UPSTREAM_ACTION = "Ask what changed then: a deploy, an upstream table or export, a campaign, the season."
_CLOSING_ACTION = (
    "Repaired? Acknowledge it as fixed. The new normal? As accepted: the reference is rebased. "
    "Known for now? Mute it."
)
#: What to do when it could not look, by reason.
_BLIND_ACTIONS = {
    Reason.SOURCE_UNAVAILABLE: "See whether the source answers from here; it is tried again by itself.",
    Reason.SOURCE_TIMEOUT: "See why the source is slow; limits.deadline says how long a read may take.",
    Reason.SOURCE_BEHIND: "See why the source delivers late. The window is judged when its rows come; "
    "window.patience says how long it waits.",
    Reason.READER_DIED: "See the log: a read that needs more memory than limits.memory is killed.",
    Reason.TOO_MANY_ROWS: "See whether rows are written twice; limits.rows says how many a window may have.",
    Reason.ALL_FILES_UNREADABLE: "See who writes the files listed below; none of them could be read.",
    Reason.UNDECODABLE: "See who sends the messages, and whether decode fits their format.",
    Reason.SCHEMA_MISMATCH: "See what changed the columns of the source.",
    Reason.NO_ROWS: "See whether the model had traffic, and whether its inputs are still written.",
    Reason.TOO_FEW_ROWS: "Nothing is broken: too few rows came. If that stays so, lengthen window.length.",
    Reason.EFFECT_TOO_SMALL_TO_SEE: "Nothing is broken: too few rows came. If that stays so, lengthen "
    "window.length.",
    Reason.BURN_IN: "Nothing: it learns what is usual. Breakage and gross shifts page meanwhile.",
    Reason.EXCLUDED: "Nothing: the configuration leaves this day out.",
    Reason.COLUMNS_UNWATCHED: "See the columns under Could not look at. Write them as numbers, texts or "
    "times of their own, or say under columns what shall not be watched: role: ignore, or watch: norm for "
    "a vector.",
}
_NO_CHECK_ACTION = "See that the daemon runs, and its log; nothing is known of the inputs since."


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentText:
    """Texts that describe an incident. They may contain names from data."""

    #: (column or empty, effect).
    moves: tuple[tuple[str, str], ...]
    #: The others' names.
    more_moves: str
    onset: str
    certainty: str
    #: (column, upper limit of its move).
    unchanged: tuple[tuple[str, str], ...]
    n_more_unchanged: int
    could_not_tell: tuple[tuple[str, str], ...]
    n_more_could_not_tell: int
    #: (column, reason), without the columns that the incidents name.
    unwatched: tuple[tuple[str, str], ...]
    n_more_unwatched: int
    actions: tuple[str, ...]


def incident_text(view: MonitorView, segment: SegmentView, status: Headline, now: int) -> IncidentText:
    verdict = segment.verdict
    moves = _moves(view, segment) if status.kind == text_format.MOVED else []
    usable_verdict = segment.usable_verdict
    is_usable = usable_verdict is not None and status.kind != text_format.BLIND
    unchanged = usable_verdict.unchanged if usable_verdict is not None and is_usable else ()
    could_not_tell = usable_verdict.could_not_tell if usable_verdict is not None and is_usable else ()
    limits = () if usable_verdict is None else usable_verdict.move_limits
    unwatched = [
        item
        for item in (() if verdict is None else verdict.unwatched)
        if item.reason is not Unwatched.INCIDENT_OPEN
    ]
    return IncidentText(
        moves=tuple(moves[:MAX_MOVES]),
        more_moves="".join(also_moved("and ", [name or effect for name, effect in moves[MAX_MOVES:]])),
        onset=_onset_text(view, segment, status, now),
        certainty=_certainty(view, segment, status, now),
        unchanged=tuple(text_format.move_notes(unchanged[:MAX_UNCHANGED], limits)),
        n_more_unchanged=max(len(unchanged) - MAX_UNCHANGED, 0),
        could_not_tell=tuple(text_format.move_notes(could_not_tell[:MAX_UNCHANGED], limits)),
        n_more_could_not_tell=max(len(could_not_tell) - MAX_UNCHANGED, 0),
        unwatched=tuple(text_format.unwatched_notes(unwatched[:MAX_UNCHANGED])),
        n_more_unwatched=max(len(unwatched) - MAX_UNCHANGED, 0),
        actions=_actions(view, segment, status, verdict, now),
    )


def _moves(view: MonitorView, segment: SegmentView) -> list[tuple[str, str]]:
    # Only the broken columns, if there are any.
    verdict = segment.verdict
    if verdict is None:
        return []
    if verdict.breakages:
        return [(item.column, item.detail) for item in verdict.breakages]
    named_columns = {item.column: item for item in verdict.named}
    incidents = open_incidents(view, segment.segment)
    incident_columns = [column for item in reversed(incidents) for column in item.columns]
    effects = {name: effect for item in incidents for name, effect in item.effects}
    return [
        _move(name, named_columns.get(name), segment.usable_verdict, effects.get(name, ""))
        for name in dict.fromkeys([*named_columns, *incident_columns])
    ]


def _move(
    name: str, named_column: NamedColumn | None, usable_verdict: Verdict | None, paged_effect: str
) -> tuple[str, str]:
    if not single_columns([name]):
        if named_column is not None:
            return ("", named_column_text(named_column))
        # Only its page says which columns it points to.
        note = f"; when it paged: {paged_effect}" if paged_effect else ""
        return ("", f"{column_label(name)} moved{note}")
    if named_column is not None and named_column.words:
        return (name, named_column.words)
    column_statistics = [
        item for item in (usable_verdict.statistics if usable_verdict else ()) if item.column == name
    ]
    effect = next(iter(effects_of(column_statistics)), "")
    # Not the effect it was paged for: the column may be back by now.
    return (name, f"moved; now {effect}" if effect else "moved")


def _onset_text(view: MonitorView, segment: SegmentView, status: Headline, now: int) -> str:
    if status.kind != text_format.MOVED or segment.verdict is None:
        return ""
    is_broken = segment.verdict.state is State.BROKEN
    start = onset(view, segment, IncidentKind.BROKEN if is_broken else None)
    if start is None:
        return ""
    drift_incidents = [
        item for item in open_incidents(view, segment.segment) if item.kind != IncidentKind.BROKEN
    ]
    drift_note = ""
    if is_broken and drift_incidents:
        labels = column_labels([column for item in drift_incidents for column in item.columns])
        label_list = ", ".join(
            text_format.truncate(text_format.escape_invisible(name), 60) for name in labels[:4]
        )
        remainder = f" and {len(labels) - 4} more" if len(labels) > 4 else ""
        drift_note = f" Drift incidents are open beside it: {label_list}{remainder}."
    return (
        f"{text_format.format_date(start, now)}, {text_format.format_relative_time(start, now)}.{drift_note}"
    )


def _certainty(view: MonitorView, segment: SegmentView, status: Headline, now: int) -> str:
    verdict = segment.verdict
    if status.kind == text_format.BLIND or verdict is None:
        usable_verdict = segment.usable_verdict
        if usable_verdict is None:
            return "Nothing is known: no window could be looked at yet."
        if usable_verdict is not verdict:
            state = text_format.STATE_WORDS[usable_verdict.state]
            return (
                f"Nothing is known now. At the last look, "
                f"{text_format.format_relative_time(segment.usable_at, now)}: {state}."
            )
        return "Not enough to say. Gross shifts and breakage would page all the same."
    if verdict.state is State.BROKEN:
        return "Certain: it was counted, not estimated."
    budget = f"by chance that happens at most {view.budget}, all columns and checks together"
    if verdict.state is State.DRIFTING:
        paged_at = max((item.opened_at for item in open_incidents(view, segment.segment)), default=None)
        date = "" if paged_at is None else f" on {text_format.format_date(paged_at, now)}"
        if is_acknowledged(view, segment):
            return f"The evidence was complete when it paged; {budget}."
        return f"The evidence was complete{date}; {budget}."
    effect = verdict.smallest_effect
    effect_note = (
        ""
        if effect is None
        else f" A shift of {text_format.format_percent(effect)} of the rows would be seen at once."
    )
    evidence = text_format.format_number(verdict.evidence)
    return f"Evidence {evidence} of 1; at 1 it pages, and {budget}.{effect_note}"


def _actions(
    view: MonitorView, segment: SegmentView, status: Headline, verdict: Verdict | None, now: int
) -> tuple[str, ...]:
    if status.kind == text_format.BLIND:
        if verdict is None or verdict.state is State.OK:
            return (_NO_CHECK_ACTION,)
        return (_BLIND_ACTIONS.get(verdict.reason, _NO_CHECK_ACTION),)
    if status.kind == text_format.SAME or verdict is None:
        return ()
    if verdict.state is State.BROKEN:
        return (
            "See what fills these columns upstream: an export, a join or a schema changed.",
            "It ends by itself once the values are back.",
        )
    if is_acknowledged(view, segment):
        return ("Nothing: it was acknowledged. The next windows are judged anew.",)
    return (_UPSTREAM_ACTION, _CLOSING_ACTION)
