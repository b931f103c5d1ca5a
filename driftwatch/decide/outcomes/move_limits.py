"""How far a column may have moved: an upper 95 % limit, so that "did not change" is a finding of its own.

The move of a column is the largest change of one of its shares (rows at or below an edge, of a level,
outside the range, missing, of a wrong type) over all windows since the onset. Null hypothesis of the
claim "did not change": the move is at least the tolerance. A share's limit is ``|p - r| + sqrt(a^2 + b^2)``;
``a`` is the larger arm of Wilson's interval of the windows' share ``p`` with ``trials / b`` independent rows
(``b``: the design effect), ``b`` the standard error of the reference's ``r`` times z. The column's limit is
the largest of its shares: no correction is needed, because the column moved as far as one of them did
(intersection-union test).

Errors: a column that moved by the tolerance or more is called unchanged in at most 5 % of cases, if rows are
no more dependent than the design effect says. Source: Wilson 1927; Berger 1982.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.design_effect import MIN_BLOCKS
from driftwatch.decide.baseline.share_history import CONSERVATIVE_DESIGN_EFFECT, ShareHistory, WindowShares

#: Normal quantile of a one-sided limit at 95 %.
_Z = 1.6448536269514722


def share_move_limits(
    successes: Int64Array,
    trials: Int64Array,
    reference: Float64Array,
    reference_trials: Float64Array,
    design_effect: Float64Array,
) -> Float64Array:
    """Return the upper limit of each share's move; NaN without trials.

    With 600 of 1,000 independent rows against a half that is known exactly:

    >>> limit = share_move_limits(
    ...     np.array([600]), np.array([1000]), np.array([0.5]), np.array([np.inf]), np.ones(1)
    ... )
    >>> round(float(limit[0]), 3)
    0.126
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        n = trials / design_effect
        share = successes / trials
        center = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
        arm = np.maximum(center + half - share, share - center + half)
        reference_error = _Z * np.sqrt(reference * (1 - reference) * design_effect / reference_trials)
        limit = np.abs(share - reference) + np.hypot(arm, reference_error)
    return np.asarray(np.where(trials > 0, np.minimum(limit, 1.0), np.nan))


def move_limits(
    history: ShareHistory,
    shares: WindowShares,
    recent_counts: Int64Array,
    design_effects: Float64Array,
    *,
    untimed_reference: bool,
) -> dict[str, float]:
    """Return the limit of each column that has a share stream in the window.

    ``recent_counts`` are successes and trials ``[2, label]`` since the onset, ``design_effects`` are by
    stream. Shares of enough learned windows replace those of a reference without event times.
    """
    streams = history.label_streams
    effect = np.where(np.isnan(design_effects), CONSERVATIVE_DESIGN_EFFECT, design_effects)[streams]
    reference, trials = shares.reference, shares.reference_trials[streams].astype(np.float64)
    if untimed_reference:
        windows = history.blocks[0][streams]
        is_learned = windows >= MIN_BLOCKS
        learned = history.share_sum[0] / np.maximum(windows, 1)
        rows = windows / np.maximum(history.inverse_trials_sum[0] / np.maximum(windows, 1), 1e-300)
        reference = np.where(is_learned, learned, reference)
        trials = np.where(is_learned, rows, trials)
    limits = share_move_limits(recent_counts[0], recent_counts[1], reference, trials, effect)
    is_used = shares.present[streams] & ~np.isnan(limits)
    owner_limits = np.full(len(history.keys.owners), -np.inf)
    np.maximum.at(owner_limits, history.keys.stream_owners[streams][is_used], limits[is_used])
    names = history.keys.owners
    return {names[k]: float(owner_limits[k]) for k in np.flatnonzero(np.isfinite(owner_limits)).tolist()}
