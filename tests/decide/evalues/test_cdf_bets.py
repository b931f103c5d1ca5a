"""Bets on a whole distribution: valid under every tolerated one, and stronger than any single mark."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.special import ndtr, ndtri

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.evalues.cdf_bets import cdf_bets, log_ratios
from driftwatch.decide.evalues.e_values import share_log_e, share_log_ratios

MARKS = np.array([0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875])


def largest_mean(ratio: Float64Array, tolerated: Float64Array) -> float:
    """Largest expected ratio of one row under any distribution with shares of at most ``tolerated``."""
    cells = len(ratio)
    cumulative = np.tril(np.ones((cells - 1, cells)))
    solution = linprog(
        -ratio,
        A_ub=cumulative,
        b_ub=np.minimum(tolerated, 1.0),
        A_eq=np.ones((1, cells)),
        b_eq=[1.0],
        bounds=(0, 1),
    )
    return float(-solution.fun)


@given(
    st.lists(st.floats(0.0, 1.0), min_size=3, max_size=9),
    st.floats(0.001, 0.4),
    st.floats(0.01, 0.99),
)
@settings(max_examples=200, deadline=None)
def test_no_law_that_is_tolerated_gains_on_average(
    shares: list[float], tolerance: float, alternative: float
) -> None:
    share = np.sort(shares)[None]
    tolerated = share + tolerance
    middle = np.abs(share - 0.5).argmin(axis=1)
    ratio = np.exp(log_ratios(share, tolerated, middle, np.array([[alternative]])))[0, 0]
    assert largest_mean(ratio, tolerated[0]) <= 1 + 1e-6


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 0.4)), min_size=3, max_size=9))
@settings(max_examples=100, deadline=None)
def test_no_law_within_the_tolerance_gains_on_either_side(marks: list[tuple[float, float]]) -> None:
    """Of one row; the tolerance differs from mark to mark, and the distribution is the worst of each side."""
    share, tolerance = np.sort([share for share, _ in marks]), np.array([tolerance for _, tolerance in marks])
    count = len(share)
    (shape,) = cdf_bets(np.array([True]), np.array([count]), np.array([0]), share, tolerance)
    for cells in np.exp(shape.log_ratios[0, 0]):
        assert largest_mean(cells, share + tolerance) <= 1 + 1e-6
    for cells in np.exp(shape.log_ratios[0, 1]):
        assert largest_mean(cells[::-1], (1 - share + tolerance)[::-1]) <= 1 + 1e-6
    # The log e-value of a row is the log ratio of its cell.
    for cell in range(count + 1):
        row = (np.arange(count) >= cell).astype(np.int64)
        log_e = shape.log_e(row, np.ones(count, dtype=np.int64), np.full(count, 2.0))
        np.testing.assert_allclose(log_e[0], shape.log_ratios[0, :, :, cell] / 2)


@given(
    st.lists(st.integers(0, 400), min_size=8, max_size=8),
    st.sampled_from([MARKS, np.array([0.1, 0.15, 0.2, 0.3, 0.32, 0.6, 0.97])]),
)
@settings(max_examples=50, deadline=None)
def test_both_ends_are_alike(cells: list[int], marks: Float64Array) -> None:
    """Negated values give the same e-values on the other side."""
    ordered, sizes, starts = np.array([True]), np.array([7]), np.array([0])
    (shape,), (negated,) = (
        cdf_bets(ordered, sizes, starts, share, np.full(7, 0.05)) for share in (marks, 1 - marks[::-1])
    )
    trials, design = np.full(7, sum(cells)), np.full(7, 3.0)
    up = shape.log_e(np.cumsum(cells)[:-1], trials, design)
    down = negated.log_e(np.cumsum(cells[::-1])[:-1], trials, design)
    np.testing.assert_allclose(up, down[:, ::-1], atol=1e-9)


def test_a_shift_says_more_than_its_largest_mark() -> None:
    """A shift by one standard deviation, in exact shares."""
    rows, tolerance = 10_000, np.full(7, 0.07)
    moved = np.round(rows * ndtr(ndtri(MARKS) - 1)).astype(np.int64)
    trials, design = np.full(7, rows), np.ones(7)
    marks = share_log_e(moved, trials, share_log_ratios(MARKS, tolerance), design).max()
    (shape,) = cdf_bets(np.array([True]), np.array([7]), np.array([0]), MARKS, tolerance)
    assert shape.log_e(moved, trials, design).max() > 1.2 * marks


def test_few_marks_are_looked_at_one_by_one() -> None:
    ordered, sizes, starts = np.array([True, False]), np.array([2, 7]), np.array([0, 2])
    assert cdf_bets(ordered, sizes, starts, np.concatenate([[0.3, 0.6], MARKS]), np.full(9, 0.05)) == ()
