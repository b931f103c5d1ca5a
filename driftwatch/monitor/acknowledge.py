"""What people say about incidents, applied: fixed, accepted (the reference is rebased) or muted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from driftwatch.core.windows import season_slot
from driftwatch.decide.decision import learn_block
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.incidents import BLIND
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.state import Incident, SegmentState, encode
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluate import streams
from driftwatch.store.acknowledgements import Acknowledgement, Acknowledgements
from driftwatch.store.records import CheckRecord
from driftwatch.summary.reference import Reference
from driftwatch.summary.serial import fingerprint_reference
from driftwatch.summary.summary import Summary, total

ACCEPTED, MUTED = "accepted", "muted"
#: Joint statistics change with any column, so they are learned anew after a rebase.
_JOINT = "joint:"
_FOREVER = 1 << 62


def apply_pending(monitor: Monitor, acknowledgements: Acknowledgements, now: int) -> Monitor:
    """Apply every waiting acknowledgement, oldest first; each is one transaction. Returns the monitor."""
    for item in acknowledgements.pending(monitor.config.name):
        monitor = replace(_apply(monitor, item, now), segment_states={})
    return monitor


def _apply(monitor: Monitor, said: Acknowledgement, now: int) -> Monitor:
    segment_states = {name: monitor.segment_state(name) for name in monitor.reference.plan.segments}
    before = monitor.reference
    found = [
        (name, incident)
        for name, segment_state in segment_states.items()
        for incident in segment_state.incidents
        if said.incident in ("", incident.key)
    ]
    record = CheckRecord(monitor=monitor.config.name, now=now)
    if not found:
        outcome = f"no open incident {said.incident}".strip()
        monitor.history.commit(replace(record, acknowledged=[(said.id, outcome)]))
        return monitor
    if said.verdict == MUTED:
        segment_states = {
            name: _mute(segment_state, found, said.until) for name, segment_state in segment_states.items()
        }
        record = replace(record, muted=[(incident.key, said.until) for _, incident in found])
    else:
        segment_states = {
            name: _close(segment_state, found) for name, segment_state in segment_states.items()
        }
        record = replace(record, resolved=[(incident.key, said.verdict) for _, incident in found])
        stored = {item.key: item for item in monitor.history.incidents(monitor.config.name)}
        endings = [
            message
            for _, incident in found
            for message in monitor.recorder.closing(stored.get(incident.key), now)
        ]
        record = replace(record, messages=endings)
    if said.verdict == ACCEPTED:
        for segment, incident in found:
            if incident.kind == BLIND:
                continue  # nothing was seen then that could be taken as normal
            monitor, segment_states = rebase(monitor, segment_states, segment, incident)
        if monitor.reference is not before:
            record = replace(record, reference=(monitor.reference, _source_key(monitor)))
    until = max((segment_state.decided_until or 0) for segment_state in segment_states.values())
    monitor.history.commit(
        replace(
            record,
            segment_states=[
                (name, until, encode(segment_state)) for name, segment_state in segment_states.items()
            ],
            checkpoint=True,
            acknowledged=[(said.id, f"{said.verdict}: {len(found)} incident(s)")],
        )
    )
    return monitor


def _source_key(monitor: Monitor) -> str:
    active = monitor.history.active_reference(monitor.config.name)
    return active[1] if active else ""


def _mute(
    segment_state: SegmentState, found: Sequence[tuple[str | None, Incident]], until: int | None
) -> SegmentState:
    """Quiet for these incidents until then: who was not told yet is told when the mute is over.

    Who was told already keeps what they were told. Alertmanager, which is told again and again, hears of the
    mute and has the alert back after it. Of a mute and its end PagerDuty, Slack, mail and webhooks hear
    nothing, only of the incident's end, also during the mute: their own alert is to be snoozed there.
    """
    keys = {incident.key for _, incident in found}
    return replace(
        segment_state,
        incidents=tuple(
            replace(item, muted_until=until) if item.key in keys else item for item in segment_state.incidents
        ),
    )


def _close(segment_state: SegmentState, found: Sequence[tuple[str | None, Incident]]) -> SegmentState:
    keys = {incident.key for _, incident in found}
    return replace(
        segment_state, incidents=tuple(item for item in segment_state.incidents if item.key not in keys)
    )


def rebase(
    monitor: Monitor, segment_states: dict[str | None, SegmentState], segment: str | None, incident: Incident
) -> tuple[Monitor, dict[str | None, SegmentState]]:
    """Take what production showed since the onset as the reference of the incident's columns.

    Tiles are already counted on the frozen cells, so nothing is read again. All other columns, and what
    was learned about them, stay.
    """
    columns = frozenset(incident.columns) & set(monitor.reference.summary.counts)
    reference, since = monitor.reference, incident.onset
    accepted: dict[str | None, list[Summary]] = {}
    for name in reference.plan.segments:
        tiles = monitor.history.tiles(monitor.config.name, name, since, _FOREVER, reference.plan.fingerprint)
        accepted[name] = [item.summary for item in tiles if item.summary.rows]
    if not accepted[segment]:
        return monitor, segment_states
    reference = rebased(reference, accepted, columns)
    moved = replace(monitor, reference=reference)
    moved_tracks = {
        name: _relearn(moved, segment_state, name, accepted[name], columns)
        for name, segment_state in segment_states.items()
    }
    return moved, moved_tracks


def rebased(
    reference: Reference, accepted: dict[str | None, list[Summary]], columns: frozenset[str]
) -> Reference:
    """The reference whose counts of ``columns`` are those of the accepted tiles, as a new version."""

    def swap(old: Summary, tiles: list[Summary]) -> Summary:
        if not tiles:
            return old
        new = total(tiles)
        counts = {name: new.counts[name] if name in columns else old.counts[name] for name in old.counts}
        sums = new.sums if old.sums is not None else None
        return replace(old, counts=counts, sums=sums, sample=new.sample if old.sample is not None else None)

    draft = replace(
        reference,
        summary=swap(reference.summary, accepted[None]),
        segments={name: swap(old, accepted.get(name, [])) for name, old in reference.segments.items()},
    )
    return replace(draft, fingerprint=fingerprint_reference(draft))


def _relearn(
    monitor: Monitor,
    segment_state: SegmentState,
    segment: str | None,
    tiles: list[Summary],
    columns: frozenset[str],
) -> SegmentState:
    """Forget the moved columns' evidence and scores, and learn them from the accepted windows."""

    def moved(name: str) -> bool:
        return name in columns or name.startswith(_JOINT)

    reference = monitor.reference.at(segment)
    shares = np.array([moved(owner_of(key)) for key in segment_state.shares.keys], dtype=np.bool_)
    scores = np.array([moved(owner_of(key)) for key in segment_state.scores.keys], dtype=np.bool_)
    kept = replace(
        segment_state,
        reference=monitor.reference.fingerprint,
        shares=segment_state.shares.reset(shares),
        scores=segment_state.scores.without(scores),
        usual=None,
    )
    config = monitor.config
    for tile in tiles:
        if tile.rows < config.window.min_rows:
            continue
        seen = Measurement(
            window=tile.span,
            rows=tile.rows,
            statistics=(),
            streams=streams(
                reference,
                tile,
                [look for look in monitor.looks if moved(owner_of((look[0].name, look[1], "")))],
            ),
            slot=season_slot(tile.span.start, tuple(config.season), config.timezone),
        )
        kept = replace(learn_block(kept, seen), healthy_windows=kept.healthy_windows)
    return kept
