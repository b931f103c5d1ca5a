"""Late parts of a window: no e-value expects more than 1, given the past or given the time before the window.

Expectations are exact sums over all counts, so no test errs by chance.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftwatch.decide.baseline.share_history import WindowShares
from driftwatch.decide.evalues.e_values import share_log_e, share_log_ratios
from driftwatch.decide.share_terms import EarlierCounts, late_tolerance


def binomial(rows: int, share: float) -> np.ndarray:
    """Return the probabilities of 0 .. ``rows`` successes, also for shares too small for scipy."""
    return np.array([math.comb(rows, k) * share**k * (1 - share) ** (rows - k) for k in range(rows + 1)])


def shares_of(successes: int, trials: int, reference: float) -> WindowShares:
    flag = np.zeros(1, dtype=np.bool_)
    return WindowShares(
        successes=np.array([successes]), trials=np.array([trials]), reference=np.array([reference]),
        reference_trials=np.array([10_000]), tolerance=np.array([np.nan]), bursts=flag, ordered=flag,
        present=~flag, complete=~flag,
    )  # fmt: skip


def part_tolerance(earlier: tuple[int, int], trials: int, reference: float, tolerance: float) -> np.ndarray:
    return late_tolerance(
        np.array([tolerance]),
        shares_of(0, trials, reference),
        EarlierCounts(successes=np.array([earlier[0]]), trials=np.array([earlier[1]])),
        np.ones(1),
    )


def e_values(trials: int, reference: float, tolerance: np.ndarray) -> np.ndarray:
    """``[successes, side, alternative]``."""
    counts = np.arange(trials + 1)
    ratios = share_log_ratios(np.array([reference]), tolerance)
    return np.exp([share_log_e(np.array([k]), np.array([trials]), ratios, np.ones(1))[0] for k in counts])


@pytest.mark.parametrize(
    ("earlier", "trials", "more", "fewer"),
    [
        # (successes, rows) before; of 1,000 rows 50 may move.
        ((450, 900), 100, 0.5, 0.5),
        ((250, 500), 500, 0.1, 0.1),
        ((100, 200), 1_800, 100 / 1_800, 100 / 1_800),
        # Those before have 20 or 5 too many, of which 1.5 standard errors of 10 may be chance.
        ((220, 400), 200, (30 - 5) / 200, 50 / 200),
        ((205, 400), 200, 30 / 200, 35 / 200),
        # The room is used up: the same as on time.
        ((525, 900), 100, 0.05, 1.25),
    ],
)
def test_late_rows_may_differ_by_what_is_left_of_the_window(
    earlier: tuple[int, int], trials: int, more: float, fewer: float
) -> None:
    assert part_tolerance(earlier, trials, 0.5, 0.05)[0].tolist() == pytest.approx([more, fewer])


CASES = st.tuples(
    st.integers(1, 60), st.floats(0, 1), st.integers(1, 30), st.floats(0.0, 0.95), st.floats(0.005, 0.2)
)


@settings(max_examples=60, deadline=None)
@example((50, 0.45, 50, 0.5, 0.05))
@example((50, 0.0, 10, 0.5, 0.05))
@given(CASES)
def test_an_e_value_of_late_rows_expects_at_most_1_given_the_rows_before(
    case: tuple[int, float, int, float, float],
) -> None:
    n_earlier, share, trials, reference, tolerance = case
    earlier = round(share * n_earlier), n_earlier
    limits = part_tolerance(earlier, trials, reference, tolerance)
    e = e_values(trials, reference, limits)
    n_all = n_earlier + trials
    # The largest part that leaves all rows together, as counted, within the tolerance; on either side.
    most = ((reference + tolerance) * n_all - earlier[0]) / trials
    fewest = ((reference - tolerance) * n_all - earlier[0]) / trials
    for side, worst in ((0, most), (1, fewest)):
        if 0 <= worst <= 1:
            mean = binomial(trials, worst) @ e[:, side]
            assert mean.max() <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@example((20, 0.45, 20, 0.5, 0.05), 1.0)
@given(CASES, st.floats(0, 1))
def test_with_the_windows_own_e_value_it_expects_at_most_1_however_the_first_rows_err(
    case: tuple[int, float, int, float, float], depth: float
) -> None:
    """Over the counts of the first rows too: the limit follows them, their errors cannot be exploited."""
    n_earlier, share, trials, reference, tolerance = case
    n_all, most = n_earlier + trials, reference + tolerance
    late_share = (most * n_all - share * n_earlier) / trials * depth
    if share > most or not 0 <= late_share <= 1:
        return
    first, late = (binomial(rows, p) for rows, p in ((n_earlier, share), (trials, late_share)))
    first_e = e_values(n_earlier, reference, np.array([tolerance]))[:, 0]
    late_means = np.array(
        [
            late
            @ e_values(trials, reference, part_tolerance((k, n_earlier), trials, reference, tolerance))[:, 0]
            for k in range(n_earlier + 1)
        ]
    )
    assert ((first[:, None] * first_e * late_means).sum(axis=0)).max() <= 1 + 1e-9
