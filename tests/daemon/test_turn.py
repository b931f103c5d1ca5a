"""One monitor's turn, without a store or a source: what each failing step stops, and what it does not."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from driftwatch.config.models import WindowConfig
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.daemon.status import monitor_slot
from driftwatch.daemon.status.monitor_slot import MAX_BACKOFF_SECONDS, Backoff, MonitorSlot
from driftwatch.daemon.turn import WINDOWS_PER_TURN, Turn
from driftwatch.errors import SourceTimeout, StoreError
from driftwatch.monitor.check import Outcome
from driftwatch.monitor.past.late_parts import LateData
from driftwatch.monitor.past.look_again import Look
from driftwatch.monitor.reading import Failure, Reading
from driftwatch.results.results import Reason, State, Verdict

MINUTE = 60 * NANOSECONDS


def outcome(window: Span, *, failure: Reason | None = None) -> Outcome:
    state, reason = (State.OK, Reason.NOTHING_MOVED) if failure is None else (State.SOURCE_ERROR, failure)
    verdict = Verdict(
        monitor="m", segment=None, window=window, rows=0, state=state, reason=reason,
        detail="" if failure is None else "it did not answer", reference="f", configuration="c",
    )  # fmt: skip
    problem = failure and Failure(state=state, reason=failure, detail=verdict.detail)
    return Outcome(verdicts=(verdict,), reading=Reading(failure=problem))


def refreshed() -> Outcome:
    return Outcome(verdicts=(), reading=Reading(), is_refresh=True)


@dataclass
class FakeMonitor:
    """Windows of ten minutes, gauges every five; ``errors`` are raised by the step of their name."""

    errors: dict[str, Exception] = field(default_factory=dict)
    failure: Reason | None = None
    owed: list[int] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    config: Any = field(
        default_factory=lambda: SimpleNamespace(
            name="m",
            window=WindowConfig.model_validate({"length": "10m", "every": "5m", "patience": "40m"}),
            timezone="UTC",
        )
    )
    reference: Any = field(default_factory=lambda: SimpleNamespace(fingerprint="f"))

    def step(self, name: str, end: int) -> None:
        self.calls.append((name, end // MINUTE))
        if name in self.errors:
            raise self.errors[name]

    @property
    def history(self) -> Any:
        return SimpleNamespace(owed=SimpleNamespace(count=lambda _name: len(self.owed)))

    def check(self, window: Span, now: int) -> Outcome:
        self.step("check", window.end)
        if self.failure is not None:
            self.owed.append(window.end)
        return outcome(window, failure=self.failure)

    def look_again(self, now: int, decided: Sequence[Span], *, with_owed: bool = True) -> Iterator[Look]:
        """Owed windows are judged, and each decided one has late rows."""
        for end in list(self.owed) if with_owed else ():
            self.step("owed", end)
            result = outcome(Span(start=end - 10 * MINUTE, end=end), failure=self.failure)
            if result.failure is None:
                self.owed.remove(end)
            yield Look(window=result.verdicts[0].window, outcome=result)
        for window in decided:
            self.step("reread", window.end)
            yield Look(window=window, late_data=LateData(window=window, rows=3))

    def refresh_gauges(self, window: Span, now: int) -> Outcome:
        self.step("refresh", window.end)
        return refreshed()

    def drop_derived_arrays(self) -> None:
        pass

    def ends(self, name: str) -> list[int]:
        return [end for call, end in self.calls if call == name]


class FakeAcknowledgements:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.requests: list[str] = []

    def pending(self, monitor: str) -> list[Any]:
        """Each request is ``incident`` or ``incident: answer``."""
        if self.error is not None:
            raise self.error
        parts = [request.partition(": ") for request in self.requests]
        return [
            SimpleNamespace(incident=incident, answer=answer or incident) for incident, _, answer in parts
        ]


@dataclass
class World:
    """A monitor whose windows up to minute 20 are decided; it is minute 36."""

    monitor: FakeMonitor = field(default_factory=FakeMonitor)
    acknowledgements: FakeAcknowledgements = field(default_factory=FakeAcknowledgements)
    show: Callable[[str], None] = lambda name: None
    clock: ReplayClock = field(default_factory=lambda: ReplayClock(36 * MINUTE))

    def __post_init__(self) -> None:
        self.slot = MonitorSlot(monitor=self.monitor, last_end=20 * MINUTE)  # type: ignore[arg-type]
        self.store_errors = 0

    def turn(self, catch_up: int = 400) -> bool:
        turn = Turn(
            self.slot,
            self.clock,
            self.acknowledgements,  # type: ignore[arg-type]
            self.show,
            catch_up=catch_up,
            stopping=threading.Event(),
        )
        has_more = turn.run()
        self.store_errors += turn.store_errors
        return has_more

    @property
    def failures(self) -> Counter[str]:
        return self.slot.tally.failures

    @property
    def waits(self) -> bool:
        return self.slot.backoff.is_waiting(self.clock.now())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(
        "driftwatch.daemon.turn.look_again",
        lambda monitor, now, decided=(), **options: monitor.look_again(now, decided, **options),
    )
    return World()


@pytest.fixture(autouse=True)
def taken_over(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was taken over, in order; the first entry to fail is named ``fails``."""
    names: list[str] = []

    def take_over(monitor: Any, now: int, say: Any) -> Any:
        if "fails" in names:
            names.remove("fails")
            raise StoreError("the disk is full")
        names.append(monitor.config.name)
        return monitor

    monkeypatch.setattr(monitor_slot, "take_over", take_over)
    return names


def test_a_turn_checks_what_is_due_then_looks_for_late_rows_and_refreshes_the_gauges(world: World) -> None:
    names: list[str] = []
    world.show = names.append
    assert not world.turn()
    assert world.monitor.calls == [
        ("check", 30), ("reread", 10), ("reread", 20), ("refresh", 35),
    ]  # fmt: skip
    assert names == ["m", "m"], "after the window and after the turn"
    tally = world.slot.tally
    assert (tally.checks, tally.late_rows, tally.last_success_at) == (1, 6, world.clock.now())
    assert (world.slot.last_end, world.slot.last_refresh) == (30 * MINUTE, 35 * MINUTE)
    assert not world.failures


def test_a_monitor_that_catches_up_gives_its_worker_back(world: World) -> None:
    world.clock.set((20 + 10 * WINDOWS_PER_TURN + 25) * MINUTE)
    assert world.turn()
    assert len(world.monitor.ends("check")) == WINDOWS_PER_TURN
    assert not world.turn()
    assert world.monitor.ends("check") == list(range(30, 30 + 10 * (WINDOWS_PER_TURN + 2), 10))


def test_windows_beyond_the_limit_are_skipped_and_counted_once(world: World) -> None:
    world.clock.set(100 * MINUTE)
    world.monitor.errors["check"] = ZeroDivisionError("a bug")
    world.turn(catch_up=3)
    del world.monitor.errors["check"]
    world.clock.set(world.slot.backoff.until)
    world.turn(catch_up=3)
    assert world.monitor.ends("check") == [80, 80, 90, 100]
    assert world.slot.tally.skipped == {"catch_up_limit": 5}


def test_an_acknowledgement_that_cannot_be_applied_stops_no_check(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.acknowledgements.error = ZeroDivisionError("a bug")
    world.turn()
    assert world.monitor.ends("check") == [30]
    assert world.failures == {"acknowledgement": 1}
    assert not world.waits
    assert [record.message for record in caplog.records if record.exc_info] == ["acknowledgement failed"]


def test_an_acknowledgement_that_cannot_be_applied_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first one changed is in force, although the second failed."""

    def apply(monitor: Any, request: Any, now: int) -> Any:
        if request.answer == "poor":
            raise ZeroDivisionError
        return replace(monitor, reference=SimpleNamespace(fingerprint=request.answer))

    monkeypatch.setattr("driftwatch.daemon.turn.apply_acknowledgement", apply)
    world.acknowledgements.requests = ["first", "poor"]
    world.turn()
    assert world.slot.monitor.reference.fingerprint == "first"
    world.acknowledgements.requests = ["poor", "third"]
    world.turn()
    assert world.slot.monitor.reference.fingerprint == "third"
    assert world.failures == {"acknowledgement": 2}
    assert world.monitor.ends("check") == [30]


@pytest.mark.parametrize(
    ("requests", "applied"),
    [
        (["a: mute", "a: fixed", "b: fixed"], ["a: mute", "a: fixed", "b: fixed"]),
        (["a: poor", "a: fixed", "b: fixed"], ["b: fixed"]),
        (["a: poor", ": all", "b: fixed"], []),
        ([": poor", "a: fixed"], []),
        (["a: fixed", "b: poor", "a: mute"], ["a: fixed", "a: mute"]),
    ],
)
def test_answers_to_one_incident_keep_their_order(
    world: World, monkeypatch: pytest.MonkeyPatch, requests: list[str], applied: list[str]
) -> None:
    """A mute that cannot be applied must not come after the answer that ended its incident."""
    calls: list[str] = []

    def apply(monitor: Any, request: Any, now: int) -> Any:
        if request.answer == "poor":
            raise ZeroDivisionError
        calls.append(f"{request.incident}: {request.answer}")
        return monitor

    monkeypatch.setattr("driftwatch.daemon.turn.apply_acknowledgement", apply)
    world.acknowledgements.requests = requests
    world.turn()
    assert calls == applied


def test_a_store_that_fails_ends_the_acknowledgements_of_a_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def apply(monitor: Any, request: Any, now: int) -> Any:
        calls.append(request.incident)
        raise StoreError("full")

    monkeypatch.setattr("driftwatch.daemon.turn.apply_acknowledgement", apply)
    world.acknowledgements.requests = ["a", "b"]
    world.turn()
    assert calls == ["a"]


def test_a_view_that_cannot_be_built_stops_no_check(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail(name: str) -> None:
        raise KeyError(name)

    world.show = fail
    world.clock.set(46 * MINUTE)
    world.turn()
    assert world.monitor.ends("check") == [30, 40]
    assert not world.failures, "the checks succeeded"
    assert not world.waits
    assert [record.message for record in caplog.records if record.exc_info] == ["view failed"] * 3


def test_a_bug_in_a_check_is_counted_waited_for_and_shown(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    names: list[str] = []
    world.show = names.append
    world.monitor.errors["check"] = ZeroDivisionError("a bug")
    world.turn()
    assert world.failures == {"internal": 1}
    assert world.slot.tally.last_failure == "ZeroDivisionError: a bug"
    assert world.waits
    assert names == ["m"]
    assert [record.message for record in caplog.records if record.exc_info] == ["check failed"]
    world.turn()
    assert world.monitor.ends("check") == [30], "it backs off"
    del world.monitor.errors["check"]
    world.clock.set(world.slot.backoff.until)
    world.turn()
    assert world.monitor.ends("check") == [30, 30]
    assert world.slot.last_end == 30 * MINUTE
    assert world.slot.backoff.failures_in_row == 0


def test_a_bug_in_the_search_for_late_rows_stops_no_refresh(world: World) -> None:
    world.monitor.errors["reread"] = ZeroDivisionError("a bug")
    world.turn()
    assert world.slot.last_end == 30 * MINUTE
    assert world.monitor.ends("refresh") == [35]
    assert world.failures == {"internal": 1}


def test_late_rows_that_cannot_be_looked_for_are_no_failed_check(world: World) -> None:
    world.monitor.errors["reread"] = SourceTimeout("it hangs")
    world.turn()
    assert world.monitor.ends("reread") == [10], "the source is not asked again"
    assert world.failures == {"late_rows": 1}
    assert world.slot.tally.last_failure == ""
    assert not world.waits


def test_a_bug_in_a_refresh_leaves_the_decided_window(world: World) -> None:
    world.monitor.errors["refresh"] = ZeroDivisionError("a bug")
    world.turn()
    assert world.slot.last_end == 30 * MINUTE
    assert world.slot.outcome is not None
    assert world.slot.outcome.failure is None
    assert world.failures == {"internal": 1}


@pytest.mark.parametrize("place", ["acknowledgement", "check"])
def test_a_store_that_fails_ends_the_checks_once(
    world: World, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    names: list[str] = []
    world.show = names.append
    error = StoreError("the disk is full")
    if place == "check":
        world.monitor.errors["check"] = error
    else:
        world.acknowledgements.error = error
    world.turn()
    assert world.monitor.ends("check") == ([30] if place == "check" else [])
    assert world.monitor.ends("refresh") == []
    assert world.failures == {"store_error": 1}
    assert world.store_errors == 1
    assert world.waits
    assert names == ["m"], "what is shown may be readable"
    assert not any(record.exc_info for record in caplog.records), "no bug"


def test_a_view_that_the_store_cannot_give_is_no_failed_check(world: World) -> None:
    def fail(name: str) -> None:
        raise StoreError("disk I/O error")

    world.show = fail
    world.turn()
    assert world.store_errors == 2
    assert not world.failures
    assert world.slot.last_end == 30 * MINUTE


def test_a_source_that_fails_is_waited_for_and_the_gauges_are_refreshed(world: World) -> None:
    world.monitor.failure = Reason.SOURCE_UNAVAILABLE
    world.turn()
    assert world.failures == {"source_unavailable": 1}
    assert world.slot.tally.last_failure == "it did not answer"
    assert (world.slot.last_end, world.slot.owed) == (30 * MINUTE, 1)
    assert world.waits
    assert world.monitor.ends("refresh") == [35]


def test_owed_windows_are_judged_before_the_next_one_when_the_source_is_back(world: World) -> None:
    world.monitor.failure = Reason.SOURCE_UNAVAILABLE
    world.turn()
    world.clock.set(41 * MINUTE)
    world.turn()
    assert world.monitor.calls[2:] == [("owed", 30), ("check", 40)]
    world.monitor.failure = None
    world.clock.set(51 * MINUTE)
    world.turn()
    assert world.monitor.calls[4:7] == [("owed", 30), ("owed", 40), ("check", 50)]
    assert (world.slot.owed, world.waits) == (0, False)


def test_a_window_without_rows_delays_no_other(world: World) -> None:
    world.monitor.failure = Reason.NO_ROWS
    world.clock.set(46 * MINUTE)
    world.turn()
    assert world.monitor.ends("check") == [30, 40]
    assert (world.slot.owed, world.waits) == (2, False)
    assert not world.slot.owed_is_due(world.clock.now(), is_window_due=False), "it waits a little"
    world.clock.set(47 * MINUTE)
    world.turn()
    assert world.monitor.ends("owed")[-2:] == [30, 40]


def test_many_owed_windows_are_looked_at_over_several_turns_and_delay_no_due_one(world: World) -> None:
    world.monitor.failure = Reason.NO_ROWS
    world.monitor.owed = [-end * MINUTE for end in range(100)]
    world.slot.owed = 100
    assert world.turn(), "other monitors go first"
    assert len(world.monitor.ends("owed")) == WINDOWS_PER_TURN
    assert world.monitor.ends("check") == [30]
    turns = 1
    while world.turn():
        turns += 1
    assert (turns, len(world.monitor.ends("owed"))) == (100 // WINDOWS_PER_TURN, 100)
    assert not world.slot.owed_is_due(world.clock.now())
    world.clock.set(40 * MINUTE)
    world.slot.owed_backoff.until = 41 * MINUTE
    world.turn()
    assert world.monitor.ends("check") == [30, 40]
    assert len(world.monitor.ends("owed")) == 100, "no reason to ask for so many versions"


def test_many_owed_windows_whose_rows_come_are_judged_before_the_next_one(world: World) -> None:
    world.monitor.owed = [end * MINUTE for end in range(-100, 0)]
    world.slot.owed = 100
    while world.turn():
        pass
    assert [call for call, _ in world.monitor.calls[:101]] == ["owed"] * 100 + ["check"]


def test_a_replaced_monitor_begins_another_round_of_looks(world: World) -> None:
    world.monitor.owed = [end * MINUTE for end in range(-100, 0)]
    world.slot.owed = 100
    assert world.turn()
    replacement = FakeMonitor(owed=list(world.monitor.owed))
    world.slot.replace_monitor(replacement)  # type: ignore[arg-type]
    world.turn()
    assert len(world.monitor.ends("owed")) == WINDOWS_PER_TURN
    assert replacement.ends("owed")[0] == -84


def test_between_windows_the_newest_one_is_searched_for_late_rows(world: World) -> None:
    world.turn()
    world.monitor.calls.clear()
    world.clock.set(38 * MINUTE)
    world.turn()
    assert not world.monitor.ends("reread")
    assert world.slot.next_search == 46 * MINUTE
    world.slot.last_refresh = 60 * MINUTE
    world.slot.next_search = 39 * MINUTE
    world.clock.set(39 * MINUTE)
    world.turn()
    assert world.monitor.calls == [("reread", 30)]


def test_a_replacement_takes_over_between_two_windows_and_ends_the_wait(world: World) -> None:
    world.monitor.failure = Reason.SOURCE_UNAVAILABLE
    world.turn()
    assert world.waits
    replacement = FakeMonitor(owed=[30 * MINUTE])
    world.slot.replace_monitor(replacement)  # type: ignore[arg-type]
    assert world.slot.has_replacement
    world.turn()
    assert replacement.ends("owed") == [30]
    assert world.monitor.ends("check") == [30]
    assert not world.slot.has_replacement


def test_nothing_is_checked_or_answered_until_open_incidents_are_taken_over(
    world: World, taken_over: list[str]
) -> None:
    world.turn()
    assert taken_over == [], "a monitor that goes on has nothing to take over"
    replacement = FakeMonitor()
    taken_over.append("fails")
    world.acknowledgements.requests = ["k: fixed"]
    world.slot.replace_monitor(replacement)  # type: ignore[arg-type]
    world.clock.set(46 * MINUTE)
    world.turn()
    assert (replacement.calls, world.store_errors) == ([], 1)
    assert world.failures == {"store_error": 1}
    world.clock.set(47 * MINUTE)
    world.turn()
    assert taken_over == ["m"]
    assert replacement.ends("check") == [40]


def test_a_replacement_need_not_wait_for_the_end_of_a_turn(world: World) -> None:
    replacement = FakeMonitor()
    world.show = lambda name: world.slot.replace_monitor(replacement)  # type: ignore[arg-type]
    world.clock.set(46 * MINUTE)
    world.turn()
    assert (world.monitor.ends("check"), replacement.ends("check")) == ([30], [40])


def test_each_new_number_of_rows_without_a_time_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Untimed(FakeMonitor):
        def check(self, window: Span, now: int) -> Outcome:
            return replace(outcome(window), reading=Reading(untimed_rows=7))

    world.slot.monitor = Untimed()  # type: ignore[assignment]
    caplog.set_level(logging.WARNING)
    world.clock.set(56 * MINUTE)
    world.turn()
    assert world.slot.tally.checks == 3
    assert [record.message for record in caplog.records] == [
        "rows without a usable event time are in no window"
    ]


def test_each_new_number_of_stray_rows_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    class Stray(FakeMonitor):
        def check(self, window: Span, now: int) -> Outcome:
            reading = Reading(untimed_rows=0, before_history_rows=2, future_rows=window.end // MINUTE // 40)
            return replace(outcome(window), reading=reading)

    world.slot.monitor = Stray()  # type: ignore[assignment]
    caplog.set_level(logging.WARNING)
    world.clock.set(56 * MINUTE)
    world.turn()
    assert world.slot.tally.stray_rows == (2, 1)
    assert [(record.before_history, record.future) for record in caplog.records] == [(2, 0), (2, 1)]  # type: ignore[attr-defined]
    assert {record.message for record in caplog.records} == {
        "rows stamped before the history or in the future are in no window"
    }


def test_waits_double_up_to_ten_minutes_however_long_an_outage_lasts() -> None:
    backoff, waits = Backoff(), []
    for _ in range(3000):
        backoff.extend(0)
        waits.append(backoff.until / NANOSECONDS)
    assert waits[:4] == [2, 4, 8, 16]
    assert set(waits[9:]) == {MAX_BACKOFF_SECONDS}
    backoff.reset()
    backoff.extend(0)
    assert backoff.until == 2 * NANOSECONDS


def test_a_clock_set_back_ends_a_wait() -> None:
    backoff = Backoff()
    backoff.extend(86_400 * NANOSECONDS)
    assert backoff.is_waiting(86_401 * NANOSECONDS)
    assert not backoff.is_waiting(86_402 * NANOSECONDS)
    assert not backoff.is_waiting(0)
