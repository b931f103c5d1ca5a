"""The smallest changes that a window of so many rows could have paged for by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import stdtr

from driftwatch.decide.baseline.common_shift import located
from driftwatch.decide.baseline.location_scale import LocationScale, worth_of
from driftwatch.decide.baseline.score_model import DEGREES, MIN_HISTORY
from driftwatch.decide.combined_score import CUT, FLOOR
from driftwatch.decide.evalues.e_values import CALIBRATORS, log_p_for
from driftwatch.decide.evalues.policy import COMBINED_BUDGET_SHARE, Policy
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.state import SegmentState

_HALVINGS = 60
_FARTHEST = 1e4


def smallest_effects(
    effects: Sequence[float], seen: Measurement, policy: Policy, owners: int
) -> list[float | None]:
    """Smallest moves of shares that one such window could page for; None when not even all rows would do.

    For each of these design effects; ``owners`` is how many share the budget.
    """
    if not seen.rows:
        return [None] * len(effects)
    budget = policy.pages_per_second * seen.window.seconds / owners
    needed = max(-np.log(budget), 1.0) * np.array(effects, dtype=np.float64) / (2 * seen.rows)
    smallest = (policy.tolerance + np.sqrt(needed)).tolist()
    return [size if size < 1 else None for size in smallest]


def smallest_joint_effect(
    segment_state: SegmentState, seen: Measurement, policy: Policy, held: LocationScale
) -> float | None:
    """How far all numbers would have to move at once for one such window to page, in standard deviations.

    Solves for the score of all columns together that needs no other evidence; every column has to stand out
    by as much. ``held`` is what the window's scores are held against. None when there is no such score yet
    or not even that would do.
    """
    book, usual = segment_state.scores, segment_state.usual
    if usual is None or COMBINED_SCORE not in usual.keys.places:
        return None
    place, here = book.keys.places[COMBINED_SCORE], located(book.keys, segment_state.aside)
    if held.n[place] < MIN_HISTORY or not len(here):
        return None
    part = policy.pages_per_second * seen.window.seconds * COMBINED_BUDGET_SHARE / (2 * CALIBRATORS)
    farther = _quantile(
        tuple(usual.tail[:, place].tolist()),
        tuple(usual.stretch[:, place].tolist()),
        log_p_for(-float(np.log(part))),
    )
    spread = np.sqrt(usual.variance[place] * (1 + held.error()[place])) * held.spread[place]
    away = held.centre[place] + max(spread * farther, FLOOR)
    if not away < CUT:
        return None
    spreads = np.sort(held.spread[here])
    typical = (spreads[(len(here) - 1) // 2] + spreads[len(here) // 2]) / 2
    return float(away * typical / worth_of(seen.rows, book.rows))


@lru_cache
def _quantile(weight: tuple[float, ...], stretch: tuple[float, ...], log_p: float) -> float:
    """Where the upper tail of the mixture of Student's t is as small as this; the same for many windows."""
    weights, stretches, p_value = np.array(weight), np.array(stretch), np.exp(log_p)
    low, high = 0.0, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = float((weights * stdtr(DEGREES, -middle / stretches)).sum())
        low, high = (middle, high) if beyond > p_value else (low, middle)
    return high
