"""Takes incidents and acceptances of a monitor over to the reference and settings in force.

Whoever owns the monitor runs this before its next window and acknowledgement. A reference of other data
closes incidents; one built anew of the same data replaces nothing. A monitor that could not look cannot look
for another reference either, so that kind stays open in both cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.monitor.check import Monitor, mend
from driftwatch.monitor.incident_message import Ending
from driftwatch.monitor.incidents.incident_records import Segments, in_segments
from driftwatch.monitor.succession.acceptance import accept_again, same_acceptance
from driftwatch.monitor.succession.closing import close
from driftwatch.monitor.succession.next_state import begun_state, is_followed, watched_part
from driftwatch.monitor.succession.reference_change import ReferenceChange, reference_change
from driftwatch.store.acknowledgements import ACCEPTED
from driftwatch.store.records import CheckRecord, StoredIncident

Say = Callable[[str], None]
States = dict[str | None, SegmentState]

# One transaction changes states, incidents and messages. Then every open incident is on a state of the
# reference in force, so that another run, also after a crash, changes nothing.


def take_over(monitor: Monitor, now: int, say: Say) -> Monitor:
    """Return the monitor to go on with: its reference may gain what was accepted. Raises ``StoreError``."""
    name, history, fingerprint = monitor.config.name, monitor.history, monitor.reference.fingerprint
    _mend_states(monitor, now, say)
    if history.references.active_fingerprint(name) != fingerprint:
        # Somebody accepted an incident on the old reference while the new one was being built.
        history.references.activate(name, fingerprint, now)
    open_incidents = history.incidents.of_monitor(name)
    whole = history.states.current(name, None)
    whole_state = None if whole is None else decode(whole)
    # In most cases nothing changed, and the states of many segments need not be decoded.
    is_settled = whole_state is None or (whole_state.reference == fingerprint and not whole_state.incidents)
    if is_settled and not open_incidents:
        return monitor
    old_states = {segment: decode(data) for segment, data in history.states.of_monitor(name)}
    return _TakeOver(
        monitor=monitor, old_states=old_states, open_incidents=tuple(open_incidents), say=say
    ).run(now)


def _mend_states(monitor: Monitor, now: int, say: Say) -> None:
    name, states = monitor.config.name, monitor.history.states
    segments = [item for item in states.damaged(name, decode) if item in monitor.reference.plan.segments]
    if not segments:
        return
    mended = [(segment, mend(monitor, segment)) for segment in segments]
    monitor.history.commit(
        CheckRecord(
            monitor=name,
            now=now,
            segment_states=[(item, state.decided_until or 0, encode(state)) for item, state in mended],
            checkpoint=True,
        )
    )
    for segment in segments:
        states.forget_damage(name, segment)
    say(f"{name}: {len(segments)} segment(s) go on with a mended state, since the stored one was damaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class _TakeOver:
    monitor: Monitor
    old_states: Mapping[str | None, SegmentState]
    open_incidents: tuple[StoredIncident, ...]
    say: Say

    def run(self, now: int) -> Monitor:
        changes = self._changes()
        monitor, states = self._accepted(changes)
        open_in: dict[str, Segments] = {}
        for segment, old in self.old_states.items():
            state = self._successor(segment, old, changes, monitor, states)
            if state is not None:
                states[segment] = state
            for item in (old if state is None else state).incidents:
                open_in[item.key] = (*open_in.get(item.key, ()), segment)
        self._commit(monitor, states, self._endings(set(open_in), changes), open_in, now)
        return monitor if monitor is self.monitor else replace(monitor, segment_states={})

    def _changes(self) -> dict[str, ReferenceChange]:
        fingerprints = {
            old.reference
            for segment, old in self.old_states.items()
            if old.incidents or segment in self.monitor.reference.plan.segments
        }
        for item in fingerprints:
            self._report_lost_acceptance(item)
        return {item: reference_change(self.monitor, item) for item in fingerprints}

    def _report_lost_acceptance(self, fingerprint: str) -> None:
        history, name = self.monitor.history, self.monitor.config.name
        if not history.states.is_rebased(name, fingerprint) or history.references.get(name, fingerprint):
            return
        incidents = history.incidents.of_monitor(name, only_open=False)
        keys = [item.key for item in incidents if item.resolution == ACCEPTED]
        self.say(
            f"{name}: what was accepted is gone with the damaged reference and may page again: "
            f"{', '.join(keys) or 'no incident names it'}"
        )

    def _accepted(self, changes: Mapping[str, ReferenceChange]) -> tuple[Monitor, States]:
        """Return the monitor with what was accepted, and its first states."""
        monitor, whole = self.monitor, self.old_states.get(None)
        change = None if whole is None else changes[whole.reference]
        if change is None or change.acceptance is None:
            return monitor, {}
        if not change.same_data:
            self.say(f"{monitor.config.name}: what was accepted on the old reference ends with it")
            return monitor, {}
        segments = monitor.reference.plan.segments
        states = {segment: self._begun(segment, self.old_states.get(segment)) for segment in segments}
        if change.same_cells:
            reference = same_acceptance(monitor, change.acceptance)
            monitor = replace(monitor, reference=reference)
            states = {
                segment: replace(item, reference=reference.fingerprint) for segment, item in states.items()
            }
        else:
            monitor, states = accept_again(monitor, states, change.acceptance, self.say)
        self.say(f"{monitor.config.name}: what was accepted stays in force on the new reference")
        return monitor, states

    def _begun(self, segment: str | None, old: SegmentState | None) -> SegmentState:
        state = self.monitor.segment_state(segment)
        return state if old is None else replace(state, decided_until=old.decided_until)

    def _successor(
        self,
        segment: str | None,
        old: SegmentState,
        changes: Mapping[str, ReferenceChange],
        monitor: Monitor,
        states: States,
    ) -> SegmentState | None:
        """Return the state to store; None for the same one."""
        change = changes.get(old.reference)
        open_keys = {item.key for item in self.open_incidents}
        in_plan = segment in monitor.reference.plan.segments
        parts = [
            watched_part(item, monitor)
            for item in old.incidents
            if in_plan and item.key in open_keys and is_followed(item, change)
        ]
        incidents = tuple(item for item in parts if item is not None)
        if change is not None and in_plan and not change.is_none:
            if change.same_cells:
                return replace(old, reference=monitor.reference.fingerprint, incidents=incidents)
            if segment in states or incidents or (change.same_data and old.carried_over is not None):
                state = states.get(segment) or self._begun(segment, old)
                return begun_state(state, old, incidents, monitor, segment, change)
        return None if incidents == old.incidents else replace(old, incidents=incidents)

    def _endings(self, followed: set[str], changes: Mapping[str, ReferenceChange]) -> dict[str, Ending]:
        endings = {}
        for item in self.open_incidents:
            if item.key in followed:
                continue
            references = [
                old.reference
                for segment in item.all_segments
                if (old := self.old_states.get(segment)) is not None
                and item.key in {incident.key for incident in old.incidents}
            ]
            # An incident on no state: 0.1.0 began anew with each reference and left it open.
            is_replaced = not references or not any(changes[name].same_data for name in references)
            endings[item.key] = Ending.REFERENCE_REPLACED if is_replaced else Ending.NOT_WATCHED
        for ending in Ending:
            n_incidents = sum(1 for item in endings.values() if item is ending)
            if n_incidents:
                self.say(f"{self.monitor.config.name}: {n_incidents} open incident(s) ended: {ending}")
        return endings

    def _commit(
        self,
        monitor: Monitor,
        states: States,
        endings: Mapping[str, Ending],
        open_in: Mapping[str, Segments],
        now: int,
    ) -> None:
        recorder, history, reference = monitor.recorder, monitor.history, monitor.reference
        closings = close(endings, self.open_incidents, recorder.browsing, recorder.sinks, now)
        placed = [(item, in_segments(item, open_in.get(item.key, ()))) for item in self.open_incidents]
        updated = [new for item, new in placed if new != item]
        if not states and not closings.resolved and not updated:
            return
        is_accepted = reference is not self.monitor.reference
        history.commit(
            CheckRecord(
                monitor=monitor.config.name,
                now=now,
                segment_states=[
                    (segment, item.decided_until or 0, encode(item)) for segment, item in states.items()
                ],
                # A replay of the next windows begins here.
                checkpoint=True,
                updated=updated,
                resolved=closings.resolved,
                messages=closings.messages,
                reference=(reference, self._source_key()) if is_accepted else None,
            )
        )

    def _source_key(self) -> str:
        name, fingerprint = self.monitor.config.name, self.monitor.reference.fingerprint
        return self.monitor.history.references.source_key(name, fingerprint)
