"""The streams of an incident's columns go on around where a page found them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.combined_score import with_combined_history
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents.recentre import without_centres
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.results.results import OtherPage, Score
from driftwatch.results.streams import Streams

DAY = 86400 * NANOSECONDS
POLICY = Policy(monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1)
SHIFT = 2.0


def measurement(day: int, other_pages: tuple[OtherPage, ...] = (), **shifts: float) -> Measurement:
    """Four columns with healthy values of standard deviation 1, moved by ``shifts``."""
    rng = np.random.default_rng([3, day])
    scores = [
        Score(
            detector="ks",
            column=column,
            label="location",
            value=0.1 * (float(rng.normal()) + shifts.get(column, 0.0)),
            floor=0.02,
            signed=True,
        )
        for column in ("a", "b", "c", "d")
    ]
    return Measurement(
        window=Span(start=day * DAY, end=(day + 1) * DAY),
        rows=600,
        statistics=(),
        streams=Streams.from_list(scores),
        other_pages=other_pages,
    )


def learned_state() -> SegmentState:
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(60):
        segment_state = learn_block(segment_state, measurement(day))
    return with_combined_history(segment_state)


def paged(shift: float) -> tuple[SegmentState, Incident, int]:
    """Return the state after the page of a shift of ``a``, its incident, and the next day."""
    segment_state = learned_state()
    for day in range(60, 100):
        decision = decide(segment_state, measurement(day, a=shift), POLICY)
        segment_state = decision.segment_state
        if decision.page:
            return segment_state, decision.opened[0], day + 1
    raise AssertionError("no page in forty days")


def test_an_incident_of_an_older_version_is_centred_and_its_shift_goes_on() -> None:
    """Such a state has a shift and no centre. A small shift is quiet on most days: its ratio alone tells."""
    segment_state, incident, day = paged(SHIFT)
    scores = segment_state.scores
    older = replace(without_centres(segment_state, ["a"]), incidents=(replace(incident, paged_at=None),))
    older = replace(
        older,
        scores=replace(older.scores, shift=scores.shift, shifted_log_ratio=scores.shifted_log_ratio),
    )
    decision = decide(older, measurement(day, a=SHIFT), POLICY)
    assert not decision.page
    assert not decision.resolved
    position = scores.keys.positions["ks", "a", "location"]
    assert decision.segment_state.scores.centred[position]
    assert decision.segment_state.scores.shift[position] == scores.shift[position] > 0


def until_page(segment_state: SegmentState, day: int, **shifts: float) -> tuple[SegmentState, Decision, int]:
    """Return the state before the next page, its decision and its day."""
    for number in range(day, day + 20):
        decision = decide(segment_state, measurement(number, **shifts), POLICY)
        if decision.page:
            return segment_state, decision, number
        segment_state = decision.segment_state
    raise AssertionError("no page in twenty days")


def test_a_page_of_another_segment_sets_the_distance_that_must_double() -> None:
    """Else a small further move would page again in this segment."""
    segment_state, incident, day = paged(6.0)
    former = segment_state.scores.paged_deviation.max()
    segment_state, decision, day = until_page(segment_state, day + 9, a=20.0)
    assert decision.again
    page = OtherPage(key=incident.key, paged_at=(day + 1) * DAY, onset=incident.onset)
    update = decide(segment_state, measurement(day, (page,), a=20.0), POLICY)
    assert not update.page
    assert [item.columns for item in update.updates] == [("a",)]
    for item in (decision, update):
        assert item.segment_state.incidents[0].newest_page == (day + 1) * DAY
        assert item.segment_state.scores.paged_deviation.max() > 2 * former


def test_a_page_of_one_incident_leaves_the_distances_of_others() -> None:
    """Else one whose page has to wait would have none."""
    segment_state, _, day = paged(6.0)
    for number in range(day, day + 4):
        segment_state = decide(segment_state, measurement(number, a=6.0), POLICY).segment_state
    _, opened, day = until_page(segment_state, day + 4, a=6.0, b=8.0)
    segment_state = opened.segment_state
    assert len(segment_state.incidents) == 2
    for number in range(day + 1, day + 4):
        segment_state = decide(segment_state, measurement(number, a=6.0, b=8.0), POLICY).segment_state
    segment_state, moved, day = until_page(segment_state, day + 4, a=28.0, b=28.0)
    assert {item.column for item in moved.named} == {"a", "b"}
    paged_incident = next(item for item in moved.segment_state.incidents if item.key == moved.paged)
    assert (moved.again, paged_incident.moved) == (True, ("a",))
    b = segment_state.scores.keys.positions["ks", "b", "location"]
    assert moved.segment_state.scores.paged_deviation[b] == segment_state.scores.paged_deviation[b]
    _, moved, _ = until_page(moved.segment_state, day + 1, a=28.0, b=28.0)
    assert moved.again
    assert "b" in {item.column for item in moved.named}
