"""Windows judged out of order: the baseline is that of their time, and they wait for it like any other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.decide.baseline.recent_shares import RecentShares
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.share_history import PENDING_WINDOWS
from driftwatch.decide.budget import update_cusum

NO_SUSPENSION = np.zeros(2, dtype=np.bool_)


def history_of(blocks: int = 30) -> ScoreHistory:
    history = ScoreHistory.empty(
        [("ks", "a", "x"), ("ks", "b", "x")], np.ones(2, dtype=np.bool_), np.zeros(2)
    )
    for end in range(-blocks, 0):
        history = history.learn(np.array([end, -end]) / 10, 0, end, 100.0)
    return history


def add(history: ScoreHistory, end: int) -> ScoreHistory:
    return history.add_window(np.array([end, -end], dtype=float), 0, end, 100.0, NO_SUSPENSION)


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(1, 25)), st.integers(0, 3))
def test_the_baseline_is_the_same_in_any_order_once_all_is_learned(order: list[int], n_again: int) -> None:
    histories = [history_of(), history_of()]
    for position, ends in enumerate((sorted(order), order)):
        for end in [*ends, *ends[:n_again]]:
            histories[position] = add(histories[position], end)
        for end in range(25, 25 + PENDING_WINDOWS):
            histories[position] = add(histories[position], end)
    in_time, late = histories
    for name in ("values", "ends", "slots", "rows", "windows"):
        assert np.array_equal(getattr(in_time, name), getattr(late, name)), name
    assert np.array_equal(in_time.healthy_series.to_array(), late.healthy_series.to_array(), equal_nan=True)


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(60)))
def test_the_windows_judged_last_are_not_learned_yet(order: list[int]) -> None:
    """However old a late window is, it enters no baseline until as many were judged after it."""
    history = history_of()
    for position, end in enumerate(order):
        history = add(history, end + 1)
        learned = ~np.isnan(history.healthy_series.to_array()).any(axis=1)
        waiting = {item + 1 for item in order[max(0, position + 1 - PENDING_WINDOWS) : position + 1]}
        assert not waiting & set(history.ends[learned].tolist())


def test_a_late_window_older_than_all_that_wait_is_not_learned_at_once() -> None:
    history = history_of()
    for end in range(2, 40):
        history = add(history, end)
    history = add(history, 1)
    assert 1 not in history.ends[~np.isnan(history.healthy_series.to_array()).any(axis=1)].tolist()
    for end in range(40, 40 + PENDING_WINDOWS):
        history = add(history, end)
    assert 1 in history.ends[~np.isnan(history.healthy_series.to_array()).any(axis=1)].tolist()


def test_a_suspect_window_judged_late_is_the_onset() -> None:
    cusum, onset, active = np.array([9.0]), np.array([50]), np.array([True])
    assert update_cusum(cusum, onset, np.array([4.0]), active, 30)[1].tolist() == [30]
    assert update_cusum(cusum, onset, np.array([0.5]), active, 30)[1].tolist() == [50], "it is noise"
    assert update_cusum(cusum, onset, np.array([4.0]), active, 70)[1].tolist() == [50]


def counts(number: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([number]), np.array([10 * number])


def test_an_incident_that_begins_with_a_late_window_counts_it() -> None:
    recent = RecentShares()
    for day in (1, 2, 3, 5):
        recent = recent.add(day, *counts(day))
    recent = recent.add(4, *counts(4), onsets={4})
    assert recent.since(4, 1).tolist() == [[4 + 5], [90]]
    for day in range(6, 40):
        recent = recent.add(day, *counts(day), onsets={4})
    assert recent.since(4, 1)[0].tolist() == [sum(range(4, 40))]
    assert len(recent.blocks) < 20


def test_a_late_first_window_is_counted() -> None:
    recent = RecentShares().add(2, *counts(2)).add(1, *counts(1))
    assert recent.since(1, 1).tolist() == [[3], [30]]


def test_late_windows_may_have_labels_that_newer_ones_did_not() -> None:
    recent = RecentShares()
    for day in (1, 3, 4):
        recent = recent.add(day, *counts(day))
    recent = recent.add(2, np.array([2, 7]), np.array([20, 20]))
    for day in (5, 6, 7, 8):
        recent = recent.add(day, *counts(day))
    assert recent.since(1, 2).tolist() == [[36, 7], [360, 20]]
