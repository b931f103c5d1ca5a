"""The page budget: its split among streams, and the recursion that spends it.

The recursion is ``M <- (M + w) e`` for every stream, with ``w`` from the split, which is fixed before the
window is measured (proof in ``__init__.py``).

The split goes by null hypothesis first, then by owner (a column or joint detector, with the user's weights),
then among an owner's streams by what fails most often. A share stream of ``n`` labels has ``sqrt(n)`` parts,
so that a column of two hundred levels does not starve nulls and new levels, and splits them unevenly
(``CdfBets.log_label_weights``, ``log_side_weights``). Each side and calibrator of a score has one part, or
``LOCATION_BUDGET_WEIGHT`` parts if it is a location score. Whatever the split, the parts add up to the
budget, which is all the promise needs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.core.schema import Span
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.share_history import MIN_SUSPECT_CUSUM, ShareHistory
from driftwatch.decide.evalues.e_values import ALTERNATIVES, CALIBRATORS
from driftwatch.decide.evalues.logspace import log_add
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.policy import (
    COMBINED_BUDGET_SHARE,
    LOCATION_BUDGET_WEIGHT,
    TOLERANCE_BUDGET_SHARE,
    Policy,
)
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE, COMMON_SHIFT, StreamIndex
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import WindowEValues

#: A CUSUM below this part of one window's log e-value started by chance.
_MAX_CHANCE_PART = 0.25


def log_weights(
    segment_state: SegmentState, policy: Policy, window: Span, memo: Memo = NO_MEMO, *, silence: float = 0.0
) -> PerKind[Float64Array]:
    """Return the window's log budget per e-value, for each share stream and each score.

    Its seconds of ``silence``, of windows without rows among several judged together, have no budget.

    Only streams known before the window have a part; if undefined, they leave it unspent.
    """
    total = policy.pages_per_second * (window.seconds - silence)
    scores, shares = segment_state.scores, segment_state.shares
    share_parts = memo.last(
        "share parts", (shares.layout, policy.weights), lambda: _share_parts(shares, policy)
    )
    score_parts = memo.last(
        "score parts", (scores.keys, scores.signed, policy.weights), lambda: _score_parts(scores, policy)
    )
    with np.errstate(divide="ignore"):
        return PerKind(
            shares=np.log(total * TOLERANCE_BUDGET_SHARE * share_parts), scores=np.log(total * score_parts)
        )


def _share_parts(shares: ShareHistory, policy: Policy) -> Float64Array:
    return _split(shares.keys, np.sqrt(shares.sizes), shares.sizes * 2 * len(ALTERNATIVES), policy)


def _score_parts(scores: ScoreHistory, policy: Policy) -> Float64Array:
    bets = np.where(scores.signed, 2, 1) * CALIBRATORS
    parts = bets.astype(np.float64)
    parts[scores.keys.location_scores] *= LOCATION_BUDGET_WEIGHT
    is_combined = np.zeros(len(scores.keys), dtype=np.bool_)
    is_combined[
        [scores.keys.positions[key] for key in (COMBINED_SCORE, COMMON_SHIFT) if key in scores.keys.positions]
    ] = True
    single_share = 1 - TOLERANCE_BUDGET_SHARE - COMBINED_BUDGET_SHARE
    single_parts = _split(scores.keys, np.where(is_combined, 0.0, parts), bets, policy)
    return np.where(is_combined, COMBINED_BUDGET_SHARE / (2 * CALIBRATORS), single_share * single_parts)


def _split(keys: StreamIndex, parts: Float64Array, bets: Int64Array, policy: Policy) -> Float64Array:
    # Budget shares of single e-values; over all e-values they add up to 1.
    owner_parts = np.bincount(keys.stream_owners, parts, minlength=len(keys.owners))
    weight = np.array([policy.weights.get(name, 1.0) for name in keys.owners])
    has_parts = owner_parts > 0
    per_part = (
        np.where(has_parts, weight, 0.0)
        / max(weight[has_parts].sum(), 1e-300)
        / np.where(has_parts, owner_parts, 1.0)
    )
    return np.asarray(per_part[keys.stream_owners] * parts / np.maximum(bets, 1))


def update_evidence(
    segment_state: SegmentState,
    e_values: WindowEValues,
    weights: PerKind[Float64Array],
    active: PerKind[BoolArray],
    start: int,
) -> SegmentState:
    """Apply the recursion ``M <- (M + w) e`` once to the active share streams and scores.

    Where e = 1 exactly (a dropped side, a score without history) no budget is spent: it would add up to a
    page without evidence.
    """
    shares, scores = segment_state.shares, segment_state.scores
    label_streams = shares.label_streams
    is_bet = (active.shares & e_values.window_shares.present)[label_streams][:, None, None]
    log_budget = (weights.shares[label_streams][:, None] + e_values.log_weights)[:, :, None]
    share_m = log_add(shares.log_m, log_budget) + e_values.shares
    log_m = np.where(is_bet & (e_values.shares != 0), share_m, shares.log_m)
    strongest = _strongest_log_e(log_m, e_values.shares, shares.starts, label_streams)
    share_cusum, onset = update_cusum(
        shares.cusum, shares.onset, strongest, active.shares & e_values.window_shares.present, start
    )
    is_active_score = active.scores[:, None, None]
    score_m = log_add(scores.log_m, weights.scores[:, None, None]) + e_values.scores
    is_spent = is_active_score & (e_values.scores != 0) & np.isfinite(score_m)
    score_m = np.where(is_spent, score_m, scores.log_m)
    score_cusum, score_onset = update_cusum(
        scores.cusum, scores.onset, e_values.scores, is_active_score, start
    )
    return replace(
        segment_state,
        shares=replace(shares, log_m=log_m, cusum=share_cusum, onset=onset),
        scores=replace(scores, log_m=score_m, cusum=score_cusum, onset=score_onset),
    )


def _strongest_log_e(
    log_m: Float64Array, log_e: Float64Array, starts: Int64Array, label_streams: Int64Array
) -> Float64Array:
    # Of the test with the most evidence, which need not have the largest e-value in this window.
    if not len(log_m):
        return np.empty(0)
    flat_m, flat_e = log_m.reshape(len(log_m), -1), log_e.reshape(len(log_e), -1)
    best_bets = flat_m.argmax(axis=1)
    rows = np.arange(len(flat_m))
    label_m, label_e = flat_m[rows, best_bets], flat_e[rows, best_bets]
    is_strongest = np.maximum.reduceat(label_m, starts)[label_streams] == label_m
    return np.maximum.reduceat(np.where(is_strongest, label_e, -np.inf), starts)


def update_cusum(
    cusum: Float64Array, onset: Int64Array, log_e: Float64Array, active: BoolArray, start: int
) -> tuple[Float64Array, Int64Array]:
    """Update Page's CUSUM and its onset, the maximum-likelihood estimate of the change point."""
    # What a test for a small change gathers by chance is no part of a large change: a suspect window with far
    # more evidence than the CUSUM is a new onset.
    is_new = (log_e >= MIN_SUSPECT_CUSUM) & (cusum < _MAX_CHANCE_PART * log_e)
    new_onset = np.where(active & ((cusum <= 0) | is_new), start, onset)
    # A suspect window that is judged late, after the CUSUM began, is an earlier onset.
    new_onset = np.where(active & (log_e >= MIN_SUSPECT_CUSUM), np.minimum(new_onset, start), new_onset)
    return np.where(active, np.maximum(cusum, 0.0) + log_e, cusum), new_onset
