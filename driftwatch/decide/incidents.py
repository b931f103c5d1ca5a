"""Incidents: one per cause, opened by a page and resolved only by quiet windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from driftwatch.core.schema import Span
from driftwatch.decide.baseline.prediction import mean_deviation_since_onset
from driftwatch.decide.evalues.policy import QUIET_WINDOWS, Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import BROKEN, DRIFT, Incident, SegmentState
from driftwatch.decide.window_e_values import WindowEValues, effect_floors
from driftwatch.results.results import NamedColumn, Reason, State, Verdict
from driftwatch.results.text_format import format_time

#: Verdicts without evidence of their own: with an open incident or without, they say what they say.
_UNJUDGED = (Reason.TOO_FEW_ROWS, Reason.EXCLUDED)


class OpenedIncident(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def segment(self) -> str | None: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def opened_at(self) -> int: ...
    @property
    def onset(self) -> int | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledIncidents:
    open: tuple[Incident, ...]
    resolved: tuple[Incident, ...]


def incident_key(policy: Policy, kind: str, window: Span, columns: Iterable[str], part: int = 0) -> str:
    """Return the key of an incident, the same however often it is computed or sent.

    >>> from driftwatch.core.schema import Span
    >>> policy = Policy(monitor="m", segment=None, pages_per_second=1e-7)
    >>> incident_key(policy, "drift", Span(start=0, end=1), ["a"])
    'm-drift-a2f3d11bda'
    """
    parts = [policy.monitor, policy.segment or "", kind, str(window.end), *sorted(columns)]
    if part:
        parts.append(f"part {part}")
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{policy.monitor}-{kind}-{digest[:10]}"


def settle(
    incidents: Iterable[Incident], out_of_band: Mapping[str, bool], broken: frozenset[str], end: int
) -> SettledIncidents:
    """Count quiet windows of incidents' columns; ``QUIET_WINDOWS`` in a row release a column.

    An incident without columns left is resolved. A column that was not measured (no entry in ``out_of_band``)
    stays. A window judged late, with an ``end`` before an incident's onset, says nothing about it.
    """
    open_incidents, resolved = [], []
    for incident in incidents:
        if end <= incident.onset:
            open_incidents.append(incident)
            continue
        quiet_counts = incident.quiet or (0,) * len(incident.columns)
        remaining = []
        for column, quiet in zip(incident.columns, quiet_counts, strict=True):
            is_loud = column in broken if incident.kind == BROKEN else out_of_band.get(column, True)
            if is_loud or quiet + 1 < QUIET_WINDOWS:
                remaining.append((column, 0 if is_loud else quiet + 1))
        if remaining:
            columns, remaining_counts = (tuple(part) for part in zip(*remaining, strict=True))
            open_incidents.append(replace(incident, columns=columns, quiet=remaining_counts))
        else:
            resolved.append(incident)
    return SettledIncidents(open=tuple(open_incidents), resolved=tuple(resolved))


def with_groups(columns: Iterable[str], groups: Mapping[str, str]) -> tuple[str, ...]:
    named = list(dict.fromkeys(columns))
    named_groups = {groups[column] for column in named if column in groups}
    return tuple(dict.fromkeys([*named, *(name for name, group in groups.items() if group in named_groups)]))


def breakage_incident(
    segment_state: SegmentState, measurement: Measurement, policy: Policy
) -> tuple[Incident, ...]:
    open_columns = {
        column for item in segment_state.incidents if item.kind == BROKEN for column in item.columns
    }
    new = tuple(item.column for item in measurement.breakages if item.column not in open_columns)
    if not new:
        return ()
    return (
        Incident(
            key=incident_key(policy, BROKEN, measurement.window, new, measurement.part),
            kind=BROKEN,
            columns=new,
            opened_at=measurement.window.end,
            onset=measurement.window.start,
        ),
    )


def drift_incident(named: tuple[NamedColumn, ...], measurement: Measurement, policy: Policy) -> Incident:
    columns = with_groups((item.column for item in named), policy.groups)
    return Incident(
        key=incident_key(policy, DRIFT, measurement.window, columns, measurement.part),
        kind=DRIFT,
        columns=columns,
        opened_at=measurement.window.end,
        onset=min(item.onset for item in named),
    )


def after_page(
    segment_state: SegmentState, e_values: WindowEValues, policy: Policy, columns: frozenset[str]
) -> SegmentState:
    """Reset all evidence, and store the shift that the page found in the named columns' scores."""
    is_named = segment_state.scores.keys.owned_by(columns)
    shift = mean_deviation_since_onset(
        segment_state.scores, effect_floors(segment_state, policy), e_values.deviation
    )
    return replace(segment_state, scores=segment_state.scores.with_shift(is_named, shift)).reset()


def with_open_incidents(verdict: Verdict, incidents: Iterable[OpenedIncident]) -> Verdict:
    """Return a segment's newest verdict as it reads while ``incidents`` are open.

    Late rows of an older window may have opened them. A broken one speaks for its own window alone.
    """
    if verdict.state.moved or not verdict.state.has_data or verdict.reason in _UNJUDGED:
        return verdict
    segment_incidents = [item for item in incidents if item.segment == verdict.segment]
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
