"""Exact quadratic-time MMD with a permutation test, for small samples of rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float32Array, Float64Array, UInt64Array
from driftwatch.detectors._pages.furthest_columns import joint_words
from driftwatch.detectors._support import effect_text, p_values
from driftwatch.detectors._support.bases import NO_WINDOW_SAMPLE
from driftwatch.detectors.base import Detector, JointDetector, WindowContext
from driftwatch.results.results import Statistic
from driftwatch.summary.reference import Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.summary import Summary

#: Largest number of sampled rows per side; more are not compared, because the cost is quadratic.
MAX_ROWS = 5_000
PERMUTATIONS = 500
#: Number of kernel widths that are averaged, and of pooled rows whose distances choose them.
WIDTHS = 5
_MAX_WIDTH_ROWS = 500
#: Column of the side matrix that is 1 for all rows, after the observed sides and the permutations.
_ALL_ROWS_COLUMN = PERMUTATIONS + 1
#: Rows and columns of a block of the kernel, and rows of a strip, in which it is computed. With more rows all
#: sides are read less often.
_BLOCK_ROWS, _BLOCK_COLUMNS, _STRIP_ROWS = 640, 768, 128
#: Columns of a block that ends on the diagonal, half of which is computed twice.
_DIAGONAL_COLUMNS = 128
#: Random numbers per call of the generator.
_MAX_RANDOM_NUMBERS = 1 << 17
#: Largest power to which a kernel is raised: a power of p multiplies the rounding error by p.
_MAX_POWER = 100


_NO_SAMPLE = "the row samples were not kept: a daemon keeps them with storage.row_sample: true"


class ExactMeanDiscrepancy(JointDetector):
    """Unbiased squared MMD between the row samples of both sides.

    Null hypothesis: the sampled rows of reference and window come from one joint distribution.
    Formula: ``MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`` over different rows, ``k`` the mean
    of 5 Gaussian kernels. Their widths run geometrically from about half the 5 % to about twice the 95 %
    quantile of the distances between pooled rows: chosen without the sides, so the permutation test stays
    exact, and never one median width, which misses changes at a finer scale. Each kernel is a whole power
    of the next wider one, so that one exponential gives all of them.
    Source: Gretton et al. 2012, equation 3; Schrab et al. 2023 for the widths. 500 permutations, drawn
    from the reference's fingerprint and the window's span: the same inputs give the same p-value.
    False alarms: exact at any size for exchangeable rows, (b + 1) / 501, never below .002.
    Cost: O((n + m)^2 (d + 500)) in float32 blocks, symmetric half only; .1 s at 1,000 rows a side,
    seconds at 5,000. Runs only when a configuration names it.
    Example: the winners of 144 horse races by starting post, with 8 posts equally likely: chi-square is 16.3
    (Siegel 1956, chapter 4). Levels that are equally frequent in the reference are all at one distance, half
    the widest kernel's width. So MMD^2 is a multiple of chi-square less what chance adds to it: 7 (its
    degrees of freedom) for the 144 races and 143 * 7 / 199 for the 200 rows of the reference.

    >>> import numpy as np
    >>> import driftwatch
    >>> posts, winners = ["1", "2", "3", "4", "5", "6", "7", "8"], [29, 19, 18, 25, 17, 10, 15, 11]
    >>> even, races = {"post": posts * 25}, {"post": np.repeat(posts, winners)}
    >>> result = driftwatch.compare(even, races, detectors=["mmd_exact"]).joint[0]
    >>> kernel = float(np.exp(-1 / np.array([0.5, 1, 2, 4, 8])).mean())
    >>> round(143 * 8 * result.value / (1 - kernel) + 7 + 143 * 7 / 199, 1)
    16.3
    """

    name = "mmd_exact"
    unit = "squared kernel distance"
    default = False
    label = "all columns together"
    display_rank = 95
    #: A comparison takes a second or two on so many rows; the cost is quadratic.
    max_sample_rows = 2_000

    def applies(self, reference: Reference) -> bool:
        return reference.plan.projection is not None

    def measure(self, window: WindowContext) -> Statistic:
        """Return unbiased MMD^2, which may be slightly below 0 without drift."""
        reference = window.reference
        reference_sample, window_sample, projection = (
            reference.summary.sample,
            window.window.sample,
            reference.plan.projection,
        )
        if reference_sample is None or window_sample is None or projection is None:
            reason = NO_WINDOW_SAMPLE if window.window.sums is None else _NO_SAMPLE
            return self.gauge((0, 0), None, undefined=reason)
        rows = (reference_sample.size, window_sample.size)
        if min(rows) < 2 or max(rows) > MAX_ROWS:
            requirement = f"2 to {MAX_ROWS:,} sampled rows are needed on both sides"
            return self.gauge(rows, None, undefined=f"{requirement}, got {rows[0]:,} and {rows[1]:,}")
        pooled = projection.scale_rows(
            np.concatenate([_weighted_rows(reference_sample), _weighted_rows(window_sample)])
        )
        widths = kernel_widths(
            pooled, np.concatenate([_weighted_hashes(reference_sample), _weighted_hashes(window_sample)])
        )
        if widths is None:
            return self.gauge(rows, None, undefined="all sampled rows are equal")
        value, null = permutation_statistics(pooled, rows[0], widths, _generator(reference, window.window))
        n_reached = int(np.count_nonzero(null >= value))
        return self.gauge(
            rows,
            value,
            p_value=p_values.clip_p_value((n_reached + 1) / (len(null) + 1)),
            effect=f"all columns together: squared distance {effect_text.format_number(value)}, "
            f"without drift up to {effect_text.format_number(float(np.quantile(null, 0.95)))}",
        )

    def page_words(self, window: WindowContext, effect: str) -> tuple[str, tuple[str, ...]]:
        return joint_words(window, effect.partition(": ")[2]) if effect else (effect, ())


def kernel_widths(pooled: Float64Array, order: UInt64Array) -> Float64Array | None:
    """Return five widths from distances between up to 500 of the ``pooled`` rows; None if all are equal.

    ``order`` chooses rows by content, not by side.
    """
    ranking = np.argsort(order, kind="stable")
    sample = pooled[
        ranking[np.linspace(0, len(ranking) - 1, min(_MAX_WIDTH_ROWS, len(ranking))).astype(np.int64)]
    ]
    squares = (sample**2).sum(axis=1)
    squared_distances = squares[:, None] + squares[None, :] - 2 * sample @ sample.T
    distances = np.sort(squared_distances[~np.tri(len(sample), dtype=bool)])
    distances = distances[np.searchsorted(distances, 1e-12, side="right") :]
    if not len(distances):
        return None
    low, high = np.sqrt(distances[[len(distances) // 20, len(distances) * 19 // 20]])
    # Squared widths have one whole ratio, so that they span the distances as closely as possible: low / 2 to
    # 2 high is a factor of 4 high / low, in as many steps as there are widths but one.
    power = max(2, round((4 * high / low) ** (2 / (WIDTHS - 1))))
    widths: Float64Array = np.sqrt(low * high) * np.sqrt(power) ** (np.arange(WIDTHS) - (WIDTHS - 1) / 2)
    return widths


def permutation_statistics(
    pooled: Float64Array, n: int, widths: Float64Array, generator: np.random.Generator
) -> tuple[float, Float64Array]:
    """Return MMD^2 of the first ``n`` rows against the others, and of each permutation."""
    # The kernel K is never in memory whole: blocks of its upper half are multiplied by S, the 0/1 matrix of
    # all side assignments and of all rows.
    rows, m = len(pooled), len(pooled) - n
    sides, kernel = _side_matrix(rows, n, generator), _Kernel.from_rows(pooled, widths)
    first_first, first_all = np.zeros(sides.shape[1]), np.zeros(sides.shape[1])
    for top in range(0, rows, _BLOCK_ROWS):
        block_rows = slice(top, min(top + _BLOCK_ROWS, rows))
        product = np.zeros((block_rows.stop - top, sides.shape[1]))
        # The kernel is symmetric, so only blocks on and above the diagonal are computed.
        starts = [
            *range(top, block_rows.stop, _DIAGONAL_COLUMNS),
            *range(block_rows.stop, rows, _BLOCK_COLUMNS),
            rows,
        ]
        for block_columns in map(slice, starts, starts[1:]):
            upper_rows = slice(top, min(block_rows.stop, block_columns.stop))
            product[: upper_rows.stop - top] += kernel.block(upper_rows, block_columns) @ sides[block_columns]
        # Each pair of rows counts twice.
        first_first += 2 * np.einsum("ij,ij->j", product, sides[block_rows])
        first_all += product[:, _ALL_ROWS_COLUMN] @ sides[block_rows] + product.sum(axis=0)
    total, first_first, first_all = (
        first_first[_ALL_ROWS_COLUMN],
        first_first[:_ALL_ROWS_COLUMN],
        first_all[:_ALL_ROWS_COLUMN],
    )
    first_second = first_all - first_first
    second_second = total - 2 * first_all + first_first
    values = first_first / (n * (n - 1)) + second_second / (m * (m - 1)) - 2 * first_second / (n * m)
    values /= len(widths)
    return float(values[0]), values[1:]


def _side_matrix(rows: int, n: int, generator: np.random.Generator) -> Float32Array:
    # 1 means a row of the first side: column 0 as observed, other columns ``n`` random rows.
    # Column _ALL_ROWS_COLUMN has 1 for all rows, the columns after it 0.
    sides = np.zeros((rows, -(-(_ALL_ROWS_COLUMN + 1) // 8) * 8), dtype=np.float32)
    sides[:n, 0] = sides[:, _ALL_ROWS_COLUMN] = 1
    step = max(1, _MAX_RANDOM_NUMBERS // rows)
    for start in range(1, _ALL_ROWS_COLUMN, step):
        stop = min(start + step, _ALL_ROWS_COLUMN)
        # Cast before transposing, because numpy does both at once at half the speed.
        sides[:, start:stop] = _random_subsets(stop - start, rows, n, generator).astype(np.float32).T
    return sides


def _random_subsets(count: int, rows: int, n: int, generator: np.random.Generator) -> BoolArray:
    # ``[subset, row]``.
    # Rows with the smallest random numbers are chosen, which is many times faster than a shuffle.
    draws = generator.integers(0, 1 << 32, (count, rows), dtype=np.uint32)
    partition = np.partition(draws, n - 1, axis=1)
    threshold = partition[:, n - 1]
    subsets: BoolArray = draws <= threshold[:, None]
    # A second number equal to the threshold would give one row too many.
    ties = np.flatnonzero(partition[:, n:].min(axis=1) == threshold)
    if len(ties):
        subsets[ties] = _random_subsets(len(ties), rows, n, generator)
    return subsets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """Blocks of the sum of Gaussian kernels, shifted by about its mean, with 0 on the diagonal.

    ``left @ right`` are the exponents of the widest of ``count`` kernels. Each other kernel is the
    ``power``-th power of the next wider one.
    """

    left: Float32Array
    right: Float32Array
    power: int
    count: int
    centre: np.float32

    @classmethod
    def from_rows(cls, pooled: Float64Array, widths: Float64Array) -> _Kernel:
        points = (pooled - pooled.mean(axis=0)).astype(np.float32)
        squares = np.einsum("ij,ij->i", points, points)[:, None]
        ones, factor = np.ones_like(squares), np.float32(-0.5 / widths[-1] ** 2)
        kernel = cls(
            left=factor * np.hstack([points, squares, ones]),
            right=np.vstack([-2 * points.T, ones.T, squares.T]),
            power=round(float((widths[-1] / widths[-2]) ** 2)),
            count=len(widths),
            centre=np.float32(0),
        )
        # MMD^2 does not depend on a constant in the kernel; subtracting one keeps the digits of float32 sums.
        strip = slice(0, min(_STRIP_ROWS, len(points)))
        return replace(kernel, centre=np.float32(2 * kernel.block(strip, strip).mean(dtype=np.float64)))

    def block(self, rows: slice, columns: slice) -> Float32Array:
        block = np.empty((rows.stop - rows.start, columns.stop - columns.start), dtype=np.float32)
        # Strips are small enough for the processor's cache.
        right = np.ascontiguousarray(self.right[:, columns])
        for first in range(0, len(block), _STRIP_ROWS):
            total = block[first : first + _STRIP_ROWS]
            self._sum_kernels(self.left[rows.start + first : rows.start + first + len(total)] @ right, total)
        if columns.start < rows.stop:
            # A square on the diagonal holds each pair twice.
            diagonal = block[columns.start - rows.start :]
            diagonal *= np.float32(0.5)
            np.fill_diagonal(diagonal, 0.0)
        return block

    def _sum_kernels(self, exponents: Float32Array, total: Float32Array) -> None:
        kernel = np.exp(exponents)
        np.subtract(kernel, self.centre, out=total)
        power_since_exp = 1
        for width in range(1, self.count):
            power_since_exp *= self.power
            if power_since_exp <= _MAX_POWER:
                _power_in_place(kernel, self.power)
            else:
                power_since_exp = 1
                np.exp(np.multiply(exponents, np.float32(self.power**width), out=kernel), out=kernel)
            np.add(total, kernel, out=total)


def _power_in_place(numbers: Float32Array, power: int) -> None:
    # Repeated squaring.
    base = numbers.copy() if power & (power - 1) else numbers
    for bit in bin(power)[3:]:
        np.multiply(numbers, numbers, out=numbers)
        if bit == "1":
            np.multiply(numbers, base, out=numbers)


def _weighted_rows(sample: RowSample) -> Float64Array:
    return np.repeat(sample.rows, sample.weights, axis=0)


def _weighted_hashes(sample: RowSample) -> UInt64Array:
    return np.repeat(sample.hashes, sample.weights)


def _generator(reference: Reference, window: Summary) -> np.random.Generator:
    text = f"{reference.fingerprint}:{window.span.start}:{window.span.end}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


DETECTOR: Detector = ExactMeanDiscrepancy()
