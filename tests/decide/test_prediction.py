"""P-values of scores: valid on independent, wandering and heavy-tailed series, honest where they are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from driftwatch.decide.prediction import MIN_HISTORY, Asked, learn, learned, p_values
from driftwatch.decide.track import Healthy, StreamKey, Track, decode, encode
from driftwatch.summary.batch import Float64Array

COLUMNS = 10
KEYS: list[StreamKey] = [("ks", f"c{i}", "higher") for i in range(COLUMNS)]


def histories(values: Float64Array, slots: list[int] | None = None) -> dict[StreamKey, Healthy]:
    kept = np.zeros(len(values), dtype=np.int64) if slots is None else np.array(slots, dtype=np.int64)
    return {
        key: Healthy(values=values[:, i], slots=kept, appended=len(values), last_end=1, level=np.nan)
        for i, key in enumerate(KEYS[: values.shape[1]])
    }


def asked(value: Float64Array, floor: float = 0.0) -> Asked:
    return Asked(keys=KEYS[: len(value)], value=value, floor=np.full(len(value), floor))


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
# the mean over runs, with the runs' own spread.
@pytest.mark.parametrize("world", [independent, heavy, wandering])
def test_p_values_are_valid(world: Callable[[np.random.Generator, int], Float64Array]) -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(40):
        series = world(rng, 70)
        known = histories(series[:60])
        usual = learn(known)
        run = []
        for t in range(60, 70):
            answer = p_values(asked(series[t]), usual, known, 1, 0)
            run.append(answer.p_value)
            known = {
                key: Healthy(values=item.values, slots=item.slots, last_end=1, level=float(level))
                for (key, item), level in zip(known.items(), answer.level, strict=True)
            }
        found.append(np.array(run))
    p = np.array(found)
    for level in (0.2, 0.05, 0.01):
        shares = (p <= level).mean(axis=(1, 2))
        error = shares.std(ddof=1) / np.sqrt(len(shares))
        assert shares.mean() <= level + 3.72 * error
    assert (p > 0).all()
    assert (p <= 1).all()


def test_a_spell_is_not_counted_anew_each_day() -> None:
    rng = np.random.default_rng(4)
    known = histories(wandering(rng, 80))
    usual = learn(known)
    assert (usual.phi > 0.5).all()
    high = np.full(COLUMNS, 3.0)
    fresh = p_values(asked(high), usual, known, 1, 0)
    after = {
        key: Healthy(values=item.values, slots=item.slots, last_end=1, level=2.0)
        for key, item in known.items()
    }
    again = p_values(asked(high), usual, after, 1, 0)
    assert (again.p_value > 3 * fresh.p_value).all()
    # After a gap nobody knows where the level stands.
    gap = p_values(asked(high), usual, after, 2, 0)
    assert np.array_equal(gap.p_value, fresh.p_value)


def test_below_the_floor_or_without_history_nothing_is_unusual() -> None:
    rng = np.random.default_rng(5)
    known = histories(rng.normal(0, 0.001, (50, 3)))
    usual = learn(known)
    assert (p_values(asked(np.full(3, 0.01), floor=0.02), usual, known, 1, 0).p_value == 1.0).all()
    assert (p_values(asked(np.full(3, 0.1), floor=0.02), usual, known, 1, 0).p_value < 1e-4).all()
    short = histories(rng.normal(size=(MIN_HISTORY - 1, 3)))
    assert learned(None, short).keys == ()
    assert np.isnan(p_values(asked(np.ones(3)), learned(None, short), short, 1, 0).p_value).all()


def test_a_score_that_was_mostly_one_value_has_ranks_only() -> None:
    known = histories(np.zeros((50, 2)))
    answer = p_values(asked(np.array([0.5, 0.5]), floor=0.02), learn(known), known, 1, 0)
    assert answer.p_value == pytest.approx([1 / 51, 1 / 51])
    assert answer.ranked.all()


def test_a_season_slot_has_its_own_mean() -> None:
    rng = np.random.default_rng(6)
    slots = [t % 2 for t in range(60)]
    series = rng.normal(0, 0.1, (60, 4)) + np.array(slots)[:, None]
    known = histories(series, slots)
    usual = learn(known)
    busy = asked(np.full(4, 1.0))
    assert (p_values(busy, usual, known, 1, 1).p_value > 0.05).all()
    assert (p_values(busy, usual, known, 1, 0).p_value < 1e-3).all()


def test_laws_are_learned_again_only_once_the_history_has_grown() -> None:
    rng = np.random.default_rng(7)
    known = histories(rng.normal(size=(100, 3)))
    usual = learned(None, known)
    one_more = {key: item.learn(0.1, 0) for key, item in known.items()}
    assert learned(usual, one_more) is usual
    for _ in range(5):
        one_more = {key: item.learn(0.1, 0) for key, item in one_more.items()}
    assert learned(usual, one_more) is not usual


def test_what_was_learned_survives_the_store() -> None:
    rng = np.random.default_rng(8)
    known = histories(rng.normal(size=(30, 3)))
    track = Track(reference="r", configuration="c", history=known, usual=learn(known))
    back = decode(encode(track))
    assert encode(back) == encode(track)
    assert back.usual is not None
    assert track.usual is not None
    assert np.array_equal(back.usual.tail, track.usual.tail)
    assert np.isnan(back.history[KEYS[0]].level)
