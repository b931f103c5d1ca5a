"""The e-values of all streams in one window, and the evidence of each owner."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.core.schema import Span
from driftwatch.decide.baseline.prediction import Baseline, PValues, baseline_for, p_values
from driftwatch.decide.baseline.recentred_scores import recentred_p_values
from driftwatch.decide.baseline.score_model import refit_if_grown
from driftwatch.decide.baseline.share_history import WindowShares, align_shares
from driftwatch.decide.evalues.e_values import ALTERNATIVES, CALIBRATORS, score_log_e, share_log_e
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.share_terms import EarlierCounts, share_terms
from driftwatch.results.streams import Streams

#: P-value at or below which a score is out of its normal range; above it the window is quiet.
_MAX_OUT_OF_BAND_P = 0.02
#: Log e-value of a column in one window from which it is not back: 5. A healthy column reaches it in a fifth
#: of its windows at most, and in none of 2,160 that were tried; then its incident ends some windows later.
_MIN_OFF_LOG_E = 1.6
#: The configured ``min_effect`` that detectors assume when they declare their floors.
_STATED_EFFECT = 0.02
#: Log e-value that one window's shares may always reach, even if their detector's scores are normal.
MIN_SHARE_LIMIT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowEValues:
    """Log e-values of one window, and flags for the streams outside their normal range."""

    #: ``[label, side, alternative]``: log e-values of shares.
    shares: Float64Array
    #: ``[label, side]``: log weights of the shares' budget over an even split.
    log_weights: Float64Array
    #: ``[score, side, calibrator]``: log e-values of scores.
    scores: Float64Array
    shares_out: BoolArray
    scores_out: BoolArray
    window_shares: WindowShares
    #: ``[score]``: the score; its deviation in scales; the level of its filter after the window.
    value: Float64Array
    deviation: Float64Array
    level: Float64Array
    #: ``[score]``: level around the centre of an open incident's score.
    centre_level: Float64Array
    #: P-values around the reference.
    usual: PValues


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvidence:
    """One stream's log evidence, in total and from this window alone, with its log budget and onset."""

    detector: str
    log_budget: float
    log_m: float
    log_window_m: float
    onset: int


def design_effects(segment_state: SegmentState, policy: Policy, memo: Memo = NO_MEMO) -> Float64Array:
    """Return each share stream's design effect: the configured one, else the measured one, else NaN."""
    if policy.design_effect is not None:
        return np.full(len(segment_state.shares.keys), policy.design_effect)
    return segment_state.shares.design_effects(memo)


def window_e_values(
    segment_state: SegmentState,
    streams: Streams,
    value: Float64Array,
    policy: Policy,
    effects: Float64Array,
    window: Span,
    baseline: Baseline,
    memo: Memo = NO_MEMO,
) -> WindowEValues:
    """Compute one window's e-values; ``value`` holds its scores in the order of the segment state.

    Raises ``ValueError`` without a score model.
    """
    shares = align_shares(segment_state.shares, streams, memo)
    floor = effect_floors(segment_state, policy)
    if segment_state.score_model is None:
        raise ValueError("the laws of the scores must be learned first")
    predicted = p_values(
        segment_state.scores, segment_state.score_model, value, floor, window.start, baseline
    )
    log_e, log_weights, shares_out = _share_e_values(segment_state, shares, policy, effects, memo)
    limit = _share_limits(segment_state, shares, predicted, baseline.n, memo)
    with np.errstate(invalid="ignore"):
        is_out = predicted.p_value <= _MAX_OUT_OF_BAND_P
    return WindowEValues(
        shares=np.minimum(log_e, limit[segment_state.shares.label_streams][:, None, None]),
        log_weights=log_weights,
        scores=score_log_e(predicted.p_value, predicted.ranked, predicted.smallest_p),
        shares_out=shares_out,
        scores_out=is_out[:, 0] | is_out[:, 1],
        window_shares=shares,
        value=value,
        deviation=predicted.deviation,
        level=predicted.level,
        centre_level=segment_state.scores.centre_level,
        usual=predicted,
    )


def recentred_e_values(
    segment_state: SegmentState,
    e_values: WindowEValues,
    policy: Policy,
    effects: Float64Array,
    baseline: Baseline,
    memo: Memo = NO_MEMO,
) -> WindowEValues:
    """Replace the e-values of streams with a centre by the smaller of those around reference and centre."""
    shares, scores = segment_state.shares, segment_state.scores
    is_share, is_score = shares.centred, scores.centred
    if segment_state.score_model is None or not (is_share.any() or is_score.any()):
        return e_values
    p_value, centre_level = recentred_p_values(
        scores,
        segment_state.score_model,
        e_values.value,
        effect_floors(segment_state, policy),
        e_values.usual,
        baseline,
    )
    predicted = replace(e_values.usual, p_value=np.where(is_score[:, None], p_value, e_values.usual.p_value))
    centred_scores = score_log_e(predicted.p_value, predicted.ranked, predicted.smallest_p)
    centred_shares = _around_centres(segment_state, e_values.window_shares)
    log_e, _, _ = _share_e_values(
        segment_state, centred_shares, policy, effects, memo, terms_name="centred share terms"
    )
    limit = _share_limits(segment_state, centred_shares, predicted, baseline.n, memo)
    log_e = np.minimum(log_e, limit[shares.label_streams][:, None, None])
    labels = is_share[shares.label_streams][:, None, None]
    return replace(
        e_values,
        shares=np.where(labels, np.minimum(log_e, e_values.shares), e_values.shares),
        scores=np.where(
            is_score[:, None, None], np.minimum(centred_scores, e_values.scores), e_values.scores
        ),
        centre_level=centre_level,
    )


def _around_centres(segment_state: SegmentState, window_shares: WindowShares) -> WindowShares:
    history = segment_state.shares
    successes, trials = history.centre
    labels = history.centred[history.label_streams]
    stream_trials = np.minimum.reduceat(trials, history.starts)
    return replace(
        window_shares,
        reference=np.where(labels, successes / np.maximum(trials, 1), window_shares.reference),
        reference_trials=np.where(history.centred, stream_trials, window_shares.reference_trials),
    )


def late_e_values(
    segment_state: SegmentState,
    late: Streams,
    whole: Measurement,
    policy: Policy,
    effects: Float64Array,
) -> WindowEValues:
    """Compute the e-values of the shares of late rows, with which their ``whole`` window is as measured."""
    scores = segment_state.scores
    shares, all_shares = (align_shares(segment_state.shares, item) for item in (late, whole.streams))
    earlier = EarlierCounts(
        successes=all_shares.successes - shares.successes, trials=all_shares.trials - shares.trials
    )
    log_e, log_weights, shares_out = _share_e_values(segment_state, shares, policy, effects, NO_MEMO, earlier)
    baseline = baseline_for(scores, whole.slot, whole.rows)
    predicted = p_values(
        scores,
        refit_if_grown(segment_state.score_model, scores),
        scores.align(whole.streams),
        effect_floors(segment_state, policy),
        whole.window.start,
        baseline,
    )
    limit = _share_limits(segment_state, shares, predicted, baseline.n, NO_MEMO)
    # The limit is that of the whole window: what its first rows took from the evidence may be gained again.
    first_shares = replace(all_shares, successes=earlier.successes, trials=earlier.trials)
    first_log_e, _, _ = _share_e_values(segment_state, first_shares, policy, effects, NO_MEMO)
    room = np.maximum(limit[segment_state.shares.label_streams][:, None, None] - first_log_e, 0.0)
    unmeasured = np.full(len(scores.keys), np.nan)
    return WindowEValues(
        shares=np.minimum(log_e, room),
        log_weights=log_weights,
        scores=np.zeros_like(scores.log_m),
        shares_out=shares_out,
        scores_out=np.zeros(len(scores.keys), dtype=np.bool_),
        window_shares=shares,
        value=unmeasured,
        deviation=unmeasured,
        level=scores.level,
        centre_level=scores.centre_level,
        usual=predicted,
    )


def effect_floors(segment_state: SegmentState, policy: Policy) -> Float64Array:
    return segment_state.scores.floor * policy.min_effect / _STATED_EFFECT


def _share_limits(
    segment_state: SegmentState, shares: WindowShares, predicted: PValues, n: Int64Array, memo: Memo
) -> Float64Array:
    """Return each share stream's largest log e-value that the same detector's scores allow.

    No e-value of a p-value exceeds 1/p: a day as bad as some healthy days counts ``MIN_SHARE_LIMIT``, so a
    run of such days pages and a single one does not. Shares without such a score, and those of joint
    detectors, have no limit.
    """
    keys = segment_state.scores.keys
    p = np.fmin(predicted.p_value[:, 0], predicted.p_value[:, 1]) if len(predicted.p_value) else np.empty(0)
    log_e = -np.log(p)
    # A p-value below every rank among n healthy windows is extrapolated, with tails that may be heavier than
    # any observed. Where tails are light in most columns, the log beyond the smallest rank counts twice.
    log_e += np.where(predicted.light_tailed, np.maximum(log_e - np.log(n + 1), 0.0), 0.0)
    is_limit = ~np.isnan(p) & keys.has_column
    share_keys = segment_state.shares.keys
    targets = memo.last(
        "score targets",
        (share_keys, keys),
        lambda: np.array([keys.targets.get(key[:2], -1) for key in share_keys], dtype=np.int64),
    )
    limits = []
    for flags in (is_limit & ~predicted.ranked, is_limit & predicted.ranked):
        # One entry more than there are targets: shares without a score have no limit there.
        limit = np.full(len(keys.targets) + 1, -np.inf)
        np.maximum.at(limit, keys.stream_targets[flags], np.maximum(MIN_SHARE_LIMIT, log_e[flags]))
        limits.append(np.where(np.isneginf(limit), np.inf, limit)[targets])
    predicted_limits, rank_limits = limits
    # Rank p-values limit only shares that come in bursts.
    return np.where(np.isfinite(predicted_limits) | ~shares.bursts, predicted_limits, rank_limits)


def _share_e_values(
    segment_state: SegmentState,
    shares: WindowShares,
    policy: Policy,
    effects: Float64Array,
    memo: Memo,
    earlier: EarlierCounts | None = None,
    terms_name: str = "share terms",
) -> tuple[Float64Array, Float64Array, BoolArray]:
    label_streams, terms = (
        segment_state.shares.label_streams,
        share_terms(segment_state.shares, shares, policy, effects, memo, earlier, terms_name),
    )
    log_e = share_log_e(shares.successes, shares.trials, terms.log_ratios, terms.design_effect)
    for bets in terms.cdf_bets:
        log_e[bets.middle] = bets.log_e(shares.successes, shares.trials, terms.design_effect)
    share = shares.successes / np.maximum(shares.trials, 1)
    # One standard error of the window: of few rows a share is beyond the tolerance by chance, day after day.
    rows = np.maximum(shares.trials, 1) / terms.design_effect
    error = np.sqrt(shares.reference * (1 - shares.reference) / rows)
    is_out_label = (np.abs(share - shares.reference) > terms.tolerance + error) & (shares.trials > 0)
    is_out = np.zeros(len(segment_state.shares.keys), dtype=np.bool_)
    np.logical_or.at(is_out, label_streams, is_out_label)
    return log_e, terms.log_weights, is_out


def columns_off_reference(
    segment_state: SegmentState, e_values: WindowEValues, weights: PerKind[Float64Array]
) -> frozenset[str]:
    """Return the columns that only broke of which this window's e-value rejects the reference."""
    names = frozenset(name for item in segment_state.incidents for name in item.only_broken)
    if not names:
        return names
    owned = PerKind(
        shares=segment_state.shares.keys.owned_by(names), scores=segment_state.scores.keys.owned_by(names)
    )
    columns = []
    for name, streams in evidence_by_owner(segment_state, e_values, weights, owned).items():
        log_m = float(np.logaddexp.reduce([item.log_window_m for item in streams]))
        log_budget = float(np.logaddexp.reduce([item.log_budget for item in streams]))
        if np.isfinite(log_budget) and log_m - log_budget >= _MIN_OFF_LOG_E:
            columns.append(name)
    return frozenset(columns)


def evidence_by_owner(
    segment_state: SegmentState,
    e_values: WindowEValues,
    weights: PerKind[Float64Array],
    active: PerKind[BoolArray],
) -> dict[str, list[StreamEvidence]]:
    by_owner: dict[str, list[StreamEvidence]] = {}
    shares, scores = segment_state.shares, segment_state.scores
    log_budgets = weights.shares + np.log(shares.sizes * 2 * len(ALTERNATIVES))
    if len(shares.keys):
        sums = np.logaddexp.reduceat(np.logaddexp.reduce(shares.log_m, axis=(1, 2)), shares.starts)
        weighted_log_e = e_values.shares + e_values.log_weights[:, :, None]
        window_sums = np.logaddexp.reduceat(np.logaddexp.reduce(weighted_log_e, axis=(1, 2)), shares.starts)
        for k in np.flatnonzero(active.shares):
            part = StreamEvidence(
                detector=shares.keys[k][0],
                log_budget=float(log_budgets[k]),
                log_m=float(sums[k]),
                log_window_m=float(window_sums[k] + weights.shares[k]),
                onset=int(shares.onset[k]),
            )
            by_owner.setdefault(owner_of(shares.keys[k]), []).append(part)
    sides = np.where(scores.signed, 2, 1)
    for k in np.flatnonzero(active.scores):
        best_bet = int(scores.log_m[k].argmax())
        part = StreamEvidence(
            detector=scores.keys[k][0],
            log_budget=float(weights.scores[k] + np.log(sides[k] * CALIBRATORS)),
            log_m=float(np.logaddexp.reduce(scores.log_m[k], axis=None)),
            log_window_m=float(
                np.logaddexp.reduce(e_values.scores[k, : sides[k]], axis=None) + weights.scores[k]
            ),
            onset=int(scores.onset[k].flat[best_bet]),
        )
        by_owner.setdefault(owner_of(scores.keys[k]), []).append(part)
    return by_owner
