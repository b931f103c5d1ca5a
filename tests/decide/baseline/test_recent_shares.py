"""Sums of recent shares are exact since an onset, in memory that grows with the logarithm of the windows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.decide.baseline.recent_shares import MAX_RECENT_WINDOWS, RecentShares


def windows(n: int, labels: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(n)
    return [rng.integers(0, 1000, (2, labels)) for _ in range(n)]


def added(counts: list[np.ndarray], onsets: frozenset[int] = frozenset()) -> RecentShares:
    recent = RecentShares()
    for start, (successes, trials) in enumerate(counts):
        recent = recent.add(start, successes, trials, onsets)
    return recent


@given(st.integers(1, 200), st.integers(0, 199))
def test_sums_since_the_onset_of_an_open_incident_are_exact(n: int, onset: int) -> None:
    counts = windows(n)
    expected = sum(counts[onset:], np.zeros((2, 3), dtype=np.int64))
    assert (added(counts, frozenset({onset})).since(onset, 3) == expected).all()


@given(st.integers(1, 300), st.integers(0, 299))
def test_sums_since_any_other_window_hold_later_windows_alone(n: int, onset: int) -> None:
    counts = windows(n)
    recent = added(counts)
    total = recent.since(onset, 3)
    suffixes = np.cumsum([np.zeros((2, 3), dtype=np.int64), *counts[onset:][::-1]], axis=0)
    matches = [k for k, suffix in enumerate(suffixes) if (suffix == total).all()]
    assert matches
    # At least the newer half of the windows since the onset is there.
    assert max(matches) >= max(n - onset, 0) // 2


def test_the_number_of_blocks_grows_with_the_logarithm() -> None:
    recent = added(windows(5000, labels=1))
    n_windows = sum(block.windows for block in recent.blocks)
    assert MAX_RECENT_WINDOWS <= n_windows < 2 * MAX_RECENT_WINDOWS
    assert len(recent.blocks) <= 2 * np.log2(2 * MAX_RECENT_WINDOWS)


def test_a_label_that_is_younger_than_a_block_has_no_rows_in_it() -> None:
    recent = RecentShares().add(0, np.array([1]), np.array([5])).add(1, np.array([2, 3]), np.array([5, 5]))
    assert recent.since(0, 3).tolist() == [[3, 3, 0], [10, 5, 0]]
    assert recent.to_array(2).tolist() == [[[1, 0], [5, 0]], [[2, 3], [5, 5]]]
