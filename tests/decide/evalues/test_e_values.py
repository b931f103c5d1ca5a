"""E-values of one window: their expectation under the null is at most 1, exactly where it can be summed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln

from driftwatch.decide.baseline.share_history import ShareHistory, align_shares
from driftwatch.decide.evalues.e_values import CALIBRATORS, score_log_e, share_log_e, share_log_ratios
from driftwatch.results.results import Shares
from driftwatch.results.streams import Streams

LOG_RATIOS = share_log_ratios(np.array([0.3]), np.array([0.05]))


def binomial(n: int, p: float) -> np.ndarray:
    k = np.arange(n + 1)
    log = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + k * np.log(p) + (n - k) * np.log1p(-p)
    return np.exp(log)


@pytest.mark.parametrize("reference", [0.02, 0.3, 0.7])
@pytest.mark.parametrize("offset", [-0.05, 0.0, 0.05])
def test_share_e_values_have_expectation_at_most_one_within_the_tolerance(
    reference: float, offset: float
) -> None:
    n, tolerance = 80, 0.05
    true = min(max(reference + offset, 0.001), 0.999)
    successes = np.arange(n + 1)
    trials = np.full(n + 1, n)
    log_ratios = share_log_ratios(np.full(n + 1, reference), np.full(n + 1, tolerance))
    log_e = share_log_e(successes, trials, log_ratios, np.ones(n + 1))
    expectation = (np.exp(log_e) * binomial(n, true)[:, None, None]).sum(axis=0)
    assert expectation.max() <= 1 + 1e-9


def test_share_e_values_grow_beyond_the_tolerance() -> None:
    log_e = share_log_e(np.array([60]), np.array([80]), LOG_RATIOS, np.ones(1))
    assert log_e[0, 0].max() > 20
    assert log_e[0, 1].max() < 0


def test_no_trials_are_no_evidence() -> None:
    log_e = share_log_e(np.array([0]), np.array([0]), LOG_RATIOS, np.ones(1))
    assert (log_e == 0).all()


@pytest.mark.parametrize("ranked", [False, True])
def test_a_score_that_was_not_measured_is_no_evidence(ranked: bool) -> None:
    nothing = np.full((1, 2), np.nan)
    assert (score_log_e(nothing, np.array([ranked]), np.full((1, 2), 0.01)) == 0).all()


def test_calibrators_integrate_to_at_most_one() -> None:
    # Midpoints of a fine grid of u with p = u^10: the integrand is smooth there even at p near 0.
    u = (np.arange(2_000) + 0.5) / 2_000
    p, is_ranked = np.stack([u**10, u**10], axis=1), np.zeros(2_000, dtype=np.bool_)
    e = np.exp(score_log_e(p, is_ranked, np.full((2_000, 2), 1e-12)))
    integral = (e * (10 * u**9)[:, None, None]).mean(axis=0)
    assert integral.shape == (2, CALIBRATORS)
    assert integral == pytest.approx(np.ones((2, CALIBRATORS)), abs=1e-3)


@pytest.mark.parametrize("windows", [8, 31, 400])
def test_bets_on_ranks_expect_at_most_one(windows: int) -> None:
    p = np.arange(1, windows + 2) / (windows + 1)
    is_ranked = np.ones(len(p), dtype=np.bool_)
    e = np.exp(score_log_e(np.stack([p, p], axis=1), is_ranked, np.full((len(p), 2), p[0])))
    assert (e.mean(axis=0) <= 1 + 1e-12).all()


@given(st.integers(8, 60), st.integers(1, 31), st.booleans())
def test_nothing_is_won_by_what_is_less_unusual(windows: int, above: int, ranked: bool) -> None:
    """Ties make p-values larger than uniform ones, so that no bet may grow with them."""
    count = windows + above
    smallest_p, p = above / count, np.arange(above, count + 1) / count
    e = np.exp(
        score_log_e(np.stack([p, p], axis=1), np.full(len(p), ranked), np.full((len(p), 2), smallest_p))
    )
    assert (np.diff(e, axis=0) <= 1e-12).all()
    assert (e[-1] <= 1).all()


@given(st.floats(0.0, 1.0), st.floats(0.0, 0.5), st.floats(0.0, 1.0), st.sampled_from([1, 3, 25]))
def test_no_share_that_is_tolerated_gains_on_average(
    reference: float, tolerance: float, position: float, cluster: int
) -> None:
    """One group of identical rows: all count, or none. Groups are independent, so one is enough."""
    low, high = max(reference - tolerance, 0.0), min(reference + tolerance, 1.0)
    share = min(max(low + position * (high - low), low), high)
    log_ratios = share_log_ratios(np.full(2, reference), np.full(2, tolerance))
    trials = np.full(2, cluster)
    log_e = share_log_e(np.array([0, cluster]), trials, log_ratios, trials.astype(np.float64))
    expectation = (1 - share) * np.exp(log_e[0]) + share * np.exp(log_e[1])
    assert expectation.max() <= 1 + 1e-9


def test_no_single_quiet_window_undoes_many() -> None:
    log_e = score_log_e(np.ones((1, 2)), np.zeros(1, dtype=np.bool_), np.full((1, 2), 1e-12))
    assert log_e.max() > -1.0


@pytest.mark.parametrize(("cluster", "low", "high"), [(1, 1.0, 2.0), (10, 8.0, 20.0)])
def test_the_design_effect_finds_how_many_rows_count_as_one(cluster: int, low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    reference = np.linspace(0.1, 0.9, 9)
    history = ShareHistory.empty([("ks", "c", "")], [9])
    for _ in range(100):
        uniform = np.repeat(rng.random(1000 // cluster), cluster)
        shares = Shares(
            detector="ks", column="c", labels=tuple("abcdefghi"),
            successes=(uniform[:, None] <= reference).sum(axis=0), trials=np.full(9, 1000),
            reference=reference, reference_trials=10_000,
        )  # fmt: skip
        history = history.learn(align_shares(history, Streams.from_list([shares])))
    (design_effect,) = history.design_effects()
    assert low <= design_effect <= high
