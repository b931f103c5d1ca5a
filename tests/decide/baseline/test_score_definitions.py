"""Vectorized results equal those of the definition, score by score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline import score_model
from driftwatch.decide.baseline.pooling import posterior
from driftwatch.decide.baseline.prediction import MIN_SCALE_FLOORS, baseline_for, p_values
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import (
    DEGREES_OF_FREEDOM,
    MIN_HISTORY_WINDOWS,
    ScoreModel,
    fit_score_model,
)
from driftwatch.decide.baseline.share_history import (
    BLOCK_WINDOWS,
    FIRST_LEARNED_WINDOWS,
    MAX_PENDING_WINDOWS,
    MIN_SUSPECT_CUSUM,
    PENDING_WINDOWS,
    ShareHistory,
    align_shares,
)
from driftwatch.decide.evalues.e_values import CALIBRATORS
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.results.results import Shares
from driftwatch.results.streams import Streams

KEYS = [("ks", f"c{number}", "location") for number in range(3)]
FLOOR = 0.05


@st.composite
def histories(draw: st.DrawFn) -> ScoreHistory:
    """Up to 70 windows of three scores, with few distinct values and gaps anywhere."""
    windows, seed = draw(st.integers(0, 70)), draw(st.integers(0, 2**32 - 1))
    gaps, signed = draw(st.sampled_from([0.0, 0.1, 0.6])), draw(st.tuples(*[st.booleans()] * 3))
    rng = np.random.default_rng(seed)
    values = rng.choice([-1.0, 0.0, 0.0, 0.0, 0.01, 2.0], (windows, 3))
    values[rng.random(values.shape) < gaps] = np.nan
    history = ScoreHistory.empty(KEYS, np.array(signed), np.full(3, FLOOR), windows)
    return replace(history, values=values, ends=np.arange(1, windows + 1))


@settings(deadline=None)
@given(histories())
def test_the_newest_windows_wait_where_enough_have_taught(history: ScoreHistory) -> None:
    pending = np.zeros(history.values.shape, dtype=np.bool_)
    for position, score in enumerate(history.values.T):
        n_pending = min(max(int((~np.isnan(score)).sum()) - FIRST_LEARNED_WINDOWS, 0), PENDING_WINDOWS)
        pending[len(score) - n_pending :, position] = True
    learned_values = history.healthy_series.to_array()
    np.testing.assert_array_equal(learned_values, np.where(pending, np.nan, history.values))


@settings(deadline=None)
@given(histories(), st.integers(0, 2**32 - 1))
def test_what_is_suspected_waits_since_its_onset(history: ScoreHistory, seed: int) -> None:
    rng, windows = np.random.default_rng(seed), len(history.values)
    cusum = rng.choice([-1.0, 0.0, 2.9, 3.0, 9.0], (3, 2, CALIBRATORS), p=[0.3, 0.4, 0.2, 0.05, 0.05])
    onset = rng.integers(-1, windows + 1, cusum.shape)
    until = rng.integers(-1, windows + 1, 3)
    learned_values = replace(history, cusum=cusum, onset=onset, learned_until=until).healthy_series.to_array()
    for position, score in enumerate(history.values.T):
        n_pending = min(max(int((~np.isnan(score)).sum()) - FIRST_LEARNED_WINDOWS, 0), PENDING_WINDOWS)
        is_suspected = cusum[position].max() >= MIN_SUSPECT_CUSUM
        cusum_start = onset[position].flat[cusum[position].argmax()]
        for row, end in enumerate(history.ends.tolist()):
            age = windows - row
            is_pending = age <= n_pending or (
                is_suspected and age <= MAX_PENDING_WINDOWS and end > cusum_start
            )
            expected = np.nan if is_pending and end > until[position] else score[row]
            np.testing.assert_array_equal(learned_values[row, position], expected)


@settings(deadline=None)
@given(st.integers(1, 45), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_shares_teach_once_and_late(n_blocks: int, windows: int, seed: int) -> None:
    """A share history learns, window by window and stream by stream, what its rules say."""
    rng, cusum = np.random.default_rng(seed), np.zeros(3)
    keys, sizes = [("ks", "a", ""), ("ks", "b", ""), ("tv", "b", "")], [2, 1, 3]
    history = ShareHistory.empty(keys, sizes)
    pending: list[list[tuple[int, Int64Array]]] = [[], [], []]
    learned: list[list[Int64Array]] = [[], [], []]

    for window in range(n_blocks + windows):
        is_present, is_suspended = rng.random(3) < 0.9, rng.random(3) < (0.02 if window > n_blocks else 0.0)
        cusum = np.where(rng.random(3) < 0.05, rng.choice([0.0, 2.9, 3.0], 3), cusum)
        history = replace(history, cusum=cusum)
        shares = [
            Shares(
                detector=key[0], column=key[1], labels=tuple("abc"[:size]), reference=np.full(size, 0.5),
                successes=rng.integers(0, 51, size), trials=np.full(size, 50), reference_trials=1000,
            )
            for key, size in zip(keys, sizes, strict=True)
        ]  # fmt: skip
        window_shares = align_shares(
            history, Streams.from_list([item for item, flag in zip(shares, is_present, strict=True) if flag])
        )
        if window < n_blocks:
            history = history.learn(window_shares)
            for position in np.flatnonzero(is_present).tolist():
                learned[position].append(shares[position].successes)
            continue
        history = history.add_window(window_shares, is_suspended, means_needed=True)
        for position in range(3):
            aged = pending[position] = [
                (age + 1, item) for age, item in pending[position] if not is_suspended[position]
            ]
            is_short = len(learned[position]) < FIRST_LEARNED_WINDOWS
            if is_present[position] and not is_suspended[position]:
                if is_short:
                    learned[position].append(shares[position].successes)
                else:
                    aged.append((1, shares[position].successes))
            due_windows = [
                (age, item)
                for age, item in aged
                if age > MAX_PENDING_WINDOWS
                or (age > PENDING_WINDOWS and cusum[position] < MIN_SUSPECT_CUSUM)
            ]
            learned[position] += [item for _, item in due_windows]
            pending[position] = [pair for pair in aged if pair[0] not in {age for age, _ in due_windows}]
    for row, length in enumerate(BLOCK_WINDOWS.tolist()):
        for position, size in enumerate(sizes):
            labels = history.label_streams == position
            n_used = len(learned[position]) // length * length
            share = np.reshape(learned[position][:n_used], (-1, length, size)).sum(axis=1) / (50 * length)
            assert history.blocks[row, position] == len(share)
            np.testing.assert_allclose(history.share_sum[row, labels], share.sum(axis=0))
            np.testing.assert_allclose(history.square_sum[row, labels], (share**2).sum(axis=0))
            np.testing.assert_allclose(history.inverse_trials_sum[row, labels], len(share) / (50 * length))


def _ranks(
    values: Float64Array, learned: Float64Array, value: float, tie_width: float, *, is_usual: bool
) -> tuple[float, float]:
    """Rank p-value of one score above the usual ones, and the smallest p-value."""
    pending = values[~np.isnan(values) & np.isnan(learned)]
    values, learned = values[~np.isnan(values)], learned[~np.isnan(learned)]
    highest = max(learned, default=-np.inf)
    smallest_p = (sum(values > highest) + 1) / (len(values) + 1)
    threshold = max(learned[learned < value - tie_width], default=-np.inf)
    rank = sum(values > threshold) + 1
    n_new = _new_values(pending, learned, value)
    if is_usual or not n_new or n_new >= rank:
        return 1.0 if is_usual else rank / (len(values) + 1), smallest_p
    return n_new / (len(values) + 1), n_new / (len(values) + 1)


def _new_values(pending: Float64Array, learned: Float64Array, value: float) -> int:
    deviation = learned.std(ddof=1) if len(learned) > 1 else 0.0
    width = 0.1 * deviation
    cells = {np.floor((item - learned.min()) / (width or 1.0)) for item in learned}
    if (
        not cells
        or len(cells) > 8
        or len(learned) < 4 * len(cells)
        or abs(value - learned.mean()) <= deviation / 2
    ):
        return 0

    def is_new(item: float, others: Float64Array) -> bool:
        return bool((np.abs(others - item) > max(width, FLOOR)).all())

    alone = [is_new(item, np.delete(learned, row)) for row, item in enumerate(learned)]
    as_new = sum(alone) + sum(is_new(item, learned) for item in pending) + 1
    lower, upper = (
        max(learned[learned < value], default=-np.inf),
        min(learned[learned >= value], default=np.inf),
    )
    margin = min(value - lower, upper - value)
    is_wide = 20 * FLOOR <= upper - lower < np.inf
    return as_new if is_wide and margin > max(width, FLOOR, (upper - lower) / 4) else 0


@settings(deadline=None)
@given(histories(), st.sampled_from([-1.0, -0.2, 0.0, 0.02, 1.0, 2.0, 5.0]))
def test_ranks_are_those_of_the_rule_of_succession(history: ScoreHistory, value: float) -> None:
    model = replace(fit_score_model(history), ranked=np.ones(3, dtype=np.bool_))
    baseline, learned = baseline_for(history, 0, np.nan), history.healthy_series.to_array()
    prediction = p_values(history, model, np.full(3, value), history.floor, -1, baseline)
    for position in range(3):
        for side, sign in enumerate((1.0, -1.0)):
            excess = sign * (value - baseline.fit.location[position])
            p, smallest_p = _ranks(
                sign * history.values[:, position], sign * learned[:, position], sign * value,
                MIN_SCALE_FLOORS * FLOOR, is_usual=excess < FLOOR,
            )  # fmt: skip
            is_tested = side == 0 or history.signed[position]
            if baseline.n[position] < MIN_HISTORY_WINDOWS or not is_tested:
                assert np.isnan(prediction.p_value[position, side])
            else:
                assert prediction.p_value[position, side] == pytest.approx(p)
            if is_tested:
                assert prediction.smallest_p[position, side] == pytest.approx(smallest_p)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.booleans())
def test_tails_have_the_density_of_student(windows: int, seed: int, signed: bool) -> None:
    rng = np.random.default_rng(seed)
    innovations = rng.standard_t(3, (windows, 2)) * 7
    innovations[rng.random(innovations.shape) < 0.1] = np.nan
    log_like, scales = score_model._tail_likelihood(innovations, np.full(2, signed))
    for position, series in enumerate(innovations.T):
        measured_values = series[~np.isnan(series)]
        z = (
            measured_values / np.sqrt((measured_values**2).mean())
            if len(measured_values)
            else measured_values
        )
        z = z if signed else z[z > 0]
        for d, degrees in enumerate(DEGREES_OF_FREEDOM):
            log_density = stats.t(degrees, scale=scales[d, position]).logpdf(z).sum()
            if len(z):
                assert log_like[d, position] == pytest.approx(log_density, rel=1e-9, abs=1e-9)


def _posterior(like: Float64Array, prior: Float64Array) -> Float64Array:
    """Laird's algorithm with two columns of prior, column by column; NaN is no information."""
    informative = [column for column in like.T if not np.isnan(column[0])]
    population = prior
    for _ in range(25):
        population = 2.0 * prior + sum(
            (population * column / (population @ column) for column in informative), 0 * prior
        )
        population = population / population.sum()
    weights = [population if np.isnan(column[0]) else population * column for column in like.T]
    return np.array([column / column.sum() for column in weights]).T


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_populations_are_estimated_by_expectation_maximisation(columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    log_like, prior = rng.normal(0, 3, (4, columns)), np.array([0.4, 0.3, 0.2, 0.1])
    log_like[:, rng.random(columns) < 0.3] = np.nan
    keys = StreamIndex(("ks", f"c{position}", "location") for position in range(columns))
    weights = posterior(log_like, np.log(prior), keys, lambda positions: float(len(positions)), 0.0)
    np.testing.assert_allclose(weights, _posterior(np.exp(log_like), prior), rtol=1e-9)


def test_a_law_of_no_windows_is_learned_of_nothing() -> None:
    model: ScoreModel = fit_score_model(ScoreHistory.empty(KEYS, np.ones(3, dtype=np.bool_), np.zeros(3)))
    assert np.isfinite(model.tail_weights).all()
