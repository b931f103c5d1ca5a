"""Joint detectors leave out the columns of open incidents, and see what others do.

The reference has 28 blocks. Seeds are fixed, so counts are exact.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detector_worlds import column_of
from scipy.stats import binom
from scipy.stats import t as student

from driftwatch.core.arrays import Float64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.core.schema import Span
from driftwatch.detectors import correlation, mmd
from driftwatch.detectors.base import LeftOut, ReferenceContext
from driftwatch.reference.choose_projection import choose_projection, pool
from driftwatch.reference.joint import joint_null
from driftwatch.results.results import Score, Shares
from driftwatch.summary.grid import numeric_grid
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import N_BANDWIDTHS, N_PARTIAL_FREQUENCIES, Sums
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.summary import Summary, total

NAMES, ROWS, BLOCKS = ("a", "b", "c", "d", "e", "x"), 600, 28
POSITION = {name: number for number, name in enumerate(NAMES)}


def day(
    rng: np.random.Generator, names: int = len(NAMES), correlation: float = 0.8, effect: float = 0.1
) -> Float64Array:
    """Rows of one day, whose means have an effect of the day; a and b are correlated."""
    rows = rng.normal(size=(ROWS, names)) + effect * rng.normal(size=names)
    rows[:, 1] = correlation * rows[:, 0] + 0.6 * rows[:, 1]
    return rows


class World:
    """A reference, its blocks, and windows compared with it."""

    def __init__(
        self, seed: int, names: tuple[str, ...] = NAMES, blocks: int = BLOCKS, effect: float = 0.1
    ) -> None:
        self.rng = np.random.default_rng(seed)
        columns = tuple(column_of(name, np.zeros(1), {}) for name in names)
        grids = {name: numeric_grid(np.linspace(-3, 3, 50)) for name in names}
        samples = [self.sample(day(self.rng, len(names), effect=effect)) for _ in range(blocks)]
        pooled = pool(samples, len(names))
        projection = choose_projection(columns, grids, pooled, seed)
        assert projection is not None
        self.plan = Plan(columns=columns, grids=grids, projection=projection, fingerprint="p")
        self.blocks = [self.summary(sample) for sample in samples]
        self.reference = Reference(
            monitor="m",
            plan=self.plan,
            summary=total(self.blocks),
            fingerprint="f",
            provenance=Provenance(source="", files=1, built_at=0, time_range=None),
            blocks=blocks,
            block_rows=float(ROWS),
            joint=joint_null(projection, pooled, seed),
        )

    def sample(self, rows: Float64Array) -> RowSample:
        return RowSample.from_rows(np.arange(1, len(rows) + 1, dtype=np.uint64), rows, limit=len(rows))

    def summary(self, sample: RowSample) -> Summary:
        assert self.plan.projection is not None
        empty = Summary.zero(self.plan, Span(start=0, end=1))
        return replace(
            empty, rows=sample.size, sums=Sums.from_sample(self.plan.projection, sample), sample=None
        )

    def left_out(self, *names: str, memo: Memo = NO_MEMO, blocks: int | None = None) -> LeftOut:
        return LeftOut(frozenset(names), 0, lambda: self.blocks[:blocks], memo)

    def streams(
        self, detector: mmd.MeanDiscrepancy | correlation.Correlation, rows: Float64Array, left_out: LeftOut
    ) -> tuple[list[Score], list[Shares]]:
        window = ReferenceContext(self.reference).window(self.summary(self.sample(rows)), left_out)
        found = detector.streams(window)
        return [item for item in found if isinstance(item, Score)], [
            item for item in found if isinstance(item, Shares)
        ]

    def score(self, rows: Float64Array, left_out: LeftOut) -> float:
        (score,), _ = self.streams(mmd.MeanDiscrepancy(), rows, left_out)
        return score.value

    def reason(self, rows: Float64Array, left_out: LeftOut) -> str:
        window = ReferenceContext(self.reference).window(self.summary(self.sample(rows)), left_out)
        assert not mmd.MeanDiscrepancy().streams(window)
        return mmd.MeanDiscrepancy().resting_reason(window)

    def healthy(self) -> Float64Array:
        """The whole score of each block, compared with the others."""
        return np.array(
            [
                mmd.MeanDiscrepancy()
                .streams(ReferenceContext(self.reference.leave_out(block)).window(block))[0]
                .value  # type: ignore[union-attr]
                for block in self.blocks
            ]
        )


@pytest.fixture(scope="module")
def world() -> World:
    return World(1)


def test_what_a_column_that_is_left_out_does_changes_no_score(world: World) -> None:
    rows = day(world.rng)
    moved = rows.copy()
    moved[:, POSITION["x"]] = 3 * rows[:, POSITION["a"]] + 2
    memo = Memo()
    assert world.score(moved, world.left_out("x", memo=memo)) == world.score(rows, world.left_out("x"))
    assert world.score(moved, world.left_out("x", memo=memo)) == world.score(rows, world.left_out("x"))
    assert world.score(moved, world.left_out()) > world.score(rows, world.left_out()) + 1
    pair = [world.streams(correlation.Correlation(), item, world.left_out("x")) for item in (rows, moved)]
    assert pair[0][0][0].value == pair[1][0][0].value


def test_a_score_without_columns_has_the_tail_of_the_whole_one() -> None:
    """P-values of the prediction from the blocks, as evidence sees them: at most one in a hundred below .01.

    Five references, 40 windows each, one or two columns left out; a right rate fails once in 10,000 times.
    """
    n_small = np.zeros(2, dtype=int)
    for seed in range(5):
        world = World(10 + seed)
        healthy, memos = world.healthy(), (Memo(), Memo())
        scale = healthy.std(ddof=1) * np.sqrt(1 + 1 / BLOCKS)
        for _ in range(40):
            rows = day(world.rng)
            rows[:, POSITION["x"]] += 2
            for number, names in enumerate((("x",), ("x", "c"))):
                score = world.score(rows, world.left_out(*names, memo=memos[number]))
                z = (score - healthy.mean()) / scale
                n_small[number] += student.sf(z, BLOCKS - 1) < 0.01
    assert n_small.max() <= binom.ppf(1 - 1e-4, 200, 0.01)


def test_a_dependence_without_correlation_is_seen_while_another_column_is_left_out() -> None:
    """d is e or -e, each with probability 1/2: correlation 0, equal marginals, no effects of days.

    A window like the 28 blocks is above all of them once in 29 times: of 30 windows, 12 or more are not by
    chance, and 7 or more once in 50,000 times.
    """
    n_seen, n_hidden = 0, 0
    for seed in range(3):
        world = World(20 + seed, effect=0.0)
        healthy, memo = world.healthy(), Memo()
        for _ in range(10):
            rows = day(world.rng, effect=0.0)
            rows[:, POSITION["x"]] += 2
            sign = np.where(world.rng.random(ROWS) < 0.5, 1, -1)
            rows[:, POSITION["d"]] = sign * rows[:, POSITION["e"]]
            n_seen += world.score(rows, world.left_out("x", memo=memo)) > healthy.max()
            rows[:, POSITION["x"]] = world.rng.normal(size=ROWS)
            n_hidden += world.score(rows, world.left_out("d", "e", memo=memo)) > healthy.max()
    assert n_seen >= 12
    assert n_hidden <= 6


def test_a_flip_of_two_other_columns_is_as_large_as_ever(world: World) -> None:
    rows = day(world.rng, correlation=-0.8)
    whole, _ = world.streams(correlation.Correlation(), rows, world.left_out())
    partial, shares = world.streams(correlation.Correlation(), rows, world.left_out("x"))
    assert partial[0].value == whole[0].value
    assert partial[0].value > 1.5
    assert shares[0].trials[0] > 0


def test_a_pair_that_is_left_out_keeps_its_label_without_trials() -> None:
    world = World(3)
    projection = world.plan.projection
    assert projection is not None
    pairs = np.array([[0, 1], [2, 5]])
    world.plan = replace(world.plan, projection=replace(projection, pairs=pairs))
    world.blocks = [world.summary(world.sample(day(world.rng))) for _ in range(3)]
    world.reference = replace(world.reference, plan=world.plan, summary=total(world.blocks))
    rows = day(world.rng)
    (_, (whole,)), (_, (partial,)) = (
        world.streams(correlation.Correlation(), rows, world.left_out(*names)) for names in ((), ("x",))
    )
    assert partial.labels == whole.labels
    assert (partial.reference == whole.reference).all()
    assert partial.trials.tolist() == [whole.trials[0], 0]
    assert partial.successes.tolist() == [whole.successes[0], 0]
    _, none = world.streams(correlation.Correlation(), rows, world.left_out("a", "x"))
    assert not none


def test_correlation_rests_when_every_pair_is_left_out(world: World) -> None:
    left_out = world.left_out("a", "b", "c", "d", "e")
    window = ReferenceContext(world.reference).window(world.blocks[0], left_out)
    detector = correlation.Correlation()
    assert detector.streams(window) == ()
    assert detector.resting_reason(window) == "every pair has a column in an open incident"
    assert detector.measure(window).undefined == detector.resting_reason(window)
    two_left = ReferenceContext(world.reference).window(world.blocks[0], world.left_out("a", "b", "c", "d"))
    assert detector.resting_reason(two_left) == ""
    assert detector.measure(two_left).effect.startswith("corr(e, x)")


def test_mmd_rests_and_says_why(world: World) -> None:
    rows = day(world.rng)
    assert "8 time blocks" in world.reason(rows, world.left_out("x", blocks=7))
    assert world.score(rows, world.left_out("x", blocks=8)) < 5
    assert "too many columns are in it" in world.reason(rows, world.left_out("a", "b", "c", "d", "e"))
    old = World(4)
    assert old.plan.projection is not None
    old.plan = replace(old.plan, projection=old.plan.projection.whole)
    old.blocks = [old.summary(old.sample(day(old.rng))) for _ in range(12)]
    old.reference = replace(old.reference, plan=old.plan, summary=total(old.blocks))
    assert "no frequencies that act on some columns only" in old.reason(rows, old.left_out("x"))
    assert old.score(rows, old.left_out()) < 5


def test_a_column_that_is_not_projected_is_not_missed(world: World) -> None:
    rows = day(world.rng)
    assert world.score(rows, world.left_out("elsewhere")) == world.score(rows, world.left_out())


def test_partial_frequencies_leave_enough_where_columns_are_left_out() -> None:
    """Of 320, about 180, 90, 50 and 27 act on none of one, two, three and four columns of twelve."""
    rng, names = np.random.default_rng(5), tuple(f"c{number}" for number in range(12))
    projection = World(5, names, blocks=2).plan.projection
    assert projection is not None
    acts = projection.partial_frequencies != 0
    assert acts.shape == (12, N_BANDWIDTHS, N_PARTIAL_FREQUENCIES)
    assert set(np.unique(acts.sum(axis=0))) == {3, 6}
    for count, least in ((1, 150), (2, 70), (3, 35), (4, mmd.MIN_PARTIAL_FREQUENCIES)):
        for _ in range(20):
            left_out = rng.permutation(12)[:count]
            assert (~acts[left_out].any(axis=0)).sum() >= least


def test_without_a_third_column_there_are_none() -> None:
    projection = World(6, ("a", "b"), blocks=2).plan.projection
    assert projection is not None
    assert projection.frequencies.shape == projection.whole.frequencies.shape
    assert not projection.partial_frequencies.size
