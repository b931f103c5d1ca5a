"""Writes an incident's message for somebody woken by it: plain words, no raw rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import pairwise
from urllib.parse import quote

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import iso
from driftwatch.decide.segment_state import BLIND, BROKEN, DRIFT, Incident
from driftwatch.monitor.column_labels import column_labels, joint_title, moved_title, single_columns
from driftwatch.monitor.incidents.ending_text import is_ending_line, lasting
from driftwatch.monitor.incidents.incident_lines import (
    BLIND_NOTE,
    again_line,
    broken_columns,
    ending_lines,
    lines_of_others,
    page_effects,
    page_lines,
    places_lines,
    unchanged_text,
)
from driftwatch.notify.base import IncidentKind, Message
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import TrailPoint
from driftwatch.results.page_json import page_named
from driftwatch.results.results import State, Verdict
from driftwatch.store.outbox import message_from_json, message_to_json

#: Lines of a message that fits a telephone; further lines are only counted.
_MAX_LINES = 8
#: A telephone's locked screen shows eighty characters, with "[critical] " before the title.
_MAX_TITLE_CHARS = 69
#: Lengths of a window between two ends, above which a window is missing.
_MAX_GAP_WINDOWS = 1.5
_CLOSED_BY_HAND_NOTE = "closed by hand: nothing is known about drift until this works again"


class Ending(StrEnum):
    """Why an incident ended although nobody answered it and its inputs did not come back. Stored."""

    REFERENCE_REPLACED = "reference replaced"
    MONITOR_REMOVED = "monitor removed"
    NOT_WATCHED = "no longer watched"
    UNKNOWN = "unknown"


_ENDING_CAUSES = {
    Ending.REFERENCE_REPLACED: "the reference was replaced by one of other data",
    Ending.MONITOR_REMOVED: "the configuration no longer has this monitor",
    Ending.NOT_WATCHED: "what it names is no longer watched",
    Ending.UNKNOWN: "the history was lost and nobody can tell whether it goes on",
}


#: In titles, where the stored reason says too little.
_ENDING_TITLES = {Ending.UNKNOWN: "its history was lost"}


def message_for(
    incident: Incident,
    verdict: Verdict,
    config: MonitorConfig,
    external_url: str,
    trail: Iterable[TrailPoint] = (),
    *,
    segments: Sequence[str | None] = (),
    others: Sequence[Verdict] = (),
    earlier: Message | None = None,
) -> Message:
    """Return the message of a page; ``others`` are what its window showed in the other ``segments``.

    ``earlier`` is the stored message of an incident that pages again.
    """
    again = earlier is not None
    lines = page_lines(incident, verdict, earlier)
    at = 1 if lines and lines[0].startswith("since ") else 0
    again_lines = [] if earlier is None else [again_line(incident, verdict, earlier)]
    lines[at:at] = [*again_lines, *places_lines(segments)]
    lines += lines_of_others(incident, verdict, others)
    n_hidden = len(lines) - _MAX_LINES
    if n_hidden > 0:
        lines = [*lines[:_MAX_LINES], f"and {text_format.format_count(n_hidden, 'further note')}"]
    # When it ends must not be hidden.
    lines += ending_lines(incident.key, verdict)
    return Message(
        key=incident.key,
        kind=IncidentKind(incident.kind),
        monitor=verdict.monitor,
        segment=verdict.segment,
        resolved=False,
        title=title_of(incident, verdict, config, segments, again=again),
        lines=tuple(lines),
        unchanged=unchanged_text(verdict),
        window_start=verdict.window.start,
        window_end=verdict.window.end,
        onset=incident.onset,
        opened_at=incident.opened_at,
        resolved_at=None,
        state=str(verdict.state),
        reason=str(verdict.reason),
        model_name=config.model.name,
        model_version=config.model.version,
        url=_link(incident, verdict, external_url),
        trail=tuple(trail),
        segments=tuple(segments),
        again=again,
        effects=tuple(page_effects(incident, (verdict, *others)).items()),
        paged_until=verdict.window.end,
    )


def title_of(
    incident: Incident,
    verdict: Verdict,
    config: MonitorConfig,
    segments: Sequence[str | None] = (),
    *,
    again: bool = False,
) -> str:
    """Return a title that names the monitor and the symptom, short enough for a phone.

    >>> from driftwatch.results.results import Reason, State
    >>> from driftwatch.core.schema import Span
    >>> incident = Incident(key="k", kind="drift", columns=("age",), opened_at=0, onset=0)
    >>> verdict = Verdict(monitor="m", segment=None, window=Span(start=0, end=1), rows=9,
    ...     state=State.DRIFTING, reason=Reason.EVIDENCE_COMPLETE)
    >>> title_of(incident, verdict, MonitorConfig.model_construct(name="m"))
    'm: inputs drifted, age'
    """
    place = f"{len(segments)} segments" if len(segments) > 1 else (verdict.segment or "")[:40]
    subject = f"{verdict.monitor} [{place}]" if place else verdict.monitor
    model = f"{config.model.name} {config.model.version}".strip()
    subject = f"{subject} (model {model})" if model else subject
    watched = None if verdict.watched is None else verdict.watched.of
    if incident.kind == DRIFT or (again and not broken_columns(incident, verdict)):
        named = page_named(verdict) if again else verdict.named
        names = [item.column for item in named] if again else incident.columns
        opening = f"{subject}: {'drifted further' if again else 'inputs drifted'}, "
        moved_columns = moved_title(single_columns(names), watched, _MAX_TITLE_CHARS - len(opening))
        joint_columns = joint_title(item for item in named if item.column in names)
        return opening + (moved_columns or joint_columns or ", ".join(column_labels(names)))
    if incident.kind == BROKEN:
        opening = f"{subject}: input broken, "
        broken = incident.broken or incident.columns
        return opening + moved_title(broken, watched, _MAX_TITLE_CHARS - len(opening))
    return f"{subject}: could not look, {str(verdict.reason).replace('_', ' ')}"


def resolved_message(
    firing: str,
    now: int,
    trail: Iterable[TrailPoint] = (),
    *,
    by_hand: bool = False,
    ending: Ending | None = None,
    ended: str = "",
) -> str:
    """Return the stored firing message as a resolve message; ``trail`` is the evidence until then.

    ``by_hand`` says that somebody closed the incident; a could-not-look incident then gets another note.
    ``ended`` says how it ended and how long it lasted.
    """
    message = message_from_json(firing)
    message = replace(
        message,
        lines=tuple(line for line in message.lines if not is_ending_line(line)),
        resolved=True,
        resolved_at=now,
        trail=tuple(trail),
        ended=ended or lasting(message.opened_at, now).removeprefix(", "),
        again=False,
    )
    if ending is not None:
        message = _ended(message, ending)
    elif BLIND_NOTE in message.lines:
        note = _CLOSED_BY_HAND_NOTE if by_hand else _recovery_note(message)
        message = replace(
            message, lines=tuple(note if line == BLIND_NOTE else line for line in message.lines)
        )
    return message_to_json(message)


def _ended(message: Message, ending: Ending) -> Message:
    is_blind = message.kind is IncidentKind.BLIND
    note = f"ended because {_ENDING_CAUSES[ending]}, "
    note += "not because it works again" if is_blind else "not because the inputs are back"
    lines = [line for line in message.lines if line != BLIND_NOTE]
    # The line of the onset stays the first one: notifiers put it before the window.
    lines.insert(1 if lines and lines[0].startswith("since ") else 0, note)
    subject = message.title.partition(": ")[0]
    # A telephone shows eighty characters: the reason instead of the symptom, which is in the lines.
    return replace(
        message, title=f"{subject}: ended, {_ENDING_TITLES.get(ending, str(ending))}", lines=tuple(lines)
    )


def _recovery_note(message: Message) -> str:
    state_at = {end: state for end, _, state, _ in message.trail if end >= message.opened_at}
    # Windows beyond ``limits.catch_up`` are not stored. A day is up to 25 hours long.
    max_gap = _MAX_GAP_WINDOWS * (message.window_end - message.window_start)
    is_gapless = all(end - earlier < max_gap for earlier, end in pairwise(sorted(state_at)))
    has_data = all(State(state).has_data for state in state_at.values())
    if message.opened_at in state_at and is_gapless and has_data:
        return "it works again, and every window was looked at"
    return "it works again; nothing is known about drift in windows that nobody could look at"


def _link(incident: Incident, verdict: Verdict, external_url: str) -> str:
    if not external_url:
        return ""
    base = external_url.rstrip("/")
    query = f"?segment={quote(verdict.segment, safe='')}" if verdict.segment is not None else ""
    # The monitor's page, because a window without data may stay undecided.
    window = "" if incident.kind == BLIND else f"/windows/{iso(verdict.window.end)}"
    part = f"#part-{verdict.part}" if verdict.part else ""
    return f"{base}/monitors/{quote(verdict.monitor)}{window}{query}{part}"
