"""What a segment's state keeps when its reference or its settings change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from driftwatch.decide.combined_score import MIN_COLUMNS
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE
from driftwatch.decide.segment_state import BLIND, DRIFT, Incident, SegmentState
from driftwatch.errors import DataError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.succession.recount import recounted_tiles
from driftwatch.monitor.succession.reference_change import ReferenceChange
from driftwatch.results.streams import joint_owner
from driftwatch.summary.summary import Summary, total


def is_followed(incident: Incident, change: ReferenceChange | None) -> bool:
    return incident.kind == BLIND or (change is not None and change.same_data)


def watched_part(incident: Incident, monitor: Monitor) -> Incident | None:
    """Return the incident with its watched columns; None without any."""
    if incident.kind == BLIND:
        return incident
    breakable, owners = _broken_columns(monitor), _owners_with_evidence(monitor)
    only_broken = frozenset(incident.only_broken)
    return part_with(incident, (owners - only_broken) | (breakable & only_broken))


def part_with(incident: Incident, names: Collection[str]) -> Incident | None:
    """Return the incident with these of its columns; None without any."""
    positions = [position for position, name in enumerate(incident.columns) if name in names]
    if len(positions) == len(incident.columns):
        return incident
    if not positions:
        return None
    columns = tuple(incident.columns[position] for position in positions)
    counts = incident.quiet or (0,) * len(incident.columns)
    broken = tuple(name for name in incident.broken if name in columns)
    return replace(
        incident,
        # What broke is not watched; what drifted goes on.
        kind=DRIFT if incident.broken and not broken else incident.kind,
        columns=columns,
        quiet=tuple(counts[position] for position in positions),
        broken=broken,
        only_broken=tuple(name for name in incident.only_broken if name in columns),
    )


def _broken_columns(monitor: Monitor) -> frozenset[str]:
    return frozenset(column.name for column in monitor.reference.plan.columns)


def _owners_with_evidence(monitor: Monitor) -> frozenset[str]:
    targets = [(detector, column) for detector, column in monitor.evaluator.targets if detector.evidence]
    columns = {column for _, column in targets if column is not None}
    owners = columns | {joint_owner(detector.name) for detector, column in targets if column is None}
    if len(columns) >= MIN_COLUMNS:
        owners.add(joint_owner(COMBINED_SCORE[0]))
    return frozenset(owners)


def begun_state(
    state: SegmentState,
    old: SegmentState,
    incidents: tuple[Incident, ...],
    monitor: Monitor,
    segment: str | None,
    change: ReferenceChange,
) -> SegmentState:
    # What moved is centred where the first window finds it.
    columns = frozenset(column for item in incidents if item.kind != BLIND for column in item.moved)
    state = _with_shifts(state, old, columns)
    state = replace(state, incidents=incidents, past_incidents=old.past_incidents)
    carried_rows = _carried_rows(old, monitor, segment) if change.same_data else None
    if carried_rows is None:
        return state.without_carried()
    return replace(state.with_carried_of(old), carried_over=carried_rows)


def _with_shifts(state: SegmentState, old: SegmentState, columns: frozenset[str]) -> SegmentState:
    # The shifts that pages found: an incident ends when they are gone, not when they are small.
    scores = state.scores
    shift, log_ratio = scores.shift.copy(), scores.shifted_log_ratio.copy()
    old_positions = old.scores.keys.find(scores.keys)
    is_shifted = scores.keys.owned_by(columns) & (old_positions >= 0)
    shift[is_shifted] = old.scores.shift[old_positions[is_shifted]]
    log_ratio[is_shifted] = old.scores.shifted_log_ratio[old_positions[is_shifted]]
    if np.isnan(shift).all():
        return state
    return replace(state, scores=replace(scores, shift=shift, shifted_log_ratio=log_ratio))


def _carried_rows(old: SegmentState, monitor: Monitor, segment: str | None) -> Summary | None:
    # Rows that waited for enough others are counted again where the cells are other ones.
    rows = old.carried_over
    if rows is None or rows.plan == monitor.reference.plan.fingerprint:
        return rows
    # Other windows in between were judged, or are owed.
    spans = old.carried_spans or (rows.span,)
    try:
        tiles = [tile for span in spans for tile in recounted_tiles(monitor, span)[segment]]
    except DataError:
        return None
    return replace(total(tiles), span=rows.span).drop_sample() if tiles else None
