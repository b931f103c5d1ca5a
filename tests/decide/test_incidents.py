"""One page for one cause: an incident is open while its columns are shifted, and ends when they are back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from soak import length

from driftwatch.core.codec import pack, unpack
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.baseline.share_history import (
    MAX_PENDING_WINDOWS,
    MIN_SUSPECT_CUSUM,
    PENDING_WINDOWS,
    ShareHistory,
    align_shares,
)
from driftwatch.decide.combined_score import with_combined_history
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import QUIET_WINDOWS, Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.results.results import Score, Shares
from driftwatch.results.streams import Streams

DAY = 86400 * NANOSECONDS
POLICY = Policy(monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1)
COLUMNS = 8
#: How often a right rate of wrong runs reaches its limit.
ERROR_RATE = 1.5e-4


def measurement(day: int, shift: float, rng: np.random.Generator) -> Measurement:
    """Eight columns, the first of which is ``shift`` standard deviations away."""
    values = rng.normal(0.0, 0.1, COLUMNS)
    values[0] += 0.1 * shift
    scores = [
        Score(detector="ks", column=f"c{i}", label="location", value=float(value), floor=0.02, signed=True)
        for i, value in enumerate(values)
    ]
    span = Span(start=day * DAY, end=(day + 1) * DAY)
    return Measurement(window=span, rows=600, statistics=(), streams=Streams.from_list(scores))


def learned_state(rng: np.random.Generator) -> SegmentState:
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(60):
        segment_state = learn_block(segment_state, measurement(day, 0.0, rng))
    return with_combined_history(segment_state)


def run(segment_state: SegmentState, days: range, shift: float, rng: np.random.Generator) -> list[Decision]:
    decisions = []
    for day in days:
        decisions.append(decide(segment_state, measurement(day, shift, rng), POLICY))
        segment_state = decode(encode(decisions[-1].segment_state))
    return decisions


def limit(rate: float, runs: int) -> int:
    """The smallest number of wrong runs that has a probability of at most ``ERROR_RATE``."""
    return int(binom.isf(ERROR_RATE, runs, rate)) + 1


@pytest.mark.soak
def test_a_small_shift_that_lasts_is_one_incident() -> None:
    """Runs of about 50 windows after the page, half of which look quiet by themselves.

    At most one run in twenty may end wrongly: fewer than 9 of 40, or than 8 of 25.
    """
    runs, ended = length(25, 40), 0
    for number in range(runs):
        rng = np.random.default_rng([1, number])
        decisions = run(learned_state(rng), range(100, 160), 2.0, rng)
        page = next(
            position
            for position, decision in enumerate(decisions)
            if "c0" in {item.column for item in decision.named}
        )
        ended += any(decision.resolved for decision in decisions[page:])
    assert ended < limit(1 / 20, runs)


@pytest.mark.soak
def test_what_is_back_is_watched_again_within_days() -> None:
    """Runs of a shift that is hard to find, and of one that is not.

    Wrong (not one page of the shift, or its end not within days) may be one run in five of the first and one
    in 25 of the second: fewer than 25 and 10 of 60, or than 14 and 7 of 25. One run in twelve may page in the
    days after, where the budget is 25/90: fewer than 23 of 120, or than 14 of 50.
    """
    runs, n_pages = length(25, 60), 0
    for shift, rate in ((1.5, 1 / 5), (6.0, 1 / 25)):
        wrong = 0
        for number in range(runs):
            rng = np.random.default_rng([2, int(shift), number])
            shifted = run(learned_state(rng), range(100, 125), shift, rng)
            returned = run(shifted[-1].segment_state, range(125, 150), 0.0, rng)
            ends = next((position for position, decision in enumerate(returned) if decision.resolved), 25)
            paged_once = sum(decision.page for decision in shifted) == 1
            wrong += not (paged_once and QUIET_WINDOWS - 1 <= ends < 15)
            n_pages += any(decision.page for decision in returned)
        assert wrong < limit(rate, runs)
    assert n_pages < limit(1 / 12, 2 * runs)


def test_small_shifts_beside_a_large_one_keep_no_incident_open() -> None:
    """A score that was half a standard deviation off looks shifted by chance in most healthy windows."""
    rng = np.random.default_rng(4)
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(60):
        segment_state = learn_block(segment_state, several_scores(day, 0.0, rng))
    segment_state = with_combined_history(segment_state)
    for day in range(60, 64):
        segment_state = decide(segment_state, several_scores(day, 15.0, rng), POLICY).segment_state
    (incident,) = segment_state.incidents
    segment_state = replace(segment_state, incidents=(replace(incident, columns=("c0",), quiet=(0,)),))
    keys = segment_state.scores.keys
    is_large = np.array([key[2] == "location" for key in keys])
    is_small = keys.owned_by(frozenset({"c0"})) & ~is_large
    scores = replace(
        segment_state.scores,
        shift=np.where(is_small, 0.5, segment_state.scores.shift),
        shifted_log_ratio=np.where(is_small, 4.0, 0.0),
    )
    segment_state = replace(segment_state, scores=scores)
    for day in range(64, 64 + QUIET_WINDOWS):
        assert segment_state.incidents
        segment_state = decide(segment_state, several_scores(day, None, rng), POLICY).segment_state
    assert not segment_state.incidents


def several_scores(day: int, shift: float | None, rng: np.random.Generator) -> Measurement:
    """Five scores of one column; ``shift`` moves one, None is a window in the middle of all."""
    values = np.zeros(5) if shift is None else rng.normal(0.0, 0.1, 5)
    values[0] += 0.1 * (shift or 0.0)
    scores = [
        Score(detector="ks", column="c0", label=label, value=float(value), floor=0.02, signed=True)
        for label, value in zip(("location", "middle", "peaks", "skew", "spread"), values, strict=True)
    ]
    return replace(measurement(day, 0.0, rng), streams=Streams.from_list(scores))


def shares(successes: int) -> Shares:
    return Shares(
        detector="missing", column="c", labels=("missing",), successes=np.array([successes]),
        trials=np.array([1000]), reference=np.array([0.1]), reference_trials=10**6,
    )  # fmt: skip


def test_suspected_shares_wait_longer_and_teach_in_the_end() -> None:
    stream = shares(100)
    history = ShareHistory.empty().with_streams(Streams.from_list([stream]))
    for _ in range(25):
        history = history.learn(align_shares(history, Streams.from_list([stream])))
    nobody = np.zeros(1, dtype=np.bool_)
    calm = history
    for number in range(1, MAX_PENDING_WINDOWS + 5):
        calm = calm.add_window(align_shares(calm, Streams.from_list([stream])), nobody, means_needed=True)
        assert int(calm.blocks[0, 0]) == 25 + max(0, number - PENDING_WINDOWS)
        assert len(calm.pending) == min(number, PENDING_WINDOWS)
    suspected = replace(history, cusum=np.array([MIN_SUSPECT_CUSUM]))
    for number in range(1, MAX_PENDING_WINDOWS + 5):
        suspected = suspected.add_window(
            align_shares(suspected, Streams.from_list([stream])), nobody, means_needed=True
        )
        assert int(suspected.blocks[0, 0]) == 25 + max(0, number - MAX_PENDING_WINDOWS)
    cleared = replace(suspected, cusum=np.zeros(1)).add_window(
        align_shares(suspected, Streams.from_list([stream])), nobody, means_needed=True
    )
    assert int(cleared.blocks[0, 0]) == 25 + MAX_PENDING_WINDOWS + 5 - PENDING_WINDOWS, (
        "all that waited for nothing teaches"
    )
    assert len(cleared.pending) == PENDING_WINDOWS


def test_what_is_settled_learns_no_more_unless_averages_are_read() -> None:
    stream, nobody = shares(100), np.zeros(1, dtype=np.bool_)
    history = ShareHistory.empty().with_streams(Streams.from_list([stream]))
    for number in range(30):
        previous = history
        history = history.add_window(
            align_shares(history, Streams.from_list([stream])), nobody, means_needed=False
        )
        # It settles on its design effect with the window after the twentieth.
        assert int(history.blocks[0, 0]) == min(number + 1, 20)
    assert history is previous
    assert not len(history.pending)
    other_stream = replace(stream, column="d")
    grown = history.with_streams(Streams.from_list([stream, other_stream]))
    nobody_of_two = np.zeros(2, dtype=np.bool_)
    grown = grown.add_window(
        align_shares(grown, Streams.from_list([stream, other_stream])), nobody_of_two, means_needed=False
    )
    assert grown.blocks[0].tolist() == [20, 1], "what came later still learns"
    averaged = history.add_window(
        align_shares(history, Streams.from_list([stream])), nobody, means_needed=True
    )
    assert len(averaged.pending) == 1


def test_a_track_of_three_calibrators_goes_on() -> None:
    rng = np.random.default_rng(4)
    segment_state = run(learned_state(rng), range(100, 103), 2.0, rng)[-1].segment_state
    stored = replace(
        segment_state,
        scores=replace(
            segment_state.scores,
            **{name: getattr(segment_state.scores, name)[:, :, :3] for name in ("log_m", "cusum", "onset")},
        ),
    )
    header, arrays = unpack(encode(stored))
    del header["version"]
    decoded = decode(pack(header, arrays))
    np.testing.assert_array_equal(decoded.scores.log_m[:, :, :3], segment_state.scores.log_m[:, :, :3])
    assert np.isneginf(decoded.scores.log_m[:, :, 3]).all()
    assert not decide(decoded, measurement(103, 0.0, rng), POLICY).page
