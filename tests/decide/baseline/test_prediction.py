"""P-values of scores: valid on independent, autocorrelated and heavy-tailed series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.prediction import (
    PValues,
    baseline_for,
    levels_beside,
    likeliest_shift,
    p_values,
)
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS, fit_score_model, refit_if_grown
from driftwatch.decide.evalues.stream_index import StreamKey
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.results.results import Score
from driftwatch.results.streams import Streams

COLUMNS = 10
KEYS: list[StreamKey] = [("ks", f"c{i}", "location") for i in range(COLUMNS)]

#: A score of all columns jointly.
ROWS: StreamKey = ("volume", None, "volume")


def history_of(values: Float64Array, slots: list[int] | None = None) -> ScoreHistory:
    """Healthy windows, each of which ended at its number."""
    count = values.shape[1]
    keys = [("ks", f"c{i}", "location") for i in range(count)]
    history = ScoreHistory.empty(keys, np.ones(count, dtype=np.bool_), np.zeros(count))
    for t, row in enumerate(values):
        history = history.learn(row, 0 if slots is None else slots[t], t + 1, 1.0)
    return history


def above(
    value: Float64Array, history: ScoreHistory, *, floor: float = 0.0, start: int = -1, slot: int = 0
) -> Float64Array:
    return p_values_of(value, history, floor, start, slot).p_value[:, 0]


def p_values_of(value: Float64Array, history: ScoreHistory, floor: float, start: int, slot: int) -> PValues:
    return p_values(
        history,
        fit_score_model(history),
        value,
        np.full(len(value), floor),
        start,
        baseline_for(history, slot, 1.0),
    )


def independent(rng: np.random.Generator, n: int) -> Float64Array:
    return rng.standard_normal((n, COLUMNS))


def heavy(rng: np.random.Generator, n: int) -> Float64Array:
    return rng.standard_t(3, (n, COLUMNS))


def wandering(rng: np.random.Generator, n: int) -> Float64Array:
    level = rng.standard_normal(COLUMNS)
    series = np.empty((n, COLUMNS))
    for t in range(n):
        level = 0.8 * level + 0.6 * rng.standard_normal(COLUMNS)
        series[t] = level + 0.5 * rng.standard_normal(COLUMNS)
    return series


# 40 independent runs of 10 windows of 10 columns, dependent within a run: a one-sided normal bound at 1e-4 on
# the mean over runs, with the standard error of the runs.
@pytest.mark.parametrize("world", [independent, heavy, wandering])
def test_p_values_are_valid(world: Callable[[np.random.Generator, int], Float64Array]) -> None:
    rng = np.random.default_rng(3)
    p_runs = []
    for _ in range(40):
        series = world(rng, 70)
        history = history_of(series[:60])
        model = fit_score_model(history)
        run = []
        for t in range(60, 70):
            prediction = p_values(
                history, model, series[t], np.zeros(COLUMNS), t, baseline_for(history, 0, 1.0)
            )
            run.append(prediction.p_value)
            history = history.with_level(prediction.level, t + 1)
        p_runs.append(np.array(run))
    p = np.array(p_runs)
    for level in (0.2, 0.05, 0.01):
        shares = (p <= level).mean(axis=(1, 2, 3))
        error = shares.std(ddof=1) / np.sqrt(len(shares))
        assert shares.mean() <= level + 3.72 * error
    assert (p > 0).all()
    assert (p <= 1).all()


def test_a_spell_is_not_counted_anew_each_day() -> None:
    rng = np.random.default_rng(4)
    history = history_of(wandering(rng, 80))
    assert (fit_score_model(history).phi > 0.5).all()
    high = np.full(COLUMNS, 3.0)
    unconditional = above(high, history, start=80)
    after_high_level = history.with_level(np.full(COLUMNS, 2.0), 80)
    assert (above(high, after_high_level, start=80) > 3 * unconditional).all()
    # After a gap the level is unknown.
    assert np.array_equal(above(high, after_high_level, start=81), unconditional)


def test_below_the_floor_or_without_history_nothing_is_unusual() -> None:
    rng = np.random.default_rng(5)
    history = history_of(rng.normal(0, 0.001, (50, 3)))
    assert (above(np.full(3, 0.01), history, floor=0.02) == 1.0).all()
    assert (above(np.full(3, 0.1), history, floor=0.02) < 1e-4).all()
    assert np.isnan(above(np.ones(3), history_of(rng.normal(size=(MIN_HISTORY_WINDOWS - 1, 3))))).all()
    assert np.isnan(above(np.ones(3), history_of(np.empty((0, 3))))).all()
    assert np.isnan(above(np.array([1.0, np.nan, 1.0]), history)).tolist() == [False, True, False]


def test_a_score_that_was_mostly_one_value_has_ranks_only() -> None:
    history = history_of(np.zeros((50, 2)))
    prediction = p_values_of(np.array([0.5, 0.5]), history, 0.02, -1, 0)
    assert prediction.p_value[:, 0] == pytest.approx([1 / 51, 1 / 51])
    assert prediction.ranked.all()


def test_a_rare_value_that_was_seen_before_ties_with_it() -> None:
    third = Score(detector="missing", column="c", label="missing", value=1 / 3, floor=0.02, signed=True)
    history = ScoreHistory.empty().with_streams(Streams.from_list([third]))
    for end in range(1, 41):
        value = history.align(Streams.from_list([replace(third, value=0.0 if end % 10 else third.value)]))
        history = history.learn(value, 0, end, 1.0)
    p_value = p_values_of(history.align(Streams.from_list([third])), history, 0.02, 40, 0).p_value
    assert p_value[0, 0] == pytest.approx(5 / 41)


def test_a_place_is_shared_by_values_that_differ_by_next_to_nothing() -> None:
    # The score of a rare flag on days without it: of blocks compared with the rest of the reference, and of a
    # window compared with all of it.
    values = np.where(np.arange(28)[:, None] % 7 == 0, 2.291, -2.0443)
    history = history_of(values)
    below = p_values_of(np.array([-2.0449]), history, 0.05, -1, 0)
    assert below.ranked.all()
    assert below.p_value[0, 1] == pytest.approx(25 / 29)
    further = p_values_of(np.array([-2.5]), history, 0.05, -1, 0)
    assert further.p_value[0, 1] == pytest.approx(1 / 29)


def test_few_columns_remember_as_many_others_do_unless_they_show_otherwise() -> None:
    rng = np.random.default_rng(8)
    keys: list[StreamKey] = [*(("ks", f"c{i}", "location") for i in range(40)), ("tv", "k", "tv")]
    noise, series = rng.standard_normal((60, len(keys))), np.empty((60, len(keys)))
    level = np.zeros(len(keys))
    phi = []
    for memory in (0.0, 0.9):
        for t in range(60):
            level = np.where(np.arange(len(keys)) < 40, 0.0, memory) * level + noise[t]
            series[t] = level
        many_columns, one_column = (
            ScoreHistory.empty(keys[-count:], np.ones(count, dtype=np.bool_), np.zeros(count))
            for count in (len(keys), 1)
        )
        for end, row in enumerate(series, start=1):
            many_columns, one_column = (
                many_columns.learn(row, 0, end, 1.0),
                one_column.learn(row[-1:], 0, end, 1.0),
            )
        phi += [fit_score_model(many_columns).phi[-1], fit_score_model(one_column).phi[-1]]
    assert phi[0] < 0.6 * phi[1]
    assert phi[2] > 0.7


@pytest.mark.parametrize("n_recent", [0, 2, 8])
def test_what_was_set_aside_for_long_is_held_against_the_law_of_the_others(n_recent: int) -> None:
    """A seasonal history is longer than the fit: in the fitted part little may be measured."""
    rng, windows = np.random.default_rng(9), 600
    values = rng.standard_normal((windows, 5))
    values[windows - 450 : windows - n_recent, 0] = np.nan
    history = replace(
        ScoreHistory.empty(KEYS[:5], np.ones(5, dtype=np.bool_), np.full(5, 0.05), windows),
        values=values, slots=np.arange(windows) % 24, ends=np.arange(1, windows + 1), rows=np.ones(windows),
    ).with_level(np.zeros(5), windows)  # fmt: skip
    model, baseline = fit_score_model(history), baseline_for(history, windows % 24, 1.0)
    prediction = p_values(history, model, np.ones(5), history.floor, windows, baseline)
    assert (prediction.p_value.min(axis=1) > 0.05).all()
    assert (model.tail_scales > 0.1).all()
    assert (model.innovation_variance > 0.1).all()


def test_a_season_slot_has_its_own_mean() -> None:
    rng = np.random.default_rng(6)
    slots = [t % 2 for t in range(60)]
    history = history_of(rng.normal(0, 0.1, (60, 4)) + np.array(slots)[:, None], slots)
    busy = np.full(4, 1.0)
    assert (above(busy, history, slot=1) > 0.05).all()
    assert (above(busy, history, slot=0) < 1e-3).all()


def test_laws_are_learned_again_only_once_the_history_has_grown() -> None:
    rng = np.random.default_rng(7)
    history = history_of(rng.normal(size=(100, 3)))
    model = refit_if_grown(None, history)
    grown = history.learn(np.full(3, 0.1), 0, 101, 1.0)
    assert refit_if_grown(model, grown) is model
    for end in range(102, 113):
        grown = grown.learn(np.full(3, 0.1), 0, end, 1.0)
    assert refit_if_grown(model, grown) is not model


def test_a_window_that_is_learned_again_replaces_its_own_row() -> None:
    history = history_of(np.arange(30.0).reshape(10, 3))
    updated = history.learn(np.array([7.0, np.nan, 7.0]), 0, 4, 1.0)
    assert updated.values.shape == history.values.shape
    assert updated.values[3].tolist() == [7.0, 10.0, 7.0]


def test_thin_windows_are_known_as_thin_where_the_volume_was_accepted_or_is_not_watched() -> None:
    rng = np.random.default_rng(3)
    keys: list[StreamKey] = [ROWS, ("ks", "c", "location")]
    history = ScoreHistory.empty(keys, np.ones(2, dtype=np.bool_), np.zeros(2))
    for end in range(1, 101):
        history = history.learn(np.array([0.0, rng.standard_normal() / np.sqrt(1000)]), 0, end, 1000.0)
    accepted = history.forget(np.array([True, False]))
    for end in range(101, 131):
        accepted = accepted.learn(np.array([-1.4, rng.standard_normal() / np.sqrt(250)]), 0, end, 250.0)
    mean = (100 * 1000 + 30 * 250) / 130
    baseline = baseline_for(accepted, 0, 250.0)
    assert baseline.weight.tolist() == [1.0, pytest.approx(np.sqrt(250 / mean))]
    # The weighted deviation of a thin window has the scale of a window of mean rows.
    deviations = rng.standard_normal(4000) / np.sqrt(250) - baseline.fit.location[1]
    assert np.std(deviations * baseline.weight[1] / baseline.fit.scale[1]) == pytest.approx(1, abs=0.15)


def test_what_was_learned_survives_the_store() -> None:
    rng = np.random.default_rng(8)
    history = history_of(rng.normal(size=(30, 3)))
    segment_state = SegmentState(
        reference="r", configuration="c", scores=history, score_model=fit_score_model(history)
    )
    back = decode(encode(segment_state))
    assert encode(back) == encode(segment_state)
    assert back.score_model is not None
    assert segment_state.score_model is not None
    assert back.score_model.keys == segment_state.score_model.keys
    assert np.array_equal(back.score_model.tail_weights, segment_state.score_model.tail_weights)
    assert np.array_equal(back.scores.values, segment_state.scores.values)
    assert np.isnan(back.scores.level).all()


def test_a_window_judged_late_depends_on_those_beside_it_no_more_than_one_in_order() -> None:
    """Correlations of p-values with the neighbours' scores; an estimated memory leaves some.

    120 runs of 10 columns: a difference of two correlations has a standard error of .04, so that a rule that
    is as good exceeds three of them once in 700 times.
    """
    rng, p, beside, previous = np.random.default_rng(21), {}, [], []
    for _ in range(120):
        series = wandering(rng, 84)
        history = history_of(series[:80])
        fit = baseline_for(history, 0, 1.0).fit
        level, _ = levels_beside(history, fit_score_model(history), fit, np.zeros(COLUMNS), 80)
        p.setdefault("in order", []).append(
            above(series[80], replace(history, level=level, level_end=80), start=80)
        )
        for t in range(81, 84):
            history = history.learn(series[t], 0, t + 1, 1.0)
        for name, level_end in (("late", 84), ("as if alone", 0)):
            p.setdefault(name, []).append(above(series[80], replace(history, level_end=level_end), start=80))
        beside.append((series[79] + series[81]) / 2)
        previous.append(series[79])
    correlation = {
        name: -np.corrcoef(np.concatenate(p[name]), np.concatenate(scores))[0, 1]
        for name, scores in (("in order", previous), ("late", beside), ("as if alone", beside))
    }
    assert correlation["late"] <= correlation["in order"] + 0.12
    assert correlation["as if alone"] > correlation["late"] + 0.12


@pytest.mark.parametrize(("newest", "windows"), [([0.3, 2.0, 20.0], 1), ([2.0, 2.5, 1.8, 2.2], 4)])
def test_a_shift_is_measured_since_its_likeliest_start(newest: list[float], windows: int) -> None:
    """Ordinary windows at the start of a CUSUM make a large shift no smaller."""
    rng = np.random.default_rng(5)
    values = rng.normal(0, 1, (60, 1))
    values[len(values) - len(newest) + 1 :, 0] = newest[:-1]
    history = history_of(values)
    inputs = (history, np.zeros(1), np.array(newest[-1:]), np.array([len(values) - len(newest) + 1]))
    shift, n_windows = likeliest_shift(*inputs)
    assert n_windows[0] == windows
    # The ordinary windows before are standard normal.
    assert shift[0] == pytest.approx(np.mean(newest[-windows:]), abs=0.35)
