"""What is worked out for all scores at once, worked out one by one by its definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline import score_model
from driftwatch.decide.baseline.pooling import posterior
from driftwatch.decide.baseline.prediction import LEAST_SPREAD, p_values, past_of
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import DEGREES, MIN_HISTORY, ScoreModel, learn
from driftwatch.decide.baseline.share_history import (
    BLOCKS,
    LONGEST_WAIT,
    SUSPECTED,
    TAUGHT,
    WAIT,
    ShareHistory,
    shares_seen,
)
from driftwatch.decide.evalues.e_values import CALIBRATORS
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.results.results import Shares
from driftwatch.results.streams import Streams

KEYS = [("ks", f"c{place}", "location") for place in range(3)]
FLOOR = 0.05


@st.composite
def histories(draw: st.DrawFn) -> ScoreHistory:
    """Up to 70 windows of three scores, few values again and again, with gaps anywhere."""
    windows, seed = draw(st.integers(0, 70)), draw(st.integers(0, 2**32 - 1))
    gaps, signed = draw(st.sampled_from([0.0, 0.1, 0.6])), draw(st.tuples(*[st.booleans()] * 3))
    rng = np.random.default_rng(seed)
    values = rng.choice([-1.0, 0.0, 0.0, 0.0, 0.01, 2.0], (windows, 3))
    values[rng.random(values.shape) < gaps] = np.nan
    book = ScoreHistory.empty(KEYS, np.array(signed), np.full(3, FLOOR), windows)
    return replace(book, values=values, ends=np.arange(1, windows + 1))


@given(histories())
def test_the_newest_windows_wait_where_enough_have_taught(book: ScoreHistory) -> None:
    waiting = np.zeros(book.values.shape, dtype=np.bool_)
    for place, own in enumerate(book.values.T):
        waits = min(max(int((~np.isnan(own)).sum()) - TAUGHT, 0), WAIT)
        waiting[len(own) - waits :, place] = True
    whole = book.healthy.whole()
    np.testing.assert_array_equal(whole, np.where(waiting, np.nan, book.values))


@given(histories(), st.integers(0, 2**32 - 1))
def test_what_is_suspected_waits_since_its_onset(book: ScoreHistory, seed: int) -> None:
    rng, windows = np.random.default_rng(seed), len(book.values)
    run = rng.choice([-1.0, 0.0, 2.9, 3.0, 9.0], (3, 2, CALIBRATORS), p=[0.3, 0.4, 0.2, 0.05, 0.05])
    onset = rng.integers(-1, windows + 1, run.shape)
    until = rng.integers(-1, windows + 1, 3)
    whole = replace(book, run=run, onset=onset, taught_until=until).healthy.whole()
    for place, own in enumerate(book.values.T):
        waits = min(max(int((~np.isnan(own)).sum()) - TAUGHT, 0), WAIT)
        suspected = run[place].max() >= SUSPECTED
        begun = onset[place].flat[run[place].argmax()]
        for row, end in enumerate(book.ends.tolist()):
            age = windows - row
            late = age <= waits or (suspected and age <= LONGEST_WAIT and end > begun)
            kept = np.nan if late and end > until[place] else own[row]
            np.testing.assert_array_equal(whole[row, place], kept)


@given(st.integers(1, 45), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_shares_teach_once_and_late(before: int, windows: int, seed: int) -> None:
    """What a book of shares has been taught, window by window and stream by stream, as its rules say."""
    rng, run = np.random.default_rng(seed), np.zeros(3)
    keys, sizes = [("ks", "a", ""), ("ks", "b", ""), ("tv", "b", "")], [2, 1, 3]
    book = ShareHistory.empty(keys, sizes)
    waiting: list[list[tuple[int, Int64Array]]] = [[], [], []]
    taught: list[list[Int64Array]] = [[], [], []]

    for window in range(before + windows):
        seen, silent = rng.random(3) < 0.9, rng.random(3) < (0.02 if window > before else 0.0)
        run = np.where(rng.random(3) < 0.05, rng.choice([0.0, 2.9, 3.0], 3), run)
        book = replace(book, run=run)
        shares = [
            Shares(
                detector=key[0], column=key[1], labels=tuple("abc"[:size]), reference=np.full(size, 0.5),
                successes=rng.integers(0, 51, size), trials=np.full(size, 50), reference_trials=1000,
            )
            for key, size in zip(keys, sizes, strict=True)
        ]  # fmt: skip
        told = shares_seen(book, Streams.of([item for item, here in zip(shares, seen, strict=True) if here]))
        if window < before:
            book = book.learn(told)
            for place in np.flatnonzero(seen).tolist():
                taught[place].append(shares[place].successes)
            continue
        book = book.wait(told, silent, averaged=True)
        for place in range(3):
            own = waiting[place] = [(age + 1, item) for age, item in waiting[place] if not silent[place]]
            early = len(taught[place]) < TAUGHT
            if seen[place] and not silent[place]:
                if early:
                    taught[place].append(shares[place].successes)
                else:
                    own.append((1, shares[place].successes))
            over = [
                (age, item)
                for age, item in own
                if age > LONGEST_WAIT or (age > WAIT and run[place] < SUSPECTED)
            ]
            taught[place] += [item for _, item in over]
            waiting[place] = [pair for pair in own if pair[0] not in {age for age, _ in over}]
    for row, length in enumerate(BLOCKS.tolist()):
        for place, size in enumerate(sizes):
            here = book.which == place
            full = len(taught[place]) // length * length
            share = np.reshape(taught[place][:full], (-1, length, size)).sum(axis=1) / (50 * length)
            assert book.blocks[row, place] == len(share)
            np.testing.assert_allclose(book.total[row, here], share.sum(axis=0))
            np.testing.assert_allclose(book.square[row, here], (share**2).sum(axis=0))
            np.testing.assert_allclose(book.inverse[row, here], len(share) / (50 * length))


def _ranks(
    every: Float64Array, own: Float64Array, value: float, tie: float, *, near: bool
) -> tuple[float, float]:
    """P-value by rank of one score above what is usual, and that of a first."""
    every, own = every[~np.isnan(every)], own[~np.isnan(own)]
    highest = max(own, default=-np.inf)
    first = (sum(every > highest) + 1) / (len(every) + 1)
    lowest = max(own[own < value - tie], default=-np.inf)
    return 1.0 if near else (sum(every > lowest) + 1) / (len(every) + 1), first


@given(histories(), st.sampled_from([-1.0, -0.2, 0.0, 0.02, 2.0, 5.0]))
def test_ranks_are_those_of_the_rule_of_succession(book: ScoreHistory, value: float) -> None:
    usual = replace(learn(book), ranked=np.ones(3, dtype=np.bool_))
    past, own = past_of(book, 0, np.nan), book.healthy.whole()
    answer = p_values(book, usual, np.full(3, value), book.floor, -1, past)
    for place in range(3):
        for side, turned in enumerate((1.0, -1.0)):
            excess = turned * (value - past.held.centre[place])
            p, first = _ranks(
                turned * book.values[:, place], turned * own[:, place], turned * value, LEAST_SPREAD * FLOOR,
                near=excess < FLOOR,
            )  # fmt: skip
            looked_at = side == 0 or book.signed[place]
            if past.known[place] < MIN_HISTORY or not looked_at:
                assert np.isnan(answer.p_value[place, side])
            else:
                assert answer.p_value[place, side] == pytest.approx(p)
            if looked_at:
                assert answer.least[place, side] == pytest.approx(first)


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.booleans())
def test_tails_have_the_density_of_student(windows: int, seed: int, signed: bool) -> None:
    rng = np.random.default_rng(seed)
    innovations = rng.standard_t(3, (windows, 2)) * 7
    innovations[rng.random(innovations.shape) < 0.1] = np.nan
    log_like, stretch = score_model._of_tail(innovations, np.full(2, signed))
    for place, own in enumerate(innovations.T):
        known = own[~np.isnan(own)]
        z = known / np.sqrt((known**2).mean()) if len(known) else known
        z = z if signed else z[z > 0]
        for d, degrees in enumerate(DEGREES):
            said = stats.t(degrees, scale=stretch[d, place]).logpdf(z).sum()
            if len(z):
                assert log_like[d, place] == pytest.approx(said, rel=1e-9, abs=1e-9)


def _posterior(like: Float64Array, prior: Float64Array) -> Float64Array:
    """Laird's algorithm with two columns of prior, column by column; NaN tells nothing."""
    told = [own for own in like.T if not np.isnan(own[0])]
    population = prior
    for _ in range(25):
        population = 2.0 * prior + sum((population * own / (population @ own) for own in told), 0 * prior)
        population = population / population.sum()
    each = [population if np.isnan(own[0]) else population * own for own in like.T]
    return np.array([own / own.sum() for own in each]).T


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_populations_are_estimated_by_expectation_maximisation(columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    log_like, prior = rng.normal(0, 3, (4, columns)), np.array([0.4, 0.3, 0.2, 0.1])
    log_like[:, rng.random(columns) < 0.3] = np.nan
    keys = StreamIndex(("ks", f"c{place}", "location") for place in range(columns))
    found = posterior(log_like, np.log(prior), keys, lambda places: float(len(places)), 0.0)
    np.testing.assert_allclose(found, _posterior(np.exp(log_like), prior), rtol=1e-9)


def test_a_law_of_no_windows_is_learned_of_nothing() -> None:
    usual: ScoreModel = learn(ScoreHistory.empty(KEYS, np.ones(3, dtype=np.bool_), np.zeros(3)))
    assert np.isfinite(usual.tail).all()
