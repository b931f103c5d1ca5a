"""Scores of few values have ranks, hold equal days equal, and find a value that no day had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.few_values import takes_few_values
from driftwatch.decide.baseline.prediction import PValues, baseline_for, p_values
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import fit_score_model
from driftwatch.decide.evalues.stream_index import StreamKey

FLOOR = 0.05
DAYS = 365


def history_of(values: Float64Array, *, is_reference: bool = True) -> ScoreHistory:
    """Days of one score per column, each of which ended at its number."""
    count = values.shape[1]
    keys: list[StreamKey] = [("ks", f"c{i}", "location") for i in range(count)]
    history = ScoreHistory.empty(keys, np.ones(count, dtype=np.bool_), np.full(count, FLOOR))
    history = replace(history, values=np.empty((0, count)), slots=history.slots[:0], ends=history.ends[:0])
    for end, row in enumerate(values, start=1):
        history = history.learn(row, 0, end, 1.0)
    return history if is_reference else replace(history, learned_until=np.full(count, -1))


def prediction_of(value: Float64Array, history: ScoreHistory) -> PValues:
    baseline = baseline_for(history, 0, 1.0)
    return p_values(history, fit_score_model(history), value, history.floor, -1, baseline)


def flag_days(rng: np.random.Generator, rate: float, shape: tuple[int, ...]) -> Float64Array:
    """Scores of a flag that all rows of rare days have; numbers of rows differ a little."""
    return np.where(rng.random(shape) < rate, 2.3, -0.2) + rng.uniform(-0.003, 0.003, shape)


@pytest.mark.parametrize("days", [28, 90, 365])
def test_only_scores_of_few_values_have_ranks(days: int) -> None:
    """500 scores of a kind. Of 2000 normal and exponential ones none has ranks, of t3 ones one in 2000."""
    rng, shape = np.random.default_rng(1), (days, 500)
    narrow = 0.001 * rng.standard_normal(shape)
    for values in (rng.standard_normal(shape), narrow, rng.exponential(size=shape)):
        assert not takes_few_values(values, 8).any()
    assert takes_few_values(rng.standard_t(3, shape), 8).mean() < 0.01
    for rate in (0.1, 0.3, 0.5):
        values = flag_days(rng, rate, shape)
        assert takes_few_values(values, 8)[(values > 0).any(axis=0)].all()
    mostly_zero = np.where(rng.random(shape) < 0.2, rng.random(shape), 0.0)
    assert takes_few_values(mostly_zero, 8).mean() > 0.99
    # Users of ten rows, one in twenty of them with a level: three of five windows have none, and a bell does.
    lattice = rng.binomial(10, 0.05, shape) / 10 + 0.001 * rng.standard_normal(shape)
    # In 28 of them one in ten has no second user with it, and three of four without any.
    assert takes_few_values(lattice, 8).mean() < (0.2 if days == 28 else 0.01)
    # Days of one device each, in one of four regions.
    regions = np.select([(u := rng.random(shape)) < 0.5, u < 0.7], [-0.6, -0.1], 0.78)
    assert takes_few_values(regions + 0.03 * rng.standard_normal(shape), 8).mean() < 0.02
    # A fit to three windows lasts: their distances say nothing yet.
    assert not takes_few_values(np.array([[0.37], [0.38], [-0.1]]), 8).any()


def test_a_day_like_blocks_of_the_reference_ties_with_them() -> None:
    """The same rows are further from the rest of the reference than from all of it."""
    days = np.repeat([-1.0, -0.6, 1.0], [20, 6, 2])
    history = history_of((days * 28 / 27)[:, None])
    p_value = prediction_of(np.array([-0.6]), history).p_value[0, 0]
    assert p_value == pytest.approx(9 / 29)
    production = history_of((days * 28 / 27)[:, None], is_reference=False)
    assert prediction_of(np.array([-0.6]), production).p_value[0, 0] == pytest.approx(3 / 29)


def test_a_value_between_those_of_all_days_is_as_rare_as_one_beyond() -> None:
    days = np.repeat([-0.2, 2.3], [330, 35])
    history = history_of(np.repeat(days[:, None], 4, axis=1))
    # A little off is none: scores of blocks and of windows are not quite the same.
    prediction = prediction_of(np.array([1.0, 2.0, 2.3, 3.0]), history)
    assert prediction.p_value[:, 0] == pytest.approx([1 / 366, 36 / 366, 36 / 366, 1 / 366])
    assert prediction.smallest_p[:, 0] == pytest.approx([1 / 366] * 4)
    # One single day between them had it coming: the next is one of two.
    days[0] = 0.5
    once = prediction_of(np.array([1.0]), history_of(days[:, None]))
    assert once.p_value[0, 0] == pytest.approx(2 / 366)


def test_a_day_like_the_reference_as_a_whole_is_not_new_between_its_blocks() -> None:
    """A device is in all rows of a day or in none, and on the next day in as many as in all days together."""
    days = np.repeat([-0.2, 2.3], [300, 65])
    history = history_of(np.repeat(days[:, None], 2, axis=1))
    assert takes_few_values(history.values, 8).all()
    prediction = prediction_of(np.array([0.6, 1.0]), history)
    assert prediction.p_value[:, 0] == pytest.approx([66 / 366, 1 / 366])


def test_p_values_of_flags_are_valid() -> None:
    """2000 flags: no level is undercut more often than it says. One-sided binomial bounds at 1e-4."""
    rng, flags = np.random.default_rng(3), 2000
    for rate in (0.03, 0.1, 0.5):
        values = flag_days(rng, rate, (61, flags))
        # Now and then half of a day's rows.
        values = np.where(rng.random(values.shape) < 0.01, rng.uniform(0.3, 2.0, values.shape), values)
        p = prediction_of(values[60], history_of(values[:60])).p_value
        for level in (0.02, 0.05, 0.2):
            bound = level * flags + 3.72 * np.sqrt(level * (1 - level) * flags)
            assert ((p <= level).sum(axis=0) <= bound).all()
