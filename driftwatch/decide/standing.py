"""What a score's healthy windows say of its level: mean and spread, of its season slot where there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from driftwatch.summary.batch import Float64Array, Int64Array

Flags = npt.NDArray[np.bool_]

#: Healthy windows of one season slot before it has a mean of its own.
THIN_SLOT = 4
#: Newest windows: those that wait are among them, and gaps elsewhere are rare.
_NEWEST = 32
#: Windows that a slot's own spread is shrunk by towards that of all slots.
_SHRINK = 8.0


def known_of(values: Float64Array) -> Int64Array:
    """In how many windows ``[n, k]`` each score is known."""
    return len(values) - times(np.isnan(values))


def times(flags: Flags) -> Int64Array:
    """How often ``[k]`` is flagged: short sums take a quarter of the time of long ones."""
    few = len(flags) < np.iinfo(np.uint16).max
    counts = np.add.reduce(flags.view(np.uint8), axis=0, dtype=np.uint16 if few else np.int64)
    return np.asarray(counts, dtype=np.int64)


def mostly_one(values: Float64Array) -> Flags:
    """Which scores had one value in more than half of their windows."""
    if not len(values):
        return np.zeros(values.shape[1], dtype=np.bool_)
    known = known_of(values)
    # NaN sorts last, so the known ones come first.
    middle = np.maximum(known - 1, 0) // 2
    median = np.take_along_axis(np.sort(values, axis=0), middle[None], axis=0)[0]
    most: Flags = 2 * (values == median).sum(axis=0) > known
    return most


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Mean, spread and number of healthy windows ``[k]`` that a score is held against.

    ``degrees`` are those of freedom of the spread: a slot's stands on few windows. ``rows[k]`` is how many
    these windows had on average, relative to the reference's. ``known[k]`` counts those of all slots.
    """

    centre: Float64Array
    spread: Float64Array
    n: Int64Array
    degrees: Float64Array
    rows: Float64Array
    known: Int64Array

    def ahead(self, least: Float64Array) -> Float64Array:
        """How far the next window spreads around the mean, which is estimated too; at least ``least``."""
        return np.asarray(np.maximum(self.spread, least) * np.sqrt(1 + 1 / np.maximum(self.n, 1)))


#: Sums, sums of squares around the mean, and numbers of the known windows of each score.
_Sums = tuple[Float64Array, Float64Array, Int64Array]


def _standing(values: Float64Array) -> Standing:
    early, late = values[:-_NEWEST], values[-_NEWEST:]
    if not len(early) or values.shape[1] < 2 or not values.flags.c_contiguous:
        return _made(*_of_gaps(values))
    first = early.sum(axis=0)
    gaps = np.flatnonzero(~np.isfinite(first))
    if 4 * len(gaps) > len(first):
        return _made(*_of_gaps(values))
    found = _of_whole(early, first, late)
    if len(gaps):
        # Two at least: a lone column would be added up in another order, and rounded so.
        some = np.resize(gaps, max(len(gaps), 2))
        for whole, part in zip(found, _of_gaps(values.take(some, axis=1)), strict=True):
            whole[gaps] = part[: len(gaps)]
    return _made(*found)


def _of_whole(early: Float64Array, first: Float64Array, late: Float64Array) -> _Sums:
    """Those of windows of which only ``late`` ones have gaps; ``first`` is the sum of the others.

    The same to the bit as ``_of_gaps``, in half the passes: rows are added up in their order.
    """
    n = len(early) + known_of(late)
    centre = _added(first, np.where(np.isnan(late), 0.0, late)) / n
    with np.errstate(invalid="ignore"):
        apart = early - centre
        np.multiply(apart, apart, out=apart)
        newest = (late - centre) ** 2
    return centre, _added(apart.sum(axis=0), np.where(np.isnan(newest), 0.0, newest)), n


def _added(first: Float64Array, rows: Float64Array) -> Float64Array:
    return np.asarray(np.concatenate([first[None], rows]).sum(axis=0))


def _of_gaps(values: Float64Array) -> _Sums:
    gone = np.isnan(values)
    n = len(values) - times(gone)
    work = values.copy(order="K")
    np.copyto(work, 0.0, where=gone)
    centre = work.sum(axis=0) / np.maximum(n, 1)
    np.subtract(values, centre, out=work)
    np.multiply(work, work, out=work)
    np.copyto(work, 0.0, where=np.isnan(work))
    return centre, work.sum(axis=0), n


def _made(centre: Float64Array, square: Float64Array, n: Int64Array) -> Standing:
    spread = np.sqrt(square / np.maximum(n - 1, 1))
    return Standing(
        centre=centre, spread=spread, n=n, degrees=np.maximum(n - 3.0, 1.0), rows=np.ones(len(n)), known=n
    )


def _around_slots(values: Float64Array, slots: Int64Array) -> Float64Array:
    """Variance around the means of all slots."""
    order = np.argsort(slots, kind="stable")
    grouped = values[order]
    starts = np.flatnonzero(np.diff(slots[order], prepend=slots[order[:1]] - 1))
    gone = np.isnan(grouped)
    n = np.add.reduceat(~gone, starts, axis=0, dtype=np.int64)
    centre = np.add.reduceat(np.where(gone, 0.0, grouped), starts, axis=0) / np.maximum(n, 1)
    apart = grouped - np.repeat(centre, np.diff(starts, append=len(slots)), axis=0)
    square = (np.where(gone, 0.0, apart) ** 2).sum(axis=0)
    known, lost = n.sum(axis=0), (n > 0).sum(axis=0)
    return np.asarray(square / np.maximum(known - lost, 1))


def standing(values: Float64Array, slots: Int64Array, slot: int, rows: Float64Array) -> Standing:
    """What the scores of a season slot are held against; all windows while the slot is thin.

    A slot's spread is shrunk towards the spread around all slots' means, for few windows say little of it:
    larger where the slot's windows have fewer ``rows[n]`` (relative ones) than the others.
    """
    every = _standing(values)
    every = replace(every, rows=np.full(values.shape[1], _mean(rows)))
    if not slots.any():
        return every
    here = slots == slot
    pooled = _around_slots(values, slots) * _fewer(rows, here)
    own = replace(_standing(values[here]), rows=np.full(values.shape[1], _mean(rows[here])))
    return _of_slot(every, own, pooled)


def _mean(rows: Float64Array) -> float:
    known = rows[~np.isnan(rows)]
    return float(known.mean()) if len(known) else 1.0


def _fewer(rows: Float64Array, here: Flags) -> float:
    """How many times fewer rows these windows have than all, at least 1: variances are as much larger."""
    known = ~np.isnan(rows)
    if not (known & here).any():
        return 1.0
    return max(1.0, float(rows[known].mean() / rows[known & here].mean()))


def _of_slot(every: Standing, own: Standing, pooled: Float64Array) -> Standing:
    degrees = np.maximum(own.n - 1, 0)
    shrunk = np.sqrt((own.spread**2 * degrees + _SHRINK * pooled) / (degrees + _SHRINK))
    thin = own.n < THIN_SLOT
    return Standing(
        centre=np.where(thin, every.centre, own.centre),
        spread=np.where(thin, every.spread, shrunk),
        n=np.where(thin, every.n, own.n),
        degrees=np.where(thin, every.degrees, np.minimum(degrees + _SHRINK, every.degrees)),
        rows=np.where(thin, every.rows, own.rows),
        known=every.known,
    )


def left_out(
    values: Float64Array, slots: Int64Array, rows: Float64Array, least: Float64Array | float = 1e-12
) -> Float64Array:
    """The series in spreads of its slot, at least ``least``, each window held against the slot's others."""
    result = np.empty_like(values)
    every, pooled = _standing(values), _around_slots(values, slots)
    for slot in np.unique(slots):
        here = slots == slot
        found = every
        if slots.any():
            found = _of_slot(every, _standing(values[here]), pooled * _fewer(rows, here))
        inflation = np.sqrt(np.maximum(found.n, 1) / np.maximum(found.n - 1, 1))
        apart = (values[here] - found.centre) * inflation
        # The spread without the window itself, which otherwise hides behind its own distance.
        degrees = np.maximum(found.degrees, 3.0)
        others = np.maximum((found.spread**2 * degrees - apart**2) / (degrees - 1), 0.25 * found.spread**2)
        result[here] = apart / np.maximum(np.sqrt(others), least)
    return result
