"""E-values of one window: likelihood ratios for shares, calibrated p-values for scores."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array

#: Alternatives of the tolerance test: distances beyond a tolerated share of 5 % or more. Below 5 % they
#: shrink in proportion to the share's standard deviation.
ALTERNATIVES = np.array([0.02, 0.05, 0.12, 0.3])
_FULL_STEP_SHARE = 0.05
#: Number of calibrators of a score's p-value; each yields e-values with their own evidence.
CALIBRATORS = 4
#: Exponents of the power calibrator ``kappa p^(kappa - 1)``: for predicted p-values, and for ranks.
_KAPPA, _KAPPA_OF_RANKS = 0.1, 0.4
#: Alternatives for normal scores: shifts in standard deviations. Lower scores count as the minimum, so that
#: one quiet window does not undo many; the likelihood ratio is divided by its mean, which keeps an e-value.
_SHIFTS, _MIN_NORMAL_SCORE = np.array([2.2, 1.3, 0.7]), -0.5
_LOG_MEAN_RATIO = _SHIFTS**2 / 2 + np.log(
    ndtr(_MIN_NORMAL_SCORE) * np.exp(_SHIFTS * _MIN_NORMAL_SCORE - _SHIFTS**2 / 2)
    + ndtr(_SHIFTS - _MIN_NORMAL_SCORE)
)
#: Alternatives for ranks: the share of windows with a value beyond all earlier ones (the smallest p-value).
_RECORD_SHARES = np.array([0.7, 0.5, 0.3])
#: A side whose tolerated share is larger has no room for an alternative and is dropped.
_MAX_TOLERATED_SHARE = 0.97


def share_log_ratios(reference: Float64Array, tolerance: Float64Array) -> Float64Array:
    """Return the log-likelihood ratios of a success and of a failure for each share.

    Side 0 tests "more than tolerated", side 1 "fewer". A success adds ``ln(p1/p0)`` on side 0 and
    ``ln((1-p1)/(1-p0))`` of the complement on side 1; a failure vice versa. ``p0`` is the tolerated share and
    ``p1 = p0 + alternative``, less for a small ``p0``. A side without room for ``p1`` is dropped: its ratios
    are 0.
    """
    # ``[success or failure, label, side, alternative]``.
    tolerated = tolerated_shares(reference, tolerance)[:, :, None]
    p0, p1 = np.clip(tolerated, 1e-6, _MAX_TOLERATED_SHARE), alternative_shares(reference, tolerance)
    log_ratios = np.where(
        tolerated < _MAX_TOLERATED_SHARE, np.stack([np.log(p1 / p0), np.log((1 - p1) / (1 - p0))]), 0.0
    )
    # A success of one side is a failure of the other.
    log_ratios[:, :, 1] = log_ratios[::-1, :, 1].copy()
    return log_ratios


def share_log_e(
    successes: Int64Array, trials: Int64Array, log_ratios: Float64Array, design_effect: Float64Array
) -> Float64Array:
    """Return log e-values of shares, by side and alternative, from their ``share_log_ratios``.

    Null hypothesis (tolerance): the window's share is at most ``p0`` (side 1: of the complement).
    ``log e = (S ln(p1/p0) + (n - S) ln((1-p1)/(1-p0))) / design_effect``.
    ``E[e] <= 1`` for every share up to ``p0`` because the likelihood ratio is monotone; the exponent ``1/b``
    preserves this for rows in groups of up to ``b`` (Hoelder). Dropped sides and windows without trials give
    ``e = 1``. False alarms: see ``driftwatch.decide``.

    >>> log_ratios = share_log_ratios(np.array([0.1]), np.array([0.05]))
    >>> e = share_log_e(np.array([50]), np.array([100]), log_ratios, np.ones(1))
    >>> bool(e[0, 0].max() > 20), bool(e[0, 1].max() <= 0)
    (True, True)
    """
    counts = np.stack([successes, trials - successes]).astype(np.float64)[:, :, None, None]
    log_terms = counts * log_ratios
    return np.asarray((log_terms[0] + log_terms[1]) / design_effect[:, None, None])


def log_side_weights(reference: Float64Array, tolerance: Float64Array) -> Float64Array:
    """Return the log weight of each side's budget for every label, relative to an even split.

    If one side is dropped, the other gets all.

    >>> np.exp(log_side_weights(np.array([0.5, 0.0]), np.array([0.05, 0.05]))).tolist()
    [[1.0, 1.0], [2.0, 0.0]]
    """
    is_tested = tolerated_shares(reference, tolerance) < _MAX_TOLERATED_SHARE
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(is_tested * 2.0 / np.maximum(is_tested.sum(axis=1, keepdims=True), 1)))


def tolerated_shares(reference: Float64Array, tolerance: Float64Array) -> Float64Array:
    """Return each label's largest tolerated share, and the largest tolerated one of its complement.

    ``tolerance`` may have one entry per label and side.
    """
    shares = np.stack([reference, 1 - reference], axis=1)
    return np.asarray(shares + (tolerance if tolerance.ndim == 2 else tolerance[:, None]))


def alternative_shares(
    reference: Float64Array, tolerance: Float64Array, excesses: Float64Array = ALTERNATIVES
) -> Float64Array:
    """Return alternative shares, which lie ``excesses`` beyond the tolerated ones."""
    # ``[label, side, alternative]``.
    p0 = np.clip(tolerated_shares(reference, tolerance), 1e-6, _MAX_TOLERATED_SHARE)[:, :, None]
    steps = excesses * np.minimum(1.0, np.sqrt(p0 / _FULL_STEP_SHARE))
    return np.asarray(np.minimum(p0 + steps, 1 - (1 - p0) * 0.05))


def score_log_e(p_value: Float64Array, ranked: BoolArray, smallest_p: Float64Array) -> Float64Array:
    """Return log e-values, one per calibrator, of the scores' p-values.

    Every calibrator integrates to at most 1. Calibrator 0 is a power function (Vovk, Wang 2021), for
    outliers. The others are likelihood ratios: of shifted normal scores, for lasting shifts, or, where
    ``ranked``, of how often p equals ``smallest_p``, the smallest that a rank can give. NaN (not measured)
    gives e = 1.
    """
    log_e, ranked_rows = np.empty((*p_value.shape, CALIBRATORS)), np.flatnonzero(ranked)
    kappa = np.where(ranked, _KAPPA_OF_RANKS, _KAPPA)[:, None]
    log_e[..., 0] = np.log(kappa) + (kappa - 1) * np.log(p_value)
    log_e[..., 1:] = _SHIFTS * np.maximum(-ndtri(p_value), _MIN_NORMAL_SCORE)[..., None] - _LOG_MEAN_RATIO
    p, p0 = p_value[ranked_rows][..., None], smallest_p[ranked_rows][..., None]
    # The e-value is 1 where the null gives the smallest p-value as often: else normal windows were evidence.
    p1 = np.maximum(_RECORD_SHARES, p0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_e[ranked_rows, :, 1:] = np.where(p <= p0, np.log(p1 / p0), np.log((1 - p1) / (1 - p0)))
    log_e[np.isnan(p_value)] = 0.0
    return log_e


def log_p_for(log_e: float) -> float:
    """Return the log p-value that the power calibrator of predicted scores turns into ``log_e``."""
    return float((np.log(_KAPPA) - log_e) / (1 - _KAPPA))
