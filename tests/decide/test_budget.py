"""The promise: expected false pages stay within the budget. Null worlds, fixed seeds, exact counts.

Each test states its own error rate: under the promise the number of pages over ``quarters`` independent
quarters has mean at most ``quarters``; the Poisson upper tail at the asserted count is below 1e-6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.budget import update_cusum
from driftwatch.decide.decision import decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.results.results import Score, Shares
from driftwatch.results.streams import Streams

DAY = 86400 * NANOSECONDS
POLICY = Policy(monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1)


def world(
    rng: np.random.Generator, rows: int, columns: int, cluster: int
) -> tuple[list[Shares], list[Score]]:
    """One window of columns whose share below each of three edges is the reference's own."""
    shares, scores = [], []
    reference = np.array([0.2, 0.5, 0.8])
    for number in range(columns):
        uniform = np.repeat(rng.random(rows // cluster), cluster)
        successes = (uniform[:, None] <= reference).sum(axis=0)
        name = f"c{number}"
        shares.append(
            Shares(
                detector="ks", column=name, labels=("a", "b", "c"), successes=successes,
                trials=np.full(3, rows), reference=reference, reference_trials=100_000,
            )
        )  # fmt: skip
        gap = float(np.max(successes / rows - reference))
        scores.append(Score(detector="ks", column=name, label="up", value=gap, floor=0.02))
    return shares, scores


def measurement(day: int, shares: list[Shares], scores: list[Score], rows: int) -> Measurement:
    span = Span(start=day * DAY, end=(day + 1) * DAY)
    return Measurement(window=span, rows=rows, statistics=(), streams=Streams.from_list([*shares, *scores]))


@pytest.mark.parametrize(("rows", "cluster"), [(600, 1), (600, 10), (100, 1)])
def test_pages_stay_within_the_budget(rows: int, cluster: int) -> None:
    rng = np.random.default_rng([rows, cluster])
    quarters, pages = 12, 0
    for _ in range(quarters):
        segment_state = SegmentState(reference="r", configuration="c")
        for day in range(28):
            segment_state = learn_block(segment_state, measurement(day, *world(rng, rows, 6, cluster), rows))
        for day in range(90):
            decision = decide(
                segment_state, measurement(100 + day, *world(rng, rows, 6, cluster), rows), POLICY
            )
            pages += decision.page
            segment_state = decision.segment_state
            if decision.opened:
                segment_state = replace(segment_state, incidents=())
    # Poisson(12) exceeds 31 with probability 1.0e-6; a working budget spends a small part of itself.
    assert pages <= 31
    assert pages <= 2, "far more of the budget is spent than when this was written"


@pytest.mark.parametrize("null_share", [0.5, 1.0])
def test_gross_faults_page_in_the_first_window(null_share: float) -> None:
    rng = np.random.default_rng(5)
    segment_state = SegmentState(reference="r", configuration="c")

    def nulls(missing: int) -> Shares:
        return Shares(
            detector="missing", column="c0", labels=("missing",), successes=np.array([missing]),
            trials=np.array([600]), reference=np.array([0.0]), reference_trials=100_000,
        )  # fmt: skip

    for day in range(28):
        shares, scores = world(rng, 600, 6, 1)
        segment_state = learn_block(segment_state, measurement(day, [*shares, nulls(0)], scores, 600))
    shares, scores = world(rng, 600, 6, 1)
    decision = decide(
        segment_state, measurement(100, [*shares, nulls(int(600 * null_share))], scores, 600), POLICY
    )
    assert decision.page
    assert decision.named[0].column == "c0"
    assert decision.named[0].detector == "missing"
    assert decision.opened[0].onset == 100 * DAY


def test_a_later_move_of_another_column_is_an_incident_and_a_page_of_its_own() -> None:
    rng = np.random.default_rng(6)
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(28):
        segment_state = learn_block(segment_state, measurement(day, *world(rng, 600, 3, 1), 600))

    def shifted(day: int, columns: set[str]) -> Measurement:
        shares, scores = world(rng, 600, 3, 1)
        shifted_shares = [
            Shares(
                detector=item.detector, column=item.column, labels=item.labels,
                successes=np.zeros(3, dtype=np.int64), trials=item.trials, reference=item.reference,
                reference_trials=item.reference_trials,
            )
            if item.column in columns else item
            for item in shares
        ]  # fmt: skip
        shifted_scores = [replace(item, value=0.8) if item.column in columns else item for item in scores]
        return measurement(day, shifted_shares, shifted_scores, 600)

    first = decide(segment_state, shifted(100, {"c0"}), POLICY)
    assert first.page
    assert first.segment_state.suspended == {"c0"}
    second = decide(first.segment_state, shifted(101, {"c0"}), POLICY)
    assert not second.page, "one cause is one page"
    third = decide(second.segment_state, shifted(103, {"c0", "c1"}), POLICY)
    assert third.page
    assert third.opened[0].columns == ("c1",)
    assert third.opened[0].key != first.opened[0].key
    segment_state = third.segment_state
    resolved: list[str] = []
    for day in range(104, 108):
        decision = decide(segment_state, shifted(day, set()), POLICY)
        resolved += [item.key for item in decision.resolved]
        segment_state = decision.segment_state
    assert sorted(resolved) == sorted([first.opened[0].key, third.opened[0].key])


def test_a_track_survives_the_store_bit_for_bit() -> None:
    rng = np.random.default_rng(7)
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(30):
        segment_state = learn_block(segment_state, measurement(day, *world(rng, 600, 2, 1), 600))
    for day in range(100, 110):
        window = measurement(day, *world(rng, 600, 2, 1), 600)
        decoded = decode(encode(segment_state))
        assert encode(decoded) == encode(segment_state)
        decision, decision_after_store = (
            decide(segment_state, window, POLICY),
            decide(decoded, window, POLICY),
        )
        assert encode(decision.segment_state) == encode(decision_after_store.segment_state)
        assert decision.evidence == decision_after_store.evidence
        segment_state = decision.segment_state


def test_too_few_rows_change_nothing_but_the_date() -> None:
    rng = np.random.default_rng(8)
    policy = Policy(monitor="m", segment=None, pages_per_second=1e-7, min_rows=1000)
    segment_state = learn_block(
        SegmentState(reference="r", configuration="c"), measurement(0, *world(rng, 600, 2, 1), 600)
    )
    decision = decide(segment_state, measurement(5, *world(rng, 600, 2, 1), 600), policy)
    assert str(decision.state) == "insufficient"
    assert encode(replace(decision.segment_state, decided_until=None)) == encode(segment_state)
    assert decision.segment_state.healthy_windows == segment_state.healthy_windows


def test_where_nothing_is_bet_no_evidence_grows() -> None:
    """A year of low distances and of no rare row: the upper side and new levels are never bet on."""
    segment_state, rng = SegmentState(reference="r", configuration="c"), np.random.default_rng(9)
    zero = np.zeros(1, dtype=np.int64)

    def quiet(value: float) -> list[Score]:
        return [Score(detector="chi2", column="c", label="chi2", value=value, floor=0.01)]

    rare = Shares(
        detector="unseen", column="c", labels=("unseen",), successes=zero, trials=zero + 100,
        reference=np.zeros(1), reference_trials=2800,
    )  # fmt: skip
    for day in range(28):
        segment_state = learn_block(
            segment_state, measurement(day, [rare], quiet(float(rng.normal(0.5, 0.1))), 100)
        )
    for day in range(28, 28 + 360):
        new = [Score(detector="ks", column="c", label="new", value=9.0, floor=0.01)] if day % 60 == 0 else []
        decision = decide(segment_state, measurement(day, [rare], [*quiet(0.2), *new], 100), POLICY)
        assert decision.evidence < 0.05
        segment_state = decision.segment_state


def test_a_large_change_does_not_begin_with_what_a_small_bet_gathered_by_chance() -> None:
    cusum, onset = np.array([0.9, 0.9, 3.5, -0.2]), np.array([3, 3, 3, 3])
    log_e, active = np.array([12.0, 2.0, 12.0, 0.1]), np.ones(4, dtype=np.bool_)
    next_cusum, next_onset = update_cusum(cusum, onset, log_e, active, 7)
    assert next_cusum == pytest.approx([12.9, 2.9, 15.5, 0.1])
    assert next_onset.tolist() == [7, 3, 3, 7]
