"""One window decided: pure, from what was remembered and what was measured to a verdict's core."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from driftwatch.decide.attribution import claims, name_columns
from driftwatch.decide.budget import log_weights
from driftwatch.decide.evidence import (
    Bets,
    bets,
    design_effects,
    evidence_by_owner,
    floors,
    with_bets,
)
from driftwatch.decide.incidents import BROKEN, DRIFT, incident_key, settle, with_groups
from driftwatch.decide.laws import learned
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.policy import Policy
from driftwatch.decide.prediction import Past, mean_since_onset, past_of
from driftwatch.decide.shares import shares_seen
from driftwatch.decide.standing import Standing
from driftwatch.decide.together import combined
from driftwatch.decide.track import Incident, Track
from driftwatch.summary.batch import Float64Array
from driftwatch.summary.drawn import Drawn, key_of
from driftwatch.summary.result import NamedColumn, Reason, State

Flags = npt.NDArray[np.bool_]

#: Joint detectors look at columns that an incident has set aside, so they rest while one is open.
_RESTING = frozenset({"joint:mmd", "joint:correlation", "joint:mmd_exact"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The core of a verdict and the track that goes with it.

    ``held`` is what the window's scores were held against; None of a window that was not judged.
    """

    track: Track
    state: State
    reason: Reason
    evidence_before: float
    evidence: float
    page: bool = False
    named: tuple[NamedColumn, ...] = ()
    opened: tuple[Incident, ...] = ()
    resolved: tuple[Incident, ...] = ()
    held: Standing | None = field(default=None, compare=False, repr=False)


def decide(track: Track, seen: Measurement, policy: Policy) -> Decision:
    """Decide one window. A page only when the evidence over all streams reaches 1, or something broke.

    Windows below ``min_rows`` and excluded ones are skipped by rule, never by content: they carry no
    evidence and teach nothing.
    """
    if seen.excluded or seen.rows < policy.min_rows:
        return _skipped(track, seen)
    before, effects = _ratio(track), design_effects(track, policy)
    broken = frozenset(item.column for item in seen.breakages)
    track, seen, value, weights, past = _prepared(track, seen, policy)
    made = bets(track, seen.streams, value, policy, _padded(effects, track), seen.window, past)
    if not np.isnan(track.scores.shift).all():
        track = replace(track, scores=track.scores.watched(made.x))
    settled = settle(track.incidents, _out(track, made, broken), broken)
    resting = _resting(track, broken)
    live = _live(track, resting)
    after = with_bets(track, made, weights, live, seen.window.start)
    after = replace(after, incidents=settled.still_open, decided_until=seen.window.end)
    evidence = _ratio(after)
    named: tuple[NamedColumn, ...] = ()
    opened = _breakage_incident(after, seen, policy)
    if evidence >= 1:
        named = _named(after, seen, made, weights, live)
        opened = (*opened, _drift_incident(named, seen, policy))
        after = _paged(after, made, policy, frozenset(opened[-1].columns))
    if named:
        live = _live(track, resting | {item.column for item in named})
    after = _learn(after, seen, made, live)
    if opened:
        after = replace(after, incidents=(*after.incidents, *opened))
    state, reason = _state(after, seen, policy, bool(named))
    return Decision(
        track=after,
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


def _paged(track: Track, made: Bets, policy: Policy, columns: frozenset[str]) -> Track:
    """The track after a page: no evidence is left, and where these columns' scores stood is kept."""
    named = track.scores.keys.whose(columns)
    shift = mean_since_onset(track.scores, floors(track, policy), made.x)
    return replace(track, scores=track.scores.moved(named, shift)).reset()


def _skipped(track: Track, seen: Measurement) -> Decision:
    evidence = _ratio(track)
    return Decision(
        track=replace(track, decided_until=seen.window.end),
        state=State.INSUFFICIENT,
        reason=Reason.EXCLUDED if seen.excluded else Reason.TOO_FEW_ROWS,
        evidence_before=evidence,
        evidence=evidence,
    )


def _named(
    track: Track,
    seen: Measurement,
    made: Bets,
    weights: tuple[Float64Array, Float64Array],
    live: tuple[Flags, Flags],
) -> tuple[NamedColumn, ...]:
    """What the page names, of all the budget that was given since the last one."""
    since = seen.window.start if track.since is None else track.since
    windows = (seen.window.end - since) / (seen.window.end - seen.window.start)
    return name_columns(
        claims(evidence_by_owner(track, made, weights, live), windows), (*seen.statistics, *seen.together)
    )


def _prepared(
    track: Track, seen: Measurement, policy: Policy
) -> tuple[Track, Measurement, Float64Array, tuple[Float64Array, Float64Array], Past]:
    """The track that knows this window's streams and the laws of its scores; all columns together added.

    And the scores in the order of its book.

    With the budget as it was split before the window: a stream that is first seen in it has no part yet.
    """
    weights = log_weights(track, policy, seen.window)
    track = track.expecting(seen.streams)
    past = past_of(track.scores, seen.slot, seen.rows)
    value = track.scores.seen(seen.streams)
    both = combined(track, value, seen.slot, past)
    lean = track.scores.lean
    if both is not None:
        scores, gauge, lean = both
        seen = replace(seen, together=(gauge,))
        if not all(key_of(score) in track.scores.keys.places for score in scores):
            track = track.expecting(Drawn.of(scores))
            new = len(track.scores.keys) - len(value)
            value, lean = np.append(value, np.full(new, np.nan)), np.append(lean, np.zeros(new))
            past = past_of(track.scores, seen.slot, seen.rows)
        for score in scores:
            value[track.scores.keys.places[key_of(score)]] = np.float32(score.value)
    since = seen.window.start if track.since is None else track.since
    usual = learned(track.usual, track.scores)
    track = replace(track, scores=replace(track.scores, lean=lean), usual=usual, since=since)
    return track, seen, value, _known_only(weights, track), past


def _ratio(track: Track) -> float:
    return float(np.exp(min(track.log_evidence(), 0.0)))


def _padded(effects: Float64Array, track: Track) -> Float64Array:
    new = len(track.shares.keys) - len(effects)
    return np.concatenate([effects, np.full(new, np.nan)])


def _known_only(
    weights: tuple[Float64Array, Float64Array], track: Track
) -> tuple[Float64Array, Float64Array]:
    """The weights of before the window, with none for what it brought."""
    new = len(track.shares.keys) - len(weights[0]), len(track.scores.keys) - len(weights[1])
    return (
        np.concatenate([weights[0], np.full(new[0], -np.inf)]),
        np.concatenate([weights[1], np.full(new[1], -np.inf)]),
    )


def _resting(track: Track, broken: frozenset[str]) -> frozenset[str]:
    aside = track.aside | broken
    return aside | _RESTING if aside else aside


def _live(track: Track, resting: frozenset[str]) -> tuple[Flags, Flags]:
    shares, scores = (book.keys.whose(resting) for book in (track.shares, track.scores))
    return ~shares, ~scores


def _out(track: Track, made: Bets, broken: frozenset[str]) -> dict[str, bool]:
    """Whether each that is set aside and was seen in the window is out of its band, or yet where a page
    found it.
    """
    out: dict[str, bool] = {}
    asked = track.aside - broken
    if not asked:
        return out
    away = made.scores_out | (~np.isnan(track.scores.shift) & (track.scores.still > 0))
    for keys, present, beyond in (
        (track.shares.keys, made.shares_seen.present, made.shares_out),
        (track.scores.keys, ~np.isnan(made.value), away),
    ):
        seen = np.bincount(keys.owner[present], minlength=len(keys.owners))
        far = np.bincount(keys.owner[present & beyond], minlength=len(keys.owners))
        for name in asked & keys.owner_places.keys():
            place = keys.owner_places[name]
            if seen[place]:
                out[name] = out.get(name, False) or bool(far[place])
    return out


def _breakage_incident(track: Track, seen: Measurement, policy: Policy) -> tuple[Incident, ...]:
    known = {column for item in track.incidents if item.kind == BROKEN for column in item.columns}
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


def _learn(track: Track, seen: Measurement, made: Bets, live: tuple[Flags, Flags]) -> Track:
    """What the window teaches, by rule: it waits first, and nothing of what is or was just set aside."""
    scores = track.scores.wait(made.value, seen.slot, seen.window.end, seen.rows, ~live[1])
    return replace(
        track,
        shares=track.shares.wait(made.shares_seen, ~live[0], averaged=seen.untimed),
        scores=scores.standing_at(made.level, seen.window.end),
        healthy_windows=track.healthy_windows + 1,
    )


def learn_block(track: Track, seen: Measurement) -> Track:
    """The track after one block of the reference itself, which is healthy by definition.

    What looks broken in it is ordinary: it happens in healthy data.
    """
    track = track.expecting(seen.streams)
    return replace(
        track,
        shares=track.shares.learn(shares_seen(track.shares, seen.streams)),
        scores=track.scores.learn(track.scores.seen(seen.streams), seen.slot, seen.window.end, seen.rows),
        healthy_windows=track.healthy_windows + 1,
        ordinary=track.ordinary | {(item.column, str(item.reason)) for item in seen.breakages},
    )


def _state(track: Track, seen: Measurement, policy: Policy, drifted: bool) -> tuple[State, Reason]:
    if seen.breakages:
        return State.BROKEN, seen.breakages[0].reason
    if drifted:
        return State.DRIFTING, Reason.EVIDENCE_COMPLETE
    if any(item.kind == DRIFT for item in track.incidents):
        return State.DRIFTING, Reason.INCIDENT_OPEN
    if track.healthy_windows < policy.burn_in:
        return State.CALIBRATING, Reason.BURN_IN
    return State.OK, Reason.NOTHING_MOVED
