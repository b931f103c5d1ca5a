"""E-values of one window: likelihood ratios for shares, calibrated p-values for scores."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array

#: Alternatives of the tolerance test: how far beyond a tolerated share of 5 % or more. Below that they
#: shrink as its standard deviation does.
ALTERNATIVES = np.array([0.02, 0.05, 0.12, 0.3])
_WHOLE_STEPS = 0.05
#: Calibrators of a score's p-value, each a stream of its own.
CALIBRATORS = 4
#: Exponents of power calibrators ``kappa p^(kappa - 1)``: of a prediction's p-value, and of a rank.
_POWER, _POWER_OF_RANK = 0.1, 0.4
#: Shifts of normal scores that are bet on, in standard deviations, and the score below which all are alike.
_SHIFTS, _LOWEST = np.array([2.2, 1.3, 0.7]), -0.5
_LOG_MEAN = _SHIFTS**2 / 2 + np.log(
    ndtr(_LOWEST) * np.exp(_SHIFTS * _LOWEST - _SHIFTS**2 / 2) + ndtr(_SHIFTS - _LOWEST)
)
#: How often a rank's bets expect a value that no window had before.
_OFTEN = np.array([0.7, 0.5, 0.3])
#: A tolerated share above this leaves no room for an alternative: the side is dropped.
_CEILING = 0.97


def share_odds(reference: Float64Array, slack: Float64Array) -> Float64Array:
    """Logs ``[2, k, 2, A]`` of what a success, and any other trial, says; 0 on a side that is dropped.

    Side 0 is "more than tolerated", side 1 "fewer". A success counts ``ln(p1/p0)`` for side 0 and
    ``ln((1-p1)/(1-p0))`` of the complement's shares for side 1, any other trial the other way round:
    ``p0`` is what is tolerated and ``p1 = p0 + alternative``, less for a small ``p0``.
    """
    most = tolerated(reference, slack)[:, :, None]
    p0, p1 = np.clip(most, 1e-6, _CEILING), alternatives(reference, slack)
    odds = np.where(most < _CEILING, np.stack([np.log(p1 / p0), np.log((1 - p1) / (1 - p0))]), 0.0)
    # What is a success of one side is none of the other.
    odds[:, :, 1] = odds[::-1, :, 1].copy()
    return odds


def share_log_e(
    successes: Int64Array, trials: Int64Array, odds: Float64Array, design_effect: Float64Array
) -> Float64Array:
    """Log e-values ``[k, 2, A]`` of shares, by their ``share_odds``.

    Null (tolerance): the window's share is at most ``p0`` (side 1: of the complement).
    ``log e = (S ln(p1/p0) + (n - S) ln((1-p1)/(1-p0))) / design_effect``.
    ``E[e] <= 1`` for every share up to ``p0`` because the likelihood ratio is monotone; the exponent
    ``1/b`` keeps that for rows that come in groups of up to ``b`` (Hoelder). Dropped sides and windows
    without trials give 0, that is e = 1. False alarms: see ``driftwatch.decide``.

    >>> odds = share_odds(np.array([0.1]), np.array([0.05]))
    >>> e = share_log_e(np.array([50]), np.array([100]), odds, np.ones(1))
    >>> bool(e[0, 0].max() > 20), bool(e[0, 1].max() <= 0)
    (True, True)
    """
    count = np.stack([successes, trials - successes]).astype(np.float64)[:, :, None, None]
    said = count * odds
    return np.asarray((said[0] + said[1]) / design_effect[:, None, None])


def log_stakes(reference: Float64Array, slack: Float64Array) -> Float64Array:
    """Log ``[k, 2]`` of how much more than an even part each side bets: all of it beside a dropped one.

    >>> np.exp(log_stakes(np.array([0.5, 0.0]), np.array([0.05, 0.05]))).tolist()
    [[1.0, 1.0], [2.0, 0.0]]
    """
    looked_at = tolerated(reference, slack) < _CEILING
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(looked_at * 2.0 / np.maximum(looked_at.sum(axis=1, keepdims=True), 1)))


def tolerated(reference: Float64Array, slack: Float64Array) -> Float64Array:
    """The most ``[k, 2]`` that the tolerance null allows of each share and of its complement."""
    return np.stack([reference + slack, 1 - reference + slack], axis=1)


def alternatives(
    reference: Float64Array, slack: Float64Array, beyond: Float64Array = ALTERNATIVES
) -> Float64Array:
    """Where bets ``[k, 2, A]`` put the share, and its complement: so far ``beyond`` what is tolerated."""
    p0 = np.clip(tolerated(reference, slack), 1e-6, _CEILING)[:, :, None]
    steps = beyond * np.minimum(1.0, np.sqrt(p0 / _WHOLE_STEPS))
    return np.asarray(np.minimum(p0 + steps, 1 - (1 - p0) * 0.05))


def score_log_e(p_value: Float64Array, ranked: BoolArray, least: Float64Array) -> Float64Array:
    """Log e-values ``[k, 2, 4]`` of p-values ``[k, 2]``; each integrates to at most 1 over uniform p.

    A power calibrator (Vovk, Wang 2021) for what is far out, and likelihood ratios of normal scores whose
    mean is shifted by 2.2, 1.3 or 0.7 for what lasts; scores below -0.5 count as -0.5, so that one quiet
    window does not undo many, and the ratio is divided by its mean. Of ranks, ``ranked[k]``, whose p-value
    is at least ``least[k, 2]``: a power calibrator, and bets that a share of 0.7, 0.5 or 0.3 of the windows
    is such a first; none where that is no more than is usual, or it would be won by what is not unusual. A
    NaN, nothing measured, gives 0, that is e = 1.
    """
    log_e, at = np.empty((*p_value.shape, CALIBRATORS)), np.flatnonzero(ranked)
    power = np.where(ranked, _POWER_OF_RANK, _POWER)[:, None]
    log_e[..., 0] = np.log(power) + (power - 1) * np.log(p_value)
    log_e[..., 1:] = _SHIFTS * np.maximum(-ndtri(p_value), _LOWEST)[..., None] - _LOG_MEAN
    p, first = p_value[at][..., None], least[at][..., None]
    often = np.maximum(_OFTEN, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_e[at, :, 1:] = np.where(p <= first, np.log(often / first), np.log((1 - often) / (1 - first)))
    log_e[np.isnan(p_value)] = 0.0
    return log_e


def log_p_for(log_e: float) -> float:
    """Log of the p-value of a prediction that a bet on what is far out makes this log e-value of."""
    return float((np.log(_POWER) - log_e) / (1 - _POWER))
