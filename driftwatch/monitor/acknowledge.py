"""Applies acknowledgements of incidents: fixed, accepted (the reference is rebased) or muted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from driftwatch.core.schema import Span
from driftwatch.core.windows import season_slot
from driftwatch.decide.decision import learn_block
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import BLIND, Incident, SegmentState
from driftwatch.decide.state_codec import encode
from driftwatch.detectors.base import ReferenceContext
from driftwatch.errors import DataError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluation.evaluator import streams
from driftwatch.monitor.succession.recount import (
    TilesBySegment,
    is_counted,
    recounted_tiles,
    stored_tiles,
)
from driftwatch.notify.base import minute_text
from driftwatch.results.streams import JOINT_PREFIX
from driftwatch.store.acknowledgements import Acknowledgement, Acknowledgements
from driftwatch.store.records import CheckRecord
from driftwatch.store.tables.incident_table import IncidentTable
from driftwatch.summary.reference import AcceptedSpan, Reference
from driftwatch.summary.serial import fingerprint_reference
from driftwatch.summary.summary import Summary, total

log = logging.getLogger(__name__)
SegmentStates = dict[str | None, SegmentState]

ACCEPTED, MUTED = "accepted", "muted"
_END_OF_TIME = 1 << 62


def apply_pending(monitor: Monitor, acknowledgements: Acknowledgements, now: int) -> Monitor:
    """Apply the waiting acknowledgements, oldest first, each in one transaction."""
    for acknowledgement in acknowledgements.pending(monitor.config.name):
        monitor = apply_acknowledgement(monitor, acknowledgement, now)
    return monitor


def apply_acknowledgement(monitor: Monitor, acknowledgement: Acknowledgement, now: int) -> Monitor:
    return replace(_apply(monitor, acknowledgement, now), segment_states={})


def _apply(monitor: Monitor, acknowledgement: Acknowledgement, now: int) -> Monitor:
    segment_states = {name: monitor.segment_state(name) for name in monitor.reference.plan.segments}
    old_reference = monitor.reference
    # Not that of the active reference: one of newer settings may wait to be taken over.
    source_key = monitor.history.references.source_key(monitor.config.name, old_reference.fingerprint)
    matches = [
        (name, incident)
        for name, segment_state in segment_states.items()
        for incident in segment_state.incidents
        if acknowledgement.incident in ("", incident.key)
    ]
    record = CheckRecord(monitor=monitor.config.name, now=now)
    if not matches:
        outcome = ended_text(monitor.history.incidents, monitor.config.name, acknowledgement.incident)
        monitor.history.commit(replace(record, acknowledged=[(acknowledgement.id, outcome)]))
        return monitor
    if acknowledgement.verdict == MUTED:
        segment_states = {
            name: _mute(segment_state, matches, acknowledgement.until)
            for name, segment_state in segment_states.items()
        }
        record = replace(record, muted=[(incident.key, acknowledgement.until) for _, incident in matches])
    else:
        segment_states = {
            name: _close(segment_state, matches) for name, segment_state in segment_states.items()
        }
        record = replace(
            record, resolved=[(incident.key, acknowledgement.verdict) for _, incident in matches]
        )
        stored = {item.key: item for item in monitor.history.incidents.of_monitor(monitor.config.name)}
        closing_messages = [
            message
            for _, incident in matches
            for message in monitor.recorder.closing_messages(
                stored.get(incident.key), now, acknowledgement.verdict
            )
        ]
        record = replace(record, messages=closing_messages)
    if acknowledgement.verdict == ACCEPTED:
        for segment, incident in matches:
            if incident.kind == BLIND:
                continue  # That window had no data that could become the reference.
            monitor, segment_states = rebase(monitor, segment_states, segment, incident)
        if monitor.reference is not old_reference:
            record = replace(record, reference=(monitor.reference, source_key))
    decided_until = max((segment_state.decided_until or 0) for segment_state in segment_states.values())
    monitor.history.commit(
        replace(
            record,
            segment_states=[
                (name, decided_until, encode(segment_state)) for name, segment_state in segment_states.items()
            ],
            checkpoint=True,
            acknowledged=[(acknowledgement.id, f"{acknowledgement.verdict}: {len(matches)} incident(s)")],
        )
    )
    return monitor


def _mute(
    segment_state: SegmentState, matches: Sequence[tuple[str | None, Incident]], muted_until: int | None
) -> SegmentState:
    # Alertmanager, which is sent firing alerts repeatedly, gets the mute and afterwards the alert again. The
    # other notifiers get only the incident's end, even during the mute: an alert they already show is to be
    # snoozed there. A notifier without the alert gets it after the mute.
    keys = {incident.key for _, incident in matches}
    return replace(
        segment_state,
        incidents=tuple(
            replace(item, muted_until=muted_until) if item.key in keys else item
            for item in segment_state.incidents
        ),
    )


def _close(segment_state: SegmentState, matches: Sequence[tuple[str | None, Incident]]) -> SegmentState:
    keys = {incident.key for _, incident in matches}
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


def rebase(
    monitor: Monitor, segment_states: SegmentStates, segment: str | None, incident: Incident
) -> tuple[Monitor, SegmentStates]:
    """Replace the reference counts of the incident's columns by production's counts since the onset.

    Tiles are already counted on the frozen cells, so nothing is read again, unless the incident is older than
    the plan. Other columns stay.
    """
    tiles = _accepted_tiles(monitor, segment_states, incident.onset)
    if not tiles[segment]:
        return monitor, segment_states
    end = max(item.span.end for item in tiles[segment])
    accepted = AcceptedSpan(columns=incident.columns, start=incident.onset, end=end)
    return rebase_on(monitor, segment_states, tiles, accepted)


def _accepted_tiles(monitor: Monitor, segment_states: SegmentStates, onset: int) -> TilesBySegment:
    tiles = {
        name: [item for item in items if item.rows]
        for name, items in stored_tiles(monitor, Span(start=onset, end=_END_OF_TIME)).items()
    }
    decided_until = max((item.decided_until or onset) for item in segment_states.values())
    if decided_until <= onset or is_counted(monitor, Span(start=onset, end=decided_until)):
        return tiles
    try:
        return recounted_tiles(monitor, Span(start=onset, end=decided_until))
    except DataError as error:
        log.warning(
            "what was accepted cannot be counted on the new plan, newer windows are used",
            extra={"monitor": monitor.config.name, "error": str(error)},
        )
        return tiles


def rebase_on(
    monitor: Monitor, segment_states: SegmentStates, tiles: TilesBySegment, accepted: AcceptedSpan
) -> tuple[Monitor, SegmentStates]:
    """Replace the counts of the accepted columns by those of ``tiles``, and learn these columns from them."""
    columns = frozenset(accepted.columns) & set(monitor.reference.summary.counts)
    reference = rebase_reference(monitor.reference, tiles, columns)
    provenance = reference.provenance
    provenance = replace(provenance, accepted=(*provenance.accepted, accepted))
    rebased_monitor = replace(monitor, reference=replace(reference, provenance=provenance))
    rebased_states = {
        name: relearn(rebased_monitor, segment_state, name, tiles[name], columns)
        for name, segment_state in segment_states.items()
    }
    return rebased_monitor, rebased_states


def rebase_reference(
    reference: Reference, accepted_tiles: dict[str | None, list[Summary]], columns: frozenset[str]
) -> Reference:
    def swap(summary: Summary, tiles: list[Summary]) -> Summary:
        if not tiles:
            return summary
        accepted_sum = total(tiles)
        counts = {
            name: accepted_sum.counts[name] if name in columns else summary.counts[name]
            for name in summary.counts
        }
        named = {name: rows for name, rows in summary.named.items() if name not in columns}
        named |= {name: rows for name, rows in accepted_sum.named.items() if name in columns}
        sums = accepted_sum.sums if summary.sums is not None else None
        return replace(
            summary,
            counts=counts,
            sums=sums,
            sample=accepted_sum.sample if summary.sample is not None else None,
            named=named,
        )

    draft = replace(
        reference,
        summary=swap(reference.summary, accepted_tiles[None]),
        segments={
            name: swap(summary, accepted_tiles.get(name, [])) for name, summary in reference.segments.items()
        },
    )
    return replace(draft, fingerprint=fingerprint_reference(draft))


def relearn(
    monitor: Monitor,
    segment_state: SegmentState,
    segment: str | None,
    accepted_tiles: list[Summary],
    columns: frozenset[str],
) -> SegmentState:
    def is_rebased(name: str) -> bool:
        return name in columns or name.startswith(JOINT_PREFIX)

    reference = monitor.reference.for_segment(segment)
    shares = np.array([is_rebased(owner_of(key)) for key in segment_state.shares.keys], dtype=np.bool_)
    scores = np.array([is_rebased(owner_of(key)) for key in segment_state.scores.keys], dtype=np.bool_)
    relearned = replace(
        segment_state,
        reference=monitor.reference.fingerprint,
        shares=segment_state.shares.reset(shares),
        scores=segment_state.scores.forget(scores),
        score_model=None,
    )
    config, context = monitor.config, ReferenceContext(reference)
    rebased_targets = [
        target
        for target in monitor.evaluator.targets
        if is_rebased(owner_of((target[0].name, target[1], "")))
    ]
    for tile in accepted_tiles:
        if tile.rows < config.window.min_rows:
            continue
        measurement = Measurement(
            window=tile.span,
            rows=tile.rows,
            statistics=(),
            streams=streams(context.window(tile), rebased_targets),
            slot=season_slot(tile.span.start, tuple(config.season), config.timezone),
        )
        relearned = replace(learn_block(relearned, measurement), healthy_windows=relearned.healthy_windows)
    return relearned
