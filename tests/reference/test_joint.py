"""The joint null keeps its level on windows of the reference's law, and sees a flipped correlation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from driftwatch.core.schema import Column, Kind
from driftwatch.reference.choose_projection import choose_projection, kernel_widths
from driftwatch.reference.joint import joint_null, rank_p_values, width_statistics
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.projection import N_BANDWIDTHS, Projection, Sums
from driftwatch.summary.reference import JointNull
from driftwatch.summary.sample import RowSample

COLUMNS = (
    Column(name="a", kind=Kind.NUMERIC),
    Column(name="b", kind=Kind.NUMERIC),
    Column(name="c", kind=Kind.NUMERIC),
    Column(name="level", kind=Kind.CATEGORICAL),
)


def rows(random: np.random.Generator, n: int, sign: float = 1.0) -> np.ndarray:
    """Heavy-tailed, correlated numbers with holes, and a level."""
    scale = np.sqrt(3 / random.chisquare(3, size=n))
    base = random.normal(size=n)
    a = base * scale
    b = (0.9 * sign * base + 0.43 * random.normal(size=n)) * scale
    c = np.where(random.random(n) < 0.1, np.nan, random.exponential(size=n))
    return np.column_stack([a, b, c, random.choice(3, n, p=[0.6, 0.3, 0.1])])


def sample(random: np.random.Generator, data: np.ndarray) -> RowSample:
    content = random.integers(0, 2**63, len(data)).astype(np.uint64)
    return RowSample.from_rows(content, data, limit=len(data))


@pytest.fixture(scope="module")
def world() -> tuple[Projection, JointNull, Sums]:
    random = np.random.default_rng(11)
    data = sample(random, rows(random, 20_000))
    grids = {column.name: numeric_grid(np.arange(3.0)) for column in COLUMNS[:3]}
    projection = choose_projection(COLUMNS, {**grids, "level": LevelGrid(levels=("x", "y", "z"))}, data, 7)
    assert projection is not None
    return projection, joint_null(projection, data, 8), Sums.from_sample(projection, data)


def p_value(world: tuple[Projection, JointNull, Sums], window: RowSample) -> float:
    projection, null, reference_sums = world
    window_sums = Sums.from_sample(projection, window)
    feature_difference = (
        window_sums.features / window_sums.rows - reference_sums.features / reference_sums.rows
    )[None, :]
    observed = width_statistics(feature_difference) / (1 / window_sums.rows + 1 / reference_sums.rows)
    min_p_value = rank_p_values(null.kernel, observed).min()
    rank = np.searchsorted(null.smallest_rank, min_p_value * (1 + 1e-9), side="right")
    return float((rank + 1) / (len(null.smallest_rank) + 1))


def test_the_level_is_kept(world: tuple[Projection, JointNull, Sums]) -> None:
    random = np.random.default_rng(12)
    p_values = [
        p_value(world, sample(random, rows(random, int(n)))) for n in random.choice([60, 300, 1000], 300)
    ]
    n_rejected = int((np.array(p_values) < 0.05).sum())
    # An exact two-sided bound at 1 in 1,000 for a true level of 5 %.
    assert binom.ppf(0.0005, 300, 0.05) <= n_rejected <= binom.ppf(0.9995, 300, 0.05)


def test_a_flipped_correlation_is_found(world: tuple[Projection, JointNull, Sums]) -> None:
    random = np.random.default_rng(13)
    p_values = [p_value(world, sample(random, rows(random, 300, -1.0))) for _ in range(20)]
    assert max(p_values) < 0.01


def test_the_null_agrees_with_the_detector(world: tuple[Projection, JointNull, Sums]) -> None:
    from driftwatch.detectors.mmd import distances

    projection, null, reference_sums = world
    random = np.random.default_rng(14)
    window_sums = Sums.from_sample(projection, sample(random, rows(random, 500)))
    feature_difference = (
        window_sums.features / window_sums.rows - reference_sums.features / reference_sums.rows
    )[None, :]
    statistics = width_statistics(feature_difference)[0] / (1 / window_sums.rows + 1 / reference_sums.rows)
    np.testing.assert_allclose(distances(reference_sums, window_sums, N_BANDWIDTHS), statistics, rtol=1e-12)
    assert null.kernel.shape == (1000, N_BANDWIDTHS)
    assert (np.diff(null.kernel, axis=0) >= 0).all()


def test_the_variance_is_that_of_standardised_products(world: tuple[Projection, JointNull, Sums]) -> None:
    projection, null, _ = world
    random = np.random.default_rng(15)
    data = random.normal(size=(2000, 4))
    simulated_null = joint_null(projection, sample(random, data), 1)
    positions = [int(position) for position in projection.inputs[:3, 0]]
    assert positions == [0, 1, 2]
    # Independent normal columns: E z_i^2 z_j^2 = 1 off the diagonal, Var(z^2) = 2 on it.
    np.testing.assert_allclose(simulated_null.variance[0, 1], 1.0, atol=0.15)
    np.testing.assert_allclose(simulated_null.variance[0, 0], 2.0, atol=0.4)
    assert null.variance.shape == (projection.width, projection.width)


def test_choices(world: tuple[Projection, JointNull, Sums]) -> None:
    projection, _, _ = world
    assert projection.inputs.tolist() == [[0, -1], [1, -1], [2, -1], [3, 0], [3, 1], [3, 2]]
    assert projection.pairs.tolist() == [[0, 1]]
    np.testing.assert_allclose(projection.center[3:], [0.6, 0.3, 0.1], atol=0.02)


def test_too_little_to_look_at_gives_none() -> None:
    random = np.random.default_rng(16)
    grids = {column.name: numeric_grid(np.arange(3.0)) for column in COLUMNS[:3]}
    small_sample = sample(random, rows(random, 49))
    assert choose_projection(COLUMNS[:3], grids, small_sample, 1) is None
    large_sample = sample(random, rows(random, 60))
    assert choose_projection(COLUMNS[:1], grids, large_sample, 1) is None
    constant_sample = sample(random, np.ones((100, 4)))
    assert choose_projection(COLUMNS[:3], grids, constant_sample, 1) is None
    assert kernel_widths(np.zeros((10, 2))) is None


def test_at_most_sixty_four_dimensions() -> None:
    random = np.random.default_rng(17)
    columns = tuple(Column(name=f"c{position}", kind=Kind.NUMERIC) for position in range(90))
    data = np.round(random.normal(size=(200, 90)), 1)
    data[:, :40] = np.round(data[:, :40] / 4)
    grids = {column.name: numeric_grid(np.arange(3.0)) for column in columns}
    projection = choose_projection(columns, grids, sample(random, data), 1)
    assert projection is not None
    assert projection.width == 64
    assert set(range(40, 90)) <= {int(position) for position in projection.inputs[:, 0]}
