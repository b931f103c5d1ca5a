"""Weighted sums over the healthy windows of scores: in one pass where only the newest windows have gaps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array

#: Newest windows: those that wait are among them, and gaps elsewhere are rare.
_NEWEST = 32
#: So many are added up in 16 bits.
_FEW = np.iinfo(np.uint16).max


def known_of(values: Float64Array) -> Int64Array:
    """In how many windows ``[n, k]`` each score is known."""
    return len(values) - times(np.isnan(values))


def times(flags: BoolArray) -> Int64Array:
    """How often ``[k]`` is flagged: short sums take a quarter of the time of long ones."""
    counts = np.add.reduce(flags.view(np.uint8), axis=0, dtype=np.uint16 if len(flags) < _FEW else np.int64)
    return np.asarray(counts, dtype=np.int64)


def usual_rows(rows: Float64Array) -> float:
    """How many rows windows of ``rows[n]`` have on average, as a divisor; 1 where that is unknown."""
    mean = float(rows.mean()) if len(rows) else math.nan
    if math.isnan(mean):
        known = rows[~np.isnan(rows)]
        mean = float(known.mean()) if len(known) else 1.0
    return max(mean, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """``counts[n]``, at most 1, is what a window counts for in a mean, ``sizes[n]`` in a spread.

    For scores ``means[k]``; every window counts for one in those of the others. ``even`` is the part of the
    windows that a sum over ``sizes`` stands on (Kish 1965).
    """

    counts: Float64Array
    sizes: Float64Array
    means: BoolArray
    even: float

    @classmethod
    def of(cls, rows: Float64Array, means: BoolArray | None) -> Weights | None:
        """Those of windows of so many rows for the scores that are means; None when all count for one."""
        if means is None or not means.any():
            return None
        each = rows / usual_rows(rows)
        each[np.isnan(each)] = 1.0
        if (each == 1).all():
            return None
        even = each.sum() ** 2 / (len(each) * np.maximum((each**2).sum(), 1e-9))
        return cls(counts=np.minimum(each, 1.0), sizes=each, means=means, even=float(even))

    def at(self, which: BoolArray | slice) -> Weights:
        """Those of some windows."""
        return replace(self, counts=self.counts[which], sizes=self.sizes[which])

    def of_each(self, window: Float64Array) -> Float64Array:
        """``[n, k]``: those of every score, of ``window[n]``."""
        return np.where(self.means, window[:, None], 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Scores ``[n, k]`` of windows, oldest first, NaN where unknown; most gaps are in the ``late`` ones.

    Two parts, so that what waits is left out of a long history without a copy of it.
    """

    early: Float64Array
    late: Float64Array

    @classmethod
    def of(cls, values: Float64Array) -> Series:
        """Of one array."""
        return cls(early=values[:-_NEWEST], late=values[-_NEWEST:])

    def take(self, scores: Int64Array) -> Series:
        """Of some scores."""
        return Series(early=self.early.take(scores, axis=1), late=self.late.take(scores, axis=1))

    def whole(self) -> Float64Array:
        """In one array."""
        return np.concatenate([self.early, self.late])


#: Means, sums of squares around them, numbers and weights of the known windows of each score.
Sums = tuple[Float64Array, Float64Array, Int64Array, Float64Array]


def sums(series: Series, weights: Weights | None) -> Sums:
    """Those of the scores of the series."""
    found = _sums(series, weights)
    if weights is not None:
        _put(found, np.flatnonzero(~weights.means), lambda others: _sums(series.take(others), None))
    return found


def _put(found: Sums, at: Int64Array, make: Callable[[Int64Array], Sums]) -> None:
    """Those of the scores ``at``, made for them alone, in their place."""
    if len(at):
        # Two at least: a lone column would be added up in another order, and rounded so.
        for whole, part in zip(found, make(np.resize(at, max(len(at), 2))), strict=True):
            whole[at] = part[: len(at)]


def _sums(series: Series, weights: Weights | None) -> Sums:
    """Those of scores whose windows all count for as much."""
    early = series.early
    if not len(early) or early.shape[1] < 2 or not early.flags.c_contiguous:
        return _of_gaps(series.whole(), weights)
    first = _added_up(early, None if weights is None else weights.counts[: len(early)])
    gone = ~np.isfinite(first)
    if weights is not None:
        # The others are added up apart.
        gone &= weights.means
    gaps = np.flatnonzero(gone)
    if 4 * len(gaps) > len(first):
        return _of_gaps(series.whole(), weights)
    found = _of_whole(early, first, series.late, weights)
    _put(found, gaps, lambda some: _of_gaps(series.take(some).whole(), weights))
    return found


def _added_up(values: Float64Array, weights: Float64Array | None) -> Float64Array:
    """The weighted sums of columns, row after row: the same to the bit whatever columns stand beside."""
    return np.asarray(values.sum(axis=0) if weights is None else np.einsum("n,nk->k", weights, values))


def _of_whole(early: Float64Array, first: Float64Array, late: Float64Array, weights: Weights | None) -> Sums:
    """Those of windows of which only ``late`` ones have gaps; ``first`` is the weighted sum of the others.

    The same to the bit as ``_of_gaps``, in half the passes: rows are added up in their order.
    """
    old, new = slice(len(early)), slice(len(early), None)
    counts, sizes = (None, None) if weights is None else (weights.counts, weights.sizes)
    gone, n = np.isnan(late), len(early) + known_of(late)
    known, newest = (~gone).astype(np.float64), np.where(gone, 0.0, late)
    weight = n.astype(np.float64)
    if counts is not None:
        weight = _added(np.full(len(n), np.cumsum(counts[old])[-1]), known, counts[new])
    centre = _added(first, newest, None if counts is None else counts[new]) / weight
    with np.errstate(invalid="ignore"):
        apart = early - centre
        np.multiply(apart, apart, out=apart)
        newest = np.where(gone, 0.0, (late - centre) ** 2)
    square = _added_up(apart, None if sizes is None else sizes[old])
    return centre, _added(square, newest, None if sizes is None else sizes[new]), n, weight


def _added(first: Float64Array, rows: Float64Array, weights: Float64Array | None) -> Float64Array:
    """The sum of ``first`` and then, in their order, of weighted rows."""
    every = None if weights is None else np.concatenate([[1.0], weights])
    return _added_up(np.concatenate([first[None], rows]), every)


def _of_gaps(values: Float64Array, weights: Weights | None) -> Sums:
    gone = np.isnan(values)
    n = len(values) - times(gone)
    work = values.copy(order="K")
    np.copyto(work, 0.0, where=gone)
    weight = n.astype(np.float64)
    if weights is not None:
        weight = _added_up((~gone).astype(np.float64), weights.counts)
    total = _added_up(work, None if weights is None else weights.counts)
    centre = total / np.where(weight > 0, weight, 1.0)
    np.subtract(values, centre, out=work)
    np.multiply(work, work, out=work)
    np.copyto(work, 0.0, where=gone)
    return centre, _added_up(work, None if weights is None else weights.sizes), n, weight
