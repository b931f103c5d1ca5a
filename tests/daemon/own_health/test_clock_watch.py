"""Readings of two clocks: what is a jump, what is believed, and what a thread that stands still changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from set_clock import DAY, HOUR, START, SetClock

from driftwatch.core.clock import ReplayClock, SystemClock
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.daemon.own_health.clock.clock_watch import MonitorClock, TrustedClock
from driftwatch.store.records import ClockReading

SECOND = NANOSECONDS


def test_slewing_is_no_jump_however_far_it_goes() -> None:
    clock = SetClock()
    trusted = TrustedClock(clock)
    for _ in range(1000):
        clock.true += 10 * SECOND
        clock.error += SECOND
        assert trusted.now() == clock.now()
    clock.error -= SECOND
    assert trusted.now() == clock.now(), "neither is a leap second"
    assert trusted.health().jumps == 0


def test_a_thread_that_stands_still_between_two_readings_sees_no_jump() -> None:
    @dataclass
    class Stopped(SetClock):
        hold: int = 0

        def now(self) -> int:
            moment, self.true, self.hold = super().now(), self.true + self.hold, 0
            return moment

    for hold in (15 * SECOND, HOUR):
        clock = Stopped()
        trusted = TrustedClock(clock)
        clock.hold = hold
        assert trusted.now() == START + hold
        assert trusted.health().jumps == 0


def test_a_glitch_to_1970_changes_nothing() -> None:
    clock = SetClock()
    trusted = TrustedClock(clock)
    clock.true += HOUR
    clock.error = -START
    assert trusted.now() == START + HOUR
    clock.true += HOUR
    assert trusted.settle(["m"])
    assert trusted.now() == START + 2 * HOUR, "also after ten minutes"
    clock.error = 0
    assert trusted.health().doubt == ""
    assert trusted.health().jumps == 2


def test_one_witness_lets_its_own_monitor_believe_and_all_let_everybody() -> None:
    clock = SetClock()
    trusted = TrustedClock(clock)
    clock.error = 2 * HOUR
    first, second = (MonitorClock(trusted=trusted, monitor=name) for name in ("first", "second"))
    question = trusted.question("first", 60)
    assert question is not None
    doubt, span = question
    assert span == Span(start=START, end=START + 2 * HOUR)
    trusted.answer("first", doubt, START + HOUR, is_confirmed=False)
    assert trusted.question("first", 60) is None, "not so soon"
    assert (first.now(), second.now(), trusted.now()) == (START + HOUR, START, START)
    trusted.answer("first", doubt, START + HOUR, is_confirmed=True)
    trusted.settle(["first", "second"])
    assert (first.now(), second.now(), trusted.now()) == (START + 2 * HOUR, START, START)
    trusted.answer("second", doubt, None, is_confirmed=True)
    trusted.settle(["first", "second"])
    assert (second.now(), trusted.now(), trusted.health().doubt) == (START + 2 * HOUR, START + 2 * HOUR, "")


def test_an_answer_to_an_older_doubt_counts_for_nothing() -> None:
    clock = SetClock()
    trusted = TrustedClock(clock)
    clock.error = 2 * HOUR
    question = trusted.question("m", 60)
    assert question is not None
    clock.error = 0
    trusted.now()
    clock.error = 3 * HOUR
    trusted.now()
    trusted.answer("m", question[0], None, is_confirmed=True)
    assert MonitorClock(trusted=trusted, monitor="m").now() == START


def of_boot(boot: str, error: int = 0) -> Callable[[SetClock], ClockReading]:
    return lambda clock: ClockReading(
        boot=boot, offset=clock.true - clock.steady() - error, read_at=clock.true - error - 7 * DAY
    )


@pytest.mark.parametrize(
    ("stored", "newest", "decides_at", "shows", "jumps"),
    [
        (None, None, START, START, 0),
        (of_boot("first"), START - 7 * DAY, START, START, 0),
        # Set between two lives on the same boot: known to the second.
        (of_boot("first", HOUR), START - 7 * DAY, START - HOUR, START - HOUR, 1),
        (of_boot("first", -HOUR), START - 7 * DAY, START, START, 1),
        # Another boot: the store's newest time is all that is known.
        (of_boot("other"), START - DAY, START - DAY, START, 0),
        (of_boot("other"), None, START - 7 * DAY, START, 0),
        (None, START - DAY, START - DAY, START, 0),
        (None, START + HOUR, START, START, 0),
    ],
)
def test_a_start_is_compared_with_the_store(
    stored: Callable[[SetClock], ClockReading] | None,
    newest: int | None,
    decides_at: int,
    shows: int,
    jumps: int,
) -> None:
    clock = SetClock()
    trusted = TrustedClock(clock)
    trusted.compare(None if stored is None else stored(clock), newest)
    assert MonitorClock(trusted=trusted, monitor="m").now() == decides_at
    assert (trusted.now(), trusted.health().jumps) == (shows, jumps)
    assert bool(trusted.health().doubt) == (decides_at < START)


def test_a_start_in_1970_goes_on_from_the_store() -> None:
    clock = SetClock(error=-START)
    trusted = TrustedClock(clock)
    assert not trusted.settle(["m"]), "there is no time at all"
    trusted.compare(None, START - HOUR)
    assert trusted.settle(["m"])
    clock.true += HOUR
    assert trusted.now() == MonitorClock(trusted=trusted, monitor="m").now() == START


@pytest.mark.parametrize("clock", [ReplayClock(START), ReplayClock(0)])
def test_a_replay_is_always_believed(clock: ReplayClock) -> None:
    trusted = TrustedClock(clock)
    trusted.compare(None, START + DAY)
    for moment in (START + 3 * DAY, START - DAY, 0, START):
        clock.set(moment)
        assert trusted.now() == trusted.steady() == moment
        assert trusted.settle(["m"])
    assert (trusted.health().jumps, trusted.health().doubt, trusted.is_proven) == (0, "", True)
    assert trusted.reading_to_store() is None


def test_a_reading_is_stored_at_first_once_an_hour_and_when_a_jump_is_believed() -> None:
    clock = SetClock()
    trusted = TrustedClock(clock)
    first = trusted.reading_to_store()
    assert first == ClockReading(boot="first", offset=START - clock.steady(), read_at=START)
    clock.true += HOUR // 2
    assert trusted.reading_to_store() is None
    clock.error = HOUR
    assert trusted.reading_to_store() is None, "in doubt"
    clock.error = -HOUR
    second = trusted.reading_to_store()
    assert second is not None
    assert second.offset == first.offset - HOUR
    clock.true += HOUR
    assert trusted.reading_to_store() is not None


def test_the_system_clock_names_its_boot_and_counts_from_it() -> None:
    clock, other = SystemClock(), SystemClock()
    assert clock.boot == other.boot != ""
    start = clock.steady()
    assert 0 <= clock.steady() - start < 60 * SECOND
    assert abs(clock.now() - other.now()) < 60 * SECOND
