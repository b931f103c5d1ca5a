"""Decision on one window: from a segment state and a measurement to the next state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.decide.baseline.location_scale import LocationScale
from driftwatch.decide.baseline.prediction import Baseline, baseline_for
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import refit_if_grown
from driftwatch.decide.baseline.share_history import WindowShares, align_shares
from driftwatch.decide.budget import log_weights, update_evidence
from driftwatch.decide.combined_score import combine_scores
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents.endings import WindowFindings, ending_of, settle
from driftwatch.decide.incidents.moves import Moves, Pools, apply_moves, find_moves
from driftwatch.decide.incidents.recentre import stray_centres, without_centres
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.outcomes.burn_in import BurnIn, burn_in_of, only_learns
from driftwatch.decide.outcomes.column_outcomes import is_unwatched
from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.decide.window_e_values import (
    WindowEValues,
    columns_off_reference,
    design_effects,
    effect_floors,
    recentred_e_values,
    window_e_values,
)
from driftwatch.results.results import IncidentEnding, IncidentUpdate, NamedColumn, Reason, State
from driftwatch.results.streams import Streams, stream_key

#: Log-likelihood ratio from which a recurring shift is there again.
_MIN_RETURNED_LOG_RATIO = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    segment_state: SegmentState
    state: State
    reason: Reason
    evidence_before: float
    evidence: float
    page: bool = False
    #: The page is under the key of an incident that was open.
    again: bool = False
    #: Key of the page's incident.
    paged: str | None = None
    #: Those of the page and of ``updates``.
    named: tuple[NamedColumn, ...] = ()
    #: Incidents of a new key, and those that what moved or broke changed, as they are now.
    opened: tuple[Incident, ...] = ()
    updated: tuple[Incident, ...] = ()
    updates: tuple[IncidentUpdate, ...] = ()
    endings: tuple[IncidentEnding, ...] = ()
    resolved: tuple[Incident, ...] = ()
    #: None if what is usual is learned, or the window was skipped.
    burn_in: BurnIn | None = None
    #: Location and scale that the window's scores were compared with; None if the window was skipped.
    fit: LocationScale | None = field(default=None, compare=False, repr=False)
    #: The window's shares in the order of the state; None if the window was skipped.
    shares: WindowShares | None = field(default=None, compare=False, repr=False)


def decide(
    segment_state: SegmentState, measurement: Measurement, policy: Policy, memo: Memo = NO_MEMO
) -> Decision:
    """Decide one window: page only if the evidence over all streams reaches 1 or a column is broken.

    Evidence of columns in no incident, and of those in one, is summed and reset separately: what goes on in
    an incident takes nothing from what leads to the next one. Windows below ``min_rows`` and excluded ones
    are skipped by rule, never by content: they add no evidence and are not learned. ``memo`` is that of the
    segment, from window to window; it changes no result.
    """
    if measurement.excluded or measurement.rows < policy.min_rows:
        return _skipped(segment_state, measurement, memo)
    segment_state = without_centres(segment_state, stray_centres(segment_state))
    pools = Pools.of(segment_state)
    evidence_before = pools.evidence(segment_state, memo)
    effects = design_effects(segment_state, policy, memo)
    broken = frozenset(item.column for item in measurement.breakages)
    segment_state, measurement, value, weights, baseline = _prepare(segment_state, measurement, policy, memo)
    effects, pools = with_unmeasured(effects, segment_state), Pools.of(segment_state)
    usual = window_e_values(
        segment_state, measurement.streams, value, policy, effects, measurement.window, baseline, memo
    )
    e_values = recentred_e_values(segment_state, usual, policy, effects, baseline, memo)
    segment_state = _with_levels(segment_state, e_values)
    active = _active(segment_state, measurement, broken)
    bets = _bets(active, segment_state, policy)
    next_state = update_evidence(segment_state, e_values, weights, bets, measurement.window.start)
    findings = _findings(segment_state, measurement, usual, broken, weights)
    settled = settle(segment_state.incidents, findings, segment_state.past_incidents)
    next_state = replace(next_state, incidents=settled.open, past_incidents=settled.past)
    next_state = without_centres(next_state.decide_until(measurement.window.end), settled.released)
    loud = frozenset(name for item in settled.open for name in item.moved if findings.is_loud(item, name))
    moves = find_moves(
        next_state, measurement, policy, e_values, weights, bets, pools, loud, findings.off_reference
    )
    evidence = moves.evidence if moves.changes.again else pools.evidence(next_state, memo)
    next_state = apply_moves(next_state, e_values, effect_floors(next_state, policy), moves)
    next_state = _add_window(next_state, measurement, e_values, segment_state, broken)
    burn_in = burn_in_of(segment_state, next_state, policy, _present(active, e_values), baseline.n)
    state, reason = _state(next_state, segment_state.unwatched, measurement, burn_in, moves)
    end, length = measurement.window.end, measurement.length
    return Decision(
        segment_state=next_state,
        state=state,
        reason=reason,
        evidence_before=evidence_before,
        evidence=evidence,
        **moves.fields,
        endings=tuple(ending_of(item, end, length) for item in next_state.incidents),
        resolved=settled.resolved,
        burn_in=burn_in,
        fit=baseline.fit,
        shares=e_values.window_shares,
    )


def _with_levels(segment_state: SegmentState, e_values: WindowEValues) -> SegmentState:
    scores = segment_state.scores
    if not np.isnan(scores.shift).all():
        scores = scores.update_shifted_log_ratio(e_values.deviation)
    if scores.centred.any():
        scores = replace(scores, centre_level=e_values.centre_level)
    return segment_state if scores is segment_state.scores else replace(segment_state, scores=scores)


def _skipped(segment_state: SegmentState, measurement: Measurement, memo: Memo) -> Decision:
    evidence = Pools.of(segment_state).evidence(segment_state, memo)
    return Decision(
        segment_state=segment_state.decide_until(measurement.window.end),
        state=State.INSUFFICIENT,
        reason=Reason.EXCLUDED if measurement.excluded else Reason.TOO_FEW_ROWS,
        evidence_before=evidence,
        evidence=evidence,
    )


def _prepare(
    segment_state: SegmentState, measurement: Measurement, policy: Policy, memo: Memo
) -> tuple[SegmentState, Measurement, Float64Array, PerKind[Float64Array], Baseline]:
    """Return the state with new streams, the measurement, scores, log weights and baseline of a window.

    The combined scores are included. The budget was split before, so new streams have no part of it.
    """
    weights = log_weights(segment_state, policy, measurement.window, memo, silence=measurement.silence)
    segment_state = segment_state.with_streams(measurement.streams, memo)
    baseline = baseline_for(segment_state.scores, measurement.slot, measurement.rows)
    value = segment_state.scores.align(measurement.streams, memo)
    broken = frozenset(item.column for item in measurement.breakages)
    combined = combine_scores(segment_state, value, measurement.slot, baseline, broken)
    running_shift = segment_state.scores.running_shift
    if combined is not None:
        scores, gauge, running_shift = combined
        measurement = replace(measurement, combined_statistics=(gauge,))
        if not all(stream_key(score) in segment_state.scores.keys.positions for score in scores):
            segment_state = segment_state.with_streams(Streams.from_list(scores))
            n_new = len(segment_state.scores.keys) - len(value)
            value, running_shift = (
                np.append(value, np.full(n_new, np.nan)),
                np.append(running_shift, np.zeros(n_new)),
            )
            baseline = baseline_for(segment_state.scores, measurement.slot, measurement.rows)
        for score in scores:
            value[segment_state.scores.keys.positions[stream_key(score)]] = np.float32(score.value)
    start = measurement.window.start
    evidence_start = (
        start if segment_state.evidence_start is None else min(segment_state.evidence_start, start)
    )
    score_model = refit_if_grown(segment_state.score_model, segment_state.scores)
    segment_state = replace(
        segment_state,
        scores=replace(segment_state.scores, running_shift=running_shift),
        score_model=score_model,
        evidence_start=evidence_start,
    )
    return segment_state, measurement, value, with_unbudgeted(weights, segment_state), baseline


def with_unmeasured(effects: Float64Array, segment_state: SegmentState) -> Float64Array:
    n_new = len(segment_state.shares.keys) - len(effects)
    return np.concatenate([effects, np.full(n_new, np.nan)])


def with_unbudgeted(weights: PerKind[Float64Array], segment_state: SegmentState) -> PerKind[Float64Array]:
    def pad(log_weights: Float64Array, n_streams: int) -> Float64Array:
        return np.concatenate([log_weights, np.full(n_streams - len(log_weights), -np.inf)])

    return PerKind(
        shares=pad(weights.shares, len(segment_state.shares.keys)),
        scores=pad(weights.scores, len(segment_state.scores.keys)),
    )


def _resting(segment_state: SegmentState, measurement: Measurement, broken: frozenset[str]) -> frozenset[str]:
    return broken | (measurement.suspended_joint if segment_state.suspended | broken else frozenset())


def active_streams(segment_state: SegmentState, suspended: frozenset[str]) -> PerKind[BoolArray]:
    return PerKind(
        shares=~segment_state.shares.keys.owned_by(suspended),
        scores=~segment_state.scores.keys.owned_by(suspended),
    )


def _active(
    segment_state: SegmentState, measurement: Measurement, broken: frozenset[str]
) -> PerKind[BoolArray]:
    """Return the streams that are looked at: those in an incident around their centres."""
    active = active_streams(segment_state, _resting(segment_state, measurement, broken))
    inside = Pools.of(segment_state).inside
    return PerKind(
        shares=active.shares & (~inside.shares | segment_state.shares.centred),
        scores=active.scores & (~inside.scores | segment_state.scores.centred),
    )


def _bets(active: PerKind[BoolArray], segment_state: SegmentState, policy: Policy) -> PerKind[BoolArray]:
    """Return the streams that draw evidence: during a burn-in that is asked for, no score does."""
    if not only_learns(segment_state, policy):
        return active
    return PerKind(shares=active.shares, scores=np.zeros_like(active.scores))


def _present(active: PerKind[BoolArray], e_values: WindowEValues) -> PerKind[BoolArray]:
    return PerKind(
        shares=active.shares & e_values.window_shares.present,
        scores=active.scores & ~np.isnan(e_values.value),
    )


def _findings(
    segment_state: SegmentState,
    measurement: Measurement,
    e_values: WindowEValues,
    broken: frozenset[str],
    weights: PerKind[Float64Array],
) -> WindowFindings:
    scores, decided_until = segment_state.scores, segment_state.decided_until
    is_late = decided_until is not None and measurement.window.end <= decided_until
    off_reference = columns_off_reference(segment_state, e_values, weights) - broken
    shifted = np.where(_largest_shifts(scores), scores.shifted_log_ratio, 0.0)
    return WindowFindings(
        end=measurement.window.end,
        length=measurement.length,
        out_of_band=_flagged_columns(segment_state, e_values, broken, e_values.scores_out | (shifted > 0)),
        returned=_flagged_columns(segment_state, e_values, broken, shifted >= _MIN_RETURNED_LOG_RATIO),
        broken=broken,
        off_reference=frozenset() if is_late else off_reference,
        is_late=is_late,
    )


def _largest_shifts(scores: ScoreHistory) -> BoolArray:
    """Return each owner's score with the largest shift: small ones beside it cannot be told from chance."""
    size = np.nan_to_num(np.abs(scores.shift))
    largest = np.zeros(len(scores.keys.owners))
    np.maximum.at(largest, scores.keys.stream_owners, size)
    return np.asarray((size > 0) & (size >= largest[scores.keys.stream_owners]))


def _flagged_columns(
    segment_state: SegmentState, e_values: WindowEValues, broken: frozenset[str], scores_out: BoolArray
) -> dict[str, bool]:
    """Return whether each measured column of an incident has a share or score that is out."""
    flags: dict[str, bool] = {}
    columns = segment_state.incident_columns - broken
    if not columns:
        return flags
    for keys, present, is_out in (
        (segment_state.shares.keys, e_values.window_shares.present, e_values.shares_out),
        (segment_state.scores.keys, ~np.isnan(e_values.value), scores_out),
    ):
        n_present = np.bincount(keys.stream_owners[present], minlength=len(keys.owners))
        n_out = np.bincount(keys.stream_owners[present & is_out], minlength=len(keys.owners))
        for name in columns & keys.owner_positions.keys():
            position = keys.owner_positions[name]
            if n_present[position]:
                flags[name] = flags.get(name, False) or bool(n_out[position])
    return flags


def _add_window(
    segment_state: SegmentState,
    measurement: Measurement,
    e_values: WindowEValues,
    state_before: SegmentState,
    broken: frozenset[str],
) -> SegmentState:
    # What an incident names, or named until this window, is not usual.
    unusual = broken | state_before.suspended | segment_state.suspended
    if unusual:
        unusual |= measurement.joint_readers
    learned = active_streams(segment_state, unusual)
    scores = segment_state.scores.add_window(
        e_values.value, measurement.slot, measurement.window.end, measurement.rows, ~learned.scores
    )
    recent_shares = segment_state.recent_shares.add(
        measurement.window.start,
        e_values.window_shares.successes,
        e_values.window_shares.trials,
        frozenset(item.onset for item in segment_state.incidents),
    )
    return replace(
        segment_state,
        shares=segment_state.shares.add_window(
            e_values.window_shares, ~learned.shares, means_needed=measurement.untimed_reference
        ),
        scores=scores.with_level(
            _level(segment_state, measurement, e_values, state_before), measurement.window.end
        ),
        healthy_windows=segment_state.healthy_windows + 1,
        production_windows=None
        if segment_state.production_windows is None
        else segment_state.production_windows + measurement.windows,
        unwatched=measurement.outcomes.passing,
        recent_shares=recent_shares,
    )


def _level(
    segment_state: SegmentState, measurement: Measurement, e_values: WindowEValues, state_before: SegmentState
) -> Float64Array:
    # What a joint detector is at with a column says nothing of what it is at without.
    if segment_state.suspended == state_before.suspended:
        return e_values.level
    is_reader = segment_state.scores.keys.owned_by(measurement.joint_readers)
    return np.where(is_reader, np.nan, e_values.level)


def learn_block(segment_state: SegmentState, measurement: Measurement, memo: Memo = NO_MEMO) -> SegmentState:
    """Return the state after learning one block of the reference, which is healthy by definition.

    Breakages found in the block count as normal.
    """
    segment_state = segment_state.with_streams(measurement.streams, memo)
    return replace(
        segment_state,
        shares=segment_state.shares.learn(align_shares(segment_state.shares, measurement.streams, memo)),
        scores=segment_state.scores.learn(
            segment_state.scores.align(measurement.streams, memo),
            measurement.slot,
            measurement.window.end,
            measurement.rows,
        ),
        healthy_windows=segment_state.healthy_windows + 1,
        healthy_breakages=segment_state.healthy_breakages
        | {(item.column, str(item.reason)) for item in measurement.breakages},
    )


def _state(
    segment_state: SegmentState,
    unwatched_before: frozenset[str],
    measurement: Measurement,
    burn_in: BurnIn | None,
    moves: Moves,
) -> tuple[State, Reason]:
    if measurement.breakages:
        return State.BROKEN, measurement.breakages[0].reason
    if moves.changes.paged is not None:
        return State.DRIFTING, Reason.EVIDENCE_COMPLETE
    if segment_state.suspended:
        return State.DRIFTING, Reason.INCIDENT_OPEN
    if is_unwatched(measurement.outcomes, unwatched_before):
        return State.INSUFFICIENT, Reason.COLUMNS_UNWATCHED
    if burn_in is not None:
        return State.CALIBRATING, Reason.BURN_IN
    return State.OK, Reason.NOTHING_MOVED
