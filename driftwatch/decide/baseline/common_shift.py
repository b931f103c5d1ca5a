"""All columns together: a direction in which many move a little, window after window.

The direction is where the columns' locations leaned lately, an exponentially weighted mean of how far each
stood from usual, without the column that leans most: what one column says it says itself. A window's score is
how far it lies along that direction, in standard deviations of the windows before along it, so columns that
move together cost nothing. The direction is known before the window, so without a shift the score is noise
around 0 however it was chosen; it is judged against its own history like any score. ``together`` adds up how
far columns moved, whichever way, and needs each to stand out; a lasting direction is found sooner.

How far a column stands from usual is its recursive residual: its distance from the mean of all windows
before, those that wait included. Held against a mean that stays, every window would lean where that mean was
estimated wrongly, and of many columns the errors add up to a direction.
Source: recursive residuals, Brown, Durbin, Evans 1975; betting with a plug-in direction, Shekhar, Ramdas
2024. False alarms: as of any score, see ``betting``.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.location_scale import standing
from driftwatch.decide.baseline.score_model import MIN_HISTORY
from driftwatch.decide.baseline.weighted_series import Series
from driftwatch.decide.evalues.stream_index import COMMON_SHIFT, StreamIndex
from driftwatch.results.results import Score

#: What the lean keeps of itself from window to window.
_KEPT = 0.9
#: How far a column counts at most, in spreads: one wild window is no direction.
_CUT = 3.0
#: A direction has more leaning columns than this.
_FEWEST = 4
#: An excess by less than this, in standard deviations along the direction, is never evidence.
FLOOR = 0.5
#: Newest blocks of a reference whose scores are learned.
_BLOCKS = 400


def located(keys: StreamIndex, without: frozenset[str]) -> Int64Array:
    """The positions of the scores that say where a column's values lie, but for these columns'."""
    return keys.located[~keys.whose(without)[keys.located]] if without else keys.located


def along(
    lean: Float64Array, value: Float64Array, before: Float64Array, slots: Int64Array, slot: int,
    rows: Float64Array, least: Float64Array,
) -> tuple[Score | None, Float64Array]:  # fmt: skip
    """The score of a window with ``value[k]`` after the windows ``before[n, k]``; and the lean after it.

    None while fewer than five columns lean anywhere. ``least[k]`` is the smallest spread that is believed.
    """
    held = standing(Series.of(before), slots, slot, rows)
    spread = held.ahead(np.maximum(least, 1e-9))
    x = np.where(held.n < MIN_HISTORY // 2, np.nan, (value - held.centre) / spread)
    x = np.where(np.isnan(x), 0.0, np.minimum(np.maximum(x, -_CUT), _CUT))
    leaned = _KEPT * lean + (1 - _KEPT) * x
    part = np.where(x == 0, 0.0, lean)
    if (part != 0).sum() <= _FEWEST:
        return None, leaned
    part[np.abs(part).argmax()] = 0.0
    usual = (before - held.centre) / spread
    np.copyto(usual, 0.0, where=np.isnan(usual))
    usual = usual @ part
    unit = float(np.sqrt(usual @ usual / len(usual)))
    if not unit:
        return None, leaned
    return _score(float(x @ part) / unit), leaned


def of_blocks(
    values: Float64Array, slots: Int64Array, rows: Float64Array, least: Float64Array
) -> tuple[list[Score | None], Float64Array]:
    """The scores of blocks ``values[n, k]``, each held against those before it; and the lean after them."""
    lean, found = np.zeros(values.shape[1]), list[Score | None]([None] * len(values))
    for n in range(max(MIN_HISTORY, len(values) - _BLOCKS), len(values)):
        found[n], lean = along(lean, values[n], values[:n], slots[:n], int(slots[n]), rows[:n], least)
    return found, lean


def _score(value: float) -> Score:
    return Score(detector=COMMON_SHIFT[0], column=None, label=COMMON_SHIFT[2], value=value, floor=FLOOR)
