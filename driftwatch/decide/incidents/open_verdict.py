"""A newest verdict as it reads while incidents are open that late rows of an older window opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from driftwatch.decide.segment_state import BROKEN, DRIFT
from driftwatch.results.results import Reason, State, Verdict
from driftwatch.results.text_format import format_time

#: Verdicts without evidence of their own: with an open incident or without, they say what they say.
_UNJUDGED = (Reason.TOO_FEW_ROWS, Reason.EXCLUDED)


class OpenedIncident(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def all_segments(self) -> tuple[str | None, ...]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def opened_at(self) -> int: ...
    @property
    def onset(self) -> int | None: ...


def with_open_incidents(verdict: Verdict, incidents: Iterable[OpenedIncident]) -> Verdict:
    """Return a segment's newest verdict as it reads while ``incidents`` are open.

    Late rows of an older window may have opened them. A broken one speaks for its own window alone.
    """
    if verdict.state.moved or not verdict.state.has_data or verdict.reason in _UNJUDGED:
        return verdict
    segment_incidents = [item for item in incidents if verdict.segment in item.all_segments]
    drift = [item for item in segment_incidents if item.kind == DRIFT]
    broken = [
        item for item in segment_incidents if item.kind == BROKEN and item.opened_at == verdict.window.end
    ]
    if not drift and not broken:
        return verdict
    standing = (broken or drift)[-1]
    columns = {column for item in segment_incidents for column in item.columns}
    text = f"It was opened by rows that came late, in the window to {format_time(standing.opened_at)}"
    return replace(
        verdict,
        state=State.BROKEN if broken else State.DRIFTING,
        reason=Reason.INCIDENT_OPEN,
        detail="; ".join(part for part in (text, verdict.detail) if part),
        incident=standing.key,
        onset=standing.onset,
        unchanged=tuple(name for name in verdict.unchanged if name not in columns),
        could_not_tell=tuple(name for name in verdict.could_not_tell if name not in columns),
        move_limits=tuple(item for item in verdict.move_limits if item.column not in columns),
    )
