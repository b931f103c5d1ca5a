"""Applies acknowledgements of incidents: fixed, accepted (the reference is rebased), muted, or an undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.decide.state_codec import encode
from driftwatch.monitor.acceptance.rebase import AcceptedIncident, SegmentStates, rebase
from driftwatch.monitor.acceptance.undo import undo
from driftwatch.monitor.check import Monitor
from driftwatch.notify.base import minute_text
from driftwatch.store.acknowledgements import ACCEPTED, MUTED, UNDO, Acknowledgement, Acknowledgements
from driftwatch.store.records import CheckRecord
from driftwatch.store.tables.incident_table import IncidentTable
from driftwatch.summary.reference import Reference


def apply_pending(monitor: Monitor, acknowledgements: Acknowledgements, now: int) -> Monitor:
    """Apply the waiting acknowledgements, oldest first, each in one transaction."""
    for acknowledgement in acknowledgements.pending(monitor.config.name):
        monitor = apply_acknowledgement(monitor, acknowledgement, now)
    return monitor


def apply_acknowledgement(monitor: Monitor, acknowledgement: Acknowledgement, now: int) -> Monitor:
    return replace(_apply(monitor, acknowledgement, now), segment_states={})


def _apply(monitor: Monitor, acknowledgement: Acknowledgement, now: int) -> Monitor:
    if acknowledgement.verdict == UNDO:
        return undo(monitor, acknowledgement, now)
    segment_states = {name: monitor.segment_state(name) for name in monitor.reference.plan.segments}
    incidents = _answered(segment_states, acknowledgement.incident)
    record = CheckRecord(monitor=monitor.config.name, now=now)
    if not incidents:
        outcome = ended_text(monitor.history.incidents, monitor.config.name, acknowledgement.incident)
        monitor.history.commit(replace(record, acknowledged=[(acknowledgement.id, outcome)]))
        return monitor
    keys = frozenset(item.key for item in incidents)
    texts = [f"{acknowledgement.verdict}: {len(incidents)} incident(s)"]
    if acknowledgement.verdict == MUTED:
        segment_states = {
            name: _mute(state, keys, acknowledgement.until) for name, state in segment_states.items()
        }
        record = replace(record, muted=[(item.key, acknowledgement.until) for item in incidents])
    else:
        record, former_states = _closed(monitor, incidents, acknowledgement.verdict, now), segment_states
        segment_states = {name: _close(state, keys) for name, state in segment_states.items()}
        if acknowledgement.verdict == ACCEPTED:
            former = monitor.reference
            monitor, segment_states, coverage = _accept(monitor, segment_states, incidents)
            texts += coverage
            record = _with_reference(record, monitor, former, former_states)
    monitor.history.commit(
        replace(
            record,
            segment_states=_bytes(segment_states),
            checkpoint=True,
            acknowledged=[(acknowledgement.id, "; ".join(texts))],
        )
    )
    return monitor


def _answered(segment_states: SegmentStates, key: str) -> list[AcceptedIncident]:
    """Return the open incidents that an answer is for: one may be open in several segments."""
    parts: dict[str, dict[str | None, Incident]] = {}
    for name, segment_state in segment_states.items():
        for incident in segment_state.incidents:
            if key in ("", incident.key):
                parts.setdefault(incident.key, {})[name] = incident
    return [AcceptedIncident(key=item, parts=by_segment) for item, by_segment in parts.items()]


def _closed(
    monitor: Monitor, incidents: Sequence[AcceptedIncident], resolution: str, now: int
) -> CheckRecord:
    stored = {item.key: item for item in monitor.history.incidents.of_monitor(monitor.config.name)}
    messages = [
        message
        for item in incidents
        for message in monitor.recorder.closing_messages(stored.get(item.key), now, resolution)
    ]
    return CheckRecord(
        monitor=monitor.config.name,
        now=now,
        resolved=[(item.key, resolution) for item in incidents],
        messages=messages,
    )


def _accept(
    monitor: Monitor, segment_states: SegmentStates, incidents: Sequence[AcceptedIncident]
) -> tuple[Monitor, SegmentStates, list[str]]:
    texts = []
    # Joint sums are those of the incident that began last.
    for item in sorted(incidents, key=lambda item: (item.onset, item.key)):
        if not item.is_blind:
            monitor, segment_states, text = rebase(monitor, segment_states, item)
            texts.append(text)
    return monitor, segment_states, texts


def _with_reference(
    record: CheckRecord, monitor: Monitor, former: Reference, former_states: SegmentStates
) -> CheckRecord:
    if monitor.reference is former:
        return record
    # Not that of the active reference: one of newer settings may wait to be taken over.
    source_key = monitor.history.references.source_key(monitor.config.name, former.fingerprint)
    return replace(
        record,
        reference=(monitor.reference, source_key),
        parent=former.fingerprint,
        former_states=_bytes(former_states),
    )


def _bytes(segment_states: SegmentStates) -> list[tuple[str | None, int, bytes]]:
    decided_until = max((state.decided_until or 0) for state in segment_states.values())
    return [(name, decided_until, encode(state)) for name, state in segment_states.items()]


def _mute(segment_state: SegmentState, keys: frozenset[str], muted_until: int | None) -> SegmentState:
    # Alertmanager, which is sent firing alerts repeatedly, gets the mute and afterwards the alert again. The
    # other notifiers get only the incident's end, even during the mute: an alert they already show is to be
    # snoozed there. A notifier without the alert gets it after the mute.
    return replace(
        segment_state,
        incidents=tuple(
            replace(item, muted_until=muted_until) if item.key in keys else item
            for item in segment_state.incidents
        ),
    )


def _close(segment_state: SegmentState, keys: frozenset[str]) -> SegmentState:
    return replace(
        segment_state, incidents=tuple(item for item in segment_state.incidents if item.key not in keys)
    )


def ended_text(incidents: IncidentTable, monitor: str, key: str) -> str:
    """Say that an incident is not open, and when and why it ended; of several the newest."""
    stored = incidents.of_monitor(monitor, only_open=False)
    ended = [item for item in stored if item.resolved_at is not None and key in ("", item.key)]
    if not ended:
        return f"no open incident {key}".strip()
    newest = max(ended, key=lambda item: (item.resolved_at or 0, item.key))
    text = f"{newest.key} ended {minute_text(newest.resolved_at or 0)}: {newest.resolution}"
    return f"no open incident; {text}"
