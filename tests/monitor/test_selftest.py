"""Trials of the self-test: they find what the same fault in the rows would be, and touch nothing real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from detector_worlds import batch_of, reference_of

from driftwatch.config.models import MonitorConfig, SelftestConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.segment_state import BROKEN, Incident, SegmentState
from driftwatch.decide.state_codec import encode
from driftwatch.detectors.base import ReferenceContext
from driftwatch.errors import ConfigError, StoreError
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.monitor.evaluation.targets import select_targets
from driftwatch.monitor.evaluation.window_verdict import Decided
from driftwatch.monitor.selftest import (
    DEFAULT_TRIAL_WINDOWS,
    Selftest,
    Trial,
    TrialOutcome,
    abandon_after_error,
    decode_trial,
    encode_trial,
)
from driftwatch.sources.base import SourceConfig
from driftwatch.store.records import StoredSelftest, StoredTrial
from driftwatch.summary.faults import Fault, make_injection
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

HOUR = 3600 * NANOSECONDS
ROWS = 400


def rows_of(seed: int, rows: int = ROWS, shift: float = 0.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(shift, 1, rows),
        "y": rng.normal(0, 3, rows),
        "rare": (rng.random(rows) < 0.1).astype(float),
        "level": rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]),
    }


def config_of(selftest: dict[str, Any] | None, **settings: Any) -> MonitorConfig:
    return MonitorConfig.model_validate(
        {
            "name": "m",
            "reference": {"path": "memory"},
            "source": SourceConfig(type="files", time_column="at"),  # type: ignore[arg-type]
            "window": {"length": "1h", "min_rows": 100},
            "selftest": selftest,
            **settings,
        }
    )


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(rows_of(1, 6000))


@dataclass
class LiveMonitor:
    """The real path of a monitor beside its self-test, hour by hour."""

    reference: Reference
    config: MonitorConfig
    stored: StoredSelftest = field(default_factory=StoredSelftest)
    hour: int = 0
    results: list[StoredTrial] = field(default_factory=list)
    evaluations: list[Decided] = field(default_factory=list)
    windows: list[Summary] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.evaluator = Evaluator.from_config(self.reference, self.config)
        context, self.targets = self.evaluator.context, self.evaluator.targets
        self.segment_state: SegmentState = initial_segment_state(context, (), self.targets, self.config, "c")
        self.test = Selftest.from_config(context, self.targets, self.config)

    def window(self, rows: int = ROWS, **world: Any) -> Summary:
        plan = self.reference.plan
        span = Span(start=self.hour * HOUR, end=(self.hour + 1) * HOUR)
        data = {**rows_of(1000 + self.hour, rows), **world}
        return Summary.from_batch(plan, batch_of(data, 1000 + self.hour), span).seal(plan)

    def evaluate(self, window: Summary) -> StoredSelftest | None:
        """One hour; returns what is stored of the self-test."""
        self.hour += 1
        evaluation = self.evaluator.evaluate(window, self.segment_state)
        next_stored = None
        if self.test is not None:
            next_stored = self.test.advance(self.stored, self.segment_state, window, evaluation)
        if next_stored is not None:
            self.results += [next_stored.ended] if next_stored.ended else []
            self.stored = replace(next_stored, ended=None)
        self.segment_state = evaluation.segment_state
        self.evaluations.append(evaluation)
        self.windows.append(window)
        return next_stored

    def hours(self, count: int) -> LiveMonitor:
        for _ in range(count):
            self.evaluate(self.window())
        return self

    @property
    def trial(self) -> Trial | None:
        return None if self.stored.trial is None else decode_trial(self.stored.trial)


def live_monitor(reference: Reference, selftest: dict[str, Any] | None, **settings: Any) -> LiveMonitor:
    """A monitor after its burn-in of ten windows, without a trial yet."""
    monitor = LiveMonitor(reference, config_of(selftest, **settings)).hours(10)
    assert monitor.stored == StoredSelftest()
    return monitor


def test_what_is_found_is_what_the_fault_would_have_been(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 1, "column": "x"})
    first_state = monitor.segment_state
    monitor.hours(8)
    (result,) = monitor.results
    fault = make_injection(reference.plan.grids["x"], reference.summary.counts["x"], "x", Fault.SHIFT, 1.0)
    segment_state, delay = first_state, 0
    for delay, window in enumerate(monitor.windows[10:], start=1):  # noqa: B007 - the last one is what is asked
        evaluation = monitor.evaluator.evaluate(fault.apply(window), segment_state)
        segment_state = evaluation.segment_state
        if evaluation.verdict.page:
            break
    assert evaluation.verdict.page
    assert result == StoredTrial(
        begun_at=10 * HOUR, ended_at=(10 + delay) * HOUR, column="x", fault="shift", size=1.0,
        within=DEFAULT_TRIAL_WINDOWS, outcome="detected", delay=delay, named=True,
    )  # fmt: skip
    assert monitor.stored == StoredSelftest(
        begun_at=10 * HOUR, detected=1, delay_windows=delay, measured_at=result.ended_at
    )


def test_the_shadow_goes_on_from_the_evidence_there_was(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.2, "column": "x"})
    first_state, window = monitor.segment_state, monitor.window()
    monitor.evaluate(window)
    fault = make_injection(reference.plan.grids["x"], reference.summary.counts["x"], "x", Fault.SHIFT, 0.2)
    evaluation = monitor.evaluator.evaluate(fault.apply(window), first_state)
    assert monitor.trial is not None
    assert first_state.log_evidence() > -np.inf
    assert (
        encode(monitor.trial.segment_state)
        == encode(evaluation.segment_state)
        != encode(monitor.segment_state)
    )


def test_the_real_path_is_the_same_to_the_last_bit(reference: Reference) -> None:
    tested = live_monitor(reference, {"every": "3h", "shift": 2, "within": "2h"})
    untested = live_monitor(reference, None)
    for _ in range(12):
        tested.evaluate(tested.window())
        untested.evaluate(untested.window())
        assert encode(tested.segment_state) == encode(untested.segment_state)
        tested_evaluation, untested_evaluation = (
            replace(item.evaluations[-1], segment_state=item.segment_state) for item in (tested, untested)
        )
        assert replace(tested_evaluation, segment_state=untested.segment_state) == untested_evaluation
    assert tested.stored.trials == 4


def test_a_fault_that_does_not_page_in_time_was_missed(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001, "column": "y", "within": "150m"})
    monitor.hours(2)
    assert monitor.trial is not None
    assert (monitor.trial.windows, monitor.trial.within) == (2, 3), "whole windows that hold what was asked"
    monitor.hours(1)
    (result,) = monitor.results
    assert (result.outcome, result.delay, result.named) == ("missed", None, False)
    assert (monitor.stored.missed, monitor.stored.delay_windows, monitor.stored.measured_at) == (
        1,
        0,
        13 * HOUR,
    )


def test_columns_take_turns_with_the_fault_that_fits_them(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1h", "shift": 1, "within": "1h"})
    monitor.hours(6)
    trials = [(item.column, item.fault, item.size) for item in monitor.results]
    # A shift of one scale moves 2 * Phi(1 / 2) - 1 of a normal column's rows.
    assert trials == [
        ("x", "shift", 1.0), ("y", "shift", 1.0), ("rare", "value", 0.38), ("level", "value", 0.38),
        ("x", "shift", 1.0), ("y", "shift", 1.0),
    ]  # fmt: skip
    assert [item.begun_at // HOUR for item in monitor.results] == [10, 11, 12, 13, 14, 15]


def test_where_only_missing_values_are_watched_values_go_missing(reference: Reference) -> None:
    monitor = live_monitor(
        reference, {"every": "1d", "shift": 3, "column": "x"}, detectors=["missing", "psi"]
    )
    monitor.hours(3)
    (result,) = monitor.results
    assert (result.fault, result.size, result.outcome) == ("missing", 0.87, "detected")


def test_a_page_of_the_real_windows_is_a_false_alarm_and_no_detection(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001, "column": "y"})
    monitor.hours(1)
    assert monitor.trial is not None
    while not monitor.results:
        monitor.evaluate(monitor.window(x=np.random.default_rng(monitor.hour).normal(4, 1, ROWS)))
    assert monitor.evaluations[-1].verdict.page
    assert monitor.results[0].outcome == "false_alarm"
    assert monitor.results[0].delay is None
    assert (monitor.stored.false_alarm, monitor.stored.trials, monitor.stored.measured_at) == (
        1,
        1,
        monitor.hour * HOUR,
    )


def test_a_page_in_the_very_first_window_counts_against_it_too(reference: Reference) -> None:
    """To begin only with a window that turns out ``ok`` would choose the control arm by its outcome."""
    monitor = live_monitor(reference, {"every": "1d", "shift": 5, "column": "x"})
    monitor.evaluate(monitor.window(x=np.random.default_rng(0).normal(9, 1, ROWS)))
    assert monitor.evaluations[-1].verdict.page
    assert [item.outcome for item in monitor.results] == ["false_alarm"]


def test_something_that_breaks_abandons_the_trial(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001, "column": "y"})
    monitor.hours(1)
    monitor.evaluate(monitor.window(x=np.full(ROWS, np.nan)))
    assert [item.outcome for item in monitor.results] == ["abandoned"]
    assert (monitor.stored.abandoned, monitor.stored.measured_at) == (1, None), "nothing was measured"


def test_nothing_begins_while_something_is_open_or_learned(reference: Reference) -> None:
    settings = {"every": "1h", "shift": 1}
    monitor = live_monitor(reference, settings)
    incident = Incident(key="k", kind=BROKEN, columns=("y",), opened_at=0, onset=0)
    evaluation = monitor.evaluator.evaluate(window := monitor.window(), monitor.segment_state)
    assert monitor.test is not None
    assert monitor.test.advance(monitor.stored, monitor.segment_state, window, evaluation) is not None
    assert (
        monitor.test.advance(
            monitor.stored, replace(monitor.segment_state, incidents=(incident,)), window, evaluation
        )
        is None
    )
    assert (
        monitor.test.advance(
            monitor.stored, replace(monitor.segment_state, healthy_windows=9), window, evaluation
        )
        is None
    )
    assert (
        monitor.test.advance(
            monitor.stored, replace(monitor.segment_state, carried_over=window), window, evaluation
        )
        is None
    )
    blind_incident = replace(incident, kind="blind")
    assert (
        monitor.test.advance(
            monitor.stored, replace(monitor.segment_state, incidents=(blind_incident,)), window, evaluation
        )
        is not None
    )
    monitor.evaluate(monitor.window(x=np.full(ROWS, np.nan)))
    assert monitor.stored.trials == 0, "not in a window in which something breaks"
    excluded_day = live_monitor(reference, settings, exclude=["1970-01-01"])
    excluded_day.hours(3)
    assert excluded_day.stored == StoredSelftest()


def test_too_few_rows_count_for_nothing_and_are_held_with_the_fault(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.5, "column": "x", "within": "2h"})
    monitor.evaluate(monitor.window(rows=60))
    assert monitor.trial is not None
    assert monitor.trial.windows == 0
    assert monitor.trial.segment_state.carried_over is not None
    assert monitor.segment_state.carried_over is not None
    assert (
        monitor.trial.segment_state.carried_over.counts["x"].cells
        != monitor.segment_state.carried_over.counts["x"].cells
    ).any()
    monitor.evaluate(monitor.window(rows=60))
    trial = monitor.trial
    assert monitor.results or (trial is not None and trial.windows == 1), "both together are judged, as one"
    monitor.evaluate(monitor.window(rows=60))
    monitor.hours(2)
    assert [item.begun_at for item in monitor.results] == [10 * HOUR]


@pytest.mark.parametrize("change", ["reference", "configuration", "decided_until"])
def test_what_is_judged_on_other_terms_is_abandoned(reference: Reference, change: str) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001})
    monitor.hours(1)
    changed_value = {
        "reference": "another",
        "configuration": "another",
        "decided_until": monitor.hour * HOUR + 1,
    }[change]
    monitor.segment_state = replace(monitor.segment_state, **{change: changed_value})
    stored = monitor.evaluate(monitor.window())
    assert stored is not None
    assert stored.ended is not None
    assert (stored.ended.outcome, stored.abandoned, stored.trial) == ("abandoned", 1, None)
    monitor.hours(3)
    assert monitor.stored.trials == 1, "the next one waits for its time"


@pytest.mark.parametrize("settings", [{"shift": 0.002}, {"within": "5h"}, {"column": "y"}])
def test_a_fault_that_is_not_asked_for_any_more_is_abandoned(
    reference: Reference, settings: dict[str, Any]
) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001})
    monitor.hours(1)
    monitor.test = Selftest.from_config(
        ReferenceContext(reference), monitor.targets, config_of({"every": "1d", "shift": 0.001, **settings})
    )
    monitor.evaluate(monitor.window())
    assert [item.outcome for item in monitor.results] == ["abandoned"]


def test_another_cadence_changes_nothing_under_way(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001})
    monitor.hours(1)
    monitor.test = Selftest.from_config(
        ReferenceContext(reference), monitor.targets, config_of({"every": "2h", "shift": 0.001})
    )
    monitor.hours(1)
    assert monitor.trial is not None
    assert monitor.trial.windows == 2


def test_the_next_begins_when_it_is_due_and_the_last_is_over(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "4h", "shift": 0.001, "within": "3h"})
    monitor.hours(12)
    assert [item.begun_at // HOUR for item in monitor.results] == [10, 14, 18]
    monitor = live_monitor(reference, {"every": "2h", "shift": 0.001, "within": "3h"})
    monitor.hours(9)
    assert [item.begun_at // HOUR for item in monitor.results] == [10, 13, 16]


def test_a_day_of_23_hours_does_not_put_it_off(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "7d", "shift": 1}, window={"length": "1d", "min_rows": 100})
    assert monitor.test is not None
    day, week = 24 * HOUR, 7 * 24 * HOUR
    stored = StoredSelftest(begun_at=100 * day, missed=1)
    evaluation = monitor.evaluator.evaluate(window := monitor.window(), monitor.segment_state)
    for start, is_due in ((week, True), (week - HOUR, True), (week - day, False), (week - day + HOUR, False)):
        span = Span(start=100 * day + start, end=100 * day + start + day)
        advanced = monitor.test.advance(stored, monitor.segment_state, replace(window, span=span), evaluation)
        assert (advanced is not None) == is_due, start


def test_a_trial_comes_back_from_its_bytes(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001})
    monitor.hours(2)
    assert monitor.stored.trial is not None
    assert encode_trial(decode_trial(monitor.stored.trial)) == monitor.stored.trial
    with pytest.raises(StoreError):
        decode_trial(b"something else")


def test_a_step_that_raises_costs_the_trial_and_waits(reference: Reference) -> None:
    monitor = live_monitor(reference, {"every": "1d", "shift": 0.001})
    window = monitor.window()
    assert abandon_after_error(StoredSelftest(), window) == StoredSelftest(
        begun_at=window.span.start, abandoned=1
    )
    stored = StoredSelftest(begun_at=5, missed=2, trial=b"x")
    assert abandon_after_error(stored, window) == StoredSelftest(begun_at=5, missed=2, abandoned=1)


def selftest_of(
    reference: Reference, selftest: dict[str, Any], detectors: Sequence[str] | None
) -> Selftest | None:
    return Selftest.from_config(
        ReferenceContext(reference), select_targets(reference, detectors), config_of(selftest)
    )


def test_a_column_must_be_one_that_can_page(reference: Reference) -> None:
    with pytest.raises(ConfigError, match=r'selftest\.column: unknown watched column. Got "leve".*"level"'):
        selftest_of(reference, {"every": "1d", "column": "leve"}, None)
    with pytest.raises(ConfigError, match="expected a column of its own"):
        selftest_of(reference, {"every": "1d"}, ["volume", "psi"])


def test_a_column_without_values_in_the_reference_is_left_out() -> None:
    empty = reference_of({**rows_of(1, 2000), "y": np.full(2000, np.nan)})
    test = selftest_of(empty, {"every": "1d"}, None)
    assert test is not None
    assert test.columns == ("x", "rare", "level")
    monitor = LiveMonitor(empty, config_of({"every": "1d", "column": "y"}))
    for _ in range(13):
        monitor.evaluate(monitor.window(y=np.full(ROWS, np.nan)))
    assert monitor.stored == StoredSelftest()


def test_off_is_off(reference: Reference) -> None:
    assert (
        Selftest.from_config(ReferenceContext(reference), select_targets(reference, None), config_of(None))
        is None
    )
    assert SelftestConfig(every="1d").shift == 0.5  # type: ignore[arg-type]
    assert [str(item) for item in TrialOutcome] == ["detected", "missed", "false_alarm", "abandoned"]
