"""E-values of one window: their expectation under the null is at most one, exactly where it can be summed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln

from driftwatch.decide.betting import KAPPAS, score_log_e, share_log_e
from driftwatch.decide.shares import ShareBook, shares_seen
from driftwatch.summary.result import Shares


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
    log_e = share_log_e(
        successes, trials, np.full(n + 1, reference), np.full(n + 1, tolerance), np.ones(n + 1)
    )
    expectation = (np.exp(log_e) * binomial(n, true)[:, None, None]).sum(axis=0)
    assert expectation.max() <= 1 + 1e-9


def test_share_e_values_grow_beyond_the_tolerance() -> None:
    log_e = share_log_e(np.array([60]), np.array([80]), np.array([0.3]), np.array([0.05]), np.ones(1))
    assert log_e[0, 0].max() > 20
    assert log_e[0, 1].max() < 0


def test_no_trials_are_no_evidence() -> None:
    log_e = share_log_e(np.array([0]), np.array([0]), np.array([0.3]), np.array([0.05]), np.ones(1))
    assert (log_e == 0).all()


def test_a_score_that_was_not_measured_is_no_evidence() -> None:
    assert (score_log_e(np.array([np.nan])) == 0).all()


def test_calibrators_integrate_to_one() -> None:
    # Midpoints of a fine grid of u with p = u^10: the integrand is smooth there even at p near 0.
    u = (np.arange(2_000) + 0.5) / 2_000
    e = np.exp(score_log_e(u**10))
    weight = 10 * u**9
    integral = (e * weight[:, None]).mean(axis=0)
    assert integral.shape == KAPPAS.shape
    assert (integral <= 1.001).all()


@pytest.mark.parametrize(("cluster", "low", "high"), [(1, 1.0, 2.0), (10, 8.0, 20.0)])
def test_the_design_effect_finds_how_many_rows_count_as_one(cluster: int, low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    reference = np.linspace(0.1, 0.9, 9)
    book = ShareBook.empty([("ks", "c", "")], [9])
    for _ in range(100):
        uniform = np.repeat(rng.random(1000 // cluster), cluster)
        seen = Shares(
            detector="ks", column="c", labels=tuple("abcdefghi"),
            successes=(uniform[:, None] <= reference).sum(axis=0), trials=np.full(9, 1000),
            reference=reference, reference_trials=10_000,
        )  # fmt: skip
        book = book.learn(shares_seen(book, [seen]))
    (measured,) = book.design_effects()
    assert low <= measured <= high
