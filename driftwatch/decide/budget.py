"""How a window's page budget is split among the streams, before anybody looks at the window.

By null first, then by owner (the user's weights), then among an owner's streams by what fails most often:
a share stream of ``n`` labels has ``sqrt(n)`` parts, so that nulls and new levels are not starved by a
column of two hundred levels; every bet of a score has one part, of a score of where the values lie
``LOCATION_PARTS``. Nor is a share stream's part split evenly among its labels and sides (``shapes.py``,
``betting.log_stakes``). Whatever the split, the parts add up to the budget, which is all the promise needs.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Span
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.share_history import ShareHistory
from driftwatch.decide.evalues.e_values import ALTERNATIVES, CALIBRATORS
from driftwatch.decide.evalues.policy import COMBINED_BUDGET_SHARE, LOCATION_PARTS, TOLERANCE_SHARE, Policy
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE, COMMON_SHIFT, StreamIndex
from driftwatch.decide.state import SegmentState


def log_weights(
    segment_state: SegmentState, policy: Policy, window: Span
) -> tuple[Float64Array, Float64Array]:
    """Log budget for this window of each single stream: of each share key, and of each score.

    Fixed before the window: it is split among the streams known so far. One that is undefined in this window
    leaves its part unspent, and one first seen in it has none yet.
    """
    total = policy.pages_per_second * window.seconds
    scores, shares = segment_state.scores, segment_state.shares
    of_shares = shares.keys.kept(
        "parts", (shares.sizes, policy.weights), lambda: _parts_of_shares(shares, policy)
    )
    of_scores = scores.keys.kept(
        "parts", (scores.signed, policy.weights), lambda: _parts_of_scores(scores, policy)
    )
    with np.errstate(divide="ignore"):
        return np.log(total * TOLERANCE_SHARE * of_shares), np.log(total * of_scores)


def _parts_of_shares(shares: ShareHistory, policy: Policy) -> Float64Array:
    return _split(shares.keys, np.sqrt(shares.sizes), shares.sizes * 2 * len(ALTERNATIVES), policy)


def _parts_of_scores(scores: ScoreHistory, policy: Policy) -> Float64Array:
    streams = np.where(scores.signed, 2, 1) * CALIBRATORS
    parts = streams.astype(np.float64)
    parts[scores.keys.located] *= LOCATION_PARTS
    together = np.zeros(len(scores.keys), dtype=np.bool_)
    together[
        [scores.keys.places[key] for key in (COMBINED_SCORE, COMMON_SHIFT) if key in scores.keys.places]
    ] = True
    rest = 1 - TOLERANCE_SHARE - COMBINED_BUDGET_SHARE
    of_scores = _split(scores.keys, np.where(together, 0.0, parts), streams, policy)
    return np.where(together, COMBINED_BUDGET_SHARE / (2 * CALIBRATORS), rest * of_scores)


def _split(keys: StreamIndex, parts: Float64Array, streams: Int64Array, policy: Policy) -> Float64Array:
    """The part of each single stream of each key, adding up to 1 over all of them."""
    held = np.bincount(keys.owner, parts, minlength=len(keys.owners))
    weight = np.array([policy.weights.get(name, 1.0) for name in keys.owners])
    some = held > 0
    each = np.where(some, weight, 0.0) / max(weight[some].sum(), 1e-300) / np.where(some, held, 1.0)
    return np.asarray(each[keys.owner] * parts / np.maximum(streams, 1))
