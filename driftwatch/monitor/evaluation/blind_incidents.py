"""Could-not-look incidents, which a decision does not see."""

from __future__ import annotations

from dataclasses import replace

from driftwatch.decide.segment_state import BLIND, Incident, SegmentState


def without_blind(segment_state: SegmentState) -> tuple[SegmentState, tuple[Incident, ...]]:
    """Return the state without its could-not-look incidents, and these."""
    blind_incidents = tuple(item for item in segment_state.incidents if item.kind == BLIND)
    if not blind_incidents:
        return segment_state, ()
    others = tuple(item for item in segment_state.incidents if item.kind != BLIND)
    return replace(segment_state, incidents=others), blind_incidents


def with_incidents(segment_state: SegmentState, incidents: tuple[Incident, ...]) -> SegmentState:
    if not incidents:
        return segment_state
    return replace(segment_state, incidents=(*segment_state.incidents, *incidents))
