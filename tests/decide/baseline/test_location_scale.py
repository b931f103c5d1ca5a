"""Location and scale of a score from windows of unequal size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.location_scale import deviation_weight, fit_location_scale, leave_one_out
from driftwatch.decide.baseline.weighted_series import Series, WindowWeights, weighted_sums

COLUMNS = 200
MEANS = np.ones(COLUMNS, dtype=np.bool_)


def traffic(rng: np.random.Generator, windows: int) -> tuple[Float64Array, Float64Array, Int64Array]:
    """Means of 1 to 9 rows, mostly 5: their standard deviation in a window of mean rows is 1."""
    rows = rng.integers(1, 10, windows) / 5.0
    values = rng.standard_normal((windows, COLUMNS)) / np.sqrt(rows)[:, None]
    return values, rows, np.zeros(windows, dtype=np.int64)


def test_a_window_of_few_rows_counts_for_less() -> None:
    # The mean of 200 columns' scales over 40 windows has a standard error of 1 / sqrt(2 * 39 * 200) = .8 %;
    # each mean has the variance that its weight says, a chi-square of 200 columns: 5 errors are 50 %.
    values, rows, slots = traffic(np.random.default_rng(1), 40)
    fit = fit_location_scale(Series.of(values), slots, 0, rows, MEANS)
    scale = 1 / np.sqrt(rows.mean())
    assert fit.scale.mean() == pytest.approx(scale, rel=0.04)
    # Large windows have weight 1 in the location and are more precise.
    assert 0.5 < (fit.location**2).mean() / (scale**2 / fit.weight[0]) < 1.2
    assert (fit.weight < fit.n).all()
    plain = fit_location_scale(Series.of(values), slots, 0, rows)
    assert plain.scale.mean() > 1.1 * scale
    assert (plain.weight == plain.n).all()


def test_windows_of_one_size_are_held_against_each_other_as_ever() -> None:
    rng = np.random.default_rng(2)
    values, slots = rng.standard_normal((30, COLUMNS)), np.arange(30) % 3
    values[rng.random(values.shape) < 0.1] = np.nan
    for rows in (np.ones(30), np.full(30, 4.0)):
        weighted, plain = (
            fit_location_scale(Series.of(values), slots, 1, rows, MEANS),
            fit_location_scale(Series.of(values), slots, 1, rows),
        )
        assert np.allclose(weighted.location, plain.location)
        assert np.allclose(weighted.scale, plain.scale)
        assert np.allclose(weighted.weight, plain.weight)
        assert np.allclose(
            leave_one_out(values, slots, rows, MEANS), leave_one_out(values, slots, rows), equal_nan=True
        )


def test_left_out_distances_of_small_windows_are_no_larger_than_others() -> None:
    # 200 squares per window, each near F(1, 38) of mean 1.06: five errors are 5 sqrt(2.5 / 200) = .56.
    values, rows, slots = traffic(np.random.default_rng(3), 40)
    square = (leave_one_out(values, slots, rows, MEANS) ** 2).mean(axis=1)
    assert square.max() < 1.06 + 0.56
    assert square[rows < rows.mean()].min() > 1.06 - 0.56
    plain = leave_one_out(values, slots, rows)
    assert (plain[rows < 0.5] ** 2).mean() > 2


# Scales of 200 columns over 200 windows, a few of which hold most rows: their deviations are most of the
# sum, so the mean of the squared scales has a standard error of sqrt(2 * .4 / 200) = 6 %.
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
    fit = fit_location_scale(Series.of(values), np.zeros(200, dtype=np.int64), 0, rows, MEANS)
    assert (fit.scale**2).mean() == pytest.approx(1, abs=0.3)
    # Few windows make most of the sum: its tails are those of fewer degrees of freedom.
    assert (fit.degrees <= 197).all()
    x = (np.random.default_rng(8).standard_normal((50, COLUMNS)) - fit.location) / fit.scale
    assert (2 * stdtr(fit.degrees, -np.abs(x)) < 0.01).mean() < 0.02


def test_a_quiet_slot_of_few_rows_has_the_spread_of_a_usual_window() -> None:
    rng = np.random.default_rng(4)
    slots = np.arange(60) % 2
    rows = np.where(slots == 1, 0.1, 1.9)
    values = rng.standard_normal((60, COLUMNS)) / np.sqrt(rows)[:, None]
    fit = fit_location_scale(Series.of(values), slots, 1, rows, MEANS)
    assert fit.scale.mean() == pytest.approx(1, rel=0.05)
    quiet_weight = deviation_weight(0.1, rows)
    assert quiet_weight == pytest.approx(np.sqrt(0.1))
    # A quiet window against 30 quiet ones is as uncertain as a usual one against 30 usual ones.
    assert fit.location_variance(quiet_weight) == pytest.approx(1 / 30)


def test_a_size_nobody_knows_counts_in_full() -> None:
    rows = np.array([1.0, np.nan, 1.0])
    assert [deviation_weight(size, rows) for size in rows.tolist()] == [1.0, 1.0, 1.0]
    assert deviation_weight(0.25, rows) == pytest.approx(0.5)


def test_windows_without_gaps_are_added_up_the_same_to_the_bit() -> None:
    values, rows, slots = traffic(np.random.default_rng(5), 80)
    values[-10:][np.random.default_rng(6).random((10, COLUMNS)) < 0.5] = np.nan
    for window_rows in (rows, np.ones(80)):
        # A score that begins later makes the whole series one with gaps.
        with_gap = np.column_stack([values, np.where(np.arange(80) < 9, np.nan, 1.0)])
        fit, fit_with_gap = (
            fit_location_scale(Series.of(values), slots, 0, window_rows, MEANS),
            fit_location_scale(Series.of(with_gap), slots, 0, window_rows, np.append(MEANS, True)),
        )
        for name in ("location", "scale", "n", "weight", "degrees"):
            assert np.array_equal(getattr(fit, name), getattr(fit_with_gap, name)[:-1]), name


@st.composite
def series(draw: st.DrawFn) -> tuple[Series, Float64Array]:
    """Windows of some scores with gaps anywhere, cut anywhere into older and newer; and their rows."""
    windows, n_scores = draw(st.integers(0, 50)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.standard_normal((windows, n_scores)) + 3
    n_newer = draw(st.integers(0, windows))
    gap_rates = np.where(rng.random(n_scores) < 0.5, 0.0, draw(st.sampled_from([0.0, 0.2, 0.9])))
    missing = rng.random(values.shape) < gap_rates
    missing[windows - n_newer :] |= rng.random((n_newer, n_scores)) < 0.3
    values[missing] = np.nan
    rows = rng.integers(1, 10, windows) / 5.0
    rows[rng.random(windows) < draw(st.sampled_from([0.0, 0.2, 1.0]))] = np.nan
    return Series(older=values[: windows - n_newer], newer=values[windows - n_newer :]), rows


@given(series(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_sums_are_those_of_each_score_by_itself(
    sample: tuple[Series, Float64Array], means: list[bool]
) -> None:
    scores, rows = sample
    values = scores.to_array()
    flags = np.array(means[: values.shape[1]])
    location, square_sum, n, weight = weighted_sums(scores, WindowWeights.of(rows, flags))
    counted_rows = rows[~np.isnan(rows)]
    sizes = np.where(np.isnan(rows), 1.0, rows / (counted_rows.mean() if len(counted_rows) else 1.0))
    for position, score in enumerate(values.T):
        is_measured = ~np.isnan(score)
        row_weights = sizes[is_measured] if flags[position] else np.ones(is_measured.sum())
        weights = np.minimum(row_weights, 1.0)
        mean = (weights * score[is_measured]).sum() / weights.sum() if is_measured.any() else 0.0
        assert n[position] == is_measured.sum()
        assert weight[position] == pytest.approx(weights.sum())
        assert location[position] == pytest.approx(mean)
        assert square_sum[position] == pytest.approx(
            (row_weights * (score[is_measured] - mean) ** 2).sum(), abs=1e-12
        )
