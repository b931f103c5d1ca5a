"""What an incident says to somebody woken by it: plain words, no raw rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import iso
from driftwatch.decide.incidents import BLIND, BROKEN, DRIFT
from driftwatch.decide.state import Incident
from driftwatch.notify.base import IncidentKind, Message, minute
from driftwatch.results.evidence_trail import Place
from driftwatch.results.names import columns_only, listed_words, named_words
from driftwatch.results.results import State, Verdict
from driftwatch.store.outbox import message_from_json, message_to_json

_LINES = 8
_UNTIL = "nothing is known about drift until this works again"
_BY_HAND = "closed by hand: nothing is known about drift until this works again"
#: A test set that may stand for this share of the traffic is not said to fall short.
_REPRESENTED = 0.95


def message_for(
    incident: Incident,
    verdict: Verdict,
    config: MonitorConfig,
    external_url: str,
    trail: Iterable[Place] = (),
) -> Message:
    """The message that opens an incident, from the verdict that opened it; ``trail`` ends with it."""
    lines = _lines(incident, verdict)
    hidden = len(lines) - _LINES
    if hidden > 0:
        lines = [*lines[:_LINES], f"and {hidden} more"]
    return Message(
        key=incident.key,
        kind=IncidentKind(incident.kind),
        monitor=verdict.monitor,
        segment=verdict.segment,
        resolved=False,
        title=title_of(incident, verdict, config),
        lines=tuple(lines),
        unchanged=_unchanged(verdict),
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
    )


def title_of(incident: Incident, verdict: Verdict, config: MonitorConfig) -> str:
    """The symptom first, short enough for a phone.

    >>> from driftwatch.results.results import Reason, State
    >>> from driftwatch.core.schema import Span
    >>> incident = Incident(key="k", kind="drift", columns=("age",), opened_at=0, onset=0)
    >>> verdict = Verdict(monitor="m", segment=None, window=Span(start=0, end=1), rows=9,
    ...     state=State.DRIFTING, reason=Reason.EVIDENCE_COMPLETE)
    >>> title_of(incident, verdict, MonitorConfig.model_construct(name="m"))
    'm: inputs drifted, 1 column'
    """
    where = verdict.monitor if verdict.segment is None else f"{verdict.monitor} [{verdict.segment[:40]}]"
    model = f"{config.model.name} {config.model.version}".strip()
    where = f"{where} (model {model})" if model else where
    if incident.kind == DRIFT:
        what = _counted(len(columns_only(incident.columns)), verdict)
        return f"{where}: inputs drifted, {what or ', '.join(listed_words(incident.columns))}"
    if incident.kind == BROKEN:
        return f"{where}: input broken, {', '.join(incident.columns[:3])}"[:120]
    return f"{where}: could not look, {str(verdict.reason).replace('_', ' ')}"


def _counted(moved: int, verdict: Verdict) -> str:
    """``3 of 41 columns``, of those that were measured; the empty text when none moved by itself."""
    if not moved:
        return ""
    measured = len({item.column for item in verdict.statistics if item.column is not None})
    of = f" of {measured}" if measured >= moved else ""
    return f"{moved}{of} column{'s' if max(moved, measured) != 1 else ''}"


def resolved_message(firing: str, now: int, trail: Iterable[Place] = (), *, by_hand: bool = False) -> str:
    """The stored firing message, whole, as its own ending; ``trail`` is the evidence until then.

    ``by_hand``: somebody closed the incident. Only what it said of the time to come is said anew.
    """
    ended = replace(message_from_json(firing), resolved=True, resolved_at=now, trail=tuple(trail))
    if _UNTIL in ended.lines:
        known = _BY_HAND if by_hand else _known_again(ended)
        ended = replace(ended, lines=tuple(known if line == _UNTIL else line for line in ended.lines))
    return message_to_json(ended)


def _known_again(ended: Message) -> str:
    """Whether windows were missed. Of one that was skipped nothing is stored: a trail without the first, by
    which the incident was opened, does not tell.
    """
    during = {end: state for end, _, state, _ in ended.trail if end >= ended.opened_at}
    if ended.opened_at in during and all(State(state).looked for state in during.values()):
        return "it works again, and no window was given up"
    return "it works again; nothing is known about drift in windows that were given up"


def _lines(incident: Incident, verdict: Verdict) -> list[str]:
    if incident.kind == DRIFT:
        moved = [f"{named_words(item)} ({item.share:.0%} of the evidence)" for item in verdict.named]
        since = f"since {minute(incident.onset)}, {verdict.rows:,} rows"
        return [since, *moved, *_unrepresented(verdict)]
    if incident.kind == BROKEN:
        mine = set(incident.columns)
        return [f"{item.column}: {item.detail}" for item in verdict.breakages if item.column in mine]
    return [verdict.detail, _UNTIL]


def _unrepresented(verdict: Verdict) -> list[str]:
    """Said where the test set surely never stood for this traffic: an offset is not a change."""
    return [
        f"apart from any change, the test set stands for {item.share:.0%} of usual traffic in {item.column} "
        f"({item.low:.0%} to {item.high:.0%})"
        for item in verdict.represented[:1]
        if item.high < _REPRESENTED
    ]


def _unchanged(verdict: Verdict) -> str:
    if not verdict.unchanged:
        return ""
    listed = ", ".join(verdict.unchanged[:6])
    more = len(verdict.unchanged) - 6
    return f"Not moved: {listed}{f' and {more} more' if more > 0 else ''}."


def _link(incident: Incident, verdict: Verdict, external_url: str) -> str:
    """The window's page; the monitor's when the window could not be looked at and may stay undecided."""
    if not external_url:
        return ""
    base = external_url.rstrip("/")
    query = f"?segment={quote(verdict.segment, safe='')}" if verdict.segment is not None else ""
    window = "" if incident.kind == BLIND else f"/windows/{iso(verdict.window.end)}"
    return f"{base}/monitors/{quote(verdict.monitor)}{window}{query}"
