"""Trials of the self-test: what they find is what the same fault would be, and nothing real is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from detector_worlds import batch_of, reference_of

from driftwatch.config.models import MonitorConfig, SelftestConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.decision import Decision
from driftwatch.decide.incidents import BROKEN
from driftwatch.decide.state import Incident, SegmentState, encode
from driftwatch.errors import ConfigError, StoreError
from driftwatch.monitor.evaluate import fresh_track, judge, looks
from driftwatch.monitor.selftest import WITHIN, Ending, Selftest, Trial, decode_trial, encode_trial, failed
from driftwatch.sources.base import SourceConfig
from driftwatch.store.records import StoredSelftest, StoredTrial
from driftwatch.summary.faults import Fault, injection
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
class Live:
    """The real path of a monitor with its self-test beside it, hour by hour."""

    reference: Reference
    config: MonitorConfig
    known: StoredSelftest = field(default_factory=StoredSelftest)
    hour: int = 0
    ended: list[StoredTrial] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)
    windows: list[Summary] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.looks = looks(self.reference, self.config.detectors)
        self.segment_state: SegmentState = fresh_track(self.reference, (), self.looks, self.config, "c")
        self.test = Selftest.of(self.config, self.reference, self.looks)

    def window(self, rows: int = ROWS, **world: Any) -> Summary:
        plan = self.reference.plan
        span = Span(start=self.hour * HOUR, end=(self.hour + 1) * HOUR)
        data = {**rows_of(1000 + self.hour, rows), **world}
        return Summary.of(plan, batch_of(data, 1000 + self.hour), span).seal(plan)

    def see(self, window: Summary) -> StoredSelftest | None:
        """One hour; what was stored of the self-test."""
        self.hour += 1
        real, _ = judge(self.reference, window, self.looks, self.segment_state, self.config, segment=None)
        stored = None
        if self.test is not None:
            stored = self.test.advance(self.known, self.segment_state, window, real)
        if stored is not None:
            self.ended += [stored.ended] if stored.ended else []
            self.known = replace(stored, ended=None)
        self.segment_state = real.segment_state
        self.decided.append(real)
        self.windows.append(window)
        return stored

    def hours(self, count: int) -> Live:
        for _ in range(count):
            self.see(self.window())
        return self

    @property
    def trial(self) -> Trial | None:
        return None if self.known.trial is None else decode_trial(self.known.trial)


def live(reference: Reference, selftest: dict[str, Any] | None, **settings: Any) -> Live:
    """Past its burn-in of ten windows, without a trial yet."""
    made = Live(reference, config_of(selftest, **settings)).hours(10)
    assert made.known == StoredSelftest()
    return made


def test_what_is_found_is_what_the_fault_would_have_been(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 1, "column": "x"})
    before = it.segment_state
    it.hours(8)
    (found,) = it.ended
    fault = injection(reference.plan.grids["x"], reference.summary.counts["x"], "x", Fault.SHIFT, 1.0)
    segment_state, delay = before, 0
    for delay, window in enumerate(it.windows[10:], start=1):  # noqa: B007 - the last one is what is asked
        decision, _ = judge(reference, fault.into(window), it.looks, segment_state, it.config, segment=None)
        segment_state = decision.segment_state
        if decision.page:
            break
    assert decision.page
    assert found == StoredTrial(
        begun_at=10 * HOUR, ended_at=(10 + delay) * HOUR, column="x", fault="shift", size=1.0, within=WITHIN,
        outcome="detected", delay=delay, named=True,
    )  # fmt: skip
    assert it.known == StoredSelftest(
        begun_at=10 * HOUR, detected=1, delay_windows=delay, measured_at=found.ended_at
    )


def test_the_shadow_goes_on_from_the_evidence_there_was(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.2, "column": "x"})
    before, window = it.segment_state, it.window()
    it.see(window)
    fault = injection(reference.plan.grids["x"], reference.summary.counts["x"], "x", Fault.SHIFT, 0.2)
    decision, _ = judge(reference, fault.into(window), it.looks, before, it.config, segment=None)
    assert it.trial is not None
    assert before.log_evidence() > -np.inf
    assert encode(it.trial.segment_state) == encode(decision.segment_state) != encode(it.segment_state)


def test_the_real_path_is_the_same_to_the_last_bit(reference: Reference) -> None:
    with_it = live(reference, {"every": "3h", "shift": 2, "within": "2h"})
    without = live(reference, None)
    for _ in range(12):
        with_it.see(with_it.window())
        without.see(without.window())
        assert encode(with_it.segment_state) == encode(without.segment_state)
        one, other = (
            replace(item.decided[-1], segment_state=item.segment_state) for item in (with_it, without)
        )
        assert replace(one, segment_state=without.segment_state) == other
    assert with_it.known.trials == 4


def test_a_fault_that_does_not_page_in_time_was_missed(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001, "column": "y", "within": "150m"})
    it.hours(2)
    assert it.trial is not None
    assert (it.trial.windows, it.trial.within) == (2, 3), "whole windows that hold what was asked"
    it.hours(1)
    (found,) = it.ended
    assert (found.outcome, found.delay, found.named) == ("missed", None, False)
    assert (it.known.missed, it.known.delay_windows, it.known.measured_at) == (1, 0, 13 * HOUR)


def test_columns_take_turns_with_the_fault_that_fits_them(reference: Reference) -> None:
    it = live(reference, {"every": "1h", "shift": 1, "within": "1h"})
    it.hours(6)
    tried = [(item.column, item.fault, item.size) for item in it.ended]
    # One in 2 * Phi(1 / 2) - 1 of a normal column's rows sits elsewhere after a shift of one spread.
    assert tried == [
        ("x", "shift", 1.0), ("y", "shift", 1.0), ("rare", "value", 0.38), ("level", "value", 0.38),
        ("x", "shift", 1.0), ("y", "shift", 1.0),
    ]  # fmt: skip
    assert [item.begun_at // HOUR for item in it.ended] == [10, 11, 12, 13, 14, 15]


def test_where_only_missing_values_are_watched_values_go_missing(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 3, "column": "x"}, detectors=["missing", "psi"])
    it.hours(3)
    (found,) = it.ended
    assert (found.fault, found.size, found.outcome) == ("missing", 0.87, "detected")


def test_a_page_of_the_real_windows_is_a_false_alarm_and_no_detection(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001, "column": "y"})
    it.hours(1)
    assert it.trial is not None
    while not it.ended:
        it.see(it.window(x=np.random.default_rng(it.hour).normal(4, 1, ROWS)))
    assert it.decided[-1].page
    assert it.ended[0].outcome == "false_alarm"
    assert it.ended[0].delay is None
    assert (it.known.false_alarm, it.known.trials, it.known.measured_at) == (1, 1, it.hour * HOUR)


def test_a_page_in_the_very_first_window_counts_against_it_too(reference: Reference) -> None:
    """To begin only with a window that turns out ``ok`` would choose the control arm by its outcome."""
    it = live(reference, {"every": "1d", "shift": 5, "column": "x"})
    it.see(it.window(x=np.random.default_rng(0).normal(9, 1, ROWS)))
    assert it.decided[-1].page
    assert [item.outcome for item in it.ended] == ["false_alarm"]


def test_something_that_breaks_abandons_the_trial(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001, "column": "y"})
    it.hours(1)
    it.see(it.window(x=np.full(ROWS, np.nan)))
    assert [item.outcome for item in it.ended] == ["abandoned"]
    assert (it.known.abandoned, it.known.measured_at) == (1, None), "nothing was measured"


def test_nothing_begins_while_something_is_open_or_learned(reference: Reference) -> None:
    wanted = {"every": "1h", "shift": 1}
    it = live(reference, wanted)
    open_now = Incident(key="k", kind=BROKEN, columns=("y",), opened_at=0, onset=0)
    real, _ = judge(reference, window := it.window(), it.looks, it.segment_state, it.config, segment=None)
    assert it.test is not None
    assert it.test.advance(it.known, it.segment_state, window, real) is not None
    assert it.test.advance(it.known, replace(it.segment_state, incidents=(open_now,)), window, real) is None
    assert it.test.advance(it.known, replace(it.segment_state, healthy_windows=9), window, real) is None
    assert it.test.advance(it.known, replace(it.segment_state, held=window), window, real) is None
    blind = replace(open_now, kind="blind")
    assert it.test.advance(it.known, replace(it.segment_state, incidents=(blind,)), window, real) is not None
    it.see(it.window(x=np.full(ROWS, np.nan)))
    assert it.known.trials == 0, "not in a window in which something breaks"
    excluded = live(reference, wanted, exclude=["1970-01-01"])
    excluded.hours(3)
    assert excluded.known == StoredSelftest()


def test_too_few_rows_count_for_nothing_and_are_held_with_the_fault(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.5, "column": "x", "within": "2h"})
    it.see(it.window(rows=60))
    assert it.trial is not None
    assert it.trial.windows == 0
    assert it.trial.segment_state.held is not None
    assert it.segment_state.held is not None
    assert (it.trial.segment_state.held.counts["x"].cells != it.segment_state.held.counts["x"].cells).any()
    it.see(it.window(rows=60))
    held = it.trial
    assert it.ended or (held is not None and held.windows == 1), "both together are judged, as one"
    it.see(it.window(rows=60))
    it.hours(2)
    assert [item.begun_at for item in it.ended] == [10 * HOUR]


@pytest.mark.parametrize("change", ["reference", "configuration", "decided_until"])
def test_what_is_judged_on_other_terms_is_abandoned(reference: Reference, change: str) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001})
    it.hours(1)
    other = {"reference": "another", "configuration": "another", "decided_until": it.hour * HOUR + 1}[change]
    it.segment_state = replace(it.segment_state, **{change: other})
    stored = it.see(it.window())
    assert stored is not None
    assert stored.ended is not None
    assert (stored.ended.outcome, stored.abandoned, stored.trial) == ("abandoned", 1, None)
    it.hours(3)
    assert it.known.trials == 1, "the next one waits for its time"


@pytest.mark.parametrize("wanted", [{"shift": 0.002}, {"within": "5h"}, {"column": "y"}])
def test_a_fault_that_is_not_asked_for_any_more_is_abandoned(
    reference: Reference, wanted: dict[str, Any]
) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001})
    it.hours(1)
    it.test = Selftest.of(config_of({"every": "1d", "shift": 0.001, **wanted}), reference, it.looks)
    it.see(it.window())
    assert [item.outcome for item in it.ended] == ["abandoned"]


def test_another_cadence_changes_nothing_under_way(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001})
    it.hours(1)
    it.test = Selftest.of(config_of({"every": "2h", "shift": 0.001}), reference, it.looks)
    it.hours(1)
    assert it.trial is not None
    assert it.trial.windows == 2


def test_the_next_begins_when_it_is_due_and_the_last_is_over(reference: Reference) -> None:
    it = live(reference, {"every": "4h", "shift": 0.001, "within": "3h"})
    it.hours(12)
    assert [item.begun_at // HOUR for item in it.ended] == [10, 14, 18]
    it = live(reference, {"every": "2h", "shift": 0.001, "within": "3h"})
    it.hours(9)
    assert [item.begun_at // HOUR for item in it.ended] == [10, 13, 16]


def test_a_day_of_23_hours_does_not_put_it_off(reference: Reference) -> None:
    it = live(reference, {"every": "7d", "shift": 1}, window={"length": "1d", "min_rows": 100})
    assert it.test is not None
    day, week = 24 * HOUR, 7 * 24 * HOUR
    known = StoredSelftest(begun_at=100 * day, missed=1)
    real, _ = judge(reference, window := it.window(), it.looks, it.segment_state, it.config, segment=None)
    for start, due in ((week, True), (week - HOUR, True), (week - day, False), (week - day + HOUR, False)):
        span = Span(start=100 * day + start, end=100 * day + start + day)
        begun = it.test.advance(known, it.segment_state, replace(window, span=span), real)
        assert (begun is not None) == due, start


def test_a_trial_comes_back_from_its_bytes(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001})
    it.hours(2)
    assert it.known.trial is not None
    assert encode_trial(decode_trial(it.known.trial)) == it.known.trial
    with pytest.raises(StoreError):
        decode_trial(b"something else")


def test_a_step_that_raises_costs_the_trial_and_waits(reference: Reference) -> None:
    it = live(reference, {"every": "1d", "shift": 0.001})
    window = it.window()
    assert failed(StoredSelftest(), window) == StoredSelftest(begun_at=window.span.start, abandoned=1)
    known = StoredSelftest(begun_at=5, missed=2, trial=b"x")
    assert failed(known, window) == StoredSelftest(begun_at=5, missed=2, abandoned=1)


def of(reference: Reference, selftest: dict[str, Any], detectors: Sequence[str] | None) -> Selftest | None:
    return Selftest.of(config_of(selftest), reference, looks(reference, detectors))


def test_a_column_must_be_one_that_can_page(reference: Reference) -> None:
    with pytest.raises(ConfigError, match=r'selftest\.column: unknown watched column. Got "leve".*"level"'):
        of(reference, {"every": "1d", "column": "leve"}, None)
    with pytest.raises(ConfigError, match="expected a column of its own"):
        of(reference, {"every": "1d"}, ["volume", "psi"])


def test_a_column_without_values_in_the_reference_is_left_out() -> None:
    empty = reference_of({**rows_of(1, 2000), "y": np.full(2000, np.nan)})
    test = of(empty, {"every": "1d"}, None)
    assert test is not None
    assert test.columns == ("x", "rare", "level")
    it = Live(empty, config_of({"every": "1d", "column": "y"}))
    for _ in range(13):
        it.see(it.window(y=np.full(ROWS, np.nan)))
    assert it.known == StoredSelftest()


def test_off_is_off(reference: Reference) -> None:
    assert Selftest.of(config_of(None), reference, looks(reference, None)) is None
    assert SelftestConfig(every="1d").shift == 0.5  # type: ignore[arg-type]
    assert [str(item) for item in Ending] == ["detected", "missed", "false_alarm", "abandoned"]
