"""Location and scale of a score's healthy windows: mean and standard deviation, per season slot.

A column's scores are means over rows, so windows of fewer rows scatter more. A window with a fraction ``w``
of the mean rows counts as ``w`` windows, and its deviation ``d`` is multiplied by ``sqrt(w)`` (weighted least
squares). No window counts as more than one: what moves whole windows does not average out. In the variance
``sum w d^2 / (n - 1)`` the weights are not clipped: they add up to ``n``, so it is unbiased whether or not
rows cause the variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.weighted_series import (
    Series,
    WindowWeights,
    mean_rows,
    weighted_sums,
)

#: Healthy windows of a season slot before it has a location and scale of its own.
MIN_SLOT_WINDOWS = 4
#: Weight, in windows, of the scale within all slots when a slot's scale is shrunk towards it.
_SHRINKAGE_WINDOWS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocationScale:
    """Location and scale of the healthy windows, ``n`` in number, that each score is compared with."""

    location: Float64Array
    #: Standard deviation of a window with the mean rows.
    scale: Float64Array
    n: Int64Array
    #: Sum of the weights of the windows that the location is estimated from.
    weight: Float64Array
    #: Degrees of freedom of the scale: a season slot has few windows.
    degrees: Float64Array
    #: Healthy windows of all season slots.
    n_all_slots: Int64Array

    def prediction_scale(
        self, min_scale: Float64Array, deviation_weight: Float64Array | float = 1.0
    ) -> Float64Array:
        """Return the scale of the next window around the estimated location."""
        return np.asarray(
            np.maximum(self.scale, min_scale) * np.sqrt(1 + self.location_variance(deviation_weight))
        )

    def location_variance(self, deviation_weight: Float64Array | float = 1.0) -> Float64Array:
        """Return the variance of the estimated location, in units of the squared scale."""
        return np.asarray(deviation_weight**2 / np.maximum(self.weight, 1e-9))


def deviation_weight(rows: float, history_rows: Float64Array) -> float:
    """Return the weight of a window's deviations: less than 1 if its rows are below the mean, else 1."""
    share = rows / mean_rows(history_rows)
    # Where rows are lost all columns seem to move, but only the volume did.
    return 1.0 if math.isnan(share) else math.sqrt(min(1.0, share))


def _fit(series: Series, weights: WindowWeights | None) -> LocationScale:
    return _of_sums(*weighted_sums(series, weights), 1.0 if weights is None else weights.effective_share)


def _of_sums(
    location: Float64Array,
    square_sum: Float64Array,
    n: Int64Array,
    weight: Float64Array,
    effective_share: float,
) -> LocationScale:
    scale = np.sqrt(square_sum / np.maximum(n - 1, 1))
    degrees = np.maximum(n * effective_share - 3.0, 1.0)
    return LocationScale(location=location, scale=scale, n=n, weight=weight, degrees=degrees, n_all_slots=n)


def _within_slot_variance(
    values: Float64Array, slots: Int64Array, weights: WindowWeights | None
) -> Float64Array:
    order = np.argsort(slots, kind="stable")
    sorted_values = values[order]
    for_location = 1.0 if weights is None else weights.per_score(weights.for_location[order])
    for_scale = 1.0 if weights is None else weights.per_score(weights.for_scale[order])
    starts = np.flatnonzero(np.diff(slots[order], prepend=slots[order[:1]] - 1))
    missing = np.isnan(sorted_values)
    n = np.add.reduceat(~missing, starts, axis=0, dtype=np.int64)
    weight = np.add.reduceat(np.where(missing, 0.0, for_location), starts, axis=0)
    total = np.add.reduceat(np.where(missing, 0.0, sorted_values * for_location), starts, axis=0)
    location = total / np.where(weight > 0, weight, 1.0)
    deviation = sorted_values - np.repeat(location, np.diff(starts, append=len(slots)), axis=0)
    square_sum = np.where(missing, 0.0, deviation**2 * for_scale).sum(axis=0)
    windows, n_locations = n.sum(axis=0), (n > 0).sum(axis=0)
    return np.asarray(square_sum / np.maximum(windows - n_locations, 1))


def fit_location_scale(
    series: Series, slots: Int64Array, slot: int, rows: Float64Array, row_means: BoolArray | None = None
) -> LocationScale:
    """Fit location and scale of one season slot, or of all windows while the slot has few.

    ``row_means`` is True for scores that are means over rows. Only the ratios of ``rows`` matter. A slot's
    scale is shrunk towards the pooled scale within all slots, because few windows determine it poorly.
    """
    weights = WindowWeights.of(rows, row_means)
    all_slots = _fit(series, weights)
    if not slots.any():
        return all_slots
    in_slot, values = slots == slot, series.to_array()
    pooled_variance = _within_slot_variance(values, slots, weights) * _row_deficit(rows, in_slot, row_means)
    slot_fit = _fit(Series.of(values[in_slot]), None if weights is None else weights.take(in_slot))
    return _shrink_slot(all_slots, slot_fit, pooled_variance)


def _row_deficit(rows: Float64Array, in_slot: BoolArray, row_means: BoolArray | None) -> Float64Array | float:
    # A slot's lack of rows inflates variances by this factor, except for means over rows, which have weights.
    is_counted = ~np.isnan(rows)
    if not (is_counted & in_slot).any():
        return 1.0
    ratio = max(1.0, float(rows[is_counted].mean() / rows[is_counted & in_slot].mean()))
    return ratio if row_means is None else np.where(row_means, 1.0, ratio)


def _shrink_slot(
    all_slots: LocationScale, slot_fit: LocationScale, pooled_variance: Float64Array
) -> LocationScale:
    degrees = np.maximum(slot_fit.n - 1, 0)
    shrunk_scale = np.sqrt(
        (slot_fit.scale**2 * degrees + _SHRINKAGE_WINDOWS * pooled_variance) / (degrees + _SHRINKAGE_WINDOWS)
    )
    is_thin = slot_fit.n < MIN_SLOT_WINDOWS
    return LocationScale(
        location=np.where(is_thin, all_slots.location, slot_fit.location),
        scale=np.where(is_thin, all_slots.scale, shrunk_scale),
        n=np.where(is_thin, all_slots.n, slot_fit.n),
        weight=np.where(is_thin, all_slots.weight, slot_fit.weight),
        degrees=np.where(
            is_thin, all_slots.degrees, np.minimum(degrees + _SHRINKAGE_WINDOWS, all_slots.degrees)
        ),
        n_all_slots=all_slots.n_all_slots,
    )


def leave_one_out(
    values: Float64Array,
    slots: Int64Array,
    rows: Float64Array,
    row_means: BoolArray | None = None,
    min_scale: Float64Array | float = 1e-12,
) -> Float64Array:
    """Return each window's deviations from the other windows of its slot, in units of the scale."""
    result, weights = np.empty_like(values), WindowWeights.of(rows, row_means)
    all_slots, has_slots = _fit(Series.of(values), weights), bool(slots.any())
    pooled_variance = _within_slot_variance(values, slots, weights) if has_slots else np.empty(0)
    for slot in np.unique(slots):
        in_slot = slots == slot
        fit, slot_weights = all_slots, None if weights is None else weights.take(in_slot)
        for_location = 1.0 if slot_weights is None else slot_weights.per_score(slot_weights.for_location)
        for_scale = 1.0 if slot_weights is None else slot_weights.per_score(slot_weights.for_scale)
        if has_slots:
            slot_fit = _fit(Series.of(values[in_slot]), slot_weights)
            fit = _shrink_slot(all_slots, slot_fit, pooled_variance * _row_deficit(rows, in_slot, row_means))
        # The mean excludes the window, which would pull the mean towards itself.
        inflation = np.sqrt(fit.weight / np.maximum(fit.weight - for_location, 1e-9))
        deviation = (
            (values[in_slot] - fit.location) * np.sqrt(for_location) * np.where(fit.n > 1, inflation, 1.0)
        )
        # The scale excludes it too, or an outlier would hide behind the scale that it inflates.
        degrees = np.maximum(fit.degrees, 3.0)
        square = deviation**2 * (for_scale / np.maximum(for_location, 1e-12))
        variance = np.maximum((fit.scale**2 * degrees - square) / (degrees - 1), 0.25 * fit.scale**2)
        result[in_slot] = deviation / np.maximum(np.sqrt(variance), min_scale)
    return result
