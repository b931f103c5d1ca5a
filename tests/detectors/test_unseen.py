"""Levels that a column never had: a few rows of them every other day, or many at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detector_worlds import SPAN, gauge, reference_of, stream_list, window_of

from driftwatch.core.schema import Span
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import ReferenceContext, new_levels_of
from driftwatch.monitor.acceptance.rebase import rebase_reference
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


def test_an_accepted_level_is_no_longer_new() -> None:
    reference = reference_of({"pay": ["card"] * 600 + ["cash"] * 400})
    accepted = window_of(reference, {"pay": ["card"] * 700 + ["GIFT_CARD"] * 300}).seal(reference.plan)
    rebased = rebase_reference(reference, {None: [accepted]}, frozenset({"pay"}))
    window = window_of(reference, {"pay": ["card"] * 600 + ["GIFT_CARD"] * 300 + ["VOUCHER"] * 100})
    assert gauge("unseen", rebased, window, "pay").effect == (
        'levels never seen 30 % → 40 %: "VOUCHER" 10 % and others'
    )
    assert gauge("unseen", rebased, accepted, "pay").effect == "levels never seen 30 % → 30 %"


def test_a_verdict_names_five_levels_of_twenty_columns() -> None:
    names = [f"c{number}" for number in range(25)]
    reference = reference_of({name: ["a", "b"] * 500 for name in names})
    news = [f"n{number % 8}" for number in range(500)]
    window = window_of(reference, {name: [*news, *["a", "b"] * 250] for name in names})
    levels = new_levels_of(ReferenceContext(reference).window(window))
    assert len(levels) == 100
    assert [item.column for item in levels[::5]] == names[:20]
    assert new_levels_of(ReferenceContext(reference).window(reference.summary)) == ()
