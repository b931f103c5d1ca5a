"""Maximum mean discrepancy (MMD): exact with permutations, and by random Fourier features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from harness import Line, Options, measure_time, peak

from driftwatch.detectors.mmd_exact import PERMUTATIONS, WIDTHS, kernel_widths, permutation_statistics


def _exact(rows: int, target: float, options: Options) -> Line:
    columns = 100
    random = np.random.default_rng(1)
    pooled = random.standard_normal((2 * rows, columns))
    order = random.integers(0, 2**63, 2 * rows).astype(np.uint64)

    def work() -> None:
        widths = kernel_widths(pooled, order)
        assert widths is not None
        permutation_statistics(pooled, rows, widths, np.random.default_rng(2))

    # The floor: half of the kernel times all permutations, and the products of the kernel; allocates nothing.
    block = 512
    kernel = random.random((block, block), dtype=np.float32)
    sides = random.random((block, PERMUTATIONS + 1), dtype=np.float32)
    rows_a, rows_b = (pooled[first : first + block].astype(np.float32) for first in (0, block))
    blocks = (2 * rows / block) ** 2 / 2
    product, powers = np.empty_like(sides), np.empty_like(kernel)

    def products() -> None:
        np.matmul(kernel, sides, out=product)
        np.matmul(rows_a, rows_b.T, out=powers)
        np.exp(kernel, out=powers)
        for _ in range(WIDTHS - 1):
            np.multiply(powers, powers, out=powers)
            np.add(kernel, powers, out=powers)

    floor = measure_time(products, options.runs, warm=2, calls=10)
    peak_mib = peak(work)
    timing = measure_time(work, options.runs if rows < 5000 else 3)
    return Line(
        name=f"mmd.exact{rows}",
        what=f"exact MMD, {PERMUTATIONS} permutations, {rows:,} + {rows:,} x {columns}",
        value=timing.cpu,
        target=target,
        floor=floor.cpu * blocks,
        floor_is=f"matrix products, one exp and its powers for {WIDTHS} kernel widths, one half",
        wall=timing.wall,
        mib=peak_mib,
        beside={"MiB allowed": 250},
    )


def exact_small(options: Options) -> Iterator[Line]:
    """Point 4."""
    yield _exact(2_000, 0.08, options)


def exact_large(options: Options) -> Iterator[Line]:
    """Point 4."""
    yield _exact(10_000, 1.4, options)


def features(options: Options) -> Iterator[Line]:
    """Point 4: MMD by random features of whole samples, from rows to the statistic."""
    from worlds import START, numbers, world

    from driftwatch.detectors.mmd import distances
    from driftwatch.summary.projection import N_BANDWIDTHS, Sums
    from driftwatch.summary.sample import RowSample

    monitor = world(50, hours=24)
    projection = monitor.build.reference.plan.projection
    reference_sums = monitor.build.reference.summary.sums
    assert projection is not None
    assert reference_sums is not None
    for rows, target in ((10_000, 0.25), (50_000, 1.2)):
        batch = numbers(rows, 50, seed=3, start=START)
        matrix = np.concatenate(
            [np.stack([c.to_numpy(zero_copy_only=False) for c in part.columns[1:]], axis=1) for part in batch]
        )
        hashes = np.random.default_rng(1).permutation(rows).astype(np.uint64)

        def work(hashes=hashes, matrix=matrix, rows=rows) -> None:
            sample = RowSample.from_rows(hashes, matrix, rows)
            distances(reference_sums, Sums.from_sample(projection, sample), N_BANDWIDTHS)

        scaled_rows = projection.scale_rows(matrix).astype(np.float32)

        def floor(scaled_rows=scaled_rows, frequencies=projection.frequencies) -> None:
            angles = scaled_rows @ frequencies
            np.cos(angles)
            np.sin(angles)

        timing, floor_timing = measure_time(work, options.runs), measure_time(floor, options.runs)
        yield Line(
            name=f"mmd.features{rows}",
            what=f"random features of {rows:,} x 50, {N_BANDWIDTHS} kernel widths",
            value=timing.cpu,
            target=target,
            floor=floor_timing.cpu,
            floor_is="matrix product, cosine, sine",
            wall=timing.wall,
            mib=peak(work),
        )


LINES = {"mmd.exact2000": exact_small, "mmd.exact10000": exact_large, "mmd.features": features}
