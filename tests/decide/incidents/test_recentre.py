"""The streams of an incident's columns go on around where a page found them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.combined_score import with_combined_history
from driftwatch.decide.decision import decide, learn_block
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
