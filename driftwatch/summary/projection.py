"""What the joint detectors need of a row sample: random Fourier features, products, sign agreements.

The projection is frozen with the reference. Its sums are computed once per sealed tile, over the tile's row
sample in hash order: one computation of fixed shape, the same whatever batches delivered the sample.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from driftwatch.core.arrays import Float32Array, Float64Array, Int64Array
from driftwatch.summary.sample import RowSample

#: Kernel widths of the aggregated MMD and random frequencies for each.
BANDWIDTHS = 10
FREQUENCIES = 64
#: Scaled values are cut here so that one absurd value does not decide a whole sum.
CUT = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """How a sampled row becomes numbers.

    ``inputs[d]`` names each dimension: (column position in the sample, cell or -1 for a numeric column).
    ``center[d]`` and ``scale[d]`` come from the reference. ``frequencies[d, B * F]`` belong to ``B``
    kernel widths. ``pairs[p, 2]`` are the most correlated numeric dimensions.
    """

    inputs: Int64Array
    center: Float64Array
    scale: Float64Array
    frequencies: Float32Array
    pairs: Int64Array

    @property
    def width(self) -> int:
        """Dimensions ``d``."""
        return len(self.inputs)

    def scaled(self, rows: Float64Array) -> Float64Array:
        """Rows ``[n, d]`` in reference units; a missing value sits at the reference's centre."""
        picked = rows[:, self.inputs[:, 0]]
        one_hot = self.inputs[:, 1] >= 0
        if one_hot.any():
            picked = picked.copy()
            picked[:, one_hot] = picked[:, one_hot] == self.inputs[one_hot, 1]
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = (picked - self.center) / self.scale
        return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=CUT, neginf=-CUT), -CUT, CUT)

    def features(self, scaled: Float64Array) -> Float64Array:
        """Random Fourier features ``[n, 2 * B * F]`` (Rahimi, Recht 2007): cosines, then sines."""
        angles = scaled.astype(np.float32) @ self.frequencies
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """Sums over a sample of ``rows`` rows.

    ``features[2BF]``, ``values[d]``, ``products[d, d]``; for each pair ``agreeing[p]`` of ``paired[p]``
    rows had both values on the same side of the reference's centre.
    """

    rows: int
    features: Float64Array
    values: Float64Array
    products: Float64Array
    agreeing: Int64Array
    paired: Int64Array

    @classmethod
    def of(cls, projection: Projection, sample: RowSample) -> Sums:
        """Sums over the sample, in hash order. O(k d F)."""
        scaled = projection.scaled(sample.rows)
        weights = sample.weights.astype(np.float64)
        left, right = scaled[:, projection.pairs[:, 0]], scaled[:, projection.pairs[:, 1]]
        off_centre = (left != 0) & (right != 0)
        agree = off_centre & ((left > 0) == (right > 0))
        return cls(
            rows=sample.size,
            features=weights @ projection.features(scaled),
            values=weights @ scaled,
            products=(scaled * weights[:, None]).T @ scaled,
            agreeing=sample.weights @ agree.astype(np.int64),
            paired=sample.weights @ off_centre.astype(np.int64),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sums) and all(
            np.array_equal(getattr(self, item.name), getattr(other, item.name)) for item in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Sums) -> Sums:
        return self._combine(other, 1)

    def __sub__(self, other: Sums) -> Sums:
        return self._combine(other, -1)

    def _combine(self, other: Sums, sign: int) -> Sums:
        return Sums(
            rows=self.rows + sign * other.rows,
            features=self.features + sign * other.features,
            values=self.values + sign * other.values,
            products=self.products + sign * other.products,
            agreeing=self.agreeing + sign * other.agreeing,
            paired=self.paired + sign * other.paired,
        )

    def correlation(self) -> Float64Array:
        """Correlation matrix ``[d, d]``; NaN where a dimension does not vary."""
        if self.rows < 2:
            return np.full_like(self.products, np.nan)
        mean = self.values / self.rows
        covariance = self.products / self.rows - np.outer(mean, mean)
        spread = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation: Float64Array = covariance / np.outer(spread, spread)
        correlation[spread < 1e-9] = np.nan
        correlation[:, spread < 1e-9] = np.nan
        return correlation
