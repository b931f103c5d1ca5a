"""P-values of scores: valid on independent, wandering and heavy-tailed series, honest where they are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.prediction import Answer, p_values, past_of
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import MIN_HISTORY, learn, learned
from driftwatch.decide.evalues.stream_index import VOLUME, StreamKey
from driftwatch.decide.state import SegmentState, decode, encode
from driftwatch.results.results import Score
from driftwatch.results.streams import Streams

COLUMNS = 10
KEYS: list[StreamKey] = [("ks", f"c{i}", "location") for i in range(COLUMNS)]


def book_of(values: Float64Array, slots: list[int] | None = None) -> ScoreHistory:
    """A book that healthy windows taught, the last of which ended at its number."""
    count = values.shape[1]
    keys = [("ks", f"c{i}", "location") for i in range(count)]
    book = ScoreHistory.empty(keys, np.ones(count, dtype=np.bool_), np.zeros(count))
    for t, row in enumerate(values):
        book = book.learn(row, 0 if slots is None else slots[t], t + 1, 1.0)
    return book


def above(
    value: Float64Array, book: ScoreHistory, *, floor: float = 0.0, start: int = -1, slot: int = 0
) -> Float64Array:
    return asked(value, book, floor, start, slot).p_value[:, 0]


def asked(value: Float64Array, book: ScoreHistory, floor: float, start: int, slot: int) -> Answer:
    return p_values(book, learn(book), value, np.full(len(value), floor), start, past_of(book, slot, 1.0))


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
        book = book_of(series[:60])
        usual = learn(book)
        run = []
        for t in range(60, 70):
            answer = p_values(book, usual, series[t], np.zeros(COLUMNS), t, past_of(book, 0, 1.0))
            run.append(answer.p_value)
            book = book.standing_at(answer.level, t + 1)
        found.append(np.array(run))
    p = np.array(found)
    for level in (0.2, 0.05, 0.01):
        shares = (p <= level).mean(axis=(1, 2, 3))
        error = shares.std(ddof=1) / np.sqrt(len(shares))
        assert shares.mean() <= level + 3.72 * error
    assert (p > 0).all()
    assert (p <= 1).all()


def test_a_spell_is_not_counted_anew_each_day() -> None:
    rng = np.random.default_rng(4)
    book = book_of(wandering(rng, 80))
    assert (learn(book).phi > 0.5).all()
    high = np.full(COLUMNS, 3.0)
    fresh = above(high, book, start=80)
    stands = book.standing_at(np.full(COLUMNS, 2.0), 80)
    assert (above(high, stands, start=80) > 3 * fresh).all()
    # After a gap nobody knows where the level stands.
    assert np.array_equal(above(high, stands, start=81), fresh)


def test_below_the_floor_or_without_history_nothing_is_unusual() -> None:
    rng = np.random.default_rng(5)
    book = book_of(rng.normal(0, 0.001, (50, 3)))
    assert (above(np.full(3, 0.01), book, floor=0.02) == 1.0).all()
    assert (above(np.full(3, 0.1), book, floor=0.02) < 1e-4).all()
    assert np.isnan(above(np.ones(3), book_of(rng.normal(size=(MIN_HISTORY - 1, 3))))).all()
    assert np.isnan(above(np.ones(3), book_of(np.empty((0, 3))))).all()
    assert np.isnan(above(np.array([1.0, np.nan, 1.0]), book)).tolist() == [False, True, False]


def test_a_score_that_was_mostly_one_value_has_ranks_only() -> None:
    book = book_of(np.zeros((50, 2)))
    answer = asked(np.array([0.5, 0.5]), book, 0.02, -1, 0)
    assert answer.p_value[:, 0] == pytest.approx([1 / 51, 1 / 51])
    assert answer.ranked.all()


def test_a_rare_value_that_was_seen_before_ties_with_it() -> None:
    third = Score(detector="missing", column="c", label="missing", value=1 / 3, floor=0.02, signed=True)
    book = ScoreHistory.empty().expecting(Streams.of([third]))
    for end in range(1, 41):
        value = book.seen(Streams.of([replace(third, value=0.0 if end % 10 else third.value)]))
        book = book.learn(value, 0, end, 1.0)
    p_value = asked(book.seen(Streams.of([third])), book, 0.02, 40, 0).p_value
    assert p_value[0, 0] == pytest.approx(5 / 41)


def test_a_place_is_shared_by_values_that_differ_by_next_to_nothing() -> None:
    # The spread of a flag that is seldom set, on days when it is not: of blocks held against the rest of the
    # reference, and of a window held against all of it.
    values = np.where(np.arange(28)[:, None] % 7 == 0, 2.291, -2.0443)
    book = book_of(values)
    below = asked(np.array([-2.0449]), book, 0.05, -1, 0)
    assert below.ranked.all()
    assert below.p_value[0, 1] == pytest.approx(25 / 29)
    further = asked(np.array([-2.5]), book, 0.05, -1, 0)
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
        many, alone = (
            ScoreHistory.empty(keys[-count:], np.ones(count, dtype=np.bool_), np.zeros(count))
            for count in (len(keys), 1)
        )
        for end, row in enumerate(series, start=1):
            many, alone = many.learn(row, 0, end, 1.0), alone.learn(row[-1:], 0, end, 1.0)
        phi += [learn(many).phi[-1], learn(alone).phi[-1]]
    assert phi[0] < 0.6 * phi[1]
    assert phi[2] > 0.7


@pytest.mark.parametrize("back", [0, 2, 8])
def test_what_was_set_aside_for_long_is_held_against_the_law_of_the_others(back: int) -> None:
    """A seasonal history is longer than what laws are learned from: of that, little may be known."""
    rng, windows = np.random.default_rng(9), 600
    values = rng.standard_normal((windows, 5))
    values[windows - 450 : windows - back, 0] = np.nan
    book = replace(
        ScoreHistory.empty(KEYS[:5], np.ones(5, dtype=np.bool_), np.full(5, 0.05), windows),
        values=values, slots=np.arange(windows) % 24, ends=np.arange(1, windows + 1), rows=np.ones(windows),
    ).standing_at(np.zeros(5), windows)  # fmt: skip
    usual, past = learn(book), past_of(book, windows % 24, 1.0)
    answer = p_values(book, usual, np.ones(5), book.floor, windows, past)
    assert (answer.p_value.min(axis=1) > 0.05).all()
    assert (usual.stretch > 0.1).all()
    assert (usual.variance > 0.1).all()


def test_a_season_slot_has_its_own_mean() -> None:
    rng = np.random.default_rng(6)
    slots = [t % 2 for t in range(60)]
    book = book_of(rng.normal(0, 0.1, (60, 4)) + np.array(slots)[:, None], slots)
    busy = np.full(4, 1.0)
    assert (above(busy, book, slot=1) > 0.05).all()
    assert (above(busy, book, slot=0) < 1e-3).all()


def test_laws_are_learned_again_only_once_the_history_has_grown() -> None:
    rng = np.random.default_rng(7)
    book = book_of(rng.normal(size=(100, 3)))
    usual = learned(None, book)
    more = book.learn(np.full(3, 0.1), 0, 101, 1.0)
    assert learned(usual, more) is usual
    for end in range(102, 113):
        more = more.learn(np.full(3, 0.1), 0, end, 1.0)
    assert learned(usual, more) is not usual


def test_a_window_that_is_learned_again_replaces_its_own_row() -> None:
    book = book_of(np.arange(30.0).reshape(10, 3))
    again = book.learn(np.array([7.0, np.nan, 7.0]), 0, 4, 1.0)
    assert again.values.shape == book.values.shape
    assert again.values[3].tolist() == [7.0, 10.0, 7.0]


def test_thin_windows_are_known_as_thin_where_the_volume_was_accepted_or_is_not_watched() -> None:
    rng = np.random.default_rng(3)
    keys: list[StreamKey] = [VOLUME, ("ks", "c", "location")]
    book = ScoreHistory.empty(keys, np.ones(2, dtype=np.bool_), np.zeros(2))
    for end in range(1, 101):
        book = book.learn(np.array([0.0, rng.standard_normal() / np.sqrt(1000)]), 0, end, 1000.0)
    accepted = book.without(np.array([True, False]))
    for end in range(101, 131):
        accepted = accepted.learn(np.array([-1.4, rng.standard_normal() / np.sqrt(250)]), 0, end, 250.0)
    mean = (100 * 1000 + 30 * 250) / 130
    past = past_of(accepted, 0, 250.0)
    assert past.worth.tolist() == [1.0, pytest.approx(np.sqrt(250 / mean))]
    # Where a thin window counts for less its distance is one in the spread of a usual one.
    apart = rng.standard_normal(4000) / np.sqrt(250) - past.held.centre[1]
    assert np.std(apart * past.worth[1] / past.held.spread[1]) == pytest.approx(1, abs=0.15)


def test_what_was_learned_survives_the_store() -> None:
    rng = np.random.default_rng(8)
    book = book_of(rng.normal(size=(30, 3)))
    segment_state = SegmentState(reference="r", configuration="c", scores=book, usual=learn(book))
    back = decode(encode(segment_state))
    assert encode(back) == encode(segment_state)
    assert back.usual is not None
    assert segment_state.usual is not None
    assert back.usual.keys == segment_state.usual.keys
    assert np.array_equal(back.usual.tail, segment_state.usual.tail)
    assert np.array_equal(back.scores.values, segment_state.scores.values)
    assert np.isnan(back.scores.level).all()
