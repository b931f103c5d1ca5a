"""Tolerances, log-likelihood ratios and weights of share e-values, which rarely change between windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.decide.baseline.share_history import CONSERVATIVE_DESIGN_EFFECT, ShareHistory, WindowShares
from driftwatch.decide.evalues.cdf_bets import CdfBets, cdf_bets
from driftwatch.decide.evalues.e_values import log_side_weights, share_log_ratios
from driftwatch.decide.evalues.policy import Policy

#: The configured ``tolerance`` that detectors assume when they declare their own.
_STATED_TOLERANCE = 0.05
#: Standard errors of the reference's share that widen the tolerance.
_REFERENCE_ERRORS = 1.5
#: Standard errors of the first rows' share by which late rows may differ more.
_EXCESS_ERRORS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EarlierCounts:
    """``[label]``: counts of the same window's rows that were judged before."""

    successes: Int64Array
    trials: Int64Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareTerms:
    #: ``[label]``: tolerance, widened by the reference's own error.
    tolerance: Float64Array
    #: ``[label]``: design effect.
    design_effect: Float64Array
    #: ``[2, label, side, alternative]``: see ``share_log_ratios``.
    log_ratios: Float64Array
    #: ``[label, side]``: log weights of the budget over an even split.
    log_weights: Float64Array
    cdf_bets: tuple[CdfBets, ...]


def share_terms(
    history: ShareHistory,
    shares: WindowShares,
    policy: Policy,
    design_effects: Float64Array,
    memo: Memo = NO_MEMO,
    earlier: EarlierCounts | None = None,
    name: str = "share terms",
) -> ShareTerms:
    def terms() -> ShareTerms:
        label_streams = history.label_streams
        design_effect = np.where(np.isnan(design_effects), CONSERVATIVE_DESIGN_EFFECT, design_effects)[
            label_streams
        ]
        error = _reference_error(shares.reference, shares.reference_trials[label_streams] / design_effect)
        stated_tolerance = shares.tolerance * policy.tolerance / _STATED_TOLERANCE
        tolerance = (
            np.where(np.isnan(stated_tolerance), policy.tolerance, stated_tolerance)[label_streams] + error
        )
        bet_tolerance = (
            tolerance if earlier is None else late_tolerance(tolerance, shares, earlier, design_effect)
        )
        log_weights = log_side_weights(shares.reference, bet_tolerance)
        bets = cdf_bets(shares.ordered, history.sizes, history.starts, shares.reference, bet_tolerance)
        for bet in bets:
            log_weights[bet.labels] += bet.log_label_weights[..., None]
        log_ratios = share_log_ratios(shares.reference, bet_tolerance)
        return ShareTerms(
            tolerance=tolerance,
            design_effect=design_effect,
            log_ratios=log_ratios,
            log_weights=log_weights,
            cdf_bets=bets,
        )

    arrays = (shares.ordered, shares.reference, shares.reference_trials, shares.tolerance, design_effects)
    inputs = (history.layout, repr(policy.tolerance).encode(), *(part.tobytes() for part in arrays))
    return memo.last(name, inputs, terms)


def late_tolerance(
    tolerance: Float64Array, shares: WindowShares, earlier: EarlierCounts, design_effect: Float64Array
) -> Float64Array:
    """Return by label and side how far late shares may be off: until all rows are, at least ``tolerance``."""
    # Fixed before the part is counted, whatever the rows before were like and however many parts they came
    # in: ``E[e] <= 1`` given them. Never below ``tolerance``: ``e`` is at most that of the same rows on time,
    # and times the window's own ``e`` it has ``E <= 1`` given the time before the window too, however the
    # counts of the first rows err (tests/decide/test_late_part.py).
    n_all = earlier.trials + shares.trials
    excess = earlier.successes - earlier.trials * shares.reference
    # An excess that may be chance leaves no less room.
    variance = earlier.trials * shares.reference * (1 - shares.reference) * design_effect
    chance = _EXCESS_ERRORS * np.sqrt(variance)
    upper, lower = (np.where(item > 0, np.maximum(item - chance, 0.0), item) for item in (excess, -excess))
    room = np.stack([tolerance * n_all - upper, tolerance * n_all - lower], axis=1)
    return np.maximum(room / np.maximum(shares.trials, 1)[:, None], tolerance[:, None])


def _reference_error(share: Float64Array, rows: Float64Array) -> Float64Array:
    # Half the width of Wilson's interval (1927) plus its shift: ``2.25 / rows`` for a share of 0.
    variance = share * (1 - share) / rows + (_REFERENCE_ERRORS / (2 * rows)) ** 2
    return np.asarray(_REFERENCE_ERRORS * np.sqrt(variance) + _REFERENCE_ERRORS**2 / (2 * rows))
