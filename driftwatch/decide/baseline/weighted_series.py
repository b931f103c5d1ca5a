"""Weighted sums over healthy windows, in one pass if only the newest windows have gaps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array

#: Windows of the newer part of a series: pending ones are among them, and gaps elsewhere are rare.
_NEWER_WINDOWS = 32
#: Sums of fewer flags fit in 16 bits, which takes a quarter of the time.
_MAX_UINT16 = np.iinfo(np.uint16).max


def count_measured(values: Float64Array) -> Int64Array:
    return len(values) - count_true(np.isnan(values))


def count_true(flags: BoolArray) -> Int64Array:
    counts = np.add.reduce(
        flags.view(np.uint8), axis=0, dtype=np.uint16 if len(flags) < _MAX_UINT16 else np.int64
    )
    return np.asarray(counts, dtype=np.int64)


def mean_rows(rows: Float64Array) -> float:
    """Return the mean rows per window as a positive divisor, 1 if unknown."""
    mean = float(rows.mean()) if len(rows) else math.nan
    if math.isnan(mean):
        known_rows = rows[~np.isnan(rows)]
        mean = float(known_rows.mean()) if len(known_rows) else 1.0
    return max(mean, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowWeights:
    """Weights of windows of unequal size, for location and scale."""

    #: ``[window]``: rows over the mean rows; at most 1 for the location.
    for_location: Float64Array
    for_scale: Float64Array
    #: ``[score]``: the score is a mean over rows. For others each window has weight 1.
    row_means: BoolArray
    #: Effective sample size (Kish 1965) of the windows under ``for_scale``, over their number.
    effective_share: float

    @classmethod
    def of(cls, rows: Float64Array, row_means: BoolArray | None) -> WindowWeights | None:
        """Return the weights of windows, or None if every weight is 1."""
        if row_means is None or not row_means.any():
            return None
        weights = rows / mean_rows(rows)
        weights[np.isnan(weights)] = 1.0
        if (weights == 1).all():
            return None
        share = weights.sum() ** 2 / (len(weights) * np.maximum((weights**2).sum(), 1e-9))
        return cls(
            for_location=np.minimum(weights, 1.0),
            for_scale=weights,
            row_means=row_means,
            effective_share=float(share),
        )

    def take(self, windows: BoolArray | slice) -> WindowWeights:
        return replace(self, for_location=self.for_location[windows], for_scale=self.for_scale[windows])

    def per_score(self, weights: Float64Array) -> Float64Array:
        """Return the weights by window and score: 1 for scores that are not means over rows."""
        return np.where(self.row_means, weights[:, None], 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Scores of windows in two parts, oldest first, NaN where not measured.

    Most gaps are in ``newer``, so pending windows can be masked without copying ``older``.
    """

    #: Both parts are ``[window, score]``.
    older: Float64Array
    newer: Float64Array

    @classmethod
    def of(cls, values: Float64Array) -> Series:
        return cls(older=values[:-_NEWER_WINDOWS], newer=values[-_NEWER_WINDOWS:])

    def take(self, scores: Int64Array) -> Series:
        return Series(older=self.older.take(scores, axis=1), newer=self.newer.take(scores, axis=1))

    def to_array(self) -> Float64Array:
        return np.concatenate([self.older, self.newer])


#: ``[score]``: means, sums of squares around them, counts and weights of the measured windows.
Sums = tuple[Float64Array, Float64Array, Int64Array, Float64Array]


def weighted_sums(series: Series, weights: WindowWeights | None) -> Sums:
    sums = _sums(series, weights)
    if weights is not None:
        _overwrite(sums, np.flatnonzero(~weights.row_means), lambda scores: _sums(series.take(scores), None))
    return sums


def _overwrite(sums: Sums, scores: Int64Array, compute: Callable[[Int64Array], Sums]) -> None:
    if len(scores):
        # At least two columns: numpy adds up a lone column in another order, which rounds differently.
        for total, part in zip(sums, compute(np.resize(scores, max(len(scores), 2))), strict=True):
            total[scores] = part[: len(scores)]


def _sums(series: Series, weights: WindowWeights | None) -> Sums:
    """Compute sums as if all scores were means over rows."""
    older = series.older
    if not len(older) or older.shape[1] < 2 or not older.flags.c_contiguous:
        return _sums_with_gaps(series.to_array(), weights)
    older_total = _total(older, None if weights is None else weights.for_location[: len(older)])
    has_gap = ~np.isfinite(older_total)
    if weights is not None:
        # The caller overwrites the sums of all other scores.
        has_gap &= weights.row_means
    scores = np.flatnonzero(has_gap)
    if 4 * len(scores) > len(older_total):
        return _sums_with_gaps(series.to_array(), weights)
    sums = _sums_of_whole(older, older_total, series.newer, weights)
    _overwrite(sums, scores, lambda subset: _sums_with_gaps(series.take(subset).to_array(), weights))
    return sums


def _total(values: Float64Array, weights: Float64Array | None) -> Float64Array:
    """Sum columns with weights, row after row, so that their bits do not depend on other columns."""
    return np.asarray(values.sum(axis=0) if weights is None else np.einsum("n,nk->k", weights, values))


def _sums_of_whole(
    older: Float64Array, older_total: Float64Array, newer: Float64Array, weights: WindowWeights | None
) -> Sums:
    """Compute sums when only ``newer`` has gaps; ``older_total`` is the weighted sum of ``older``."""
    # Adding rows in order gives the bits of ``_sums_with_gaps`` in half the passes.
    old, new = slice(len(older)), slice(len(older), None)
    for_location, for_scale = (None, None) if weights is None else (weights.for_location, weights.for_scale)
    missing, n = np.isnan(newer), len(older) + count_measured(newer)
    is_measured, zero_filled = (~missing).astype(np.float64), np.where(missing, 0.0, newer)
    weight = n.astype(np.float64)
    if for_location is not None:
        weight = _add_rows(np.full(len(n), np.cumsum(for_location[old])[-1]), is_measured, for_location[new])
    location = (
        _add_rows(older_total, zero_filled, None if for_location is None else for_location[new]) / weight
    )
    with np.errstate(invalid="ignore"):
        squares = older - location
        np.multiply(squares, squares, out=squares)
        zero_filled = np.where(missing, 0.0, (newer - location) ** 2)
    square_sum = _total(squares, None if for_scale is None else for_scale[old])
    return (
        location,
        _add_rows(square_sum, zero_filled, None if for_scale is None else for_scale[new]),
        n,
        weight,
    )


def _add_rows(first: Float64Array, rows: Float64Array, weights: Float64Array | None) -> Float64Array:
    all_weights = None if weights is None else np.concatenate([[1.0], weights])
    return _total(np.concatenate([first[None], rows]), all_weights)


def _sums_with_gaps(values: Float64Array, weights: WindowWeights | None) -> Sums:
    missing = np.isnan(values)
    n = len(values) - count_true(missing)
    work = values.copy(order="K")
    np.copyto(work, 0.0, where=missing)
    weight = n.astype(np.float64)
    if weights is not None:
        weight = _total((~missing).astype(np.float64), weights.for_location)
    total = _total(work, None if weights is None else weights.for_location)
    location = total / np.where(weight > 0, weight, 1.0)
    np.subtract(values, location, out=work)
    np.multiply(work, work, out=work)
    np.copyto(work, 0.0, where=missing)
    return location, _total(work, None if weights is None else weights.for_scale), n, weight
