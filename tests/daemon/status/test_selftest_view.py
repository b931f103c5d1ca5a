"""The one line about the self-test on a monitor's page."""

from __future__ import annotations

from driftwatch.daemon.status.selftest_view import summarise_trials
from driftwatch.store.records import StoredTrial


def ended(outcome: str, delay: int | None = None, *, fault: str = "shift", named: bool = True) -> StoredTrial:
    return StoredTrial(
        begun_at=0, ended_at=1, column="x", fault=fault, size=0.5 if fault == "shift" else 0.2, within=10,
        outcome=outcome, delay=delay, named=named,
    )  # fmt: skip


def test_trials_in_words() -> None:
    detections = [ended("detected", delay) for delay in (1, 1, 2, 2, 2, 2, 2, 3, 4, 8, 9)]
    assert summarise_trials([*detections, ended("missed"), ended("abandoned")]) == (
        "selftest: found 11 of 12 injected shifts of 0.5 spreads, median 2 windows; 0 false alarms"
    )
    mixed = [ended("detected", 1), ended("detected", 2, fault="value", named=False), ended("false_alarm")]
    assert summarise_trials(mixed) == (
        "selftest: found 2 of 2 injected faults (shifts of 0.5 spreads, one value in 20 % of rows), "
        "median 1.5 windows, 1 without naming the column; 1 false alarm, if nothing really moved then"
    )
    assert summarise_trials([ended("missed", fault="missing")]) == (
        "selftest: found 0 of 1 injected faults (values lost in 20 % of rows); 0 false alarms"
    )


def test_what_was_not_measured_is_no_number() -> None:
    nothing = "selftest: no trial of an injected fault has come to its end yet"
    assert summarise_trials([]) == nothing
    assert summarise_trials([ended("abandoned")]) == nothing
    alarms = summarise_trials([ended("false_alarm"), ended("false_alarm")])
    assert alarms == f"{nothing}; 2 false alarms, if nothing really moved then"
