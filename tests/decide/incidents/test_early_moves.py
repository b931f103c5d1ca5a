"""A column named after a page joins its incident if it had moved by then, and seldom if it had not."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.incidents.early_moves import PagedDeviations, _had_moved

SCORE = np.array([0])
RUNS = 2000


def autoregressive(rng: np.random.Generator, phi: float, days: int) -> Float64Array:
    noise = rng.standard_normal((RUNS, days + 50)) * np.sqrt(1 - phi**2)
    for day in range(1, days + 50):
        noise[:, day] += phi * noise[:, day - 1]
    return noise[:, 50:]


def n_joined(phi: float, n_before: int, n_between: int, shift: float, *, early: bool) -> int:
    """How often a move by the page, or ``n_between`` windows later, is taken for an early one."""
    rng = np.random.default_rng([n_before, n_between, early])
    days = autoregressive(rng, phi, n_before + n_between + 4)
    days[:, n_before if early else n_before + n_between :] += shift
    centred = days - days[:, :n_before].mean(axis=1, keepdims=True)
    centred /= days[:, :n_before].std(axis=1, ddof=1, keepdims=True)
    ends = np.arange(1, n_between + 5)
    return sum(
        _had_moved(
            PagedDeviations(before=run[:n_before, None], after=run[n_before:, None], ends=ends),
            SCORE,
            n_between,
        )
        for run in centred
    )


@pytest.mark.parametrize("phi", [0.0, 0.5])
@pytest.mark.parametrize(("n_before", "n_between"), [(28, 3), (28, 10), (90, 5), (90, 30)])
@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_a_later_move_is_seldom_joined(phi: float, n_before: int, n_between: int, shift: float) -> None:
    """At most 5 % of 2000 are allowed: 136 are exceeded once in 1,000."""
    assert n_joined(phi, n_before, n_between, shift, early=False) <= 136


@pytest.mark.parametrize(("shift", "n_between", "least"), [(3.0, 3, 1755), (2.0, 5, 1755), (1.0, 20, 1428)])
def test_an_early_move_is_joined(shift: float, n_between: int, least: int) -> None:
    """Nine of ten are joined or more, three of four of the small ones: less of 2000 once in 10,000."""
    assert n_joined(0.0, 28, n_between, shift, early=True) >= least


def test_nothing_is_joined_from_too_few_windows() -> None:
    assert n_joined(0.0, 7, 5, 5.0, early=True) == 0
    assert n_joined(0.0, 28, 0, 5.0, early=True) == 0
