"""Levels that a column never had: a few rows of them every other day, or many at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detector_worlds import SPAN, reference_of, stream_list, window_of

from driftwatch.core.schema import Span
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.results.results import Shares
from driftwatch.results.streams import Streams

STEP = SPAN.end - SPAN.start
ROWS, USER, BLOCKS = 1000, 10, 30
REFERENCE = reference_of({"k": ["a", "b"] * (ROWS * BLOCKS // 2)})
#: One column of fifty has a fiftieth of one page in ninety windows.
POLICY = Policy(
    monitor="m", segment=None, pages_per_second=1e9 / (50 * 90 * STEP), design_effect=12.0
)  # fmt: skip


def measurement(number: int, users: int) -> Measurement:
    """A window in which so many users, of ten rows each, have a level that the reference never had."""
    levels = ["new"] * (users * USER) + ["a", "b"] * ((ROWS - users * USER) // 2)
    window = window_of(REFERENCE.plan, {"k": levels})
    return Measurement(
        window=Span(start=number * STEP, end=(number + 1) * STEP),
        rows=ROWS,
        statistics=(),
        streams=Streams.from_list(stream_list("unseen", REFERENCE, window, "k")),
    )


def healthy() -> SegmentState:
    segment_state = SegmentState(reference="r", configuration="c")
    for number in range(BLOCKS):
        segment_state = learn_block(segment_state, measurement(number, 0))
    return segment_state


def pages(users: list[int]) -> list[bool]:
    segment_state, decisions = healthy(), list[Decision]()
    for number, n_users in enumerate(users, BLOCKS):
        decisions.append(decide(segment_state, measurement(number, n_users), POLICY))
        segment_state = decisions[-1].segment_state
    return [item.page for item in decisions]


def test_one_user_with_a_new_level_on_most_days_is_found() -> None:
    users = np.random.default_rng(1).binomial(100, 0.01, size=30)
    assert any(pages(users.tolist())[:10])


def test_one_day_of_it_wakes_nobody() -> None:
    assert not any(pages([1, *[0] * 29]))


@pytest.mark.parametrize("users", [10, 50])
def test_many_rows_at_once_page_in_the_first_window(users: int) -> None:
    # That no window before had any says little after 30 of them; how many rows it are says enough.
    assert pages([users]) == [True]


def test_a_detector_of_shares_alone_can_watch_alone() -> None:
    segment_state = SegmentState(reference="r", configuration="c")
    streams = measurement(0, 0).streams
    shares = [item for item in streams if isinstance(item, Shares)]
    decision = decide(segment_state, replace(measurement(0, 0), streams=Streams.from_list(shares)), POLICY)
    assert not decision.page
