"""One page for one cause: an incident stays open while what moved is there yet, and ends when it is back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.baseline.share_history import LONGEST_WAIT, SUSPECTED, WAIT, ShareHistory, shares_seen
from driftwatch.decide.combined_score import taught_together
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import QUIET, Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.state import SegmentState, decode, encode
from driftwatch.results.results import Score, Shares
from driftwatch.results.streams import Streams

DAY = 86400 * NANOSECONDS
POLICY = Policy(monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1)
COLUMNS = 8


def seen(day: int, moved: float, rng: np.random.Generator) -> Measurement:
    """Eight columns, the first of which lies ``moved`` of its spreads away."""
    values = rng.normal(0.0, 0.1, COLUMNS)
    values[0] += 0.1 * moved
    scores = [
        Score(detector="ks", column=f"c{i}", label="location", value=float(value), floor=0.02, signed=True)
        for i, value in enumerate(values)
    ]
    span = Span(start=day * DAY, end=(day + 1) * DAY)
    return Measurement(window=span, rows=600, statistics=(), streams=Streams.of(scores))


def learned(rng: np.random.Generator) -> SegmentState:
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(60):
        segment_state = learn_block(segment_state, seen(day, 0.0, rng))
    return taught_together(segment_state)


def run(segment_state: SegmentState, days: range, moved: float, rng: np.random.Generator) -> list[Decision]:
    found = []
    for day in days:
        found.append(decide(segment_state, seen(day, moved, rng), POLICY))
        segment_state = decode(encode(found[-1].segment_state))
    return found


def test_a_small_shift_that_lasts_is_one_incident() -> None:
    """Forty runs of about 50 windows after the page, half of which look quiet by themselves.

    Wrongly ended is at most one run in twenty: nine or more of 40 then have probability 8e-5.
    """
    ended = 0
    for number in range(40):
        rng = np.random.default_rng([1, number])
        before = run(learned(rng), range(100, 160), 2.0, rng)
        page = next(
            place for place, decision in enumerate(before) if "c0" in {item.column for item in decision.named}
        )
        ended += any(decision.resolved for decision in before[page:])
    assert ended < 9


def test_what_is_back_is_watched_again_within_days() -> None:
    """Sixty runs of a shift that is hard to see, and of one that is not.

    Wrong (not one page of the shift, or its end not within days) is at most one run in five of the first, and
    one in 25 of the second: 25 or more of 60 then have probability 1e-4, as have 10 or more. At most one run
    in twelve pages in the days after, where the budget is 25/90: 23 or more of 120 then have probability
    1e-4.
    """
    again = 0
    for moved, most in ((1.5, 25), (6.0, 10)):
        wrong = 0
        for number in range(60):
            rng = np.random.default_rng([2, int(moved), number])
            before = run(learned(rng), range(100, 125), moved, rng)
            after = run(before[-1].segment_state, range(125, 150), 0.0, rng)
            ends = next((place for place, decision in enumerate(after) if decision.resolved), 25)
            once = sum(decision.page for decision in before) == 1
            wrong += not (once and QUIET - 1 <= ends < 15)
            again += any(decision.page for decision in after)
        assert wrong < most
    assert again < 23


def shares(successes: int) -> Shares:
    return Shares(
        detector="missing", column="c", labels=("missing",), successes=np.array([successes]),
        trials=np.array([1000]), reference=np.array([0.1]), reference_trials=10**6,
    )  # fmt: skip


def test_suspected_shares_wait_longer_and_teach_in_the_end() -> None:
    item = shares(100)
    book = ShareHistory.empty().expecting(Streams.of([item]))
    for _ in range(25):
        book = book.learn(shares_seen(book, Streams.of([item])))
    nobody = np.zeros(1, dtype=np.bool_)
    calm = book
    for number in range(1, LONGEST_WAIT + 5):
        calm = calm.wait(shares_seen(calm, Streams.of([item])), nobody, averaged=True)
        assert int(calm.blocks[0, 0]) == 25 + max(0, number - WAIT)
        assert len(calm.waiting) == min(number, WAIT)
    suspected = replace(book, run=np.array([SUSPECTED]))
    for number in range(1, LONGEST_WAIT + 5):
        suspected = suspected.wait(shares_seen(suspected, Streams.of([item])), nobody, averaged=True)
        assert int(suspected.blocks[0, 0]) == 25 + max(0, number - LONGEST_WAIT)
    cleared = replace(suspected, run=np.zeros(1)).wait(
        shares_seen(suspected, Streams.of([item])), nobody, averaged=True
    )
    assert int(cleared.blocks[0, 0]) == 25 + LONGEST_WAIT + 5 - WAIT, "all that waited for nothing teaches"
    assert len(cleared.waiting) == WAIT


def test_what_is_settled_learns_no_more_unless_averages_are_read() -> None:
    item, nobody = shares(100), np.zeros(1, dtype=np.bool_)
    book = ShareHistory.empty().expecting(Streams.of([item]))
    for number in range(30):
        before = book
        book = book.wait(shares_seen(book, Streams.of([item])), nobody, averaged=False)
        # It settles on its design effect with the window after the twentieth.
        assert int(book.blocks[0, 0]) == min(number + 1, 20)
    assert book is before
    assert not len(book.waiting)
    other = replace(item, column="d")
    grown = book.expecting(Streams.of([item, other]))
    both = np.zeros(2, dtype=np.bool_)
    grown = grown.wait(shares_seen(grown, Streams.of([item, other])), both, averaged=False)
    assert grown.blocks[0].tolist() == [20, 1], "what came later still learns"
    read = book.wait(shares_seen(book, Streams.of([item])), nobody, averaged=True)
    assert len(read.waiting) == 1


def test_a_track_of_three_calibrators_goes_on() -> None:
    rng = np.random.default_rng(4)
    segment_state = run(learned(rng), range(100, 103), 2.0, rng)[-1].segment_state
    three = replace(
        segment_state,
        scores=replace(
            segment_state.scores,
            **{name: getattr(segment_state.scores, name)[:, :, :3] for name in ("log_m", "run", "onset")},
        ),
    )
    back = decode(encode(three))
    np.testing.assert_array_equal(back.scores.log_m[:, :, :3], segment_state.scores.log_m[:, :, :3])
    assert np.isneginf(back.scores.log_m[:, :, 3]).all()
    assert not decide(back, seen(103, 0.0, rng), POLICY).page
