"""All columns together: a day on which many move a little, each too little to page alone.

``T = mean over columns of max over a column's scores of z``, ``z`` the excess over the score's own history in
its own standard deviations, cut to [0, 5] so that no column decides alone. ``T`` is a score like any other:
null *usual*, judged against the ``T`` of healthy windows, with its own part of the budget. Those of the
reference's blocks leave the block out; later ones stand on the history of their day. How strongly columns
move together is in that history, so correlated columns cost nothing. Source: Fisher's and Stouffer's
combination, calibrated by history in place of independence. False alarms: as of any score, see ``betting``.
Columns that an open incident has set aside take no part, so that a summer cannot hide a storm; with more
than a quarter of them aside there is no ``T``, for a mean of few spreads more than its history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from driftwatch.decide.prediction import LEAST_SPREAD, MIN_HISTORY
from driftwatch.decide.track import TOGETHER, Healthy, StreamKey, Track
from driftwatch.summary.batch import Float64Array, Int64Array
from driftwatch.summary.result import Score, Shares, Statistic

#: An excess of ``T`` by less than this, in standard deviations per column, is never evidence.
FLOOR = 0.5
_CUT = 5.0
#: Fewer columns than this are judged one by one.
_FEWEST = 4
_NAMED = 3


def combined(streams: Sequence[Shares | Score], track: Track, slot: int) -> tuple[Score, Statistic] | None:
    """The score of all columns together and its gauge; None when too few columns have a history."""
    largest: dict[str, float] = {}
    aside, away = track.aside, set[str]()
    for item in streams:
        if not isinstance(item, Score) or item.column is None:
            continue
        if item.column in aside:
            away.add(item.column)
            continue
        known = track.history.get((item.detector, item.column, item.label), Healthy.empty())
        past = known.like(slot, MIN_HISTORY)
        if len(past) < MIN_HISTORY:
            continue
        spread = max(float(past.std(ddof=1)), LEAST_SPREAD * item.floor) * np.sqrt(1 + 1 / len(past))
        z = min(max((item.value - float(past.mean())) / spread, 0.0), _CUT)
        largest[item.column] = max(z, largest.get(item.column, 0.0))
    if len(largest) < max(_FEWEST, 3 * len(away)):
        return None
    value = float(np.mean(list(largest.values())))
    top = sorted(largest, key=lambda name: (-largest[name], name))[:_NAMED]
    effect = f"several columns together, each a little: {', '.join(top)} the most"
    detector, _, label = TOGETHER
    score = Score(detector=detector, column=None, label=label, value=value, floor=FLOOR)
    return score, Statistic(
        detector=detector, column=None, value=value, unit="standard deviations", effect=effect
    )


def taught_together(track: Track, floors: Mapping[StreamKey, float]) -> Track:
    """The track with the ``T`` of every block of the reference, each held against the others."""
    most = max((len(track.history[key].values) for key in floors if key in track.history), default=0)
    keys = [key for key in floors if key[1] is not None and len(track.history[key].values) == most]
    columns = sorted({key[1] or "" for key in keys})
    if most <= MIN_HISTORY or len(columns) < _FEWEST:
        return track
    slots = track.history[keys[0]].slots
    largest = np.zeros((len(columns), most))
    for key in keys:
        z = _left_out(track.history[key].values, slots, LEAST_SPREAD * floors[key])
        place = columns.index(key[1] or "")
        largest[place] = np.maximum(largest[place], z)
    values, sibling = largest.mean(axis=0), track.history[keys[0]]
    together = replace(sibling, values=values, slots=slots)
    return replace(track, history={**track.history, TOGETHER: together})


def _left_out(values: Float64Array, slots: Int64Array, least: float) -> Float64Array:
    """``z`` of each value against the others of its slot, or against all others while the slot is thin."""
    result = np.empty(len(values))
    for slot in np.unique(slots):
        here = np.flatnonzero(slots == slot)
        pool = values[here] if len(here) > MIN_HISTORY else values
        n = len(pool) - 1
        middle = pool.mean()
        own = values[here] - middle
        mean = -own / n
        square = ((pool - middle) ** 2).sum() - own**2 - n * mean**2
        spread = np.maximum(np.sqrt(np.maximum(square, 0.0) / (n - 1)), least) * np.sqrt(1 + 1 / n)
        result[here] = np.clip((own - mean) / spread, 0.0, _CUT)
    return result
