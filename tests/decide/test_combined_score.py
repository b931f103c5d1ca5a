"""What a window may teach, who has which part of the budget, and all columns together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.baseline.prediction import past_of
from driftwatch.decide.baseline.share_history import LONGEST_WAIT, SUSPECTED, WAIT
from driftwatch.decide.budget import log_weights
from driftwatch.decide.combined_score import combined, taught_together
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE, COMMON_SHIFT
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.smallest_effect import smallest_joint_effect
from driftwatch.decide.state import SegmentState
from driftwatch.results.results import Score
from driftwatch.results.streams import Streams

DAY, ROWS = 86400 * NANOSECONDS, 600
POLICY = Policy(monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1)
KEYS = [("ks", f"c{number}", "up") for number in range(12)]


def scores(values: Float64Array) -> list[Score]:
    return [
        Score(detector="ks", column=f"c{number}", label="up", value=float(value), floor=0.02)
        for number, value in enumerate(values)
    ]


def seen(day: int, streams: list[Score]) -> Measurement:
    span = Span(start=day * DAY, end=(day + 1) * DAY)
    return Measurement(window=span, rows=ROWS, statistics=(), streams=Streams.of(streams))


def learned(rng: np.random.Generator) -> SegmentState:
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(40):
        segment_state = learn_block(segment_state, seen(day, scores(rng.normal(0.05, 0.02, 12))))
    return taught_together(segment_state)


def test_many_columns_that_each_moved_a_little_page_together() -> None:
    rng = np.random.default_rng(1)
    segment_state, decisions = learned(rng), list[Decision]()
    for day in range(100, 104):
        decision = decide(segment_state, seen(day, scores(rng.normal(0.05, 0.02, 12) + 0.045)), POLICY)
        decisions.append(decision)
        segment_state = decision.segment_state
    paged = next(decision for decision in decisions if decision.page)
    assert paged.named[0].column == "joint:together"
    assert paged.named[0].effect.startswith("several columns together")


def test_the_reference_blocks_and_later_windows_have_alike_scores_together() -> None:
    rng = np.random.default_rng(2)
    segment_state = learned(rng)
    past = past_of(segment_state.scores, 0, ROWS)
    later = [
        combined(
            segment_state, segment_state.scores.seen(Streams.of(scores(rng.normal(0.05, 0.02, 12)))), 0, past
        )
        for _ in range(400)
    ]
    values = np.array([item[0][0].value for item in later if item is not None])
    taught = segment_state.scores.values[:, segment_state.scores.keys.index(COMBINED_SCORE)]
    error = np.hypot(values.std() / np.sqrt(400), taught.std() / np.sqrt(40))
    # Two normal means differ by 5 standard errors with probability 6e-7.
    assert abs(values.mean() - taught.mean()) < 5 * error


def test_an_absent_stream_leaves_its_part_of_the_budget_unspent() -> None:
    segment_state = SegmentState(reference="r", configuration="c").expecting(Streams.of(scores(np.zeros(12))))
    window = Span(start=0, end=DAY)
    _, whole = log_weights(segment_state, POLICY, window)
    assert len(whole) == 12
    after = decide(segment_state, seen(0, scores(np.zeros(12))[:3]), POLICY).segment_state
    assert log_weights(after, POLICY, window)[1][:12] == pytest.approx(whole)
    spent = 3 * np.exp(whole).sum()
    assert spent <= POLICY.pages_per_second * window.seconds


def test_a_shift_does_not_teach_before_it_has_waited() -> None:
    rng = np.random.default_rng(3)
    quiet = replace(POLICY, pages_per_second=1e-300)
    segment_state = learned(rng)

    def teaching(known: SegmentState) -> list[float]:
        values = known.scores.healthy.whole()[:, 0]
        return values[~np.isnan(values)].tolist()

    before = teaching(segment_state)
    for day in range(100, 100 + LONGEST_WAIT):
        segment_state = decide(segment_state, seen(day, scores(np.full(12, 0.2))), quiet).segment_state
        assert teaching(segment_state) == before, "it is suspected and goes on waiting"
    segment_state = decide(segment_state, seen(200, scores(np.full(12, 0.2))), quiet).segment_state
    assert max(teaching(segment_state)) == pytest.approx(0.2), "in the end it teaches after all"


def test_what_was_suspected_teaches_once_the_suspicion_is_over() -> None:
    rng = np.random.default_rng(4)
    quiet = replace(POLICY, pages_per_second=1e-300)
    segment_state = learned(rng)
    known = int((~np.isnan(segment_state.scores.healthy.whole()[:, 0])).sum())
    for day in range(100, 103):
        segment_state = decide(segment_state, seen(day, scores(np.full(12, 0.2))), quiet).segment_state
    for day in range(103, 120):
        segment_state = decide(segment_state, seen(day, scores(np.zeros(12))), quiet).segment_state
    assert not (segment_state.scores.run[0] >= SUSPECTED).any()
    healthy = segment_state.scores.healthy.whole()[:, 0]
    assert int((~np.isnan(healthy)).sum()) == known + 20 - WAIT
    assert np.nanmax(healthy) == pytest.approx(0.2)


def located(values: Float64Array) -> list[Score]:
    return [
        Score(
            detector="ks", column=f"c{number}", label="location", value=float(value), floor=0.0, signed=True
        )
        for number, value in enumerate(values)
    ]


def of_locations(
    rng: np.random.Generator, columns: int, common: float = 0.0, windows: int = 60
) -> tuple[SegmentState, list[float]]:
    """A track that 40 blocks and then these windows taught, and the windows' scores along their lean."""
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(40):
        segment_state = learn_block(segment_state, seen(day, located(drawn(rng, columns, common))))
    segment_state, found = taught_together(segment_state), []
    for day in range(40, 40 + windows):
        streams = located(drawn(rng, columns, common))
        answer = combined(
            segment_state,
            segment_state.scores.seen(Streams.of(streams)),
            0,
            past_of(segment_state.scores, 0, ROWS),
        )
        assert answer is not None
        segment_state = replace(
            segment_state, scores=replace(segment_state.scores, lean=answer[2])
        ).expecting(Streams.of(answer[0]))
        value = segment_state.scores.seen(Streams.of([*streams, *answer[0]]))
        segment_state = replace(
            segment_state, scores=segment_state.scores.learn(value, 0, (day + 1) * DAY, ROWS)
        )
        found += [score.value for score in answer[0] if score.label == COMMON_SHIFT[2]]
    return segment_state, found


def drawn(rng: np.random.Generator, columns: int, common: float) -> Float64Array:
    return np.sqrt(1 - common) * rng.standard_normal(columns) + np.sqrt(common) * rng.standard_normal()


@pytest.mark.parametrize(("columns", "common"), [(12, 0.0), (200, 0.0), (200, 0.6)])
def test_without_a_shift_no_direction_lasts(columns: int, common: float) -> None:
    # 10 independent tracks: the mean of their means against 5 of its standard errors, 6e-7 if it were normal.
    means = []
    for run in range(10):
        _, found = of_locations(np.random.default_rng(run), columns, common)
        assert len(found) == 60
        means.append(float(np.mean(found)))
    assert abs(np.mean(means)) < 5 * np.std(means, ddof=1) / np.sqrt(10)


def test_columns_that_move_a_little_in_any_direction_page_together() -> None:
    rng = np.random.default_rng(5)
    segment_state, _ = of_locations(rng, 40)
    way = np.where(rng.random(40) < 0.5, -0.5, 0.5)
    decisions = list[Decision]()
    for day in range(100, 115):
        decisions.append(decide(segment_state, seen(day, located(drawn(rng, 40, 0.0) + way)), POLICY))
        segment_state = decisions[-1].segment_state
        if decisions[-1].page:
            break
    assert decisions[-1].page
    assert decisions[-1].named[0].column == "joint:together"


def test_one_column_alone_is_no_direction() -> None:
    rng = np.random.default_rng(6)
    segment_state, _ = of_locations(rng, 12)
    lean = segment_state.scores.lean
    segment_state = replace(
        segment_state, scores=replace(segment_state.scores, lean=np.where(lean == lean[0], 3.0, 0.0))
    )
    answer = combined(
        segment_state,
        segment_state.scores.seen(Streams.of(located(np.full(12, 5.0)))),
        0,
        past_of(segment_state.scores, 0, ROWS),
    )
    assert answer is not None
    assert [score.label for score in answer[0]] == [COMBINED_SCORE[2]]


def test_the_smallest_joint_effect_is_where_one_window_begins_to_page() -> None:
    rng = np.random.default_rng(7)
    segment_state, _ = of_locations(rng, 40, windows=300)
    segment_state = decide(segment_state, seen(400, located(drawn(rng, 40, 0.0))), POLICY).segment_state
    held = past_of(segment_state.scores, 0, ROWS).held
    smallest = smallest_joint_effect(segment_state, seen(401, located(np.zeros(40))), POLICY, held)
    assert smallest is not None

    def pages(moved: float) -> int:
        found = 0
        for _ in range(20):
            way = np.where(rng.random(40) < 0.5, -moved, moved)
            found += decide(segment_state, seen(401, located(drawn(rng, 40, 0.0) + way)), POLICY).page
        return found

    # The mean of 40 columns' distances has a standard error of .16 spreads: .8 are five of them.
    assert pages(smallest + 0.8) == 20
    assert pages(smallest - 0.8) == 0
