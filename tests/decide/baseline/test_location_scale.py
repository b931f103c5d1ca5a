"""What windows of unlike size say of a score's level and spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.location_scale import left_out, standing, worth_of
from driftwatch.decide.baseline.weighted_series import Series, Weights, sums

COLUMNS = 200
MEANS = np.ones(COLUMNS, dtype=np.bool_)


def traffic(rng: np.random.Generator, windows: int) -> tuple[Float64Array, Float64Array, Int64Array]:
    """Means of 1 to 9 rows each, of usually 5: their standard deviation in a usual window is 1."""
    rows = rng.integers(1, 10, windows) / 5.0
    values = rng.standard_normal((windows, COLUMNS)) / np.sqrt(rows)[:, None]
    return values, rows, np.zeros(windows, dtype=np.int64)


def test_a_window_of_few_rows_counts_for_less() -> None:
    # Of 200 columns' spreads over 40 windows the mean has a standard error of 1 / sqrt(2 * 39 * 200) = .8 %;
    # each mean has the variance that its weight says, a chi-square of 200 columns: 5 errors are 50 %.
    values, rows, slots = traffic(np.random.default_rng(1), 40)
    held = standing(Series.of(values), slots, 0, rows, MEANS)
    scale = 1 / np.sqrt(rows.mean())
    assert held.spread.mean() == pytest.approx(scale, rel=0.04)
    # Large windows count for one in the mean and tell more.
    assert 0.5 < (held.centre**2).mean() / (scale**2 / held.weight[0]) < 1.2
    assert (held.weight < held.n).all()
    plain = standing(Series.of(values), slots, 0, rows)
    assert plain.spread.mean() > 1.1 * scale
    assert (plain.weight == plain.n).all()


def test_windows_of_one_size_are_held_against_each_other_as_ever() -> None:
    rng = np.random.default_rng(2)
    values, slots = rng.standard_normal((30, COLUMNS)), np.arange(30) % 3
    values[rng.random(values.shape) < 0.1] = np.nan
    for rows in (np.ones(30), np.full(30, 4.0)):
        own, plain = (
            standing(Series.of(values), slots, 1, rows, MEANS),
            standing(Series.of(values), slots, 1, rows),
        )
        assert np.allclose(own.centre, plain.centre)
        assert np.allclose(own.spread, plain.spread)
        assert np.allclose(own.weight, plain.weight)
        assert np.allclose(
            left_out(values, slots, rows, MEANS), left_out(values, slots, rows), equal_nan=True
        )


def test_left_out_distances_of_small_windows_are_no_larger_than_others() -> None:
    # 200 squares per window, each near F(1, 38) of mean 1.06: five errors are 5 sqrt(2.5 / 200) = .56.
    values, rows, slots = traffic(np.random.default_rng(3), 40)
    square = (left_out(values, slots, rows, MEANS) ** 2).mean(axis=1)
    assert square.max() < 1.06 + 0.56
    assert square[rows < rows.mean()].min() > 1.06 - 0.56
    plain = left_out(values, slots, rows)
    assert (plain[rows < 0.5] ** 2).mean() > 2


# Spreads of 200 columns over 200 windows, a few of which hold most rows: their distances are most of the
# sum, so the mean of the spreads' squares has a standard error of sqrt(2 * .4 / 200) = 6 %.
@pytest.mark.parametrize(
    "rows",
    [
        np.ones(200) + 9 * (np.arange(200) >= 170),
        np.ones(200) + 49 * (np.arange(200) % 30 == 29),
        10.0 ** (np.arange(200) / 200),
        np.where(np.arange(200) % 7 >= 5, 0.3, 1.0),
    ],
    ids=["tenfold", "bulk", "growth", "weekends"],
)
def test_the_spread_is_right_where_rows_do_not_make_the_variance(rows: Float64Array) -> None:
    values = np.random.default_rng(7).standard_normal((200, COLUMNS))
    held = standing(Series.of(values), np.zeros(200, dtype=np.int64), 0, rows, MEANS)
    assert (held.spread**2).mean() == pytest.approx(1, abs=0.3)
    # Few windows make most of the sum: its tails are those of fewer degrees of freedom.
    assert (held.degrees <= 197).all()
    x = (np.random.default_rng(8).standard_normal((50, COLUMNS)) - held.centre) / held.spread
    assert (2 * stdtr(held.degrees, -np.abs(x)) < 0.01).mean() < 0.02


def test_a_quiet_slot_of_few_rows_has_the_spread_of_a_usual_window() -> None:
    rng = np.random.default_rng(4)
    slots = np.arange(60) % 2
    rows = np.where(slots == 1, 0.1, 1.9)
    values = rng.standard_normal((60, COLUMNS)) / np.sqrt(rows)[:, None]
    held = standing(Series.of(values), slots, 1, rows, MEANS)
    assert held.spread.mean() == pytest.approx(1, rel=0.05)
    now = worth_of(0.1, rows)
    assert now == pytest.approx(np.sqrt(0.1))
    # A quiet window held against 30 quiet ones: as uncertain as a usual one held against 30 usual ones.
    assert held.error(now) == pytest.approx(1 / 30)


def test_a_size_nobody_knows_counts_in_full() -> None:
    rows = np.array([1.0, np.nan, 1.0])
    assert [worth_of(size, rows) for size in rows.tolist()] == [1.0, 1.0, 1.0]
    assert worth_of(0.25, rows) == pytest.approx(0.5)


def test_windows_without_gaps_are_added_up_the_same_to_the_bit() -> None:
    values, rows, slots = traffic(np.random.default_rng(5), 80)
    values[-10:][np.random.default_rng(6).random((10, COLUMNS)) < 0.5] = np.nan
    for each in (rows, np.ones(80)):
        # A score that begins later has all looked at for gaps.
        more = np.column_stack([values, np.where(np.arange(80) < 9, np.nan, 1.0)])
        one, other = (
            standing(Series.of(values), slots, 0, each, MEANS),
            standing(Series.of(more), slots, 0, each, np.append(MEANS, True)),
        )
        for name in ("centre", "spread", "n", "weight", "degrees"):
            assert np.array_equal(getattr(one, name), getattr(other, name)[:-1]), name


@st.composite
def series(draw: st.DrawFn) -> tuple[Series, Float64Array]:
    """Windows of some scores with gaps anywhere, cut anywhere into early and late ones; and their rows."""
    windows, scores = draw(st.integers(0, 50)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.standard_normal((windows, scores)) + 3
    late = draw(st.integers(0, windows))
    often = np.where(rng.random(scores) < 0.5, 0.0, draw(st.sampled_from([0.0, 0.2, 0.9])))
    gone = rng.random(values.shape) < often
    gone[windows - late :] |= rng.random((late, scores)) < 0.3
    values[gone] = np.nan
    rows = rng.integers(1, 10, windows) / 5.0
    rows[rng.random(windows) < draw(st.sampled_from([0.0, 0.2, 1.0]))] = np.nan
    return Series(early=values[: windows - late], late=values[windows - late :]), rows


@given(series(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_sums_are_those_of_each_score_by_itself(
    drawn: tuple[Series, Float64Array], means: list[bool]
) -> None:
    told, rows = drawn
    values = told.whole()
    flags = np.array(means[: values.shape[1]])
    centre, square, n, weight = sums(told, Weights.of(rows, flags))
    told_rows = rows[~np.isnan(rows)]
    sizes = np.where(np.isnan(rows), 1.0, rows / (told_rows.mean() if len(told_rows) else 1.0))
    for place, own in enumerate(values.T):
        known = ~np.isnan(own)
        size = sizes[known] if flags[place] else np.ones(known.sum())
        count = np.minimum(size, 1.0)
        middle = (count * own[known]).sum() / count.sum() if known.any() else 0.0
        assert n[place] == known.sum()
        assert weight[place] == pytest.approx(count.sum())
        assert centre[place] == pytest.approx(middle)
        assert square[place] == pytest.approx((size * (own[known] - middle) ** 2).sum(), abs=1e-12)
