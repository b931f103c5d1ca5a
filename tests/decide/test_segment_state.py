"""Memos from window to window change no decision: a state from the store decides the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.combined_score import with_combined_history
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.resolution import resolution_of
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.results.results import Score, Shares
from driftwatch.results.streams import Streams

HOUR = 3600 * NANOSECONDS
POLICIES = tuple(
    Policy(
        monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1, tolerance=tolerance,
        design_effect=effect, weights=weights,
    )
    for tolerance, effect, weights in ((0.05, None, {}), (0.1, None, {"c1": 3.0}), (0.05, 4.0, {}))
)  # fmt: skip


def measurement_of(
    rng: np.random.Generator, hour: int, columns: list[int], shift: float, *, days: int = 1,
    excluded: bool = False, rebased: float = 0.0,
) -> Measurement:  # fmt: skip
    """One hour of these columns, in their order: shares below 2, 3 or 4 marks, a score and a location.

    The reference's shares are shifted by ``rebased``; the season has ``days`` slots.
    """
    rows, streams = int(rng.integers(50, 400)), list[Shares | Score]()
    for column in columns:
        name, marks = f"c{column}", np.linspace(0.2, 0.8, 2 + column % 3) + rebased
        below = (rng.random(rows)[:, None] <= marks + shift).sum(axis=0)
        streams.append(
            Shares(
                detector="ks", column=name, labels=tuple("abcd"[: len(marks)]), successes=below,
                trials=np.full(len(marks), rows), reference=marks, reference_trials=10_000,
                ordered=column % 2 == 0, bursts=column == 3, tolerance=0.02 if column == 4 else None,
            )
        )  # fmt: skip
        value = float(rng.normal(3 * shift, 1 / np.sqrt(rows)))
        streams.append(
            Score(detector="ks", column=name, label="location", value=value, floor=0.05, signed=True)
        )
        streams.append(
            Score(detector="unseen", column=name, label="unseen", value=float(rng.random() < 0.1), floor=0.01)
        )
    span = Span(start=hour * HOUR, end=(hour + 1) * HOUR)
    return Measurement(
        window=span, rows=rows, statistics=(), streams=Streams.from_list(streams), slot=hour % days,
        excluded=excluded, untimed_reference=days == 2,
    )  # fmt: skip


#: An hour: which of six columns are there and in which order, whether they moved, under which policy, and
#: whether all incidents were closed before it.
HOURS = st.tuples(
    st.one_of(st.just(list(range(6))), st.permutations(range(6))), st.sampled_from([6, 6, 5, 4, 3]),
    st.sampled_from([0.0, 0.0, 0.0, 0.3]),
    st.sampled_from(POLICIES), st.integers(0, 9).map(lambda number: not number),
)  # fmt: skip


def _same(warm: Decision, cold: Decision) -> None:
    assert encode(warm.segment_state) == encode(cold.segment_state)
    assert replace(warm, segment_state=cold.segment_state) == cold


@settings(max_examples=25, deadline=None)
@given(st.lists(HOURS, min_size=1, max_size=25), st.integers(0, 2**32 - 1))
def test_a_cold_track_decides_the_same(
    hours: list[tuple[list[int], int, float, Policy, bool]], seed: int
) -> None:
    rng, segment_state = np.random.default_rng(seed), SegmentState(reference="r", configuration="c")
    for hour in range(30):
        segment_state = learn_block(segment_state, measurement_of(rng, hour, [0, 1, 2, 3, 4], 0.0))
    segment_state = with_combined_history(segment_state)
    for hour, (order, count, shift, policy, is_closed) in enumerate(hours, 30):
        if is_closed:
            segment_state = replace(segment_state, incidents=()).reset()
        measurement = measurement_of(rng, hour, order[:count], shift)
        warm = decide(segment_state, measurement, policy)
        _same(warm, decide(decode(encode(segment_state)), measurement, policy))
        segment_state = warm.segment_state


#: What happens in an hour: a window late or once more, one of an excluded day, another one decided first on
#: the same state and thrown away, columns accepted as they are (``monitor/acknowledge.py``).
EVENTS = st.sampled_from(
    ["nothing", "nothing", "nothing", "late", "again", "excluded", "thrown away", "accepted"]
)


def _accepted(
    segment_state: SegmentState, rng: np.random.Generator, hour: int, days: int, rebased: float
) -> SegmentState:  # fmt: skip
    shares, scores = (
        keys.owned_by(frozenset({"c0", "c1"}))
        for keys in (segment_state.shares.keys, segment_state.scores.keys)
    )
    segment_state = replace(
        segment_state,
        shares=segment_state.shares.reset(shares),
        scores=segment_state.scores.forget(scores),
        score_model=None,
        incidents=(),
    )
    for past_hour in range(hour - 6, hour):
        segment_state = learn_block(
            segment_state, measurement_of(rng, past_hour, [0, 1], 0.0, days=days, rebased=rebased)
        )
    return segment_state


#: An hour in which all is as ever, under a policy that leaves no design effect to measure.
PLAIN = list(range(6)), 6, 0.0, POLICIES[2], False


@example(
    hours=[(PLAIN, "nothing"), (PLAIN, "nothing"), (PLAIN, "accepted")],
    seed=1,
    first=[0, 1, 2, 3, 4],
    blocks=30,
    days=1,
)
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(HOURS, EVENTS), min_size=1, max_size=25), st.integers(0, 2**32 - 1),
    st.sampled_from([[0], [2, 0], [0, 1, 2, 3, 4]]), st.integers(0, 40), st.sampled_from([1, 2, 3]),
)  # fmt: skip
def test_a_cold_track_decides_the_same_whatever_happens(
    hours: list[tuple[tuple[list[int], int, float, Policy, bool], str]], seed: int, first: list[int],
    blocks: int, days: int,
) -> None:  # fmt: skip
    rng, segment_state, rebased = (
        np.random.default_rng(seed),
        SegmentState(reference="r", configuration="c"),
        0.0,
    )
    for hour in range(10, 10 + blocks):
        segment_state = learn_block(segment_state, measurement_of(rng, hour, first, 0.0, days=days))
    segment_state = with_combined_history(segment_state)
    for hour, ((order, count, shift, policy, is_closed), event) in enumerate(hours, 15 + blocks):
        if is_closed:
            segment_state = replace(segment_state, incidents=()).reset()
        if event == "accepted":
            rebased = 0.05 - rebased
            segment_state = _accepted(segment_state, rng, hour, days, rebased)
        if event == "thrown away":
            discarded = measurement_of(rng, hour, order[1:count], 0.1, days=days, rebased=0.01)
            resolution_of(segment_state, decide(segment_state, discarded, policy), discarded, policy)
        window_hour = hour - {"late": int(rng.integers(2, 9)), "again": 1}.get(event, 0)
        measurement = measurement_of(
            rng, window_hour, order[:count], shift, days=days, excluded=event == "excluded", rebased=rebased
        )  # fmt: skip
        cold = decode(encode(segment_state))
        warm, cold_decision = decide(segment_state, measurement, policy), decide(cold, measurement, policy)
        _same(warm, cold_decision)
        assert resolution_of(segment_state, warm, measurement, policy) == resolution_of(
            cold, cold_decision, measurement, policy
        )
        segment_state = warm.segment_state


def test_a_score_that_comes_later_limits_the_shares_that_were_there() -> None:
    rng, segment_state = np.random.default_rng(3), SegmentState(reference="r", configuration="c")

    def hours(hour: int, shift: float, *, scored: bool) -> Measurement:
        measurement = measurement_of(rng, hour, [0, 1], shift)
        every = [item for item in measurement.streams if scored or isinstance(item, Shares)]
        return replace(measurement, streams=Streams.from_list(every))

    for hour in range(20):
        segment_state = learn_block(segment_state, hours(hour, 0.0, scored=False))
    segment_state = decide(segment_state, hours(20, 0.0, scored=False), POLICIES[0]).segment_state
    for hour in range(21, 41):
        segment_state = learn_block(segment_state, hours(hour, 0.0, scored=True))
    measurement = hours(41, 0.3, scored=True)
    _same(
        decide(segment_state, measurement, POLICIES[0]),
        decide(decode(encode(segment_state)), measurement, POLICIES[0]),
    )
