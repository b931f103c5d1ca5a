"""Windows with too few rows are carried over and judged together: nothing is guessed, nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from detector_worlds import SPAN, reference_of, window_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span
from driftwatch.decide.budget import log_weights
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.detectors.base import ReferenceContext
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import policy_for, select_targets
from driftwatch.results.results import Reason, State, Verdict
from driftwatch.summary.summary import Summary

STEP = SPAN.end - SPAN.start
CONFIG = MonitorConfig.model_validate(
    {
        "name": "m", "reference": {"path": "x"}, "source": {"type": "files"}, "exclude": ["1970-01-03"],
        "window": {"length": "1h", "min_rows": 100}, "burn_in": "1h",
    }
)  # fmt: skip
RNG = np.random.default_rng(1)
REFERENCE = reference_of({"x": RNG.normal(size=5000)}, block_rows=40.0)
TARGETS = select_targets(REFERENCE, ["ks", "volume", "missing"])


def window(number: int, rows: int, shift: float = 0.0) -> Summary:
    values = np.random.default_rng([2, number]).normal(shift, size=rows)
    summary = window_of(REFERENCE.plan, {"x": values}, salt=number + 2)
    return replace(summary, span=span_of(number))


def span_of(number: int) -> Span:
    return Span(start=number * STEP, end=(number + 1) * STEP)


def evaluate(segment_state: SegmentState, summary: Summary) -> tuple[SegmentState, Verdict]:
    evaluator = Evaluator(ReferenceContext(REFERENCE), TARGETS, CONFIG)
    evaluation = evaluator.evaluate(summary, segment_state)
    return evaluation.segment_state, evaluation.verdict


def empty_state() -> SegmentState:
    return SegmentState(reference=REFERENCE.fingerprint, configuration="c")


def test_windows_are_held_until_they_have_enough_rows() -> None:
    segment_state, verdicts = empty_state(), list[Verdict]()
    for number in range(3):
        segment_state, verdict = evaluate(segment_state, window(number, 40))
        verdicts.append(verdict)
    first, second, third = verdicts
    assert (first.state, first.reason) == (State.INSUFFICIENT, Reason.TOO_FEW_ROWS)
    assert first.smallest_effect is None or first.smallest_effect > (second.smallest_effect or 1.0)
    assert third.state.has_data
    assert third.state is not State.INSUFFICIENT
    assert (third.rows, third.judged_rows, third.judged_from) == (40, 120, 0)
    assert third.window.start == 2 * STEP
    assert segment_state.carried_over is None
    assert {item.n_window for item in third.statistics if item.detector == "ks"} == {120}
    _, single = evaluate(segment_state, window(3, 200))
    assert (single.judged_rows, single.judged_from) == (200, None)


def test_what_is_held_survives_the_store_and_counts_once() -> None:
    segment_state, _ = evaluate(empty_state(), window(0, 40))
    segment_state, _ = evaluate(segment_state, window(1, 40))
    decoded = decode(encode(segment_state))
    assert encode(decoded) == encode(segment_state)
    left, right = evaluate(segment_state, window(2, 40)), evaluate(decoded, window(2, 40))
    assert left[1] == right[1]
    assert encode(left[0]) == encode(right[0])


def test_an_excluded_window_stands_alone_and_drops_nothing() -> None:
    segment_state, _ = evaluate(empty_state(), window(0, 40))
    segment_state, verdict = evaluate(segment_state, window(48, 40, shift=5.0))
    assert verdict.reason is Reason.EXCLUDED
    assert segment_state.carried_over is not None
    assert segment_state.carried_over.rows == 40


def test_a_gross_shift_on_little_traffic_is_found() -> None:
    segment_state, page = empty_state(), None
    for number in range(30):
        segment_state, verdict = evaluate(segment_state, window(number, 20, shift=2.0))
        if verdict.page:
            page = verdict
            break
    assert page is not None
    assert page.named[0].column == "x"
    assert dict(page.smallest_effects).keys() == {"x"}


@settings(max_examples=25, deadline=None)
@example([40, None, 30, 20])
@example([0, 30, 0, 30, 60])
@given(st.lists(st.one_of(st.none(), st.integers(0, 130)), min_size=1, max_size=12))
def test_windows_judged_together_have_the_budget_of_those_that_had_rows(rows: list[int | None]) -> None:
    """None: the whole source was silent, so no window was evaluated; 0: this segment was."""
    evaluator, segment_state = Evaluator(ReferenceContext(REFERENCE), TARGETS, CONFIG), empty_state()
    spent = pending = 0.0
    for number, count in enumerate(rows):
        if count is None or number == 48:
            continue
        summary = window(number, count) if count else Summary.zero(REFERENCE.plan, span_of(number))
        measurement = evaluator.measure(summary.seal(REFERENCE.plan), segment_state)
        pending += 3600.0 if count else 0.0
        assert measurement.seconds == pending
        segment_state = evaluator.evaluate(summary.seal(REFERENCE.plan), segment_state).segment_state
        segment_state = decode(encode(segment_state))
        if segment_state.carried_over is None:
            spent, pending = spent + measurement.seconds, 0.0
    assert spent + pending == 3600.0 * sum(bool(count) for count in rows)


def test_a_silence_adds_no_budget() -> None:
    segment_state, _ = evaluate(empty_state(), window(0, 60))
    measurement = Evaluator(ReferenceContext(REFERENCE), TARGETS, CONFIG).measure(
        window(9, 60), segment_state
    )
    policy = policy_for(CONFIG, None, 1)
    segment_state = segment_state.with_streams(measurement.streams)
    budgets = log_weights(segment_state, policy, measurement.window, silence=measurement.silence)
    of_two_hours = log_weights(segment_state, policy, Span(start=0, end=2 * STEP))
    assert measurement.window == Span(start=0, end=10 * STEP)
    assert budgets.shares.tolist() == of_two_hours.shares.tolist()
    assert budgets.scores.tolist() == of_two_hours.scores.tolist()


@settings(max_examples=40, deadline=None)
@example([(5, 40), (4, 200), (3, 40), (4, 30)])
@example([(3, 30), (5, 30), (5, 20), (4, 90)])
@example([(1, 0), (2, 30), (1, 20), (0, 20), (1, 10)])
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 130)), min_size=1, max_size=12))
def test_every_window_spends_its_budget_once_in_any_order(visits: list[tuple[int, int]]) -> None:
    """Windows come in any order, each with its late rows; a judged window's late rows have no budget."""
    evaluator, segment_state = Evaluator(ReferenceContext(REFERENCE), TARGETS, CONFIG), empty_state()
    visited, carried, silent = set[int](), set[int](), set[int]()
    for number, count in visits:
        span = span_of(number)
        assert segment_state.carries(span) == (number in carried)
        assert (span in segment_state.silent_spans) == (number in silent)
        if number in visited and number not in carried | silent:
            continue  # its late rows are a part of their own
        if number in visited and not count:
            continue
        visited.add(number)
        (carried if count else silent).add(number)
        silent -= carried
        summary = window(number, count) if count else Summary.zero(REFERENCE.plan, span)
        assert evaluator.measure(summary.seal(REFERENCE.plan), segment_state).seconds == 3600.0 * len(carried)
        segment_state = evaluator.evaluate(summary.seal(REFERENCE.plan), segment_state).segment_state
        segment_state = decode(encode(segment_state))
        if segment_state.carried_over is None:
            carried.clear()
            silent.clear()
