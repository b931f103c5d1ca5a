"""E-values of one window: likelihood ratios for shares, calibrated prediction p-values for scores."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from driftwatch.summary.batch import Float64Array, Int64Array

#: Alternatives of the tolerance test: how far beyond the tolerated share.
ALTERNATIVES = np.array([0.01, 0.02, 0.04, 0.08, 0.16, 0.32])
#: Power calibrators ``kappa * p^(kappa - 1)`` of the usual test, each a stream of its own.
KAPPAS = np.array([0.2, 0.5, 0.7])
#: A tolerated share above this leaves no room for an alternative: the side is dropped.
_CEILING = 0.97
#: Healthy windows before a score is evidence, and from which ranks replace Student's t.
MIN_HISTORY, RANK_HISTORY = 8, 400
_SMALLEST_P = 1e-8
_DEGREES = 4
#: A spread below this part of the effect floor is not believed: few windows have not seen all there is.
LEAST_SPREAD = 0.25


def share_log_e(
    successes: Int64Array,
    trials: Int64Array,
    reference: Float64Array,
    slack: Float64Array,
    design_effect: float,
) -> Float64Array:
    """Log e-values ``[k, 2, A]`` of shares; side 0 is "more than tolerated", side 1 "fewer".

    Null (tolerance): the window's share is at most ``p0 = reference + slack`` (side 1: of the complement).
    ``log e = (S ln(p1/p0) + (n - S) ln((1-p1)/(1-p0))) / design_effect`` with ``p1 = p0 + alternative``.
    ``E[e] <= 1`` for every share up to ``p0`` because the likelihood ratio is monotone; the exponent
    ``1/b`` keeps that for rows that come in groups of up to ``b`` (Hoelder). Dropped sides and windows
    without trials give 0, that is e = 1. False alarms: see ``driftwatch.decide``.

    >>> e = share_log_e(np.array([50]), np.array([100]), np.array([0.1]), np.array([0.05]), 1.0)
    >>> bool(e[0, 0].max() > 20), bool(e[0, 1].max() <= 0)
    (True, True)
    """
    count = np.stack([successes, trials - successes], axis=1)[:, :, None].astype(np.float64)
    rest = trials[:, None, None] - count
    tolerated = np.stack([reference + slack, 1 - reference + slack], axis=1)[:, :, None]
    p0 = np.clip(tolerated, 1e-6, _CEILING)
    p1 = np.minimum(p0 + ALTERNATIVES, 1 - (1 - p0) * 0.05)
    log_e = (count * np.log(p1 / p0) + rest * np.log((1 - p1) / (1 - p0))) / design_effect
    return np.where((tolerated < _CEILING) & (trials[:, None, None] > 0), log_e, 0.0)


def usual_p_value(value: float, history: Float64Array, floor: float, exponent: float = 1.0) -> float:
    """How unusual a score is among healthy ones: P(as far or further), 1 below the effect floor.

    Null (usual): the score is exchangeable with ``history``. Student's t prediction with at most 4
    degrees of freedom while history is short (ranks of 28 windows could never say more than 1/29; not
    distribution-free: measured 0 / 0 / .21 false pages per 90 days on normal, t3, t2 tails). Conformal
    ranks, valid for any law, from 400 windows on, and where half of the history is one value: a share that
    is 0 on most days has no spread to extrapolate from, and its gaps come in bursts. Autocorrelated scores
    count as ``m = n exponent`` of them (see ``tempering``; at least 2): fewer degrees of freedom, a less
    certain mean, a variance that is too small by ``(m - 1) / m``.

    >>> usual_p_value(0.04, np.zeros(89), 0.02)
    0.0111...
    """
    n = len(history)
    if n < MIN_HISTORY or value - float(history.mean()) < floor:
        return 1.0
    if n >= RANK_HISTORY or 2 * np.count_nonzero(history == np.median(history)) > n:
        return float((np.count_nonzero(history >= value) + 1) / (n + 1))
    effective = max(n * exponent, 2.0)
    spread = max(float(history.std()) * np.sqrt(effective / (effective - 1)), LEAST_SPREAD * floor, 1e-9)
    t = (value - float(history.mean())) / (spread * np.sqrt(1 + 1 / effective))
    return max(float(stdtr(min(effective - 1, _DEGREES), -t)), _SMALLEST_P)


def tempering(history: Float64Array) -> float:
    """Exponent in (0, 1] for autocorrelated scores: ``(1 - rho) / (1 + rho)``, rho at lag one.

    ``rho`` is estimated without the bias ``-(1 + 3 rho) / n`` of short histories (Kendall 1954).
    """
    if len(history) < MIN_HISTORY:
        return 1.0
    centred = history - history.mean()
    power = float(centred @ centred)
    if power <= 0:
        return 1.0
    n = len(history)
    rho = (n * float(centred[1:] @ centred[:-1]) / power + 1) / max(n - 3, 1)
    rho = min(max(rho, 0.0), 0.95)
    return (1 - rho) / (1 + rho)


def score_log_e(p_value: float, exponent: float) -> Float64Array:
    """Log e-values ``[3]`` of a p-value: ``kappa p^(kappa - 1)``, each integrates to 1 over uniform p."""
    log_e: Float64Array = exponent * (np.log(KAPPAS) + (KAPPAS - 1) * np.log(p_value))
    return log_e
