"""The budget recursion over all streams of one window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.schema import Span
from driftwatch.decide.baseline.prediction import Answer, Past, p_values
from driftwatch.decide.baseline.share_history import SUSPECTED, WindowShares, shares_seen
from driftwatch.decide.evalues.e_values import ALTERNATIVES, CALIBRATORS, score_log_e, share_log_e
from driftwatch.decide.evalues.logspace import log_add, log_sum
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.share_terms import terms_of
from driftwatch.decide.state import SegmentState
from driftwatch.results.streams import Streams

#: A score at or below this p-value is out of its usual band; above it the window counts as quiet.
_OUT_OF_BAND = 0.02
#: The ``min_effect`` at which detectors state their floors.
_STATED_EFFECT = 0.02
#: Log evidence that a share's window may always give, however usual its size is.
ORDINARY = 3.0
#: A CUSUM that is less than this part of what one window says had begun by chance.
_FAR_LESS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowEValues:
    """Log e-values of one window, ``shares[L, 2, A]`` and ``scores[k, 2, 4]``, and which streams are out.

    ``stakes[L, 2]`` is the log of how much more than an even part of its label's budget each side bets.
    ``value[k]`` are the scores, ``x[k]`` is where they stand and ``level[k]`` where their filters then do, in
    spreads from usual.
    """

    shares: Float64Array
    stakes: Float64Array
    scores: Float64Array
    shares_out: BoolArray
    scores_out: BoolArray
    shares_seen: WindowShares
    value: Float64Array
    x: Float64Array
    level: Float64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stream's part in the evidence: the log of its sum, and since when.

    ``log_budget`` is what the window gave it and ``log_now`` what became of that in this window alone.
    """

    detector: str
    log_budget: float
    log_m: float
    log_now: float
    onset: int


def design_effects(segment_state: SegmentState, policy: Policy) -> Float64Array:
    """Design effect of each block of share streams; NaN before it is measured."""
    if policy.design_effect is not None:
        return np.full(len(segment_state.shares.keys), policy.design_effect)
    return segment_state.shares.design_effects()


def bets(
    segment_state: SegmentState,
    streams: Streams,
    value: Float64Array,
    policy: Policy,
    effects: Float64Array,
    window: Span,
    past: Past,
) -> WindowEValues:
    """What every stream says in this window, the scores ``value[k]`` in the order of their book.

    The track must know them all (``expecting``, ``usual``).
    """
    seen = shares_seen(segment_state.shares, streams)
    floor = floors(segment_state, policy)
    if segment_state.usual is None:
        raise ValueError("the laws of the scores must be learned first")
    unusual = p_values(segment_state.scores, segment_state.usual, value, floor, window.start, past)
    log_e, stakes, shares_out = _share_bets(segment_state, seen, policy, effects)
    most = _most(segment_state, seen, unusual, past.known)[segment_state.shares.which]
    with np.errstate(invalid="ignore"):
        beyond = unusual.p_value <= _OUT_OF_BAND
    return WindowEValues(
        shares=np.minimum(log_e, most[:, None, None]),
        stakes=stakes,
        scores=score_log_e(unusual.p_value, unusual.ranked, unusual.least),
        shares_out=shares_out,
        scores_out=beyond[:, 0] | beyond[:, 1],
        shares_seen=seen,
        value=value,
        x=unusual.x,
        level=unusual.level,
    )


def floors(segment_state: SegmentState, policy: Policy) -> Float64Array:
    """The effect floor of each score under this policy."""
    return segment_state.scores.floor * policy.min_effect / _STATED_EFFECT


def _most(
    segment_state: SegmentState, seen: WindowShares, unusual: Answer, known: Int64Array
) -> Float64Array:
    """The most log evidence that one window's shares may give: what the same detector's scores allow.

    No e-value of a p-value exceeds 1/p: a day as bad as some healthy days were counts ``ORDINARY`` only, so
    a run of them pages and one does not. A p-value smaller than any rank among the healthy windows is
    extrapolated, with tails that may be heavier than any seen: where they are light in most columns, what
    lies below the smallest rank counts twice. Shares without such a score have no limit, nor have those of
    joint detectors; mere ranks limit only shares that come in bursts.
    """
    keys = segment_state.scores.keys
    least = np.fmin(unusual.p_value[:, 0], unusual.p_value[:, 1]) if len(unusual.p_value) else np.empty(0)
    said = -np.log(least)
    said += np.where(unusual.light, np.maximum(said - np.log(known + 1), 0.0), 0.0)
    telling = ~np.isnan(least) & keys.of_columns
    looks = segment_state.shares.keys.kept(
        "looks of scores", (keys,),
        lambda: np.array([keys.looks.get(key[:2], -1) for key in segment_state.shares.keys], dtype=np.int64),
    )  # fmt: skip
    found = []
    for which in (telling & ~unusual.ranked, telling & unusual.ranked):
        # One more place than there are looks: shares without a score find no limit there.
        limit = np.full(len(keys.looks) + 1, -np.inf)
        np.maximum.at(limit, keys.look[which], np.maximum(ORDINARY, said[which]))
        found.append(np.where(np.isneginf(limit), np.inf, limit)[looks])
    limits, ranks = found
    return np.where(np.isfinite(limits) | ~seen.bursts, limits, ranks)


def _share_bets(
    segment_state: SegmentState, seen: WindowShares, policy: Policy, effects: Float64Array
) -> tuple[Float64Array, Float64Array, BoolArray]:
    which, terms = segment_state.shares.which, terms_of(segment_state.shares, seen, policy, effects)
    log_e = share_log_e(seen.successes, seen.trials, terms.odds, terms.design)
    for shape in terms.whole:
        log_e[shape.middle] = shape.log_e(seen.successes, seen.trials, terms.design)
    share = seen.successes / np.maximum(seen.trials, 1)
    beyond = (np.abs(share - seen.reference) > terms.slack) & (seen.trials > 0)
    out = np.zeros(len(segment_state.shares.keys), dtype=np.bool_)
    np.logical_or.at(out, which, beyond)
    return log_e, terms.stakes, out


def with_bets(
    segment_state: SegmentState,
    made: WindowEValues,
    weights: tuple[Float64Array, Float64Array],
    live: tuple[BoolArray, BoolArray],
    start: int,
) -> SegmentState:
    """One step of the recursion for all live streams: ``M <- (M + w) e``.

    Where nothing is bet (e = 1: a side that is not looked at, a score without history) no budget is spent:
    it would add up to a page of a quiet monitor that nothing speaks for.
    """
    shares, scores = segment_state.shares, segment_state.scores
    which = shares.which
    bet = (live[0] & made.shares_seen.present)[which][:, None, None]
    staked = (weights[0][which][:, None] + made.stakes)[:, :, None]
    share_m = log_add(shares.log_m, staked) + made.shares
    log_m = np.where(bet & (made.shares != 0), share_m, shares.log_m)
    strongest = _strongest_share(log_m, made.shares, shares.starts, which)
    run, onset = cusum(shares.run, shares.onset, strongest, live[0] & made.shares_seen.present, start)
    bet_scores = live[1][:, None, None]
    score_m = log_add(scores.log_m, weights[1][:, None, None]) + made.scores
    spent = bet_scores & (made.scores != 0) & np.isfinite(score_m)
    score_m = np.where(spent, score_m, scores.log_m)
    score_run, score_onset = cusum(scores.run, scores.onset, made.scores, bet_scores, start)
    return replace(
        segment_state,
        shares=replace(shares, log_m=log_m, run=run, onset=onset),
        scores=replace(scores, log_m=score_m, run=score_run, onset=score_onset),
        summed=(log_m, score_m, log_sum(log_m, score_m)),
    )


def _strongest_share(
    log_m: Float64Array, log_e: Float64Array, starts: Int64Array, which: Int64Array
) -> Float64Array:
    """The log e-value of the part of each share key that holds the most evidence."""
    if not len(log_m):
        return np.empty(0)
    flat_m, flat_e = log_m.reshape(len(log_m), -1), log_e.reshape(len(log_e), -1)
    best = flat_m.argmax(axis=1)
    rows = np.arange(len(flat_m))
    label_m, label_e = flat_m[rows, best], flat_e[rows, best]
    top = np.maximum.reduceat(label_m, starts)[which] == label_m
    return np.maximum.reduceat(np.where(top, label_e, -np.inf), starts)


def cusum(
    run: Float64Array, onset: Int64Array, said: Float64Array, live: BoolArray, start: int
) -> tuple[Float64Array, Int64Array]:
    """Page's CUSUM and the window it began in, the maximum-likelihood estimate of the change.

    A window that is suspect by itself and says far more than all before began anew: what a bet on a small
    change gathers by chance is no part of a large one.
    """
    anew = (said >= SUSPECTED) & (run < _FAR_LESS * said)
    begun = np.where(live & ((run <= 0) | anew), start, onset)
    return np.where(live, np.maximum(run, 0.0) + said, run), begun


def evidence_by_owner(
    segment_state: SegmentState,
    made: WindowEValues,
    weights: tuple[Float64Array, Float64Array],
    live: tuple[BoolArray, BoolArray],
) -> dict[str, list[Part]]:
    """What holds the evidence, by owner."""
    found: dict[str, list[Part]] = {}
    shares, scores = segment_state.shares, segment_state.scores
    of_shares = weights[0] + np.log(shares.sizes * 2 * len(ALTERNATIVES))
    if len(shares.keys):
        sums = np.logaddexp.reduceat(np.logaddexp.reduce(shares.log_m, axis=(1, 2)), shares.starts)
        staked = made.shares + made.stakes[:, :, None]
        said = np.logaddexp.reduceat(np.logaddexp.reduce(staked, axis=(1, 2)), shares.starts)
        for k in np.flatnonzero(live[0]):
            part = Part(
                detector=shares.keys[k][0],
                log_budget=float(of_shares[k]),
                log_m=float(sums[k]),
                log_now=float(said[k] + weights[0][k]),
                onset=int(shares.onset[k]),
            )
            found.setdefault(owner_of(shares.keys[k]), []).append(part)
    sides = np.where(scores.signed, 2, 1)
    for k in np.flatnonzero(live[1]):
        best = int(scores.log_m[k].argmax())
        part = Part(
            detector=scores.keys[k][0],
            log_budget=float(weights[1][k] + np.log(sides[k] * CALIBRATORS)),
            log_m=float(np.logaddexp.reduce(scores.log_m[k], axis=None)),
            log_now=float(np.logaddexp.reduce(made.scores[k, : sides[k]], axis=None) + weights[1][k]),
            onset=int(scores.onset[k].flat[best]),
        )
        found.setdefault(owner_of(scores.keys[k]), []).append(part)
    return found
