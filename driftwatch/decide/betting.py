"""E-values of one window: likelihood ratios for shares, calibrated p-values for scores."""

from __future__ import annotations

import numpy as np

from driftwatch.summary.batch import Float64Array, Int64Array

#: Alternatives of the tolerance test: how far beyond a tolerated share of 5 % or more. Below that they
#: shrink as its standard deviation does.
ALTERNATIVES = np.array([0.02, 0.05, 0.12, 0.3])
_WHOLE_STEPS = 0.05
#: Power calibrators ``kappa * p^(kappa - 1)`` of the usual test, each a stream of its own.
KAPPAS = np.array([0.1, 0.4, 0.7])
#: A tolerated share above this leaves no room for an alternative: the side is dropped.
_CEILING = 0.97


def share_log_e(
    successes: Int64Array,
    trials: Int64Array,
    reference: Float64Array,
    slack: Float64Array,
    design_effect: Float64Array,
) -> Float64Array:
    """Log e-values ``[k, 2, A]`` of shares; side 0 is "more than tolerated", side 1 "fewer".

    Null (tolerance): the window's share is at most ``p0 = reference + slack`` (side 1: of the complement).
    ``log e = (S ln(p1/p0) + (n - S) ln((1-p1)/(1-p0))) / design_effect``, ``p1 = p0 + alternative`` (less
    for a small ``p0``).
    ``E[e] <= 1`` for every share up to ``p0`` because the likelihood ratio is monotone; the exponent
    ``1/b`` keeps that for rows that come in groups of up to ``b`` (Hoelder). Dropped sides and windows
    without trials give 0, that is e = 1. False alarms: see ``driftwatch.decide``.

    >>> e = share_log_e(np.array([50]), np.array([100]), np.array([0.1]), np.array([0.05]), np.ones(1))
    >>> bool(e[0, 0].max() > 20), bool(e[0, 1].max() <= 0)
    (True, True)
    """
    count = np.stack([successes, trials - successes], axis=1)[:, :, None].astype(np.float64)
    rest = trials[:, None, None] - count
    tolerated = np.stack([reference + slack, 1 - reference + slack], axis=1)[:, :, None]
    p0 = np.clip(tolerated, 1e-6, _CEILING)
    steps = ALTERNATIVES * np.minimum(1.0, np.sqrt(p0 / _WHOLE_STEPS))
    p1 = np.minimum(p0 + steps, 1 - (1 - p0) * 0.05)
    log_e = (count * np.log(p1 / p0) + rest * np.log((1 - p1) / (1 - p0))) / design_effect[:, None, None]
    return np.where((tolerated < _CEILING) & (trials[:, None, None] > 0), log_e, 0.0)


def score_log_e(p_value: Float64Array) -> Float64Array:
    """Log e-values ``[..., 3]`` of p-values: ``kappa p^(kappa - 1)``, each integrates to 1 over uniform p.

    A NaN, nothing measured, gives 0, that is e = 1.
    """
    log_e: Float64Array = np.log(KAPPAS) + (KAPPAS - 1) * np.log(p_value)[..., None]
    return np.nan_to_num(log_e)
