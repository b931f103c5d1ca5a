"""The joint null keeps its level on windows of the reference's law, and sees a flipped correlation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from driftwatch.core.schema import Column, Kind
from driftwatch.reference.choose_projection import choose_projection, kernel_widths
from driftwatch.reference.joint import joint_null, rank_p_values, width_statistics
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.projection import BANDWIDTHS, Projection, Sums
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
    return RowSample.of(content, data, limit=len(data))


@pytest.fixture(scope="module")
def world() -> tuple[Projection, JointNull, Sums]:
    random = np.random.default_rng(11)
    data = sample(random, rows(random, 20_000))
    grids = {column.name: numeric_grid(np.arange(3.0)) for column in COLUMNS[:3]}
    projection = choose_projection(COLUMNS, {**grids, "level": LevelGrid(levels=("x", "y", "z"))}, data, 7)
    assert projection is not None
    return projection, joint_null(projection, data, 8), Sums.of(projection, data)


def p_value(world: tuple[Projection, JointNull, Sums], window: RowSample) -> float:
    projection, null, before = world
    after = Sums.of(projection, window)
    apart = (after.features / after.rows - before.features / before.rows)[None, :]
    observed = width_statistics(apart) / (1 / after.rows + 1 / before.rows)
    smallest = rank_p_values(null.kernel, observed).min()
    ranked = np.searchsorted(null.smallest_rank, smallest * (1 + 1e-9), side="right")
    return float((ranked + 1) / (len(null.smallest_rank) + 1))


def test_the_level_is_kept(world: tuple[Projection, JointNull, Sums]) -> None:
    random = np.random.default_rng(12)
    found = [
        p_value(world, sample(random, rows(random, int(n)))) for n in random.choice([60, 300, 1000], 300)
    ]
    rejected = int((np.array(found) < 0.05).sum())
    # An exact two-sided bound at 1 in 1,000 for a true level of 5 %.
    assert binom.ppf(0.0005, 300, 0.05) <= rejected <= binom.ppf(0.9995, 300, 0.05)


def test_a_flipped_correlation_is_found(world: tuple[Projection, JointNull, Sums]) -> None:
    random = np.random.default_rng(13)
    found = [p_value(world, sample(random, rows(random, 300, -1.0))) for _ in range(20)]
    assert max(found) < 0.01


def test_the_null_agrees_with_the_detector(world: tuple[Projection, JointNull, Sums]) -> None:
    from driftwatch.detectors.mmd import distances

    projection, null, before = world
    random = np.random.default_rng(14)
    after = Sums.of(projection, sample(random, rows(random, 500)))
    apart = (after.features / after.rows - before.features / before.rows)[None, :]
    mine = width_statistics(apart)[0] / (1 / after.rows + 1 / before.rows)
    np.testing.assert_allclose(distances(before, after, BANDWIDTHS), mine, rtol=1e-12)
    assert null.kernel.shape == (1000, BANDWIDTHS)
    assert (np.diff(null.kernel, axis=0) >= 0).all()


def test_the_variance_is_that_of_standardised_products(world: tuple[Projection, JointNull, Sums]) -> None:
    projection, null, _ = world
    random = np.random.default_rng(15)
    data = random.normal(size=(2000, 4))
    drawn = joint_null(projection, sample(random, data), 1)
    position = [int(place) for place in projection.inputs[:3, 0]]
    assert position == [0, 1, 2]
    # Independent normal columns: E z_i^2 z_j^2 = 1 off the diagonal, Var(z^2) = 2 on it.
    np.testing.assert_allclose(drawn.variance[0, 1], 1.0, atol=0.15)
    np.testing.assert_allclose(drawn.variance[0, 0], 2.0, atol=0.4)
    assert null.variance.shape == (projection.width, projection.width)


def test_choices(world: tuple[Projection, JointNull, Sums]) -> None:
    projection, _, _ = world
    assert projection.inputs.tolist() == [[0, -1], [1, -1], [2, -1], [3, 0], [3, 1], [3, 2]]
    assert projection.pairs.tolist() == [[0, 1]]
    np.testing.assert_allclose(projection.center[3:], [0.6, 0.3, 0.1], atol=0.02)


def test_too_little_to_look_at_gives_none() -> None:
    random = np.random.default_rng(16)
    grids = {column.name: numeric_grid(np.arange(3.0)) for column in COLUMNS[:3]}
    few = sample(random, rows(random, 49))
    assert choose_projection(COLUMNS[:3], grids, few, 1) is None
    many = sample(random, rows(random, 60))
    assert choose_projection(COLUMNS[:1], grids, many, 1) is None
    constant = sample(random, np.ones((100, 4)))
    assert choose_projection(COLUMNS[:3], grids, constant, 1) is None
    assert kernel_widths(np.zeros((10, 2))) is None


def test_at_most_sixty_four_dimensions() -> None:
    random = np.random.default_rng(17)
    columns = tuple(Column(name=f"c{place}", kind=Kind.NUMERIC) for place in range(90))
    data = np.round(random.normal(size=(200, 90)), 1)
    data[:, :40] = np.round(data[:, :40] / 4)
    grids = {column.name: numeric_grid(np.arange(3.0)) for column in columns}
    projection = choose_projection(columns, grids, sample(random, data), 1)
    assert projection is not None
    assert projection.width == 64
    assert set(range(40, 90)) <= {int(place) for place in projection.inputs[:, 0]}
