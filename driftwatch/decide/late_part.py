"""Decision on a late part: rows that came after their window was decided, judged together.

A window's evidence is drawn once, with its budget; its late rows get none (``w = 0``), and multiply the
evidence that there is: ``M <- M e``. That keeps the promise (``__init__.py``) while ``E[e] <= 1`` given the
past.

Null hypothesis (tolerance): of all rows of the window together, at most ``tolerance`` differ from the
reference. A part that is a fraction ``f`` of these moves them by ``f`` times its own difference, so that its
share is within ``tolerance / f`` of the reference's, unless the other rows differ in the opposite direction:
the e-values of ``e_values.py`` at that tolerance. False
alarms: late rows that differ from the others every day (other regions, other devices) are within it as long
as the whole day is (``make bench-alarms``). Scores are left out: a part is not exchangeable with windows.
Nothing is learned from a part, and it ends no incident.

>>> part_tolerance(0.05, rows=100, earlier_rows=900)
0.5
>>> round(part_tolerance(0.05, rows=1_800, earlier_rows=200), 4)
0.0556
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.decide.attribution import named_columns
from driftwatch.decide.budget import log_weights, update_evidence
from driftwatch.decide.decision import Decision, active_streams, evidence_of, with_unbudgeted, with_unmeasured
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents import after_page, breakage_incident, drift_incident
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.outcomes.column_outcomes import is_unwatched
from driftwatch.decide.segment_state import DRIFT, Incident, SegmentState
from driftwatch.decide.window_e_values import design_effects, late_e_values
from driftwatch.results.results import NamedColumn, Reason, State

#: Of its window's rows, a part of at least this share can break a column for the whole window.
_MIN_BREAKING_SHARE = 0.5


def part_tolerance(tolerance: float, *, rows: int, earlier_rows: int) -> float:
    """Return how far the share of ``rows`` late rows may be from the reference's."""
    return tolerance * (rows + earlier_rows) / rows


def decide_late_part(
    segment_state: SegmentState, measurement: Measurement, policy: Policy, earlier_rows: int
) -> Decision:
    """Decide ``measurement.rows`` late rows of a window of which ``earlier_rows`` were judged before."""
    if measurement.excluded or measurement.rows <= policy.tolerance * (measurement.rows + earlier_rows):
        return _skipped(segment_state, measurement)
    tolerance = part_tolerance(policy.tolerance, rows=measurement.rows, earlier_rows=earlier_rows)
    is_breaking = measurement.rows >= _MIN_BREAKING_SHARE * (measurement.rows + earlier_rows)
    measurement = replace(measurement, breakages=measurement.breakages if is_breaking else ())
    weights = log_weights(segment_state, policy, measurement.window)
    effects = design_effects(segment_state, policy)
    segment_state = segment_state.with_streams(measurement.streams)
    e_values = late_e_values(
        segment_state,
        measurement.streams,
        replace(policy, tolerance=tolerance),
        with_unmeasured(effects, segment_state),
    )
    weights = with_unbudgeted(weights, segment_state)
    broken = frozenset(item.column for item in measurement.breakages)
    active = active_streams(segment_state, segment_state.suspended | broken)
    evidence_before = evidence_of(segment_state)
    next_state = update_evidence(
        segment_state, e_values, _no_budget(weights), _shares_only(active), measurement.window.start
    )
    evidence = evidence_of(next_state)
    named: tuple[NamedColumn, ...] = ()
    opened = breakage_incident(next_state, measurement, policy)
    if evidence >= 1:
        named = named_columns(next_state, measurement, e_values, weights, active)
        opened = (*opened, drift_incident(named, measurement, policy))
        next_state = after_page(next_state, e_values, policy, frozenset(opened[-1].columns))
    next_state = replace(next_state, incidents=(*next_state.incidents, *opened))
    state, reason = _state(next_state, measurement, opened)
    return Decision(
        segment_state=next_state,
        state=state,
        reason=reason,
        evidence_before=evidence_before,
        evidence=evidence,
        page=bool(opened),
        named=named,
        opened=opened,
    )


def _skipped(segment_state: SegmentState, measurement: Measurement) -> Decision:
    evidence = evidence_of(segment_state)
    return Decision(
        segment_state=segment_state,
        state=State.INSUFFICIENT,
        reason=Reason.EXCLUDED if measurement.excluded else Reason.TOO_FEW_ROWS,
        evidence_before=evidence,
        evidence=evidence,
    )


def _no_budget(weights: PerKind[Float64Array]) -> PerKind[Float64Array]:
    return PerKind(shares=np.full_like(weights.shares, -np.inf), scores=np.full_like(weights.scores, -np.inf))


def _shares_only(active: PerKind[BoolArray]) -> PerKind[BoolArray]:
    return PerKind(shares=active.shares, scores=np.zeros_like(active.scores))


def _state(
    segment_state: SegmentState, measurement: Measurement, opened: tuple[Incident, ...]
) -> tuple[State, Reason]:
    if measurement.breakages:
        return State.BROKEN, measurement.breakages[0].reason
    if any(item.kind == DRIFT for item in opened):
        return State.DRIFTING, Reason.EVIDENCE_COMPLETE
    if any(item.kind == DRIFT for item in segment_state.incidents):
        return State.DRIFTING, Reason.INCIDENT_OPEN
    # A part has no next one that could watch its columns.
    if is_unwatched(measurement.outcomes, measurement.outcomes.passing):
        return State.INSUFFICIENT, Reason.COLUMNS_UNWATCHED
    return State.OK, Reason.NOTHING_MOVED
