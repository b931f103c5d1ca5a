"""What a window may teach, the split of the budget, and the scores over all columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.baseline.prediction import baseline_for
from driftwatch.decide.baseline.share_history import MAX_PENDING_WINDOWS, MIN_SUSPECT_CUSUM, PENDING_WINDOWS
from driftwatch.decide.budget import log_weights
from driftwatch.decide.combined_score import combine_scores, with_combined_history
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE, COMMON_SHIFT
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.smallest_effect import smallest_joint_effect
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


def measurement(day: int, streams: list[Score]) -> Measurement:
    span = Span(start=day * DAY, end=(day + 1) * DAY)
    return Measurement(window=span, rows=ROWS, statistics=(), streams=Streams.from_list(streams))


def learned_state(rng: np.random.Generator) -> SegmentState:
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(40):
        segment_state = learn_block(segment_state, measurement(day, scores(rng.normal(0.05, 0.02, 12))))
    return with_combined_history(segment_state)


def test_many_columns_that_each_moved_a_little_page_together() -> None:
    rng = np.random.default_rng(1)
    segment_state, decisions = learned_state(rng), list[Decision]()
    for day in range(100, 104):
        decision = decide(segment_state, measurement(day, scores(rng.normal(0.05, 0.02, 12) + 0.045)), POLICY)
        decisions.append(decision)
        segment_state = decision.segment_state
    paged = next(decision for decision in decisions if decision.page)
    assert paged.named[0].column == "joint:together"
    assert paged.named[0].effect.startswith("several columns together")


def test_the_reference_blocks_and_later_windows_have_alike_scores_together() -> None:
    rng = np.random.default_rng(2)
    segment_state = learned_state(rng)
    baseline = baseline_for(segment_state.scores, 0, ROWS)
    results = [
        combine_scores(
            segment_state,
            segment_state.scores.align(Streams.from_list(scores(rng.normal(0.05, 0.02, 12)))),
            0,
            baseline,
        )
        for _ in range(400)
    ]
    values = np.array([item[0][0].value for item in results if item is not None])
    block_values = segment_state.scores.values[:, segment_state.scores.keys.index(COMBINED_SCORE)]
    error = np.hypot(values.std() / np.sqrt(400), block_values.std() / np.sqrt(40))
    # Two normal means differ by 5 standard errors with probability 6e-7.
    assert abs(values.mean() - block_values.mean()) < 5 * error


def test_an_absent_stream_leaves_its_part_of_the_budget_unspent() -> None:
    segment_state = SegmentState(reference="r", configuration="c").with_streams(
        Streams.from_list(scores(np.zeros(12)))
    )
    window = Span(start=0, end=DAY)
    log_budgets = log_weights(segment_state, POLICY, window).scores
    assert len(log_budgets) == 12
    next_state = decide(segment_state, measurement(0, scores(np.zeros(12))[:3]), POLICY).segment_state
    assert log_weights(next_state, POLICY, window).scores[:12] == pytest.approx(log_budgets)
    spent = 3 * np.exp(log_budgets).sum()
    assert spent <= POLICY.pages_per_second * window.seconds


def test_a_shift_does_not_teach_before_it_has_waited() -> None:
    rng = np.random.default_rng(3)
    quiet = replace(POLICY, pages_per_second=1e-300)
    segment_state = learned_state(rng)

    def learned_values(state: SegmentState) -> list[float]:
        values = state.scores.healthy_series.to_array()[:, 0]
        return values[~np.isnan(values)].tolist()

    values_before = learned_values(segment_state)
    for day in range(100, 100 + MAX_PENDING_WINDOWS):
        segment_state = decide(segment_state, measurement(day, scores(np.full(12, 0.2))), quiet).segment_state
        assert learned_values(segment_state) == values_before, "it is suspected and goes on waiting"
    segment_state = decide(segment_state, measurement(200, scores(np.full(12, 0.2))), quiet).segment_state
    assert max(learned_values(segment_state)) == pytest.approx(0.2), "in the end it teaches after all"


def test_what_was_suspected_teaches_once_the_suspicion_is_over() -> None:
    rng = np.random.default_rng(4)
    quiet = replace(POLICY, pages_per_second=1e-300)
    segment_state = learned_state(rng)
    n_learned = int((~np.isnan(segment_state.scores.healthy_series.to_array()[:, 0])).sum())
    for day in range(100, 103):
        segment_state = decide(segment_state, measurement(day, scores(np.full(12, 0.2))), quiet).segment_state
    for day in range(103, 120):
        segment_state = decide(segment_state, measurement(day, scores(np.zeros(12))), quiet).segment_state
    assert not (segment_state.scores.cusum[0] >= MIN_SUSPECT_CUSUM).any()
    healthy = segment_state.scores.healthy_series.to_array()[:, 0]
    assert int((~np.isnan(healthy)).sum()) == n_learned + 20 - PENDING_WINDOWS
    assert np.nanmax(healthy) == pytest.approx(0.2)


def location_scores(values: Float64Array) -> list[Score]:
    return [
        Score(
            detector="ks", column=f"c{number}", label="location", value=float(value), floor=0.0, signed=True
        )
        for number, value in enumerate(values)
    ]


def learned_locations(
    rng: np.random.Generator, columns: int, common: float = 0.0, windows: int = 60
) -> tuple[SegmentState, list[float]]:
    """A state that learned 40 blocks and then these windows, and the windows' common-shift scores."""
    segment_state = SegmentState(reference="r", configuration="c")
    for day in range(40):
        segment_state = learn_block(
            segment_state, measurement(day, location_scores(draw_locations(rng, columns, common)))
        )
    segment_state, shift_scores = with_combined_history(segment_state), []
    for day in range(40, 40 + windows):
        streams = location_scores(draw_locations(rng, columns, common))
        combined = combine_scores(
            segment_state,
            segment_state.scores.align(Streams.from_list(streams)),
            0,
            baseline_for(segment_state.scores, 0, ROWS),
        )
        assert combined is not None
        segment_state = replace(
            segment_state, scores=replace(segment_state.scores, running_shift=combined[2])
        ).with_streams(Streams.from_list(combined[0]))
        value = segment_state.scores.align(Streams.from_list([*streams, *combined[0]]))
        segment_state = replace(
            segment_state, scores=segment_state.scores.learn(value, 0, (day + 1) * DAY, ROWS)
        )
        shift_scores += [score.value for score in combined[0] if score.label == COMMON_SHIFT[2]]
    return segment_state, shift_scores


def draw_locations(rng: np.random.Generator, columns: int, common: float) -> Float64Array:
    return np.sqrt(1 - common) * rng.standard_normal(columns) + np.sqrt(common) * rng.standard_normal()


@pytest.mark.parametrize(("columns", "common"), [(12, 0.0), (200, 0.0), (200, 0.6)])
def test_without_a_shift_no_direction_lasts(columns: int, common: float) -> None:
    # 10 independent runs: the mean of their means within 5 of its standard errors; 6e-7 if it were normal.
    means = []
    for run in range(10):
        _, shift_scores = learned_locations(np.random.default_rng(run), columns, common)
        assert len(shift_scores) == 60
        means.append(float(np.mean(shift_scores)))
    assert abs(np.mean(means)) < 5 * np.std(means, ddof=1) / np.sqrt(10)


def test_columns_that_move_a_little_in_any_direction_page_together() -> None:
    rng = np.random.default_rng(5)
    segment_state, _ = learned_locations(rng, 40)
    offsets = np.where(rng.random(40) < 0.5, -0.5, 0.5)
    decisions = list[Decision]()
    for day in range(100, 115):
        decisions.append(
            decide(
                segment_state,
                measurement(day, location_scores(draw_locations(rng, 40, 0.0) + offsets)),
                POLICY,
            )
        )
        segment_state = decisions[-1].segment_state
        if decisions[-1].page:
            break
    assert decisions[-1].page
    assert decisions[-1].named[0].column == "joint:together"


def test_one_column_alone_is_no_direction() -> None:
    rng = np.random.default_rng(6)
    segment_state, _ = learned_locations(rng, 12)
    running_shift = segment_state.scores.running_shift
    segment_state = replace(
        segment_state,
        scores=replace(
            segment_state.scores, running_shift=np.where(running_shift == running_shift[0], 3.0, 0.0)
        ),
    )
    combined = combine_scores(
        segment_state,
        segment_state.scores.align(Streams.from_list(location_scores(np.full(12, 5.0)))),
        0,
        baseline_for(segment_state.scores, 0, ROWS),
    )
    assert combined is not None
    assert [score.label for score in combined[0]] == [COMBINED_SCORE[2]]


def test_the_smallest_joint_effect_is_where_one_window_begins_to_page() -> None:
    rng = np.random.default_rng(7)
    segment_state, _ = learned_locations(rng, 40, windows=300)
    segment_state = decide(
        segment_state, measurement(400, location_scores(draw_locations(rng, 40, 0.0))), POLICY
    ).segment_state
    fit = baseline_for(segment_state.scores, 0, ROWS).fit
    smallest = smallest_joint_effect(
        segment_state, measurement(401, location_scores(np.zeros(40))), POLICY, fit
    )
    assert smallest is not None

    def pages(shift: float) -> int:
        n_pages = 0
        for _ in range(20):
            offsets = np.where(rng.random(40) < 0.5, -shift, shift)
            n_pages += decide(
                segment_state,
                measurement(401, location_scores(draw_locations(rng, 40, 0.0) + offsets)),
                POLICY,
            ).page
        return n_pages

    # The mean of 40 columns' deviations has a standard error of .16 scales: .8 are five of them.
    assert pages(smallest + 0.8) == 20
    assert pages(smallest - 0.8) == 0


def combined_words(shift: Float64Array) -> tuple[str, tuple[str, ...]]:
    """The words of a window whose columns moved by ``shift`` standard deviations."""
    rng = np.random.default_rng(7)
    segment_state = learned_state(rng)
    values = scores(0.05 + 0.02 * (np.linspace(0, 0.5, 12) + shift))
    combined = combine_scores(
        segment_state,
        segment_state.scores.align(Streams.from_list(values)),
        0,
        baseline_for(segment_state.scores, 0, ROWS),
    )
    assert combined is not None
    return combined[1].effect, combined[1].columns


def test_each_a_little_is_said_only_where_it_is() -> None:
    effect, columns = combined_words(np.full(12, 1.5))
    assert effect.startswith("several columns together, each a little: ")
    assert len(columns) == 5
    assert all(name in effect for name in columns[:3])
    assert combined_words(np.full(12, 9.0))[0].startswith("several columns together: ")


@pytest.mark.parametrize(("main", "text"), [(1, "mostly c3"), (2, "mostly c3 and c4")])
def test_one_or_two_columns_that_have_nearly_all_of_it_are_named_alone(main: int, text: str) -> None:
    shift = np.full(12, 1.0)
    shift[3 : 3 + main] = [20.0, 15.0][:main]
    assert combined_words(shift) == (f"several columns together, {text}", ("c3", "c4")[:main])


def test_hostile_names_are_escaped_in_the_words_of_the_combined_score() -> None:
    names = ["a\nb\u202e", "x" * 100, "c", "d", "e"]
    segment_state = SegmentState(reference="r", configuration="c")
    rng = np.random.default_rng(1)

    def window(values: Float64Array) -> list[Score]:
        return [
            Score(detector="ks", column=name, label="up", value=float(value), floor=0.02)
            for name, value in zip(names, values, strict=True)
        ]

    for day in range(40):
        segment_state = learn_block(segment_state, measurement(day, window(rng.normal(0.05, 0.02, 5))))
    segment_state = with_combined_history(segment_state)
    combined = combine_scores(
        segment_state,
        segment_state.scores.align(Streams.from_list(window(np.array([0.1, 0.1, 0.04, 0.04, 0.04])))),
        0,
        baseline_for(segment_state.scores, 0, ROWS),
    )
    assert combined is not None
    assert "a\\nb\\u202e" in combined[1].effect
    assert len(combined[1].effect) < 140
    assert set(combined[1].columns) == set(names), "keys stay as they are"
