"""The upper limit of a column's move covers the true move, and "did not change" is wrong in 5 % at most."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from driftwatch.decide.outcomes.move_limits import levels_move_limit, share_move_limits

#: A correct limit misses more often than this count of 2,000 in one of 10,000 test runs.
RUNS, MAX_MISSES = 2000, int(binom.ppf(1 - 1e-4, 2000, 0.05))


def limits(
    successes: np.ndarray, trials: int, reference: float, rows: float, effect: float = 1.0
) -> np.ndarray:
    ones = np.ones(len(successes))
    return share_move_limits(
        successes, (ones * trials).astype(np.int64), ones * reference, ones * rows, ones * effect
    )


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("trials", [200, 2000, 20_000])
def test_a_move_lies_below_its_limit_in_95_of_100_cases(share: float, trials: int) -> None:
    successes = np.random.default_rng(trials).binomial(trials, share, RUNS)
    # One side: the share moved up by 0.05 from a reference that is known.
    misses = np.count_nonzero(limits(successes, trials, share - 0.05, np.inf) < 0.05)
    assert misses <= MAX_MISSES


@pytest.mark.parametrize("burst", [1, 10])
def test_a_column_that_moved_by_the_tolerance_is_rarely_called_unchanged(burst: int) -> None:
    rng = np.random.default_rng(burst)
    trials, rows = 3000, 20_000
    successes = rng.binomial(trials // burst, 0.55, RUNS) * burst
    reference = rng.binomial(rows // burst, 0.5, RUNS) * burst / rows
    ones = np.ones(RUNS)
    limit = share_move_limits(
        successes, (ones * trials).astype(np.int64), reference, ones * rows, ones * burst
    )
    assert np.count_nonzero(limit < 0.05) <= MAX_MISSES


def test_without_the_design_effect_bursts_would_be_called_unchanged_too_often() -> None:
    rng = np.random.default_rng(1)
    successes = rng.binomial(300, 0.55, RUNS) * 10
    assert np.count_nonzero(limits(successes, 3000, 0.5, np.inf) < 0.05) > MAX_MISSES


def test_no_rows_have_no_limit_and_no_successes_have_one() -> None:
    limit = limits(np.array([0]), 0, 0.5, 100)
    assert np.isnan(limit).all()
    # Wilson's limit of 0 of 100: z^2 / (n + z^2) = 2.63 %.
    assert limits(np.array([0]), 100, 0.0, np.inf)[0] == pytest.approx(0.02634, abs=1e-5)


def test_many_levels_that_change_places_are_no_small_move() -> None:
    """300 levels, half of them x1.6 and half x0.4: no level moves by .3 %, and 30 % of the rows do."""
    rng = np.random.default_rng(3)
    reference = np.full(300, 1 / 300)
    moved = reference * np.repeat([1.6, 0.4], 150)
    misses = 0
    for _ in range(200):
        shares = rng.multinomial(20_000, moved / moved.sum()) / 20_000
        misses += levels_move_limit(shares, reference, 20_000, 50_000) < 0.3
    assert misses <= int(binom.ppf(1 - 1e-4, 200, 0.05))


def test_a_share_that_vanishes_from_a_small_reference_is_rarely_called_unchanged() -> None:
    rng = np.random.default_rng(4)
    for rows, burst in ((500, 1), (1000, 10), (300, 10)):
        reference = rng.binomial(rows // burst, 0.05, RUNS) * burst / rows
        ones = np.ones(RUNS)
        trials = (ones * 20_000).astype(np.int64)
        limit = share_move_limits(trials * 0, trials, reference, ones * rows, ones * burst)
        assert np.count_nonzero(limit < 0.05) <= MAX_MISSES


def test_levels_without_a_label_are_added() -> None:
    shares = np.array([0.4, 0.3])
    limit = levels_move_limit(shares, shares, 1e12, 1e12)
    assert limit == pytest.approx(0.3, abs=1e-5)
