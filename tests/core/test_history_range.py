"""Where a history begins and ends: windows that hold rows decide, single rows do not."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.core.history_range import (
    counting_period,
    history_range,
    least_rows,
    stray_rows,
    window_rows,
)
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import window_at

DAY = 86_400 * NANOSECONDS
#: 1 March 2026, and rows that no clock wrote.
FIRST = 20_513
STRAYS = (0, FIRST - 365, (datetime(2199, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days)


def days_of(rows: dict[int, int]) -> list[tuple[Span, int]]:
    return [(Span(start=day * DAY, end=(day + 1) * DAY), count) for day, count in sorted(rows.items())]


def span(first: int, last: int) -> Span:
    return Span(start=first * DAY, end=(last + 1) * DAY)


HEALTHY = {FIRST + day: 400 for day in range(12)}


@pytest.mark.parametrize("stray", [(), *((day,) for day in STRAYS), STRAYS])
def test_a_row_stamped_elsewhere_moves_no_end(stray: tuple[int, ...]) -> None:
    rows = HEALTHY | dict.fromkeys(stray, 1)
    assert history_range(days_of(rows), 200) == span(FIRST, FIRST + 11)


@pytest.mark.parametrize("rows", [2, 3, 8, 19])
def test_neither_does_it_where_windows_are_thin(rows: int) -> None:
    """A tenth of three rows is less than one."""
    healthy = {FIRST + day: rows for day in range(12)}
    assert history_range(days_of(healthy | dict.fromkeys(STRAYS, 1)), 200) == span(FIRST, FIRST + 11)


def test_where_every_window_has_one_row_all_are_history() -> None:
    assert history_range(days_of({3: 1, 9: 1, 40: 1}), 200) == span(3, 40)


@pytest.mark.parametrize(("edge", "is_history"), [(39, False), (40, True), (200, True)])
def test_a_tenth_of_the_median_window_is_history(edge: int, is_history: bool) -> None:
    first = history_range(days_of(HEALTHY | {FIRST - 1: edge}), 200)
    assert first == span(FIRST - is_history, FIRST + 11)


@pytest.mark.parametrize(("edge", "is_history"), [(199, False), (200, True)])
def test_so_are_as_many_rows_as_a_verdict_needs(edge: int, is_history: bool) -> None:
    healthy = {FIRST + day: 90_000 for day in range(12)}
    assert history_range(days_of(healthy | {FIRST + 12: edge}), 200) == span(FIRST, FIRST + 11 + is_history)


def test_a_backfill_of_whole_days_a_year_back_is_history() -> None:
    backfill = {FIRST - 365 + day: 380 for day in range(3)}
    assert history_range(days_of(HEALTHY | backfill), 200) == span(FIRST - 365, FIRST + 11)


def test_thin_and_empty_windows_between_are_history() -> None:
    rows = HEALTHY | {FIRST + 5: 1}
    del rows[FIRST + 6]
    assert history_range(days_of(rows), 200) == span(FIRST, FIRST + 11)


def test_without_rows_there_is_no_history() -> None:
    assert history_range([], 200) is None
    assert window_rows({}, 86_400, "UTC") == []


@given(
    rows=st.dictionaries(st.integers(-900, 900), st.integers(1, 10**6), min_size=1),
    min_rows=st.integers(1, 500),
)
def test_both_ends_hold_enough_and_nothing_outside_does(rows: dict[int, int], min_rows: int) -> None:
    middle = median(rows.values())
    least = least_rows(list(rows.values()), min_rows)
    assert least == max(min(min_rows, middle / 10), min(2, middle))
    history = history_range(days_of(rows), min_rows)
    assert history is not None
    first, last = history.start // DAY, history.end // DAY - 1
    assert rows[first] >= least
    assert rows[last] >= least
    assert all(count < least for day, count in rows.items() if not first <= day <= last)


@given(
    moments=st.lists(st.integers(-(10**9), 4 * 10**9), min_size=1, max_size=40),
    length=st.sampled_from([60, 900, 3600, 10_800, 86_400, 2 * 86_400, 7 * 86_400]),
    timezone=st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_rows_of_windows_are_those_between_their_edges(
    moments: list[int], length: int, timezone: str
) -> None:
    counts = Counter(moment // counting_period(length) for moment in moments)
    windows = [window_at(moment * NANOSECONDS, length, timezone) for moment in moments]
    expected = Counter((window.start, window.end) for window in windows)
    found = window_rows(counts, length, timezone)
    assert [(item.start, item.end) for item, _ in found] == sorted(expected)
    if all(moment >= 3 * 10**8 for moment in moments):
        # Older zones had offsets of odd minutes.
        assert {(item.start, item.end): rows for item, rows in found} == dict(expected)


def test_the_rows_of_an_older_log_are_no_strays() -> None:
    log = {FIRST - 20 + day: 390 for day in range(20)}
    assert stray_rows(log, {}, 400.0, 200) == (0, 0)
    assert stray_rows(log | {0: 1, FIRST - 365: 2}, {}, 400.0, 200) == (3, 0)
    assert stray_rows({0: 1}, {}, 400.0, 200) == (1, 0)
    assert stray_rows({}, {}, 400.0, 200) == (0, 0)


def test_rows_of_a_day_that_will_be_judged_are_no_strays() -> None:
    ahead = {FIRST + day: 390 for day in range(1, 4)}
    assert stray_rows({}, ahead, 400.0, 200) == (0, 0)
    assert stray_rows({}, ahead | {STRAYS[2]: 2}, 400.0, 200) == (0, 2)
    assert stray_rows({0: 1}, {FIRST + 1: 30}, 400.0, 200) == (1, 30)
