"""What shares are bet on at: tolerances, odds and stakes, the same in most windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.share_history import CONSERVATIVE, ShareHistory, WindowShares
from driftwatch.decide.evalues.cdf_bets import Shapes, shapes
from driftwatch.decide.evalues.e_values import log_stakes, share_odds
from driftwatch.decide.evalues.policy import Policy

#: The ``tolerance`` at which detectors state their own.
_USUAL_TOLERANCE = 0.05
#: Standard errors of the reference's own share that widen the tolerance.
_REFERENCE_ERRORS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Tolerated ``slack[L]``, ``design[L]`` effects, ``odds``, ``stakes[L, 2]``, bets on ``whole`` laws."""

    slack: Float64Array
    design: Float64Array
    odds: Float64Array
    stakes: Float64Array
    whole: tuple[Shapes, ...]


def terms_of(book: ShareHistory, seen: WindowShares, policy: Policy, effects: Float64Array) -> Terms:
    """The terms of a window, worked out anew only where tolerances, effects or what is there changed."""

    def terms() -> Terms:
        which = book.which
        design = np.where(np.isnan(effects), CONSERVATIVE, effects)[which]
        error = _reference_error(seen.reference, seen.reference_trials[which] / design)
        own = seen.tolerance * policy.tolerance / _USUAL_TOLERANCE
        slack = np.where(np.isnan(own), policy.tolerance, own)[which] + error
        stakes = log_stakes(seen.reference, slack)
        whole = shapes(seen.ordered, book.sizes, book.starts, seen.reference, slack)
        for shape in whole:
            stakes[shape.labels] += shape.log_parts[..., None]
        odds = share_odds(seen.reference, slack)
        return Terms(slack=slack, design=design, odds=odds, stakes=stakes, whole=whole)

    told = (seen.ordered, seen.reference, seen.reference_trials, seen.tolerance, effects)
    of = (repr(policy.tolerance).encode(), *(part.tobytes() for part in told))
    return book.keys.kept("terms", of, terms)


def _reference_error(share: Float64Array, rows: Float64Array) -> Float64Array:
    """How far the true share may be from the reference's, ``_REFERENCE_ERRORS`` standard errors of it.

    Half the width of Wilson's interval (1927) and its shift: a share that the reference never had may be
    2.25 in its rows.
    """
    spread = share * (1 - share) / rows + (_REFERENCE_ERRORS / (2 * rows)) ** 2
    return np.asarray(_REFERENCE_ERRORS * np.sqrt(spread) + _REFERENCE_ERRORS**2 / (2 * rows))
