"""P-values of an open incident's scores, around where a page found them.

Null hypothesis: the score goes on at its centre, the mean deviation since the incident's onset, with the
autocorrelation of its healthy history. The variance of the prediction includes the error of that mean. A
statistic also varies more the further it is from the reference (the standard error of PSI grows with PSI): a
further move below ``_SPREAD`` of the shift is noise. Scores whose p-values are ranks have no centre.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.location_scale import LocationScale
from driftwatch.decide.baseline.prediction import MIN_SCALE_FLOORS, Baseline, PValues, lower_tail
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS, ScoreModel

#: Standard deviation at the centre, as a share of the shift, that comes on top of the healthy one.
_SPREAD = 0.25


def recentred_p_values(
    history: ScoreHistory,
    model: ScoreModel,
    value: Float64Array,
    floor: Float64Array,
    usual: PValues,
    baseline: Baseline,
) -> tuple[Float64Array, Float64Array]:
    """Return p-values ``[score, side]`` around the centres, NaN elsewhere, and the next levels."""
    is_centred = history.centred & ~model.ranked & (baseline.n >= MIN_HISTORY_WINDOWS) & ~np.isnan(value)
    p = np.full((len(value), 2), np.nan)
    scores = np.flatnonzero(is_centred)
    if not len(scores):
        return p, history.centre_level
    excess = usual.deviation - history.centre
    predicted = model.phi * history.centre_level
    windows = np.maximum(history.centre_windows, 1)
    variance = (
        model.innovation_variance * (1 + baseline.fit.location_variance(baseline.weight))
        + 1 / windows
        + (_SPREAD * history.centre) ** 2
    )
    lower = lower_tail(excess, predicted, variance, model, baseline, scores)
    smallest_p = usual.smallest_p[scores]
    p[scores, 0] = np.maximum(1 - lower[scores], smallest_p[:, 0])
    p[scores, 1] = np.maximum(lower[scores], smallest_p[:, 1])
    moved = excess / np.maximum(baseline.weight, 1e-9) * _scale(baseline.fit, floor)
    with np.errstate(invalid="ignore"):
        p[is_centred & (moved < floor), 0] = 1.0
        p[is_centred & (moved > -floor), 1] = 1.0
    p[~history.signed, 1] = np.nan
    level = np.where(is_centred, predicted + model.gain * (excess - predicted), history.centre_level)
    return p, level


def _scale(fit: LocationScale, floor: Float64Array) -> Float64Array:
    return np.maximum(fit.scale, np.maximum(MIN_SCALE_FLOORS * floor, 1e-9))
