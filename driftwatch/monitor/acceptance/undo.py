"""Takes an acceptance back: the former reference is in force from now, and its incidents reopen.

Accepted columns and joint detectors go on from what they had learned before the acceptance; all others keep
what they learned since. Verdicts that were decided meanwhile stay, and are marked where they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftwatch.decide.baseline.former_streams import with_former_scores, with_former_shares
from driftwatch.decide.segment_state import BLIND, Incident, SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.monitor.acceptance.relearn import owned, rebased_owners
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.monitor.incident_message import Ending
from driftwatch.monitor.incidents.incident_records import Segments, in_segments
from driftwatch.monitor.succession.closing import Closings, close
from driftwatch.monitor.succession.damaged_state import incident_of
from driftwatch.monitor.succession.next_state import part_with, watched_part
from driftwatch.notify.base import minute_text
from driftwatch.store.acknowledgements import ACCEPTED, UNDONE, Acknowledgement
from driftwatch.store.records import CheckRecord, StoredIncident
from driftwatch.summary.reference import Reference

_REFUSED = "not undone: "
States = Mapping[str | None, SegmentState | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """What an undo goes back to."""

    reference: Reference
    #: Fingerprint of the one that was accepted on; its states are those to go on from.
    parent: str
    #: What the acceptance covered.
    columns: tuple[str, ...]
    #: Those that were accepted together.
    incidents: tuple[StoredIncident, ...]


def undo(monitor: Monitor, acknowledgement: Acknowledgement, now: int) -> Monitor:
    record = CheckRecord(monitor=monitor.config.name, now=now)
    undoing = undoing_of(monitor, acknowledgement.incident)
    if isinstance(undoing, Undoing):
        former = replace(monitor, reference=undoing.reference, segment_states={})
        states = _former_states(monitor, undoing)
        incidents = _reopened(former, undoing, states)
        if not incidents:
            undoing = f"what {acknowledgement.incident} names is no longer watched"
    if isinstance(undoing, str):
        monitor.history.commit(replace(record, acknowledged=[(acknowledgement.id, f"{_REFUSED}{undoing}")]))
        return monitor
    undone_states = {
        name: _undone_state(monitor, former, undoing, name, state, incidents)
        for name, state in states.items()
    }
    decided_until = max((state.decided_until or 0) for state in undone_states.values())
    updated, closings = _newer_changes(monitor, undone_states, now)
    monitor.history.commit(
        replace(
            record,
            updated=updated,
            resolved=closings.resolved,
            messages=closings.messages,
            segment_states=[(name, decided_until, encode(state)) for name, state in undone_states.items()],
            checkpoint=True,
            activated=undoing.reference.fingerprint,
            reopened=sorted({item.key for parts in incidents.values() for item in parts}),
            acknowledged=[(acknowledgement.id, _outcome(acknowledgement.incident, undoing, states))],
        )
    )
    return former


def _newer_changes(
    monitor: Monitor, undone_states: Mapping[str | None, SegmentState], now: int
) -> tuple[list[StoredIncident], Closings]:
    """Return what becomes of incidents that opened since, of which the reopened ones took columns."""
    open_in: dict[str, Segments] = {}
    for segment, state in undone_states.items():
        for item in state.incidents:
            open_in[item.key] = (*open_in.get(item.key, ()), segment)
    stored = monitor.history.incidents.of_monitor(monitor.config.name)
    placed = [(item, in_segments(item, open_in.get(item.key, ()))) for item in stored]
    endings = {item.key: Ending.REFERENCE_REPLACED for item in stored if item.key not in open_in}
    recorder = monitor.recorder
    closings = close(endings, stored, recorder.browsing, recorder.sinks, now)
    return [new for item, new in placed if new != item], closings


def _outcome(key: str, undoing: Undoing, states: States) -> str:
    others = [item.key for item in undoing.incidents if item.key != key]
    text = f"{UNDONE}: {key} is open again, and the reference before it was accepted is in force"
    if others:
        text += f"; {', '.join(others)}, accepted together with it, reopened too"
    if any(state is None for state in states.values()):
        text += "; what was usual then is no longer stored and is learned from the reference"
    return text


def undoing_of(monitor: Monitor, key: str) -> Undoing | str:
    """Return what an undo of the incident's acceptance goes back to, or why there is none."""
    name, history = monitor.config.name, monitor.history
    incidents = {item.key: item for item in history.incidents.of_monitor(name, only_open=False)}
    stored = incidents.get(key)
    refusal = undo_refusal(name, key, stored)
    if refusal or stored is None:
        return refusal
    together = _accepted_together(monitor, stored, incidents)
    if together is None:
        return f"the reference that {key} was accepted with is not stored"
    accepted, parent, keys = together
    newest, spans = monitor.reference.provenance.accepted, accepted.provenance.accepted
    if newest[: len(spans)] != spans:
        return f"the reference that {key} was accepted on was replaced since"
    if len(newest) > len(spans):
        return f"a newer acceptance builds on that of {key}. Undo the newer one first"
    former = _former_reference(monitor, accepted, history.references.get(name, parent))
    if former is None:
        return f"the reference before {key} was accepted is not stored"
    covered = spans[len(former.provenance.accepted) :]
    return Undoing(
        reference=former,
        parent=parent,
        columns=tuple(dict.fromkeys(column for span in covered for column in span.columns)),
        incidents=tuple(incidents[item] for item in sorted(keys) if incidents[item].kind != BLIND),
    )


def undo_refusal(monitor: str, key: str, stored: StoredIncident | None) -> str:
    """Return why the incident has no acceptance that could be undone; empty if it has one."""
    if stored is None:
        return f"{monitor} has no incident {key}"
    if stored.resolved_at is None:
        return f"{key} is open"
    if stored.resolution != ACCEPTED:
        return f"{key} was not accepted: it ended {minute_text(stored.resolved_at)}, {stored.resolution}"
    if stored.kind == BLIND:
        return f"{key} could not look: its acceptance changed no reference"
    return ""


def _accepted_together(
    monitor: Monitor, stored: StoredIncident, incidents: Mapping[str, StoredIncident]
) -> tuple[Reference, str, set[str]] | None:
    """Return the reference that the incident's acceptance brought, its parent, and the keys it ended."""
    references, name = monitor.history.references, monitor.config.name
    at = stored.resolved_at or 0
    accepted = {
        item.key for item in incidents.values() if item.resolution == ACCEPTED and item.resolved_at == at
    }
    # Several may have been accepted one after the other at one time: each began without those before it.
    parents = references.parents_at(name, at)
    ended = {
        fingerprint: accepted - _keys_at_beginning(monitor, fingerprint)
        for fingerprint in parents
        if monitor.history.states.is_rebased(name, fingerprint)
    }
    for fingerprint, keys in ended.items():
        keys_of_this = keys - ended.get(parents[fingerprint], set())
        reference = references.get(name, fingerprint)
        if stored.key in keys_of_this and reference is not None:
            return reference, parents[fingerprint], keys_of_this
    return None


def _keys_at_beginning(monitor: Monitor, fingerprint: str) -> set[str]:
    states, name = monitor.history.states, monitor.config.name
    contents = [states.initial(name, fingerprint, segment) for segment in monitor.reference.plan.segments]
    return {item.key for content in contents if content is not None for item in decode(content).incidents}


def _former_reference(monitor: Monitor, accepted: Reference, parent: Reference | None) -> Reference | None:
    references, name = monitor.history.references, monitor.config.name
    if monitor.reference.fingerprint == accepted.fingerprint and parent is not None:
        return parent
    # Built anew since, of the same data, or accepted by a version that did not note what it built on.
    n_before = len(accepted.provenance.accepted) - 1 if parent is None else len(parent.provenance.accepted)
    if n_before:
        return None
    return references.built(name, references.source_key(name, monitor.reference.fingerprint))


def _former_states(monitor: Monitor, undoing: Undoing) -> dict[str | None, SegmentState | None]:
    """Return the states just before the acceptance; None where they are not stored."""

    def matches(data: bytes) -> SegmentState | None:
        state = decode(data)
        return state if state.reference == undoing.parent else None

    states, name = monitor.history.states, monitor.config.name
    return {segment: states.former(name, segment, matches) for segment in monitor.reference.plan.segments}


def _reopened(former: Monitor, undoing: Undoing, states: States) -> dict[str | None, tuple[Incident, ...]]:
    """Return the incidents to reopen by segment, with those of their columns that are watched."""
    stored = {item.key: item for item in undoing.incidents}
    incidents: dict[str | None, tuple[Incident, ...]] = {}
    for segment, state in states.items():
        if state is None:
            parts = [incident_of(item) for item in stored.values() if item.segment == segment]
        else:
            parts = [item for item in state.incidents if item.key in stored]
        watched = [watched_part(item, former) for item in parts]
        incidents[segment] = tuple(item for item in watched if item is not None)
    return incidents if any(incidents.values()) else {}


def _undone_state(
    monitor: Monitor,
    former: Monitor,
    undoing: Undoing,
    segment: str | None,
    state: SegmentState | None,
    incidents: Mapping[str | None, tuple[Incident, ...]],
) -> SegmentState:
    current = monitor.segment_state(segment)
    if state is None or state.reference != former.reference.fingerprint:
        state = _first_state(former, segment)
    owners = rebased_owners(monitor, undoing.columns)
    # What moved since against the reference that is gone: no column is in two incidents.
    names = {name for item in incidents[segment] for name in item.columns}
    parts = [
        item if item.kind == BLIND else part_with(item, set(item.columns) - names)
        for item in current.incidents
    ]
    return replace(
        current,
        reference=former.reference.fingerprint,
        shares=with_former_shares(current.shares, state.shares, owned(current.shares.keys, owners)),
        scores=with_former_scores(current.scores, state.scores, owned(current.scores.keys, owners)),
        score_model=None,
        incidents=(*incidents[segment], *(item for item in parts if item is not None)),
    )


def _first_state(former: Monitor, segment: str | None) -> SegmentState:
    history, name, fingerprint = former.history, former.config.name, former.reference.fingerprint
    beginning = history.states.initial(name, fingerprint, segment)
    if beginning is not None:
        return decode(beginning)
    return initial_segment_state(
        former.evaluator.segment_context(segment),
        history.references.blocks(name, fingerprint, segment),
        former.evaluator.targets,
        former.config,
        former.configuration,
    )
