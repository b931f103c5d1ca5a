"""The budget recursion over all streams of one window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.decide.betting import (
    ALTERNATIVES,
    KAPPAS,
    score_log_e,
    share_log_e,
)
from driftwatch.decide.policy import TOGETHER_SHARE, TOLERANCE_SHARE, Policy
from driftwatch.decide.prediction import Asked, p_values
from driftwatch.decide.track import TOGETHER, Evidence, StreamKey, Track
from driftwatch.decide.usual import CONSERVATIVE
from driftwatch.summary.batch import Float64Array
from driftwatch.summary.result import Score, Shares
from driftwatch.summary.schema import Span

Stream = Shares | Score
#: A score at or below this p-value is out of its usual band; above it the window counts as quiet.
_OUT_OF_BAND = 0.02
#: The ``min_effect`` at which detectors state their floors.
_STATED_EFFECT = 0.02
#: Log evidence that a share's window may always give, however usual its size is.
ORDINARY = 3.0
#: Standard errors of the reference's own share that widen the tolerance.
_REFERENCE_ERRORS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bet:
    """What one block of streams said in one window: its new evidence, its own e-value, whether it is out."""

    evidence: Evidence
    log_e: float
    out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """P-values of a window's scores, where their filters then stand, and the most that shares may say.

    ``most`` is the largest log evidence of shares of (detector, column). No e-value of a p exceeds ``1/p``:
    a day as bad as some healthy days were counts ``ORDINARY`` only, so a run of them pages and one does not.
    Shares without such a score, or with ranks only, have no limit, nor have those of joint detectors.
    """

    p_values: Mapping[StreamKey, float]
    levels: Mapping[StreamKey, float]
    most: Mapping[tuple[str, str | None], float]


def key_of(stream: Stream) -> StreamKey:
    """The name a stream block keeps over all windows."""
    return stream.detector, stream.column, stream.label if isinstance(stream, Score) else ""


def owner(stream: Stream) -> str:
    """Who the stream speaks for: its column, or the joint detector itself."""
    return owner_of(key_of(stream))


def owner_of(key: StreamKey) -> str:
    """Who the streams of that name speak for."""
    return joint_owner(key[0]) if key[1] is None else key[1]


def joint_owner(detector: str) -> str:
    """The name a joint detector goes by among columns.

    >>> joint_owner("mmd")
    'joint:mmd'
    """
    return f"joint:{detector}"


def design_effects(track: Track, policy: Policy) -> dict[StreamKey, float | None]:
    """Design effect of each block of share streams; None before it is measured.

    A block that never varied borrows the largest of its column's other detectors.
    """
    if policy.design_effect is not None:
        return dict.fromkeys(track.moments, policy.design_effect)
    measured = {key: moments.design_effect() for key, moments in track.moments.items()}
    borrowed: dict[str | None, float] = {}
    for (_, column, _), effect in measured.items():
        if effect is not None and column is not None:
            borrowed[column] = max(effect, borrowed.get(column, effect))
    return {key: borrowed.get(key[1]) if effect is None else effect for key, effect in measured.items()}


def log_weights(track: Track, policy: Policy, window: Span) -> dict[StreamKey, float]:
    """Log budget of each single stream of each block for this window.

    The window's budget is split by null, then by owner (weighted), then equally: a column with many
    levels takes nothing from the others. Fixed before the window: it is split among the streams known so
    far. One that is undefined in this window leaves its part unspent, and one first seen in it has none yet.
    """
    total = policy.pages_per_second * window.seconds
    labels = {key: moments.total.shape[1] for key, moments in track.moments.items()}
    shares = {key: count * 2 * len(ALTERNATIVES) for key, count in labels.items()}
    scores = {key: len(KAPPAS) for key in track.history if key != TOGETHER}
    weights: dict[StreamKey, float] = {}
    for kind, part in ((shares, TOLERANCE_SHARE), (scores, 1 - TOLERANCE_SHARE - TOGETHER_SHARE)):
        parts: dict[str, int] = {}
        for key, count in kind.items():
            parts[owner_of(key)] = parts.get(owner_of(key), 0) + count
        everything = sum(policy.weights.get(name, 1.0) for name in parts)
        for key in kind:
            name = owner_of(key)
            share = policy.weights.get(name, 1.0) / everything / parts[name]
            weights[key] = float(np.log(total * part * share))
    if TOGETHER in track.history:
        weights[TOGETHER] = float(np.log(total * TOGETHER_SHARE / len(KAPPAS)))
    return weights


def how_unusual(streams: Sequence[Stream], track: Track, policy: Policy, window: Span, slot: int) -> Unusual:
    """How unusual each score of a window is, for those whose history is long enough to say."""
    known = {key_of(item): item for item in streams if isinstance(item, Score)}
    scores = {key: item for key, item in known.items() if key in track.history}
    if track.usual is None or not scores:
        return Unusual(p_values={}, levels={}, most={})
    asked = Asked(
        keys=tuple(scores),
        value=np.array([item.value for item in scores.values()]),
        floor=np.array([item.floor * policy.min_effect / _STATED_EFFECT for item in scores.values()]),
    )
    found = p_values(asked, track.usual, track.history, window.start, slot)
    most: dict[tuple[str, str | None], float] = {}
    for key, p, ranked in zip(asked.keys, found.p_value, found.ranked, strict=True):
        if p == p and not ranked and key[1] is not None:
            most[key[:2]] = max(most.get(key[:2], ORDINARY), -float(np.log(p)))
    usable = {key: float(p) for key, p in zip(asked.keys, found.p_value, strict=True) if p == p}
    levels = dict(zip(asked.keys, map(float, found.level), strict=True))
    return Unusual(p_values=usable, levels=levels, most=most)


def bet(
    stream: Stream,
    track: Track,
    policy: Policy,
    effects: Mapping[StreamKey, float | None],
    unusual: Unusual,
    log_weight: float,
    window: Span,
) -> Bet:
    """One step of the recursion for one block of streams: ``M <- (M + w) e``."""
    key = key_of(stream)
    if isinstance(stream, Shares):
        log_e, out = _share_bet(stream, policy, effects.get(key))
        log_e = np.minimum(log_e, unusual.most.get(key[:2], np.inf))
    else:
        p_value = unusual.p_values.get(key)
        log_e = np.zeros(len(KAPPAS)) if p_value is None else score_log_e(p_value)
        out = p_value is not None and p_value <= _OUT_OF_BAND
    before = track.evidence.get(key)
    if before is None or before.log_m.shape != log_e.shape:
        before = Evidence.empty(log_e.shape)
    log_m = np.logaddexp(before.log_m, log_weight) + log_e
    onset = np.where(before.run <= 0, window.start, before.onset)
    run = np.maximum(before.run, 0.0) + log_e
    return Bet(evidence=Evidence(log_m=log_m, run=run, onset=onset), log_e=float(log_e.max()), out=out)


def _share_bet(stream: Shares, policy: Policy, effect: float | None) -> tuple[Float64Array, bool]:
    design = CONSERVATIVE if effect is None else effect
    error = np.sqrt(design * stream.reference * (1 - stream.reference) / max(stream.reference_trials, 1))
    slack = policy.tolerance + _REFERENCE_ERRORS * error
    log_e = share_log_e(stream.successes, stream.trials, stream.reference, slack, design)
    share = stream.successes / np.maximum(stream.trials, 1)
    out = (np.abs(share - stream.reference) > slack) & (stream.trials > 0)
    return log_e, bool(out.any())
