"""One window decided: pure, from what was remembered and what was measured to a verdict's core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.decide.attribution import claims, name_columns
from driftwatch.decide.evidence import (
    Bet,
    Stream,
    Unusual,
    bet,
    design_effects,
    how_unusual,
    key_of,
    log_weights,
    owner,
)
from driftwatch.decide.incidents import BROKEN, DRIFT, incident_key, settle, with_groups
from driftwatch.decide.policy import Policy
from driftwatch.decide.prediction import learned
from driftwatch.decide.together import combined
from driftwatch.decide.track import Healthy, Incident, StreamKey, Track
from driftwatch.decide.usual import CONSERVATIVE, Moments
from driftwatch.summary.result import Breakage, NamedColumn, Reason, Score, Shares, State, Statistic
from driftwatch.summary.schema import Span

#: Joint detectors look at columns that an incident has set aside, so they rest while one is open.
_RESTING = frozenset({"joint:mmd", "joint:correlation", "joint:mmd_exact"})


Effects = Mapping[StreamKey, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured in one window. ``slot`` is its season slot; an excluded window is not judged."""

    window: Span
    rows: int
    statistics: Sequence[Statistic]
    streams: Sequence[Stream]
    breakages: Sequence[Breakage] = ()
    slot: int = 0
    excluded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The core of a verdict and the track that goes with it."""

    track: Track
    state: State
    reason: Reason
    evidence_before: float
    evidence: float
    page: bool = False
    named: tuple[NamedColumn, ...] = ()
    opened: tuple[Incident, ...] = ()
    resolved: tuple[Incident, ...] = ()
    smallest_effect: float | None = None
    design_effect: float | None = None


def decide(track: Track, seen: Measurement, policy: Policy) -> Decision:
    """Decide one window. A page only when the evidence over all streams reaches 1, or something broke.

    Windows below ``min_rows`` and excluded ones are skipped by rule, never by content: they carry no
    evidence and teach nothing.
    """
    before = _ratio(track)
    effects = design_effects(track, policy)
    if seen.excluded or seen.rows < policy.min_rows:
        return Decision(
            track=replace(track, decided_until=seen.window.end),
            state=State.INSUFFICIENT,
            reason=Reason.EXCLUDED if seen.excluded else Reason.TOO_FEW_ROWS,
            evidence_before=before,
            evidence=before,
            smallest_effect=_smallest_effect(effects, seen, policy),
        )
    broken = frozenset(item.column for item in seen.breakages)
    seen = _with_together(track, seen)
    track = replace(track, usual=learned(track.usual, track.history))
    unusual = how_unusual(seen.streams, track, policy, seen.window, seen.slot)
    bets = _bets(track, seen, policy, effects, unusual, broken)
    settled = settle(track.incidents, _out(seen, bets), broken)
    resting = _resting(track, broken)
    live = {i: made for i, made in bets.items() if owner(seen.streams[i]) not in resting}
    after = replace(
        track,
        evidence={
            **track.evidence,
            **{key_of(seen.streams[i]): made.evidence for i, made in live.items()},
        },
        incidents=settled.still_open,
        decided_until=seen.window.end,
    )
    evidence = _ratio(after)
    named: tuple[NamedColumn, ...] = ()
    opened = _breakage_incident(after, seen, policy)
    if evidence >= 1:
        named = name_columns(claims(seen.streams, live), seen.statistics, policy)
        opened = (*opened, _drift_incident(named, seen, policy))
        after = after.reset()
    after = _learn(after, seen, unusual.levels, resting | {item.column for item in named})
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
        smallest_effect=_smallest_effect(effects, seen, policy),
        design_effect=_typical(effects),
    )


def _with_together(track: Track, seen: Measurement) -> Measurement:
    both = combined(seen.streams, track, seen.slot)
    if both is None:
        return seen
    return replace(seen, streams=(*seen.streams, both[0]), statistics=(*seen.statistics, both[1]))


def _ratio(track: Track) -> float:
    return float(np.exp(min(track.log_evidence(), 0.0)))


def _bets(
    track: Track,
    seen: Measurement,
    policy: Policy,
    effects: Effects,
    unusual: Unusual,
    broken: frozenset[str],
) -> dict[int, Bet]:
    weights = log_weights(track, policy, seen.window)
    return {
        i: bet(
            stream,
            track,
            policy,
            effects,
            unusual,
            weights.get(key_of(stream), -np.inf),
            seen.window,
        )
        for i, stream in enumerate(seen.streams)
        if owner(stream) not in broken
    }


def _resting(track: Track, broken: frozenset[str]) -> frozenset[str]:
    aside = track.aside | broken
    return aside | _RESTING if aside else aside


def _out(seen: Measurement, bets: dict[int, Bet]) -> dict[str, bool]:
    out: dict[str, bool] = {}
    for position, made in bets.items():
        name = owner(seen.streams[position])
        out[name] = out.get(name, False) or made.out
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


def _learn(
    track: Track, seen: Measurement, levels: Mapping[StreamKey, float], silent: frozenset[str]
) -> Track:
    """What the window teaches, by rule: it waits first, and nothing of what is or was just set aside."""
    moments, history = dict(track.moments), dict(track.history)
    for stream in seen.streams:
        key = key_of(stream)
        quiet = owner(stream) in silent
        if isinstance(stream, Shares):
            counts = _moments(moments, stream)
            moments[key] = counts.forget() if quiet else counts.wait(stream)
        else:
            scores = history.get(key, Healthy.empty())
            scores = scores.forget() if quiet else scores.wait(stream.value, seen.slot)
            history[key] = replace(scores, level=levels.get(key, np.nan), last_end=seen.window.end)
    return replace(
        track,
        moments=moments,
        history=history,
        healthy_windows=track.healthy_windows + 1,
    )


def _moments(moments: Mapping[StreamKey, Moments], stream: Shares) -> Moments:
    known = moments.get(key_of(stream))
    fits = known is not None and known.total.shape[1] == len(stream.labels)
    return known if known is not None and fits else Moments.zero(len(stream.labels))


def expecting(track: Track, streams: Sequence[Stream]) -> Track:
    """The track that knows of these streams: each has its part of the budget from the first window on."""
    shares = {key_of(item): _moments(track.moments, item) for item in streams if isinstance(item, Shares)}
    scores = {key_of(item): Healthy.empty() for item in streams if isinstance(item, Score)}
    return replace(track, moments={**shares, **track.moments}, history={**scores, **track.history})


def learn_block(track: Track, seen: Measurement) -> Track:
    """The track after one block of the reference itself, which is healthy by definition.

    What looks broken in it is ordinary: it happens in healthy data.
    """
    moments, history = dict(track.moments), dict(track.history)
    for stream in seen.streams:
        key = key_of(stream)
        if isinstance(stream, Shares):
            moments[key] = _moments(moments, stream).learn(stream.successes, stream.trials)
        else:
            history[key] = history.get(key, Healthy.empty()).learn(stream.value, seen.slot)
    return replace(
        track,
        moments=moments,
        history=history,
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


def _typical(effects: Effects) -> float | None:
    known = [effect for effect in effects.values() if effect is not None]
    return float(np.median(known)) if known else None


def _smallest_effect(effects: Effects, seen: Measurement, policy: Policy) -> float | None:
    """Smallest move of a share that one such window could page for; None when not even all rows would do."""
    if not seen.rows:
        return None
    design = _typical(effects) or CONSERVATIVE
    owners = {owner(stream) for stream in seen.streams} or {""}
    budget = policy.pages_per_second * seen.window.seconds / len(owners)
    smallest = policy.tolerance + float(np.sqrt(max(-np.log(budget), 1.0) * design / (2 * seen.rows)))
    return smallest if smallest < 1 else None
