"""What is due at a time, as a function of the configuration, what is decided, and the time."""

from __future__ import annotations

import pytest

from driftwatch.config.models import WindowConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.daemon.due_windows import backlog, due_refresh

MINUTE = 60 * NANOSECONDS


def config(**settings: str) -> WindowConfig:
    return WindowConfig.model_validate(settings)


def test_a_monitor_that_never_decided_begins_with_the_newest_window() -> None:
    due = backlog(config(length="10m"), "UTC", None, 35 * MINUTE, 400)
    assert (due.windows, due.skipped) == ((Span(start=20 * MINUTE, end=30 * MINUTE),), 0)


def test_every_window_after_the_last_one_is_due_oldest_first() -> None:
    due = backlog(config(length="10m"), "UTC", 10 * MINUTE, 45 * MINUTE, 400)
    assert [window.end // MINUTE for window in due.windows] == [20, 30, 40]
    assert backlog(config(length="10m"), "UTC", 40 * MINUTE, 45 * MINUTE, 400).windows == ()


def test_a_window_is_due_when_its_lag_is_over() -> None:
    lagging = config(length="10m", lag="5m")
    assert backlog(lagging, "UTC", 10 * MINUTE, 25 * MINUTE - 1, 400).windows == ()
    assert len(backlog(lagging, "UTC", 10 * MINUTE, 25 * MINUTE, 400).windows) == 1


@pytest.mark.parametrize(("limit", "skipped"), [(1, 4), (3, 2), (5, 0), (9, 0)])
def test_of_too_many_windows_the_newest_are_due(limit: int, skipped: int) -> None:
    due = backlog(config(length="10m"), "UTC", 0, 50 * MINUTE, limit)
    assert due.skipped == skipped
    assert [window.end // MINUTE for window in due.windows] == [10, 20, 30, 40, 50][skipped:]


def test_millions_of_windows_after_a_clock_of_1970_are_counted_and_not_listed() -> None:
    now = 1_800_000_030 * NANOSECONDS
    due = backlog(config(length="1m", lag="2h"), "UTC", MINUTE, now, 400)
    assert due.windows[-1].end == (now - 120 * MINUTE) // MINUTE * MINUTE
    assert len(due.windows) == 400
    assert due.skipped == 30_000_000 - 120 - 1 - 400
    near = backlog(config(length="1m"), "UTC", now - 1500 * MINUTE - 30 * NANOSECONDS, now, 400)
    assert (len(near.windows), near.skipped) == (400, 1100)


def test_gauges_are_refreshed_between_two_windows_once_a_step() -> None:
    sliding = config(length="40m", every="10m")
    span = due_refresh(sliding, "UTC", 40 * MINUTE, 0, 55 * MINUTE)
    assert span == Span(start=10 * MINUTE, end=50 * MINUTE)
    assert due_refresh(sliding, "UTC", 40 * MINUTE, 50 * MINUTE, 55 * MINUTE) is None, "it was refreshed"
    assert due_refresh(sliding, "UTC", 40 * MINUTE, 0, 45 * MINUTE) is None, (
        "a decided window's gauges are newer"
    )
    assert due_refresh(config(length="40m"), "UTC", 40 * MINUTE, 0, 55 * MINUTE) is None, "it has no step"
