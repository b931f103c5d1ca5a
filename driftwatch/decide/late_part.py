"""Decision on a late part: rows that came after their window was decided, judged together.

A window's evidence is drawn once, with its budget; its late rows get none (``w = 0``), and multiply the
evidence that there is: ``M <- M e``. That keeps the promise (``__init__.py``) while ``E[e] <= 1`` given the
past.

Null hypothesis (tolerance): a window's rows so far, those before the part as counted, are together within
``tolerance`` of the reference (``share_terms.late_tolerance``). False alarms: late rows that differ from the
others every day (other regions, one device) are within it as long as the whole day is (``make
bench-alarms``). The whole window's scores limit the shares, as on time. Nothing is learned from a part, and
it ends no incident.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.decide.budget import log_weights, update_evidence
from driftwatch.decide.decision import Decision, active_streams, with_unbudgeted, with_unmeasured
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents.endings import ending_of
from driftwatch.decide.incidents.moves import Moves, Pools, apply_moves, find_moves
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.outcomes.column_outcomes import is_unwatched
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import (
    WindowEValues,
    design_effects,
    effect_floors,
    late_e_values,
)
from driftwatch.results.results import Breakage, Reason, State

#: Of its window's rows, a part of at least this share can break a column for the whole window.
_MIN_BREAKING_SHARE = 0.5
#: Faults of a file as a whole. Others may be those of one device among many: the whole window shows them.
_FILE_FAULTS = frozenset({Reason.COLUMN_MISSING, Reason.COLUMN_WRONG_TYPE})
#: A log e-value closer to 0 is rounding: the part could not be evidence.
_MIN_LOG_E = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDecision:
    decision: Decision
    #: Of the part, with the columns that its rows could be evidence on.
    measurement: Measurement


def decide_late_part(
    segment_state: SegmentState, part: Measurement, whole: Measurement, policy: Policy
) -> PartDecision:
    """Decide late rows of a window that with them is as measured in ``whole``."""
    if part.excluded:
        return PartDecision(decision=_skipped(segment_state, Reason.EXCLUDED), measurement=part)
    part = replace(part, breakages=_breakages(part, whole))
    weights = log_weights(segment_state, policy, part.window)
    effects = design_effects(segment_state, policy)
    segment_state = segment_state.with_streams(whole.streams).with_streams(part.streams)
    e_values = late_e_values(
        segment_state, part.streams, whole, policy, with_unmeasured(effects, segment_state)
    )
    weights = with_unbudgeted(weights, segment_state)
    broken = frozenset(item.column for item in part.breakages)
    active = active_streams(segment_state, segment_state.suspended | broken)
    part = replace(part, outcomes=part.outcomes.only_drawn(_drawn(segment_state, e_values)))
    if not part.outcomes.watched.drawn and not broken and not segment_state.incidents:
        reason = Reason.TOO_FEW_ROWS if segment_state.has_evidence else Reason.COLUMNS_UNWATCHED
        return PartDecision(decision=_skipped(segment_state, reason), measurement=part)
    decision = _decide(segment_state, part, policy, e_values, weights, active)
    if decision.state is State.OK and part.rows <= policy.tolerance * whole.rows:
        decision = replace(decision, state=State.INSUFFICIENT, reason=Reason.TOO_FEW_ROWS)
    return PartDecision(decision=decision, measurement=part)


def _decide(
    segment_state: SegmentState,
    part: Measurement,
    policy: Policy,
    e_values: WindowEValues,
    weights: PerKind[Float64Array],
    active: PerKind[BoolArray],
) -> Decision:
    pools = Pools.of(segment_state)
    evidence_before = pools.evidence(segment_state)
    bets = PerKind(shares=active.shares, scores=np.zeros_like(active.scores))
    next_state = update_evidence(segment_state, e_values, _no_budget(weights), bets, part.window.start)
    evidence = pools.evidence(next_state)
    moves = find_moves(next_state, part, policy, e_values, weights, active, pools)
    next_state = apply_moves(next_state, e_values, effect_floors(next_state, policy), moves)
    state, reason = _state(next_state, part, moves)
    end, length = part.window.end, part.length
    return Decision(
        segment_state=next_state,
        state=state,
        reason=reason,
        evidence_before=evidence_before,
        evidence=evidence,
        **moves.fields,
        endings=tuple(ending_of(item, end, length) for item in next_state.incidents),
    )


def _breakages(part: Measurement, whole: Measurement) -> tuple[Breakage, ...]:
    if part.rows < _MIN_BREAKING_SHARE * whole.rows:
        return ()
    of_whole = {(item.column, item.reason) for item in whole.breakages}
    return tuple(
        item
        for item in part.breakages
        if item.reason in _FILE_FAULTS or (item.column, item.reason) in of_whole
    )


def _drawn(segment_state: SegmentState, e_values: WindowEValues) -> frozenset[str]:
    """Return the owners on which the part could be evidence."""
    shares = segment_state.shares
    is_bet = np.isfinite(shares.log_m) & (np.abs(e_values.shares) > _MIN_LOG_E)
    streams = np.unique(shares.label_streams[is_bet.any(axis=(1, 2))])
    return frozenset(shares.keys.owners[position] for position in shares.keys.stream_owners[streams])


def _skipped(segment_state: SegmentState, reason: Reason) -> Decision:
    evidence = Pools.of(segment_state).evidence(segment_state)
    return Decision(
        segment_state=segment_state,
        state=State.INSUFFICIENT,
        reason=reason,
        evidence_before=evidence,
        evidence=evidence,
    )


def _no_budget(weights: PerKind[Float64Array]) -> PerKind[Float64Array]:
    return PerKind(shares=np.full_like(weights.shares, -np.inf), scores=np.full_like(weights.scores, -np.inf))


def _state(segment_state: SegmentState, part: Measurement, moves: Moves) -> tuple[State, Reason]:
    if part.breakages:
        return State.BROKEN, part.breakages[0].reason
    if moves.named and moves.changes.paged is not None:
        return State.DRIFTING, Reason.EVIDENCE_COMPLETE
    if segment_state.suspended:
        return State.DRIFTING, Reason.INCIDENT_OPEN
    # A part has no next one that could watch its columns.
    if is_unwatched(part.outcomes, part.outcomes.passing):
        return State.INSUFFICIENT, Reason.COLUMNS_UNWATCHED
    return State.OK, Reason.NOTHING_MOVED
