"""Maximum mean discrepancy: exact with permutations, and by random features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from harness import Line, Options, peak, timed

from driftwatch.detectors.mmd_exact import PERMUTATIONS, WIDTHS, kernel_widths, permuted


def _exact(rows: int, target: float, options: Options) -> Line:
    columns = 100
    random = np.random.default_rng(1)
    pooled = random.standard_normal((2 * rows, columns))
    order = random.integers(0, 2**63, 2 * rows).astype(np.uint64)

    def ours() -> None:
        widths = kernel_widths(pooled, order)
        assert widths is not None
        permuted(pooled, rows, widths, np.random.default_rng(2))

    # Half of the kernel against all permutations, and its own products; nothing new is allocated.
    block = 512
    kernel = random.random((block, block), dtype=np.float32)
    sides = random.random((block, PERMUTATIONS + 1), dtype=np.float32)
    some, others = (pooled[first : first + block].astype(np.float32) for first in (0, block))
    blocks = (2 * rows / block) ** 2 / 2
    product, powers = np.empty_like(sides), np.empty_like(kernel)

    def products() -> None:
        np.matmul(kernel, sides, out=product)
        np.matmul(some, others.T, out=powers)
        np.exp(kernel, out=powers)
        for _ in range(WIDTHS - 1):
            np.multiply(powers, powers, out=powers)
            np.add(kernel, powers, out=powers)

    floor = timed(products, options.runs, warm=2, calls=10)
    most = peak(ours)
    taken = timed(ours, options.runs if rows < 5000 else 3)
    return Line(
        name=f"mmd.exact{rows}",
        what=f"exact MMD, {PERMUTATIONS} permutations, {rows:,} + {rows:,} x {columns}",
        value=taken.cpu,
        target=target,
        floor=floor.cpu * blocks,
        floor_is=f"matrix products, one exp and its powers for {WIDTHS} kernel widths, one half",
        wall=taken.wall,
        mib=most,
        beside={"MiB allowed": 250},
    )


def exact_small(options: Options) -> Iterator[Line]:
    """Point 4."""
    yield _exact(2_000, 0.08, options)


def exact_large(options: Options) -> Iterator[Line]:
    """Point 4."""
    yield _exact(10_000, 1.4, options)


def features(options: Options) -> Iterator[Line]:
    """Point 4: aggregated random features of whole samples, from rows to the statistic."""
    from worlds import START, numbers, world

    from driftwatch.detectors.mmd import distances
    from driftwatch.summary.projection import BANDWIDTHS, Sums
    from driftwatch.summary.sample import RowSample

    one = world(50, hours=24)
    projection = one.built.reference.plan.projection
    before = one.built.reference.summary.sums
    assert projection is not None
    assert before is not None
    for rows, target in ((10_000, 0.25), (50_000, 1.2)):
        batch = numbers(rows, 50, seed=3, start=START)
        matrix = np.concatenate(
            [np.stack([c.to_numpy(zero_copy_only=False) for c in part.columns[1:]], axis=1) for part in batch]
        )
        hashes = np.random.default_rng(1).permutation(rows).astype(np.uint64)

        def ours(hashes=hashes, matrix=matrix, rows=rows) -> None:
            sample = RowSample.of(hashes, matrix, rows)
            distances(before, Sums.of(projection, sample), BANDWIDTHS)

        scaled = projection.scaled(matrix).astype(np.float32)

        def floor(scaled=scaled, frequencies=projection.frequencies) -> None:
            angles = scaled @ frequencies
            np.cos(angles)
            np.sin(angles)

        taken, least = timed(ours, options.runs), timed(floor, options.runs)
        yield Line(
            name=f"mmd.features{rows}",
            what=f"random features of {rows:,} x 50, {BANDWIDTHS} kernel widths",
            value=taken.cpu,
            target=target,
            floor=least.cpu,
            floor_is="matrix product, cosine, sine",
            wall=taken.wall,
            mib=peak(ours),
        )


LINES = {"mmd.exact2000": exact_small, "mmd.exact10000": exact_large, "mmd.features": features}
