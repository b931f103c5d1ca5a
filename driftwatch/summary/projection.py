"""Sums of a row sample for the joint detectors: random Fourier features, products, sign agreements.

The projection is frozen with the reference. Its sums are computed once per sealed tile, over the tile's
sample in hash order: one computation of fixed shape, the same whatever batches delivered the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from driftwatch.core.arrays import Float32Array, Float64Array, Int64Array
from driftwatch.summary.sample import RowSample

#: Kernel widths of the aggregated MMD, and random frequencies per width.
N_BANDWIDTHS = 10
N_FREQUENCIES = 64
#: Further frequencies per width, each of which acts on some of the columns only, so that others can be left
#: out; references of 0.1.0 have none.
N_PARTIAL_FREQUENCIES = 32
#: Scaled values are clipped to this many reference scales: one absurd value must not dominate a sum.
MAX_SCALED_VALUE = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """A map of sampled rows to ``d`` dimensions, and to ``F`` frequencies for each of ``B`` kernel widths."""

    #: ``[d, 2]``, the dimensions: column position in the sample, and the cell of a level, or -1 if numeric.
    inputs: Int64Array
    #: ``[d]``, from the reference; ``scale`` as well.
    center: Float64Array
    scale: Float64Array
    #: ``[d, B * F]``: whole frequencies by kernel width, then partial ones by kernel width.
    frequencies: Float32Array
    #: ``[p, 2]``: the pairs of most correlated numeric dimensions.
    pairs: Int64Array

    @property
    def width(self) -> int:
        return len(self.inputs)

    @property
    def whole(self) -> Projection:
        """The same without partial frequencies."""
        return replace(self, frequencies=self.frequencies[:, : N_BANDWIDTHS * N_FREQUENCIES])

    @property
    def partial_frequencies(self) -> Float32Array:
        """``[d, B, F]``; 0 where a frequency does not act on a dimension."""
        partial = self.frequencies[:, N_BANDWIDTHS * N_FREQUENCIES :]
        return partial.reshape(self.width, N_BANDWIDTHS, -1)

    def scale_rows(self, rows: Float64Array) -> Float64Array:
        """Return rows centred and scaled by the reference; a missing value becomes 0."""
        input_values = rows[:, self.inputs[:, 0]]
        one_hot = self.inputs[:, 1] >= 0
        if one_hot.any():
            input_values = input_values.copy()
            input_values[:, one_hot] = input_values[:, one_hot] == self.inputs[one_hot, 1]
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = (input_values - self.center) / self.scale
        return np.clip(
            np.nan_to_num(scaled, nan=0.0, posinf=MAX_SCALED_VALUE, neginf=-MAX_SCALED_VALUE),
            -MAX_SCALED_VALUE,
            MAX_SCALED_VALUE,
        )

    def fourier_features(self, scaled: Float64Array) -> Float64Array:
        """Return random Fourier features (Rahimi, Recht 2007): cosines, then sines."""
        angles = scaled.astype(np.float32) @ self.frequencies
        features, count = np.empty((len(angles), 2 * angles.shape[1])), angles.shape[1]
        features[:, :count], features[:, count:] = np.cos(angles), np.sin(angles)
        return features


def whole_features(features: Float64Array) -> Float64Array:
    """Return cosines and sines, ``[..., 2, B * F]``, of the whole frequencies of ``[..., features]``."""
    return features.reshape(*features.shape[:-1], 2, -1)[..., : N_BANDWIDTHS * N_FREQUENCIES]


def partial_features(features: Float64Array) -> Float64Array:
    return features.reshape(*features.shape[:-1], 2, -1)[..., N_BANDWIDTHS * N_FREQUENCIES :]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """Sums over the rows of a sample, copies included."""

    rows: int
    #: Sums of ``fourier_features``.
    features: Float64Array
    #: ``[d]``.
    values: Float64Array
    #: ``[d, d]``.
    products: Float64Array
    #: ``[p]``: rows with both values of a pair on the same side of the reference's centre; ``paired[p]``
    #: counts the rows with neither value at the centre.
    agreeing: Int64Array
    paired: Int64Array

    @classmethod
    def from_sample(cls, projection: Projection, sample: RowSample) -> Sums:
        """Compute the sums in hash order, in O(k d F) for k distinct rows."""
        scaled = projection.scale_rows(sample.rows)
        weights = sample.weights.astype(np.float64)
        left, right = scaled[:, projection.pairs[:, 0]], scaled[:, projection.pairs[:, 1]]
        off_centre = (left != 0) & (right != 0)
        agree = off_centre & ((left > 0) == (right > 0))
        return cls(
            rows=sample.size,
            features=weights @ projection.fourier_features(scaled),
            values=weights @ scaled,
            products=(scaled * weights[:, None]).T @ scaled,
            agreeing=sample.weights @ agree.astype(np.int64),
            paired=sample.weights @ off_centre.astype(np.int64),
        )

    def __eq__(self, right: object) -> bool:
        return isinstance(right, Sums) and all(
            np.array_equal(getattr(self, item.name), getattr(right, item.name)) for item in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, right: Sums) -> Sums:
        return self._combine(right, 1)

    def __sub__(self, right: Sums) -> Sums:
        return self._combine(right, -1)

    def _combine(self, right: Sums, sign: int) -> Sums:
        return Sums(
            rows=self.rows + sign * right.rows,
            features=self.features + sign * right.features,
            values=self.values + sign * right.values,
            products=self.products + sign * right.products,
            agreeing=self.agreeing + sign * right.agreeing,
            paired=self.paired + sign * right.paired,
        )

    def correlation(self) -> Float64Array:
        """Return the correlation matrix; NaN where a dimension does not vary."""
        if self.rows < 2:
            return np.full_like(self.products, np.nan)
        mean = self.values / self.rows
        covariance = self.products / self.rows - np.outer(mean, mean)
        std = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation: Float64Array = covariance / np.outer(std, std)
        correlation[std < 1e-9] = np.nan
        correlation[:, std < 1e-9] = np.nan
        return correlation
