"""One window decided: pure, from what was remembered and what was measured to a verdict's core."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.decide.attribution import claims, name_columns
from driftwatch.decide.baseline.location_scale import LocationScale
from driftwatch.decide.baseline.prediction import Past, mean_since_onset, past_of
from driftwatch.decide.baseline.score_model import learned
from driftwatch.decide.baseline.share_history import shares_seen
from driftwatch.decide.budget import log_weights
from driftwatch.decide.combined_score import combined
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evidence import (
    WindowEValues,
    bets,
    design_effects,
    evidence_by_owner,
    floors,
    with_bets,
)
from driftwatch.decide.incidents import BROKEN, DRIFT, incident_key, settle, with_groups
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.state import Incident, SegmentState
from driftwatch.results.results import NamedColumn, Reason, State
from driftwatch.results.streams import Streams, key_of

#: Joint detectors look at columns that an incident has set aside, so they rest while one is open.
_RESTING = frozenset({"joint:mmd", "joint:correlation", "joint:mmd_exact"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The core of a verdict and the track that goes with it.

    ``held`` is what the window's scores were held against; None of a window that was not judged.
    """

    segment_state: SegmentState
    state: State
    reason: Reason
    evidence_before: float
    evidence: float
    page: bool = False
    named: tuple[NamedColumn, ...] = ()
    opened: tuple[Incident, ...] = ()
    resolved: tuple[Incident, ...] = ()
    held: LocationScale | None = field(default=None, compare=False, repr=False)


def decide(segment_state: SegmentState, seen: Measurement, policy: Policy) -> Decision:
    """Decide one window. A page only when the evidence over all streams reaches 1, or something broke.

    Windows below ``min_rows`` and excluded ones are skipped by rule, never by content: they carry no
    evidence and teach nothing.
    """
    if seen.excluded or seen.rows < policy.min_rows:
        return _skipped(segment_state, seen)
    before, effects = _ratio(segment_state), design_effects(segment_state, policy)
    broken = frozenset(item.column for item in seen.breakages)
    segment_state, seen, value, weights, past = _prepared(segment_state, seen, policy)
    made = bets(
        segment_state, seen.streams, value, policy, _padded(effects, segment_state), seen.window, past
    )
    if not np.isnan(segment_state.scores.shift).all():
        segment_state = replace(segment_state, scores=segment_state.scores.watched(made.x))
    settled = settle(segment_state.incidents, _out(segment_state, made, broken), broken)
    resting = _resting(segment_state, broken)
    live = _live(segment_state, resting)
    after = with_bets(segment_state, made, weights, live, seen.window.start)
    after = replace(after, incidents=settled.still_open, decided_until=seen.window.end)
    evidence = _ratio(after)
    named: tuple[NamedColumn, ...] = ()
    opened = _breakage_incident(after, seen, policy)
    if evidence >= 1:
        named = _named(after, seen, made, weights, live)
        opened = (*opened, _drift_incident(named, seen, policy))
        after = _paged(after, made, policy, frozenset(opened[-1].columns))
    if named:
        live = _live(segment_state, resting | {item.column for item in named})
    after = _learn(after, seen, made, live)
    if opened:
        after = replace(after, incidents=(*after.incidents, *opened))
    state, reason = _state(after, seen, policy, bool(named))
    return Decision(
        segment_state=after,
        state=state,
        reason=reason,
        evidence_before=before,
        evidence=evidence,
        page=bool(opened),
        named=named,
        opened=opened,
        resolved=settled.resolved,
        held=past.held,
    )


def _paged(
    segment_state: SegmentState, made: WindowEValues, policy: Policy, columns: frozenset[str]
) -> SegmentState:
    """The track after a page: no evidence is left, and where these columns' scores stood is kept."""
    named = segment_state.scores.keys.whose(columns)
    shift = mean_since_onset(segment_state.scores, floors(segment_state, policy), made.x)
    return replace(segment_state, scores=segment_state.scores.moved(named, shift)).reset()


def _skipped(segment_state: SegmentState, seen: Measurement) -> Decision:
    evidence = _ratio(segment_state)
    return Decision(
        segment_state=replace(segment_state, decided_until=seen.window.end),
        state=State.INSUFFICIENT,
        reason=Reason.EXCLUDED if seen.excluded else Reason.TOO_FEW_ROWS,
        evidence_before=evidence,
        evidence=evidence,
    )


def _named(
    segment_state: SegmentState,
    seen: Measurement,
    made: WindowEValues,
    weights: tuple[Float64Array, Float64Array],
    live: tuple[BoolArray, BoolArray],
) -> tuple[NamedColumn, ...]:
    """What the page names, of all the budget that was given since the last one."""
    since = seen.window.start if segment_state.since is None else segment_state.since
    windows = (seen.window.end - since) / (seen.window.end - seen.window.start)
    return name_columns(
        claims(evidence_by_owner(segment_state, made, weights, live), windows),
        (*seen.statistics, *seen.together),
    )


def _prepared(
    segment_state: SegmentState, seen: Measurement, policy: Policy
) -> tuple[SegmentState, Measurement, Float64Array, tuple[Float64Array, Float64Array], Past]:
    """The track that knows this window's streams and the laws of its scores; all columns together added.

    And the scores in the order of its book.

    With the budget as it was split before the window: a stream that is first seen in it has no part yet.
    """
    weights = log_weights(segment_state, policy, seen.window)
    segment_state = segment_state.expecting(seen.streams)
    past = past_of(segment_state.scores, seen.slot, seen.rows)
    value = segment_state.scores.seen(seen.streams)
    both = combined(segment_state, value, seen.slot, past)
    lean = segment_state.scores.lean
    if both is not None:
        scores, gauge, lean = both
        seen = replace(seen, together=(gauge,))
        if not all(key_of(score) in segment_state.scores.keys.places for score in scores):
            segment_state = segment_state.expecting(Streams.of(scores))
            new = len(segment_state.scores.keys) - len(value)
            value, lean = np.append(value, np.full(new, np.nan)), np.append(lean, np.zeros(new))
            past = past_of(segment_state.scores, seen.slot, seen.rows)
        for score in scores:
            value[segment_state.scores.keys.places[key_of(score)]] = np.float32(score.value)
    since = seen.window.start if segment_state.since is None else segment_state.since
    usual = learned(segment_state.usual, segment_state.scores)
    segment_state = replace(
        segment_state, scores=replace(segment_state.scores, lean=lean), usual=usual, since=since
    )
    return segment_state, seen, value, _known_only(weights, segment_state), past


def _ratio(segment_state: SegmentState) -> float:
    return float(np.exp(min(segment_state.log_evidence(), 0.0)))


def _padded(effects: Float64Array, segment_state: SegmentState) -> Float64Array:
    new = len(segment_state.shares.keys) - len(effects)
    return np.concatenate([effects, np.full(new, np.nan)])


def _known_only(
    weights: tuple[Float64Array, Float64Array], segment_state: SegmentState
) -> tuple[Float64Array, Float64Array]:
    """The weights of before the window, with none for what it brought."""
    new = len(segment_state.shares.keys) - len(weights[0]), len(segment_state.scores.keys) - len(weights[1])
    return (
        np.concatenate([weights[0], np.full(new[0], -np.inf)]),
        np.concatenate([weights[1], np.full(new[1], -np.inf)]),
    )


def _resting(segment_state: SegmentState, broken: frozenset[str]) -> frozenset[str]:
    aside = segment_state.aside | broken
    return aside | _RESTING if aside else aside


def _live(segment_state: SegmentState, resting: frozenset[str]) -> tuple[BoolArray, BoolArray]:
    shares, scores = (book.keys.whose(resting) for book in (segment_state.shares, segment_state.scores))
    return ~shares, ~scores


def _out(segment_state: SegmentState, made: WindowEValues, broken: frozenset[str]) -> dict[str, bool]:
    """Whether each that is set aside and was seen in the window is out of its band, or yet where a page
    found it.
    """
    out: dict[str, bool] = {}
    asked = segment_state.aside - broken
    if not asked:
        return out
    away = made.scores_out | (~np.isnan(segment_state.scores.shift) & (segment_state.scores.still > 0))
    for keys, present, beyond in (
        (segment_state.shares.keys, made.shares_seen.present, made.shares_out),
        (segment_state.scores.keys, ~np.isnan(made.value), away),
    ):
        seen = np.bincount(keys.owner[present], minlength=len(keys.owners))
        far = np.bincount(keys.owner[present & beyond], minlength=len(keys.owners))
        for name in asked & keys.owner_places.keys():
            place = keys.owner_places[name]
            if seen[place]:
                out[name] = out.get(name, False) or bool(far[place])
    return out


def _breakage_incident(
    segment_state: SegmentState, seen: Measurement, policy: Policy
) -> tuple[Incident, ...]:
    known = {column for item in segment_state.incidents if item.kind == BROKEN for column in item.columns}
    new = tuple(item.column for item in seen.breakages if item.column not in known)
    if not new:
        return ()
    return (
        Incident(
            key=incident_key(policy, BROKEN, seen.window, new),
            kind=BROKEN,
            columns=new,
            opened_at=seen.window.end,
            onset=seen.window.start,
        ),
    )


def _drift_incident(named: tuple[NamedColumn, ...], seen: Measurement, policy: Policy) -> Incident:
    columns = with_groups((item.column for item in named), policy.groups)
    return Incident(
        key=incident_key(policy, DRIFT, seen.window, columns),
        kind=DRIFT,
        columns=columns,
        opened_at=seen.window.end,
        onset=min(item.onset for item in named),
    )


def _learn(
    segment_state: SegmentState, seen: Measurement, made: WindowEValues, live: tuple[BoolArray, BoolArray]
) -> SegmentState:
    """What the window teaches, by rule: it waits first, and nothing of what is or was just set aside."""
    scores = segment_state.scores.wait(made.value, seen.slot, seen.window.end, seen.rows, ~live[1])
    return replace(
        segment_state,
        shares=segment_state.shares.wait(made.shares_seen, ~live[0], averaged=seen.untimed),
        scores=scores.standing_at(made.level, seen.window.end),
        healthy_windows=segment_state.healthy_windows + 1,
    )


def learn_block(segment_state: SegmentState, seen: Measurement) -> SegmentState:
    """The track after one block of the reference itself, which is healthy by definition.

    What looks broken in it is ordinary: it happens in healthy data.
    """
    segment_state = segment_state.expecting(seen.streams)
    return replace(
        segment_state,
        shares=segment_state.shares.learn(shares_seen(segment_state.shares, seen.streams)),
        scores=segment_state.scores.learn(
            segment_state.scores.seen(seen.streams), seen.slot, seen.window.end, seen.rows
        ),
        healthy_windows=segment_state.healthy_windows + 1,
        ordinary=segment_state.ordinary | {(item.column, str(item.reason)) for item in seen.breakages},
    )


def _state(
    segment_state: SegmentState, seen: Measurement, policy: Policy, drifted: bool
) -> tuple[State, Reason]:
    if seen.breakages:
        return State.BROKEN, seen.breakages[0].reason
    if drifted:
        return State.DRIFTING, Reason.EVIDENCE_COMPLETE
    if any(item.kind == DRIFT for item in segment_state.incidents):
        return State.DRIFTING, Reason.INCIDENT_OPEN
    if segment_state.healthy_windows < policy.burn_in:
        return State.CALIBRATING, Reason.BURN_IN
    return State.OK, Reason.NOTHING_MOVED
