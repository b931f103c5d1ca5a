"""Exact quadratic-time MMD with a permutation test, for small samples of rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float32Array, Float64Array, UInt64Array
from driftwatch.core.schema import Column
from driftwatch.detectors._support import effects, p_values
from driftwatch.detectors._support.bases import Joint
from driftwatch.detectors.base import Detector
from driftwatch.results.results import Statistic
from driftwatch.summary.reference import Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.summary import Summary

#: More sampled rows on one side are not compared: the cost is quadratic.
MOST_ROWS = 5_000
PERMUTATIONS = 500
#: Kernel widths averaged, and pooled rows whose distances choose them.
WIDTHS = 5
_PROBED = 500
#: Where the column of all rows stands, behind the sides as they are and the permutations.
_ALL = PERMUTATIONS + 1
#: Rows and columns of a block of the kernel, and rows of the strips it is worked out in. The more rows, the
#: less often all sides are read again.
_ROWS, _COLUMNS, _STRIP = 640, 768, 128
#: Columns of a block that ends on the diagonal, of which half is worked out twice.
_OWN = 128
#: Random numbers that are drawn together.
_DRAWN = 1 << 17
#: A kernel is not raised to a higher power than this: each one costs as many times a float's last digit.
_HIGHEST = 100


_NO_SAMPLE = "the row samples were not kept: a daemon keeps them with storage.row_sample: true"


class ExactMeanDiscrepancy(Joint):
    """Unbiased squared MMD between the row samples of both sides.

    Null hypothesis: the sampled rows of reference and window come from one joint distribution.
    Formula: ``MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`` over different rows, ``k`` the mean
    of 5 Gaussian kernels whose widths run geometrically from about half the 5 % to about twice the 95 %
    quantile of the distances between pooled rows: chosen without looking at the sides, so the permutation
    test stays exact, and never one median width, which misses changes at a finer scale. Each kernel is a
    whole power of the next wider one, so that one exponential gives all of them.
    Source: Gretton et al. 2012, equation 3; Schrab et al. 2023 for the widths. 500 permutations, drawn
    from the reference's fingerprint and the window's span: the same inputs give the same p-value.
    False alarms: exact at any size for exchangeable rows, (b + 1) / 501, never below .002.
    Cost: O((n + m)^2 (d + 500)) in float32 blocks, symmetric half only; .1 s at 1,000 rows a side,
    seconds at 5,000. Runs only when asked for.
    Example: the winners of 144 horse races by starting post, 8 posts held equally likely: chi-square is 16.3
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
    evidence = False

    def applies(self, column: Column | None, reference: Reference) -> bool:
        """True when the reference carries a projection and its row sample."""
        return column is None and reference.plan.projection is not None

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Unbiased MMD^2; slightly below 0 is normal without drift."""
        before, after, projection = reference.summary.sample, window.sample, reference.plan.projection
        if before is None or after is None or projection is None:
            return self.gauge((0, 0), None, undefined=_NO_SAMPLE)
        rows = (before.size, after.size)
        if min(rows) < 2 or max(rows) > MOST_ROWS:
            wanted = f"2 to {MOST_ROWS:,} sampled rows are needed on both sides"
            return self.gauge(rows, None, undefined=f"{wanted}, got {rows[0]:,} and {rows[1]:,}")
        pooled = projection.scaled(np.concatenate([_repeated(before), _repeated(after)]))
        widths = kernel_widths(pooled, np.concatenate([_hashes(before), _hashes(after)]))
        if widths is None:
            return self.gauge(rows, None, undefined="all sampled rows are equal")
        value, null = permuted(pooled, rows[0], widths, _generator(reference, window))
        reached = int(np.count_nonzero(null >= value))
        return self.gauge(
            rows,
            value,
            p_value=p_values.bounded((reached + 1) / (len(null) + 1)),
            effect=f"all columns together: squared distance {effects.number(value)}, "
            f"without drift up to {effects.number(float(np.quantile(null, 0.95)))}",
        )


def kernel_widths(pooled: Float64Array, order: UInt64Array) -> Float64Array | None:
    """Widths ``[5]`` from distances between up to 500 of the ``pooled`` rows; None when all are equal.

    ``order`` picks them by what they hold, not by the side they are on. The square of each is the same whole
    multiple of the one before: they span the distances as nearly as that can.
    """
    ranked = np.argsort(order, kind="stable")
    some = pooled[ranked[np.linspace(0, len(ranked) - 1, min(_PROBED, len(ranked))).astype(np.int64)]]
    squares = (some**2).sum(axis=1)
    squared = squares[:, None] + squares[None, :] - 2 * some @ some.T
    apart = np.sort(squared[~np.tri(len(some), dtype=bool)])
    apart = apart[np.searchsorted(apart, 1e-12, side="right") :]
    if not len(apart):
        return None
    low, high = np.sqrt(apart[[len(apart) // 20, len(apart) * 19 // 20]])
    # Half the one to twice the other is 4 high / low, in as many steps as there are widths but one.
    power = max(2, round((4 * high / low) ** (2 / (WIDTHS - 1))))
    widths: Float64Array = np.sqrt(low * high) * np.sqrt(power) ** (np.arange(WIDTHS) - (WIDTHS - 1) / 2)
    return widths


def permuted(
    pooled: Float64Array, n: int, widths: Float64Array, generator: np.random.Generator
) -> tuple[float, Float64Array]:
    """MMD^2 of the first ``n`` rows against the others, and the same for each permutation.

    The kernel is never held whole: the upper half, in blocks, of ``K S`` for the 0/1 matrix ``S`` of all side
    assignments and of all rows. ``K`` is centred by a constant, to which MMD^2 does not respond and which
    keeps float32 sums from losing digits. ``widths`` are ``kernel_widths``.
    """
    rows, m = len(pooled), len(pooled) - n
    sides, kernel = _sides(rows, n, generator), _Kernel.of(pooled, widths)
    inside, across = np.zeros(sides.shape[1]), np.zeros(sides.shape[1])
    for top in range(0, rows, _ROWS):
        a = slice(top, min(top + _ROWS, rows))
        product = np.zeros((a.stop - top, sides.shape[1]))
        # What lies below the diagonal stands above it too.
        starts = [*range(top, a.stop, _OWN), *range(a.stop, rows, _COLUMNS), rows]
        for b in map(slice, starts, starts[1:]):
            above = slice(top, min(a.stop, b.stop))
            product[: above.stop - top] += kernel.block(above, b) @ sides[b]
        # Each pair of rows stands for two.
        inside += 2 * np.einsum("ij,ij->j", product, sides[a])
        across += product[:, _ALL] @ sides[a] + product.sum(axis=0)
    total, inside, across = inside[_ALL], inside[:_ALL], across[:_ALL]
    between = across - inside
    others = total - 2 * across + inside
    values = inside / (n * (n - 1)) + others / (m * (m - 1)) - 2 * between / (n * m)
    values /= len(widths)
    return float(values[0]), values[1:]


def _sides(rows: int, n: int, generator: np.random.Generator) -> Float32Array:
    """1 for rows of the first side: as they are, then ``n`` of them at random for each permutation.

    Column ``_ALL`` has 1 for all rows, those behind it 0. ``n`` at random have the smallest of so many random
    numbers: many times as fast as to shuffle.
    """
    sides = np.zeros((rows, -(-(_ALL + 1) // 8) * 8), dtype=np.float32)
    sides[:n, 0] = sides[:, _ALL] = 1
    step = max(1, _DRAWN // rows)
    for start in range(1, _ALL, step):
        stop = min(start + step, _ALL)
        # As float32 before it is turned: numpy turns and casts at once at half the speed.
        sides[:, start:stop] = _drawn(stop - start, rows, n, generator).astype(np.float32).T
    return sides


def _drawn(count: int, rows: int, n: int, generator: np.random.Generator) -> BoolArray:
    """``n`` of the rows at random, so many times."""
    draws = generator.integers(0, 1 << 32, (count, rows), dtype=np.uint32)
    ordered = np.partition(draws, n - 1, axis=1)
    least = ordered[:, n - 1]
    chosen: BoolArray = draws <= least[:, None]
    # Another one equal to the last of them would be one too many.
    tied = np.flatnonzero(ordered[:, n:].min(axis=1) == least)
    if len(tied):
        chosen[tied] = _drawn(len(tied), rows, n, generator)
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """Blocks of the sum of Gaussian kernels, less about its mean; 0 on the diagonal.

    ``left[n]`` and ``right[:, n]`` are two forms of the points, whose products are the exponents of the
    widest kernel. Each of the others, ``count`` in all, is the one before to the ``power``.
    """

    left: Float32Array
    right: Float32Array
    power: int
    count: int
    centre: np.float32

    @classmethod
    def of(cls, pooled: Float64Array, widths: Float64Array) -> _Kernel:
        """Of these points and widths."""
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
        some = slice(0, min(_STRIP, len(points)))
        return replace(kernel, centre=np.float32(2 * kernel.block(some, some).mean(dtype=np.float64)))

    def block(self, a: slice, b: slice) -> Float32Array:
        """The block of rows ``a`` and columns ``b``, in strips that stay in the cache.

        Half of it where ``b`` are the last of the rows ``a``: every pair of them is in it twice.
        """
        found = np.empty((a.stop - a.start, b.stop - b.start), dtype=np.float32)
        right = np.ascontiguousarray(self.right[:, b])
        for first in range(0, len(found), _STRIP):
            total = found[first : first + _STRIP]
            self._sum(self.left[a.start + first : a.start + first + len(total)] @ right, total)
        if b.start < a.stop:
            own = found[b.start - a.start :]
            own *= np.float32(0.5)
            np.fill_diagonal(own, 0.0)
        return found

    def _sum(self, exponents: Float32Array, total: Float32Array) -> None:
        """Put the sum of the kernels into ``total``."""
        kernel = np.exp(exponents)
        np.subtract(kernel, self.centre, out=total)
        raised = 1
        for width in range(1, self.count):
            raised *= self.power
            if raised <= _HIGHEST:
                _raise(kernel, self.power)
            else:
                raised = 1
                np.exp(np.multiply(exponents, np.float32(self.power**width), out=kernel), out=kernel)
            np.add(total, kernel, out=total)


def _raise(numbers: Float32Array, power: int) -> None:
    """Raise to a whole power, by squares."""
    once = numbers.copy() if power & (power - 1) else numbers
    for bit in bin(power)[3:]:
        np.multiply(numbers, numbers, out=numbers)
        if bit == "1":
            np.multiply(numbers, once, out=numbers)


def _repeated(sample: RowSample) -> Float64Array:
    return np.repeat(sample.rows, sample.weights, axis=0)


def _hashes(sample: RowSample) -> UInt64Array:
    return np.repeat(sample.hashes, sample.weights)


def _generator(reference: Reference, window: Summary) -> np.random.Generator:
    """Random numbers that depend on what is compared only."""
    text = f"{reference.fingerprint}:{window.span.start}:{window.span.end}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


DETECTOR: Detector = ExactMeanDiscrepancy()
