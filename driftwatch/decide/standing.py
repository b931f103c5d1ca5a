"""What a score's healthy windows say of its level: mean and spread, of its season slot where there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftwatch.summary.batch import Float64Array, Int64Array

Flags = npt.NDArray[np.bool_]

#: Healthy windows of one season slot before it has a mean of its own.
THIN_SLOT = 4
#: Windows that a slot's own spread is shrunk by towards that of all slots.
_SHRINK = 8.0


def mostly_one(values: Float64Array) -> Flags:
    """Which scores had one value in more than half of their windows."""
    if not len(values):
        return np.zeros(values.shape[1], dtype=np.bool_)
    known = (~np.isnan(values)).sum(axis=0)
    # NaN sorts last, so the known ones come first.
    middle = np.maximum(known - 1, 0) // 2
    median = np.take_along_axis(np.sort(values, axis=0), middle[None], axis=0)[0]
    most: Flags = 2 * (values == median).sum(axis=0) > known
    return most


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Mean, spread and number of healthy windows ``[k]`` that a score is held against."""

    centre: Float64Array
    spread: Float64Array
    n: Int64Array


def _standing(values: Float64Array) -> Standing:
    n = (~np.isnan(values)).sum(axis=0)
    centre = np.nansum(values, axis=0) / np.maximum(n, 1)
    square = np.nansum((values - centre) ** 2, axis=0)
    return Standing(centre=centre, spread=np.sqrt(square / np.maximum(n - 1, 1)), n=n)


def _around_slots(values: Float64Array, slots: Int64Array) -> Float64Array:
    """Variance around the means of all slots."""
    square, lost = np.zeros(values.shape[1]), np.zeros(values.shape[1], dtype=np.int64)
    for slot in np.unique(slots):
        part = _standing(values[slots == slot])
        square += part.spread**2 * np.maximum(part.n - 1, 0)
        lost += part.n > 0
    known = (~np.isnan(values)).sum(axis=0)
    return np.asarray(square / np.maximum(known - lost, 1))


def standing(values: Float64Array, slots: Int64Array, slot: int) -> Standing:
    """What the scores of a season slot are held against; all windows while the slot is thin.

    A slot's spread is shrunk towards the spread around all slots' means, for few windows say little of it.
    """
    every = _standing(values)
    if not slots.any():
        return every
    return _of_slot(every, _standing(values[slots == slot]), _around_slots(values, slots))


def _of_slot(every: Standing, own: Standing, pooled: Float64Array) -> Standing:
    degrees = np.maximum(own.n - 1, 0)
    shrunk = np.sqrt((own.spread**2 * degrees + _SHRINK * pooled) / (degrees + _SHRINK))
    thin = own.n < THIN_SLOT
    return Standing(
        centre=np.where(thin, every.centre, own.centre),
        spread=np.where(thin, every.spread, shrunk),
        n=np.where(thin, every.n, own.n),
    )


def left_out(values: Float64Array, slots: Int64Array, least: Float64Array | float = 1e-12) -> Float64Array:
    """The series in spreads of its slot, at least ``least``, around the mean of its slot's other windows."""
    result = np.empty_like(values)
    every, pooled = _standing(values), _around_slots(values, slots)
    for slot in np.unique(slots):
        here = slots == slot
        found = _of_slot(every, _standing(values[here]), pooled) if slots.any() else every
        inflation = np.sqrt(np.maximum(found.n, 1) / np.maximum(found.n - 1, 1))
        result[here] = (values[here] - found.centre) / np.maximum(found.spread, least) * inflation
    return result
