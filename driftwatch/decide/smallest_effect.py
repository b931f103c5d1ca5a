"""Minimum detectable effects: the smallest changes that one window could page for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import stdtr

from driftwatch.decide.baseline.common_shift import location_positions
from driftwatch.decide.baseline.location_scale import LocationScale, deviation_weight
from driftwatch.decide.baseline.score_model import DEGREES_OF_FREEDOM, MIN_HISTORY_WINDOWS
from driftwatch.decide.combined_score import EFFECT_FLOOR, MAX_DEVIATION, resting_text
from driftwatch.decide.evalues.e_values import CALIBRATORS, log_p_for
from driftwatch.decide.evalues.policy import COMBINED_BUDGET_SHARE, Policy
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState

#: Steps in the bisection for a quantile, and the largest quantile in standard deviations.
_BISECTIONS = 60
_MAX_QUANTILE = 1e4


def smallest_effects(
    design_effects: Sequence[float], measurement: Measurement, policy: Policy, owners: int
) -> list[float | None]:
    """Return, for each design effect, the smallest change of a share that the window could page for.

    None means that no change is large enough. ``owners`` columns and joint detectors share the budget.
    """
    if not measurement.rows:
        return [None] * len(design_effects)
    budget = policy.pages_per_second * measurement.seconds / owners
    threshold = (
        max(-np.log(budget), 1.0) * np.array(design_effects, dtype=np.float64) / (2 * measurement.rows)
    )
    smallest = (policy.tolerance + np.sqrt(threshold)).tolist()
    return [size if size < 1 else None for size in smallest]


def smallest_joint_effect(
    segment_state: SegmentState, measurement: Measurement, policy: Policy, fit: LocationScale
) -> float | None:
    """Return the smallest shift of all columns at once that could page, in standard deviations.

    It solves for the combined score that pages without other evidence, if all columns deviate equally. None
    means that there is no such score yet or no shift is large enough.
    """
    history, model = segment_state.scores, segment_state.score_model
    if model is None or COMBINED_SCORE not in model.keys.positions or resting_text(segment_state):
        return None
    position, locations = (
        history.keys.positions[COMBINED_SCORE],
        location_positions(history.keys, segment_state.suspended),
    )
    if fit.n[position] < MIN_HISTORY_WINDOWS or not len(locations):
        return None
    budget = policy.pages_per_second * measurement.seconds * COMBINED_BUDGET_SHARE / (2 * CALIBRATORS)
    quantile = _upper_quantile(
        tuple(model.tail_weights[:, position].tolist()),
        tuple(model.tail_scales[:, position].tolist()),
        log_p_for(-float(np.log(budget))),
    )
    scale = (
        np.sqrt(model.innovation_variance[position] * (1 + fit.location_variance()[position]))
        * fit.scale[position]
    )
    deviation = fit.location[position] + max(scale * quantile, EFFECT_FLOOR)
    if not deviation < MAX_DEVIATION:
        return None
    scales = np.sort(fit.scale[locations])
    median_scale = (scales[(len(locations) - 1) // 2] + scales[len(locations) // 2]) / 2
    return float(deviation * median_scale / deviation_weight(measurement.rows, history.rows))


@lru_cache
def _upper_quantile(weights: tuple[float, ...], scales: tuple[float, ...], log_p: float) -> float:
    # Of a mixture of Student's t distributions.
    tail_weights, tail_scales, p_value = np.array(weights), np.array(scales), np.exp(log_p)
    low, high = 0.0, _MAX_QUANTILE
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        upper_tail = float((tail_weights * stdtr(DEGREES_OF_FREEDOM, -middle / tail_scales)).sum())
        low, high = (middle, high) if upper_tail > p_value else (low, middle)
    return high
