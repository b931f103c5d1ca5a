"""Level and power of the aggregated random-feature MMD on the benchmark of MMD-FUSE.

Biggs, Schrab, Gretton 2023, section 5: 500 rows a side, level 5 %, 200 repetitions there and here, of
which ``make test`` runs the first 80. A rival's published power is reached when at least as many of our runs
reject; seeds are fixed, so counts are exact.
Powers here and there: uniform perturbed in d = 1 by .4: FUSE .825, ACTT .725; in d = 2 by .8: FUSE .885, ACTT
.725; four Gaussians one of which has standard deviation 1.6: FUSE .635, ACTT .415.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from soak import length

from driftwatch.core.arrays import Float64Array
from driftwatch.detectors.mmd import _p_value, distances
from driftwatch.reference.choose_projection import frequencies, kernel_widths
from driftwatch.reference.joint import joint_null
from driftwatch.summary.projection import N_BANDWIDTHS, Projection, Sums
from driftwatch.summary.reference import JointNull
from driftwatch.summary.sample import RowSample

ROWS, REPEATS, LEVEL = 500, length(80, 200), 0.05
MEANS = np.array([[20, 20], [20, -20], [-20, 20], [-20, -20]])


def sample(rows: Float64Array) -> RowSample:
    order = np.arange(1, len(rows) + 1, dtype=np.uint64)
    return RowSample(hashes=order, weights=np.ones(len(rows), dtype=np.int64), rows=rows, limit=len(rows))


def learn(rows: Float64Array, seed: int) -> tuple[Projection, Sums, JointNull]:
    """Projection, sums and joint null of these rows, in any number of dimensions."""
    dimensions = rows.shape[1]
    inputs = np.stack([np.arange(dimensions), np.full(dimensions, -1)], axis=1)
    centre, scale = np.median(rows, axis=0), rows.std(axis=0)
    widths = kernel_widths((rows - centre) / scale)
    assert widths is not None
    directions = frequencies(dimensions, seed) / widths[None, :, None]
    projection = Projection(
        inputs=inputs,
        center=centre,
        scale=scale,
        frequencies=directions.reshape(dimensions, -1).astype(np.float32),
        pairs=np.empty((0, 2), dtype=np.int64),
    )
    row_sample = sample(rows)
    return projection, Sums.from_sample(projection, row_sample), joint_null(projection, row_sample, seed)


def rejects(reference: tuple[Projection, Sums, JointNull], window: Float64Array) -> bool:
    projection, reference_sums, null = reference
    observed = distances(reference_sums, Sums.from_sample(projection, sample(window)), N_BANDWIDTHS)
    return _p_value(observed, null) <= LEVEL


def bump(x: Float64Array) -> Float64Array:
    """The perturbation ``G`` of their section 5.1."""
    values = np.zeros_like(x)
    for low, sign, centre in ((-1.0, 1.0, 3.0), (-0.5, -1.0, 1.0)):
        inside = (x > low) & (x < low + 0.5)
        values[inside] = sign * np.exp(-1 / (1 - (4 * x[inside] + centre) ** 2))
    return values


def perturbed(rng: np.random.Generator, dimensions: int, scale: float) -> Float64Array:
    """Uniform rows with two perturbations a dimension, of random signs, by rejection."""
    cells = list(product((1, 2), repeat=dimensions))
    signs, accepted = rng.choice([-1, 1], size=len(cells)), np.empty((0, dimensions))
    while len(accepted) < ROWS:
        x = rng.random((4 * ROWS, dimensions))
        height = sum(
            sign * np.prod(bump(2 * x - np.array(cell)), axis=1)
            for sign, cell in zip(signs, cells, strict=True)
        )
        density = 1 + scale * np.exp(dimensions) * height
        accepted = np.concatenate([accepted, x[rng.random(len(x)) * (1 + scale) < density]])
    return accepted[:ROWS]


def gaussians(rng: np.random.Generator, scale: float) -> Float64Array:
    """Four Gaussians, the first of which has another standard deviation."""
    component = rng.integers(0, 4, ROWS)
    return MEANS[component] + np.where(component == 0, scale, 1.0)[:, None] * rng.standard_normal((ROWS, 2))


def power_on_uniform(dimensions: int, scale: float) -> int:
    rejections = 0
    for number in range(REPEATS):
        rng = np.random.default_rng([dimensions, number])
        reference = learn(rng.random((ROWS, dimensions)), number)
        rejections += rejects(reference, perturbed(rng, dimensions, scale))
    return rejections


@pytest.mark.soak
def test_the_level_is_kept() -> None:
    """Twenty windows a reference, 100 or (short) 40 references; a right level fails once in 20,000 times."""
    references, rejections = length(40, 100), 0
    for number in range(references):
        rng = np.random.default_rng([7, number])
        reference = learn(rng.random((ROWS, 2)), number)
        rejections += sum(rejects(reference, rng.random((ROWS, 2))) for _ in range(20))
    # One rejection a reference is expected; of 100 between 60 and 140.
    assert abs(rejections - references) <= 40 * (references / 100) ** 0.5


@pytest.mark.soak
def test_power_in_one_dimension_is_above_actt() -> None:
    assert power_on_uniform(1, 0.4) >= 0.725 * REPEATS


@pytest.mark.soak
def test_power_in_two_dimensions_is_about_seven_tenths() -> None:
    """Not ACTT's .725 nor FUSE's .885; a power of .70 falls short twice in a thousand times (121 of 200)."""
    assert power_on_uniform(2, 0.8) >= binom.ppf(0.002, REPEATS, 0.7)


@pytest.mark.soak
def test_power_on_a_mixture_is_above_actt() -> None:
    rejections = 0
    for number in range(REPEATS):
        rng = np.random.default_rng([9, number])
        rejections += rejects(learn(gaussians(rng, 1.0), number), gaussians(rng, 1.6))
    assert rejections >= 0.415 * REPEATS
