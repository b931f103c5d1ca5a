"""The budget recursion over all streams of one window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from driftwatch.decide.betting import (
    ALTERNATIVES,
    KAPPAS,
    MIN_HISTORY,
    score_log_e,
    share_log_e,
    tempering,
    usual_p_value,
)
from driftwatch.decide.policy import TOGETHER_SHARE, TOLERANCE_SHARE, Policy
from driftwatch.decide.track import TOGETHER, Evidence, Healthy, StreamKey, Track
from driftwatch.decide.usual import CONSERVATIVE
from driftwatch.summary.batch import Float64Array
from driftwatch.summary.result import Score, Shares
from driftwatch.summary.schema import Span

Stream = Shares | Score
#: A score at or below this p-value is out of its usual band; above it the window counts as quiet.
_OUT_OF_BAND = 0.02
#: The ``min_effect`` at which detectors state their floors.
_STATED_EFFECT = 0.02
#: Standard errors of the reference's own share that widen the tolerance.
_REFERENCE_ERRORS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bet:
    """What one block of streams said in one window: its new evidence, its own e-value, whether it is out."""

    evidence: Evidence
    log_e: float
    out: bool


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


def temperings(track: Track, slot: int) -> dict[str, float]:
    """Exponent of each owner's scores: the smallest of them, for each shows one side of what persists.

    All columns together are tempered at least as the median column is: a mean of what is cut at 0
    shows less autocorrelation than the columns have.
    """
    found: dict[str, float] = {}
    for key, healthy in track.history.items():
        exponent = tempering(healthy.like(slot, MIN_HISTORY))
        found[owner_of(key)] = min(exponent, found.get(owner_of(key), 1.0))
    columns = [exponent for name, exponent in found.items() if not name.startswith(joint_owner(""))]
    if columns and TOGETHER in track.history:
        name = owner_of(TOGETHER)
        found[name] = min(found[name], float(np.median(columns)))
    return found


def bet(
    stream: Stream,
    track: Track,
    policy: Policy,
    effects: Mapping[StreamKey, float | None],
    exponents: Mapping[str, float],
    log_weight: float,
    window: Span,
    slot: int,
) -> Bet:
    """One step of the recursion for one block of streams: ``M <- (M + w) e``."""
    key = key_of(stream)
    if isinstance(stream, Shares):
        log_e, out = _share_bet(stream, policy, effects.get(key))
    else:
        healthy = track.history.get(key, Healthy.empty()).like(slot, MIN_HISTORY)
        log_e, out = _score_bet(stream, healthy, policy, exponents.get(owner(stream), 1.0))
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


def _score_bet(
    stream: Score, history: Float64Array, policy: Policy, exponent: float
) -> tuple[Float64Array, bool]:
    floor = stream.floor * policy.min_effect / _STATED_EFFECT
    p_value = usual_p_value(stream.value, history, floor, exponent)
    if len(history) < MIN_HISTORY:
        return np.zeros(len(KAPPAS)), False
    return score_log_e(p_value, exponent), p_value <= _OUT_OF_BAND
