"""How far a column may have moved: an upper 95 % limit, so that "did not change" is a finding of its own.

The move of a column is the largest change, over all windows since the onset, of one of its shares (rows at or
below an edge, outside the range, missing, of a wrong type) or of the total variation of its levels. Null
hypothesis of the claim "did not change": the move is at least the tolerance.

A share's limit is ``|p - r| + sqrt(a^2 + c^2)``: ``a`` and ``c`` are the larger arms of Wilson's intervals of
the windows' share ``p`` and of the reference's ``r``, with one independent row for each ``b`` rows (the
design effect). That of levels is ``TV + z sqrt(b/n + b/N) / 2``: the plug-in TV is never too small on
average, and its standard deviation is at most ``sqrt(b/n) / 2`` (Efron, Stein 1981). Levels without a label
of their own may have changed places unseen, so what both sides have of them is added. The column's limit is
its largest: no correction is needed, because the column moved as far as one of them did (intersection-union
test).

Errors: a column that moved by the tolerance or more is called unchanged in at most 5 % of cases, if rows are
no more dependent than the design effect says. Between two edges nothing is seen. Source: Wilson 1927; Berger
1982.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
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
        share = successes / trials
        arms = np.hypot(
            _larger_arm(share, trials / design_effect),
            _larger_arm(reference, reference_trials / design_effect),
        )
        limit = np.abs(share - reference) + arms
    return np.asarray(np.where(trials > 0, np.minimum(limit, 1.0), np.nan))


def _larger_arm(share: Float64Array, rows: Float64Array) -> Float64Array:
    # Of Wilson's interval (1927).
    center = (share + _Z**2 / (2 * rows)) / (1 + _Z**2 / rows)
    half = _Z * np.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2)) / (1 + _Z**2 / rows)
    return np.asarray(np.maximum(center + half - share, share - center + half))


def levels_move_limit(
    shares: Float64Array, reference: Float64Array, rows: float, reference_rows: float
) -> float:
    """Return the upper limit of the total variation of exclusive levels, from effective numbers of rows.

    >>> round(levels_move_limit(np.array([0.5, 0.5]), np.array([0.5, 0.5]), 10_000, np.inf), 4)
    0.0082
    """
    rest, reference_rest = max(0.0, 1 - float(shares.sum())), max(0.0, 1 - float(reference.sum()))
    distance = (float(np.abs(shares - reference).sum()) + abs(rest - reference_rest)) / 2
    error = _Z / 2 * float(np.sqrt(1 / rows + 1 / reference_rows))
    return min(1.0, distance + min(rest, reference_rest) + error)


def move_limits(
    history: ShareHistory, shares: WindowShares, recent_counts: Int64Array, design_effects: Float64Array
) -> dict[str, float]:
    """Return the limit of each column that has a share stream in the window.

    ``recent_counts`` are successes and trials ``[2, label]`` since the onset, ``design_effects`` are by
    stream.
    """
    streams, keys = history.label_streams, history.keys
    effects = np.where(np.isnan(design_effects), CONSERVATIVE_DESIGN_EFFECT, design_effects)
    trials = shares.reference_trials.astype(np.float64)
    limits = share_move_limits(
        recent_counts[0], recent_counts[1], shares.reference, trials[streams], effects[streams]
    )
    is_used = (shares.present & keys.has_column)[streams] & ~np.isnan(limits)
    owner_limits = np.full(len(keys.owners), -np.inf)
    np.maximum.at(owner_limits, keys.stream_owners[streams][is_used], limits[is_used])
    is_levels = shares.present & keys.has_column & ~shares.ordered & ~shares.bursts & (history.sizes > 1)
    for k in np.flatnonzero(is_levels).tolist():
        labels = slice(int(history.starts[k]), int(history.starts[k] + history.sizes[k]))
        successes, rows = recent_counts[0, labels], int(recent_counts[1, labels].min())
        if rows:
            limit = levels_move_limit(
                successes / rows, shares.reference[labels], rows / effects[k], trials[k] / effects[k]
            )
            owner = keys.stream_owners[k]
            owner_limits[owner] = max(owner_limits[owner], limit)
    names = keys.owners
    return {names[k]: float(owner_limits[k]) for k in np.flatnonzero(np.isfinite(owner_limits)).tolist()}
