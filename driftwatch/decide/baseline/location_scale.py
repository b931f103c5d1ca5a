"""What a score's healthy windows say of its level: mean and spread, of its season slot where there is one.

A column's scores are means over rows: in a window of fewer rows they lie further apart by themselves. Of
those a window with a part ``w`` of the usual rows counts for ``w`` windows, and its distances for ``sqrt(w)``
as much (weighted least squares); no window counts for more than one, for what moves whole windows does not
average out. The spread is ``sum w d^2 / (n - 1)`` with the ``w`` of large windows as they are: they add up to
``n``, so it is right on average where rows make the variance and where they do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.weighted_series import Series, Weights, known_of, sums, usual_rows

#: Healthy windows of one season slot before it has a mean of its own.
THIN_SLOT = 4
#: Windows that a slot's own spread is shrunk by towards that of all slots.
_SHRINK = 8.0


def mostly_one(values: Float64Array) -> BoolArray:
    """Which scores had one value in more than half of their windows."""
    if not len(values):
        return np.zeros(values.shape[1], dtype=np.bool_)
    known = known_of(values)
    # NaN sorts last, so the known ones come first.
    middle = np.maximum(known - 1, 0) // 2
    median = np.take_along_axis(np.sort(values, axis=0), middle[None], axis=0)[0]
    most: BoolArray = 2 * (values == median).sum(axis=0) > known
    return most


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocationScale:
    """Mean, spread and number of healthy windows ``[k]`` that a score is held against.

    ``spread`` is that of a window of usual rows, and ``weight`` how many such windows the mean stands on.
    ``degrees`` are those of freedom of the spread: a slot's stands on few windows. ``known[k]`` counts those
    of all slots.
    """

    centre: Float64Array
    spread: Float64Array
    n: Int64Array
    weight: Float64Array
    degrees: Float64Array
    known: Int64Array

    def ahead(self, least: Float64Array, worth: Float64Array | float = 1.0) -> Float64Array:
        """How far the next window, whose distance counts for ``worth``, spreads around the estimated mean.

        In the same spreads; at least ``least``.
        """
        return np.asarray(np.maximum(self.spread, least) * np.sqrt(1 + self.error(worth)))

    def error(self, worth: Float64Array | float = 1.0) -> Float64Array:
        """Variance of the mean, in squared spreads, for a distance that counts for ``worth``."""
        return np.asarray(worth**2 / np.maximum(self.weight, 1e-9))


def worth_of(size: float, rows: Float64Array) -> float:
    """What distances in a window of ``size`` rows count for, beside windows of ``rows[n]``; 1 if unknown.

    Less in one of fewer rows. Where rows are lost all columns seem to move; it is the volume that did.
    """
    part = size / usual_rows(rows)
    return 1.0 if math.isnan(part) else math.sqrt(min(1.0, part))


def _standing(series: Series, weights: Weights | None) -> LocationScale:
    return _made(*sums(series, weights), 1.0 if weights is None else weights.even)


def _made(
    centre: Float64Array, square: Float64Array, n: Int64Array, weight: Float64Array, even: float
) -> LocationScale:
    spread = np.sqrt(square / np.maximum(n - 1, 1))
    degrees = np.maximum(n * even - 3.0, 1.0)
    return LocationScale(centre=centre, spread=spread, n=n, weight=weight, degrees=degrees, known=n)


def _around_slots(values: Float64Array, slots: Int64Array, weights: Weights | None) -> Float64Array:
    """Variance around the means of all slots."""
    order = np.argsort(slots, kind="stable")
    grouped = values[order]
    counts = 1.0 if weights is None else weights.of_each(weights.counts[order])
    sizes = 1.0 if weights is None else weights.of_each(weights.sizes[order])
    starts = np.flatnonzero(np.diff(slots[order], prepend=slots[order[:1]] - 1))
    gone = np.isnan(grouped)
    n = np.add.reduceat(~gone, starts, axis=0, dtype=np.int64)
    weight = np.add.reduceat(np.where(gone, 0.0, counts), starts, axis=0)
    total = np.add.reduceat(np.where(gone, 0.0, grouped * counts), starts, axis=0)
    centre = total / np.where(weight > 0, weight, 1.0)
    apart = grouped - np.repeat(centre, np.diff(starts, append=len(slots)), axis=0)
    square = np.where(gone, 0.0, apart**2 * sizes).sum(axis=0)
    known, lost = n.sum(axis=0), (n > 0).sum(axis=0)
    return np.asarray(square / np.maximum(known - lost, 1))


def standing(
    series: Series, slots: Int64Array, slot: int, rows: Float64Array, means: BoolArray | None = None
) -> LocationScale:
    """What the scores of a season slot are held against; all windows while the slot is thin.

    ``rows[n]`` are those of the windows, relative ones; ``means[k]`` are scores that are means over them. A
    slot's spread is shrunk towards the spread around all slots' means, for few windows say little of it; of
    other scores larger where the slot's windows have fewer rows.
    """
    weights = Weights.of(rows, means)
    every = _standing(series, weights)
    if not slots.any():
        return every
    here, values = slots == slot, series.whole()
    pooled = _around_slots(values, slots, weights) * _fewer(rows, here, means)
    own = _standing(Series.of(values[here]), None if weights is None else weights.at(here))
    return _of_slot(every, own, pooled)


def _fewer(rows: Float64Array, here: BoolArray, means: BoolArray | None) -> Float64Array | float:
    """How many times fewer rows these windows have than all, at least 1: variances are as much larger.

    1 for scores whose distances count for less there.
    """
    known = ~np.isnan(rows)
    if not (known & here).any():
        return 1.0
    fewer = max(1.0, float(rows[known].mean() / rows[known & here].mean()))
    return fewer if means is None else np.where(means, 1.0, fewer)


def _of_slot(every: LocationScale, own: LocationScale, pooled: Float64Array) -> LocationScale:
    degrees = np.maximum(own.n - 1, 0)
    shrunk = np.sqrt((own.spread**2 * degrees + _SHRINK * pooled) / (degrees + _SHRINK))
    thin = own.n < THIN_SLOT
    return LocationScale(
        centre=np.where(thin, every.centre, own.centre),
        spread=np.where(thin, every.spread, shrunk),
        n=np.where(thin, every.n, own.n),
        weight=np.where(thin, every.weight, own.weight),
        degrees=np.where(thin, every.degrees, np.minimum(degrees + _SHRINK, every.degrees)),
        known=every.known,
    )


def left_out(
    values: Float64Array,
    slots: Int64Array,
    rows: Float64Array,
    means: BoolArray | None = None,
    least: Float64Array | float = 1e-12,
) -> Float64Array:
    """The series in spreads of its slot, at least ``least``, each window held against the slot's others."""
    result, weights = np.empty_like(values), Weights.of(rows, means)
    every, several = _standing(Series.of(values), weights), bool(slots.any())
    pooled = _around_slots(values, slots, weights) if several else np.empty(0)
    for slot in np.unique(slots):
        here = slots == slot
        found, some = every, None if weights is None else weights.at(here)
        own = 1.0 if some is None else some.of_each(some.counts)
        size = 1.0 if some is None else some.of_each(some.sizes)
        if several:
            alone = _standing(Series.of(values[here]), some)
            found = _of_slot(every, alone, pooled * _fewer(rows, here, means))
        # The mean without the window itself, which has drawn it near.
        inflation = np.sqrt(found.weight / np.maximum(found.weight - own, 1e-9))
        apart = (values[here] - found.centre) * np.sqrt(own) * np.where(found.n > 1, inflation, 1.0)
        # And the spread without it, behind which it hides otherwise.
        degrees = np.maximum(found.degrees, 3.0)
        mine = apart**2 * (size / np.maximum(own, 1e-12))
        others = np.maximum((found.spread**2 * degrees - mine) / (degrees - 1), 0.25 * found.spread**2)
        result[here] = apart / np.maximum(np.sqrt(others), least)
    return result
