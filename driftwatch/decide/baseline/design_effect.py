"""How many rows count as one: design effects, measured on healthy windows as draws from one population.

The design effect is ``b = Var(share over blocks) / (binomial variance of independent rows)``, pooled over a
stream's labels. A ratio measured on ``n`` blocks is ``b chi2 / df``, ``df = (n - 1) d``, where ``d`` is how
many independent shares the labels count for: ``(tr C)^2 / tr C^2`` with the covariance ``C`` of shares that
lie in each other, the most dependent that labels of one column can be (Satterthwaite 1946).
Columns of one detector are draws from a population of design effects (``population.py``): where all are alike
a few windows of many columns tell it, and one odd column keeps its own. An upper limit is taken of each
posterior, which pays for estimating it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.pooling import posterior
from driftwatch.decide.evalues.stream_index import StreamIndex

#: Design effects that are told apart: steps of a tenth.
_EFFECTS = np.exp(np.arange(np.log(0.5), np.log(1e7), 0.1))


def independent_labels(share: Float64Array, which: Int64Array, starts: Int64Array) -> Float64Array:
    """How many independent shares ``[k]`` the labels of each stream count for, at least 1.

    ``share[l]`` are usual ones of the labels, ``which[l]`` their streams. Two shares that lie in each other
    are ``min(p, q) - p q`` apart from independence, more than two that exclude each other.

    >>> halves = np.array([0.5, 0.5, 0.25, 0.5, 0.75])
    >>> independent_labels(halves, np.array([0, 1, 2, 2, 2]), np.array([0, 1, 2])).round(2).tolist()
    [1.0, 1.0, 1.92]
    """
    rising = share[np.lexsort((share, which))]
    squares = np.cumsum(rising**2) - rising**2
    # Squares of the same stream's smaller shares.
    smaller = np.maximum(squares - squares[starts][which], 0.0)
    alone, left = rising * (1 - rising), 1 - rising
    shared = np.add.reduceat(alone**2 + 2 * left**2 * smaller, starts)
    total = np.add.reduceat(alone, starts)
    return np.asarray(np.maximum(total**2 / np.where(shared > 0, shared, 1.0), 1.0))


def upper_limits(keys: StreamIndex, ratio: Float64Array, degrees: Float64Array, level: float) -> Float64Array:
    """Upper limits ``[k]`` of design effects whose ``ratio[k]`` was measured; NaN where it is.

    Cost: 25 passes over streams times 170 design effects.
    """
    known = ~np.isnan(ratio)
    log_like = np.full((len(_EFFECTS), len(ratio)), np.nan)
    log_like[:, known] = -degrees[known] / 2 * (
        np.log(_EFFECTS)[:, None] + ratio[known] / _EFFECTS[:, None]
    )  # fmt: skip
    weights = posterior(log_like, np.zeros(len(_EFFECTS)), keys, _votes, 0.0)
    below = np.cumsum(weights, axis=0)
    place = (below < level).sum(axis=0)
    # Between the steps, so that no column's limit jumps by one.
    upto = np.take_along_axis(np.vstack([np.zeros(len(ratio)), below]), place[None], axis=0)[0]
    own = np.take_along_axis(weights, place[None], axis=0)[0]
    step = np.log(_EFFECTS[place]) + 0.1 * ((level - upto) / np.maximum(own, 1e-12) - 1)
    return np.where(known, np.exp(step), np.nan)


def _votes(places: Sequence[int]) -> float:
    """How many columns some count for: their rows are often the same users', so fewer than there are."""
    return float(np.sqrt(len(places)))
