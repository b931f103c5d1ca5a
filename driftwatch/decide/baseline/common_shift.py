"""Common shift: the score of many columns that move a little in one direction, window after window.

The direction is the running mean (exponentially weighted) of each column's deviation in location, without the
column that deviates most, which its own streams report. A window's score is its projection on the direction,
in standard deviations of earlier windows' projections, so correlated columns need no correction. The
direction is known before the window, so without a shift the score is noise around 0, however the direction
was chosen; it is compared with its own history. The combined score adds up deviations of either sign and
needs each to stand out; this score finds a lasting common shift sooner.

Deviations are recursive residuals: distances from the mean of all windows before, including those that are
not learned yet. With a fixed mean, its estimation errors would look like a common direction in every window.
Source: recursive residuals, Brown, Durbin, Evans 1975; testing by betting with a plug-in direction, Shekhar,
Ramdas 2024. False alarms: as for any score, see ``e_values.py``.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.location_scale import fit_location_scale
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS
from driftwatch.decide.baseline.weighted_series import Series
from driftwatch.decide.evalues.stream_index import COMMON_SHIFT, StreamIndex
from driftwatch.results.results import Score

#: Weight of the running mean of the shift from one window to the next.
_EWMA_DECAY = 0.9
#: A column's deviation is clipped at so many scales: one extreme window is no direction.
_MAX_DEVIATION = 3.0
#: With at most so many shifted columns there is no direction.
_TOO_FEW_COLUMNS = 4
#: Excesses below this, in standard deviations along the direction, are never evidence.
EFFECT_FLOOR = 0.5
#: Newest blocks of a reference whose scores are learned.
_MAX_BLOCKS = 400


def location_positions(keys: StreamIndex, suspended: frozenset[str]) -> Int64Array:
    return (
        keys.location_scores[~keys.owned_by(suspended)[keys.location_scores]]
        if suspended
        else keys.location_scores
    )


def common_shift(
    running_shift: Float64Array, value: Float64Array, history: Float64Array, slots: Int64Array, slot: int,
    rows: Float64Array, min_scale: Float64Array,
) -> tuple[Score | None, Float64Array]:  # fmt: skip
    """Return a window's score, and the running shift that includes the window.

    The score is None while fewer than five columns have a running shift.
    """
    # ``history[window, column]`` holds the windows before this one.
    fit = fit_location_scale(Series.of(history), slots, slot, rows)
    scale = fit.prediction_scale(np.maximum(min_scale, 1e-9))
    deviation = np.where(fit.n < MIN_HISTORY_WINDOWS // 2, np.nan, (value - fit.location) / scale)
    deviation = np.where(
        np.isnan(deviation), 0.0, np.minimum(np.maximum(deviation, -_MAX_DEVIATION), _MAX_DEVIATION)
    )
    next_shift = _EWMA_DECAY * running_shift + (1 - _EWMA_DECAY) * deviation
    direction = np.where(deviation == 0, 0.0, running_shift)
    if (direction != 0).sum() <= _TOO_FEW_COLUMNS:
        return None, next_shift
    direction[np.abs(direction).argmax()] = 0.0
    projections = (history - fit.location) / scale
    np.copyto(projections, 0.0, where=np.isnan(projections))
    projections = projections @ direction
    unit = float(np.sqrt(projections @ projections / len(projections)))
    if not unit:
        return None, next_shift
    return _score(float(deviation @ direction) / unit), next_shift


def block_common_shifts(
    values: Float64Array, slots: Int64Array, rows: Float64Array, min_scale: Float64Array
) -> tuple[list[Score | None], Float64Array]:
    """Compute ``common_shift`` for each block of the reference, from the blocks before it."""
    # ``values[window, column]``.
    running_shift, scores = np.zeros(values.shape[1]), list[Score | None]([None] * len(values))
    for n in range(max(MIN_HISTORY_WINDOWS, len(values) - _MAX_BLOCKS), len(values)):
        scores[n], running_shift = common_shift(
            running_shift, values[n], values[:n], slots[:n], int(slots[n]), rows[:n], min_scale
        )
    return scores, running_shift


def _score(value: float) -> Score:
    return Score(
        detector=COMMON_SHIFT[0], column=None, label=COMMON_SHIFT[2], value=value, floor=EFFECT_FLOOR
    )
