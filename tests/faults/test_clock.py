"""The wall clock jumps, glitches, lies and stands right again; the machine sleeps and starts anew."""

from __future__ import annotations

import os
import random
import re
import threading
from datetime import datetime, timedelta
from pathlib import Path

import apscheduler.schedulers.base
import pytest
from click.testing import CliRunner
from daemon_world import MINUTE, NS, World, fetch, write_rows
from late_world import FIRST, LateWorld
from memory_outbox import MemoryOutbox, message
from set_clock import DAY, HOUR, ROWS, START, Live, SetClock, waits

from driftwatch.cli import main
from driftwatch.core.clock import SystemClock, steady_now
from driftwatch.daemon.own_health.troubles import Trouble
from driftwatch.daemon.scheduler import Scheduler
from driftwatch.daemon.sink_worker import SinkWorker
from driftwatch.engines.local.pool import FilesRead
from driftwatch.notify.base import Delivery, Message
from driftwatch.sources.files import FilesConfig
from driftwatch.store.outbox import OutboxTable, message_to_json


@pytest.fixture
def live(tmp_path: Path) -> Live:
    """It is the start, and minutes of rows lie before it."""
    return live_world(tmp_path, "m")


def live_world(folder: Path, *monitors: str, min_rows: int = 100) -> Live:
    limits = {"workers": 2, "shutdown": "2s", "catch_up": 12}
    world = World(
        folder, start=START, monitors=monitors, window={"min_rows": min_rows}, settings={"limits": limits}
    )
    live = Live(world, SetClock())
    live.rows(START - 3 * MINUTE, START)
    return live


# The scheduler


@pytest.fixture
def wall_step(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """By how much APScheduler's wall clock is wrong."""
    step = [timedelta(0)]

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            # As CPython does, from another time.
            moment = datetime.utcnow() + step[0]
            return tz.fromutc(moment.replace(tzinfo=tz))  # type: ignore[attr-defined, no-any-return, arg-type]

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Stepped)
    return step


@pytest.mark.parametrize("hours", [[-1.0], [2.0], [2.0, 0.0], [-1.0, 0.0, 2.0, -1.0]])
def test_ticks_go_on_while_the_wall_clock_is_set(wall_step: list[timedelta], hours: list[float]) -> None:
    ticks: list[int] = []
    scheduler = Scheduler(lambda: ticks.append(steady_now()), SystemClock(), 0.05)
    scheduler.start()
    try:
        for step in [0.0, *hours]:
            wall_step[0] = timedelta(hours=step)
            n_ticks = len(ticks)
            # Half a second's ticks; a loaded machine may need longer, one whose clock stalls an hour.
            assert waits(lambda n=n_ticks: len(ticks) >= n + 10, 30), step  # type: ignore[misc]
        assert len(ticks) <= (ticks[-1] - ticks[0]) / NS / 0.05 + 2, "no burst makes up for anything"
        assert scheduler.lost == 0
    finally:
        scheduler.stop()


def test_the_ticks_of_a_suspend_are_one() -> None:
    asleep, ticks = [0], threading.Semaphore(0)
    scheduler = Scheduler(ticks.release, SystemClock(), 0.05, steady=lambda: steady_now() + asleep[0])
    scheduler.start()
    try:
        assert ticks.acquire(timeout=30)
        asleep[0] = 30 * DAY
        for _ in range(3):
            assert ticks.acquire(timeout=30)
        assert scheduler.lost == 0
    finally:
        scheduler.stop()


# Forward


def test_a_forward_glitch_burns_no_window_while_the_source_is_written(live: Live) -> None:
    with live.running():
        live.run(145)
        live.clock.error = 2 * HOUR
        live.run(5)
        assert "jumped 2 h forward" in live.doubt
        assert live.doubt in [item.words for item in live.daemon.snapshot().own_health.troubles]
        live.run(70)
        assert live.ends() == [0, 1, 2, 3], "windows are decided on, by the old time"
        live.clock.error = 0
        live.run(100)
        assert live.ends() == [0, 1, 2, 3, 4, 5]
        assert {(item["state"] in ("ok", "calibrating"), item["rows"]) for item in live.verdicts()} == {
            (True, ROWS)
        }
        assert all((live.decided_at(end) or 0) - START == end * MINUTE for end in range(1, 6)), "in time"
        assert not live.daemon.session.history.owed.count("m")
        assert not live.daemon.session.history.incidents.of_monitor("m")
        assert (live.jumps, live.doubt) == (2, "")
        url = live.daemon.server.url.rstrip("/")
        assert re.search(r"^driftwatch_clock_jumps_total 2(\.0)?$", fetch(f"{url}/metrics")[1], re.M)


def test_a_clock_that_was_behind_is_believed_once_the_source_has_rows_beyond(live: Live) -> None:
    live.clock.error = -10 * MINUTE
    live.rows(START - 13 * MINUTE, START - 3 * MINUTE)
    with live.running():
        live.run(60)
        assert live.ends() == [-10, -9]
        live.clock.error = 0
        live.run(10)
        assert live.ends() == [*range(-10, 2)]
        assert (live.jumps, live.doubt) == (1, "")
        assert {item["rows"] for item in live.verdicts()} == {ROWS}


def test_a_clock_that_no_row_confirms_is_believed_after_ten_minutes(live: Live) -> None:
    with live.running():
        live.run(60)
        live.stamps["m"] = None
        live.clock.error = 2 * HOUR
        live.run(600)
        assert live.doubt, "it was first read in the first of these ticks"
        assert live.ends()[-1] == 11
        live.run(25)
        assert (live.jumps, live.doubt) == (1, "")
        assert live.ends()[-1] == 2 * 60 + 11


def test_a_jump_of_a_doubted_clock_begins_the_ten_minutes_anew(live: Live) -> None:
    with live.running():
        live.run(60)
        live.stamps["m"] = None
        live.clock.error = 2 * HOUR
        live.run(500)
        live.clock.error = 3 * HOUR
        live.run(500)
        assert (live.jumps, bool(live.doubt)) == (2, True)
        live.run(125)
        assert not live.doubt


def test_a_clock_that_goes_on_jumping_ahead_stops_nothing_for_good(live: Live) -> None:
    """As a slow clock does that is put right every few minutes, beside a source that is silent."""
    live.stamps["m"] = None
    with live.running():
        for _ in range(8):
            live.clock.error += 10 * MINUTE
            live.run(300)
        minutes = (live.clock.now() - START) // MINUTE
        assert live.doubt
        assert live.ends()[-1] >= minutes - 3 * 10, "it is the jumps of the last ten minutes behind"
        live.run(625)
        assert not live.doubt
        assert live.ends()[-1] == (live.clock.now() - START) // MINUTE


def test_a_source_that_lies_about_the_future_is_no_witness_for_others(tmp_path: Path) -> None:
    live = live_world(tmp_path, "m", "liar")
    live.stamps["liar"] = HOUR
    live.rows(START - 3 * MINUTE, START + HOUR, "liar")
    with live.running():
        live.run(60)
        live.clock.error = 2 * HOUR
        live.run(30)
        assert live.ends("liar")[-1] == 60, "it goes as far as its rows"
        assert live.doubt
        live.run(90)
        live.clock.error = 0
        live.run(65)
        assert live.ends() == [0, 1, 2, 3, 4]
        assert {item["rows"] for item in live.verdicts()} == {ROWS}


def test_a_producer_a_minute_ahead_of_the_others_is_no_witness(tmp_path: Path) -> None:
    live = live_world(tmp_path, "m", min_rows=20)
    with live.running():
        live.run(75)
        live.clock.error = 2 * HOUR
        for piece in range(24):
            live.run(5)
            ahead = live.clock.true + 50 * NS
            write_rows(tmp_path / "m" / f"ahead{piece}.parquet", ahead, ahead + 5 * NS, 20)
        assert live.doubt
        assert live.ends()[-1] == 3
        assert live.verdicts()[-1]["rows"] == ROWS + 10 * 20, "with all of its rows"


# Back


@pytest.mark.parametrize("step", [MINUTE, HOUR])
def test_after_a_step_back_windows_are_decided_in_their_time_and_none_twice(live: Live, step: int) -> None:
    live.clock.error = step
    live.rows(START - 3 * MINUTE, START)
    live.stamps["m"] = step
    live.rows(START, START + step)
    with live.running():
        live.run(120)
        minutes = step // MINUTE
        decided = {end: live.decided_at(end) for end in live.ends()}
        assert list(decided) == [minutes, minutes + 1, minutes + 2]
        live.clock.error = 0
        live.run(60)
        assert (live.jumps, live.doubt) == (1, ""), "back is believed at once"
        assert {end: live.decided_at(end) for end in live.ends()} == decided
        # The clock comes to the next window.
        live.clock.true += step - 60 * NS
        live.run(60)
        assert live.ends() == [*decided, minutes + 3]
        assert live.decided_at(minutes + 3) == START + (minutes + 3) * MINUTE
        assert {item["rows"] for item in live.verdicts()} == {ROWS}


def test_to_and_fro_checks_nothing_again_and_skips_nothing(live: Live) -> None:
    with live.running():
        live.run(60)
        for _ in range(2):
            begin = live.clock.true
            live.rows(begin, begin + 10 * MINUTE)
            live.clock.true += 10 * MINUTE
            live.tick()
        live.clock.error = -18 * MINUTE
        live.run(10)
        tally = live.daemon.runner.slots()[0].tally
        n_checks, ends = tally.checks, live.ends()
        assert ends == [*range(22)]
        live.clock.error = 0
        live.run(50)
        assert not live.doubt
        assert live.ends() == [*ends, 22]
        assert (tally.checks, sum(tally.skipped.values())) == (n_checks + 1, 0)


def test_a_retry_that_is_stored_comes_in_its_time_though_the_clock_is_set_back(live: Live) -> None:
    with live.running():
        live.run(120)
        database = live.daemon.session.database
        with database.transaction() as connection:
            text = message_to_json(message("k", monitor="m"))
            OutboxTable.queue(connection, "m", [("nobody", "k", "firing", None, text)], live.clock.now())
        outbox = OutboxTable(database, live.clock.now)
        (row,) = outbox.due(live.clock.now())
        outbox.begin_attempt(row.id, live.clock.now())
        outbox.retry(row.id, live.clock.now() + 5 * MINUTE, "timeout")
        live.clock.error = -HOUR // 2
        live.run(290)
        assert outbox.due(live.clock.now()) == []
        live.run(10)
        assert len(outbox.due(live.clock.now())) == 1


def test_windows_owed_by_a_source_that_failed_are_judged_soon_though_the_clock_was_set_back(
    live: Live,
) -> None:
    with live.running():
        live.run(60)
        folder, away = live.world.folder / "m", live.world.folder / "away"
        folder.rename(away)
        live.stamps["m"] = None
        live.run(125)
        slot = live.daemon.runner.slots()[0]
        assert slot.owed_backoff.is_waiting(live.clock.steady())
        assert [item["state"] for item in live.verdicts()][-2:] == ["source_error", "source_error"]
        live.clock.error = -HOUR
        live.run(25)
        away.rename(folder)
        live.rows(START + MINUTE, START + 3 * MINUTE)
        # The longest wait so far is sixteen seconds.
        live.run(50)
        assert [item["rows"] for item in live.verdicts()] == [ROWS] * 4
        assert not live.daemon.session.history.owed.count("m")


# Suspend and restart


def test_a_suspend_is_no_jump(live: Live) -> None:
    with live.running():
        live.run(60)
        live.rows(START + MINUTE, START + 10 * MINUTE)
        live.clock.true += 9 * MINUTE
        live.tick()
        assert live.ends() == [*range(11)]
        assert (live.jumps, live.doubt) == (0, "")


def test_a_week_without_the_daemon_is_caught_up_at_once(live: Live) -> None:
    with live.running():
        live.run(60)
    # Nothing tells the time but the boot that goes on.
    live.clock.true += 7 * DAY
    with live.running():
        live.tick()
        assert live.ends()[-1] == 7 * 24 * 60 + 1
        assert (live.jumps, live.doubt) == (0, "")


def test_a_week_without_the_machine_is_caught_up_when_the_source_has_rows(live: Live) -> None:
    with live.running():
        live.run(60)
    live.clock.true += 7 * DAY
    live.clock.restart()
    live.rows(live.clock.true - 5 * MINUTE, live.clock.true)
    with live.running():
        assert "store's newest time" in live.doubt
        live.tick()
        live.tick()
        assert live.ends()[-1] == 7 * 24 * 60 + 1
        assert (live.jumps, live.doubt) == (0, "")


def test_a_machine_that_starts_years_ahead_judges_nothing(live: Live) -> None:
    with live.running():
        live.run(60)
    live.clock.true += 2 * MINUTE
    live.rows(START + MINUTE, START + 3 * MINUTE)
    live.clock.restart()
    live.clock.error = 3 * 365 * DAY
    with live.running():
        live.run(150)
        assert live.doubt
        assert live.ends()[-1] in (4, 5), "it goes as far as its rows"
        live.clock.error = 0
        live.run(35)
        assert not live.doubt
        assert live.ends() == [*range(7)]
        assert {item["rows"] for item in live.verdicts()} == {ROWS}


def test_a_machine_that_starts_in_1970_judges_nothing(live: Live) -> None:
    live.clock.error = -START
    with live.running():
        live.run(60)
        live.clock.true += HOUR
        live.run(5)
        assert live.ends() == []
        assert "1970" in live.doubt
        live.clock.error = 0
        live.run(60)
        assert live.ends() == [61, 62]
        assert not live.doubt


def test_a_start_behind_the_store_decides_nothing_again_and_goes_on(live: Live) -> None:
    with live.running():
        live.run(120)
        decided = {end: live.decided_at(end) for end in live.ends()}
    live.clock.restart()
    live.clock.error = -2 * MINUTE
    with live.running():
        live.run(120)
        assert {end: live.decided_at(end) for end in live.ends()} == decided
        assert any("windows up to there are decided" in item.words for item in troubles(live))
        live.run(60)
        assert live.ends() == [0, 1, 2, 3]


def troubles(live: Live) -> tuple[Trouble, ...]:
    return live.daemon.snapshot().own_health.troubles


def test_windows_burned_years_ahead_do_not_stall_the_monitor(live: Live) -> None:
    with live.running():
        live.run(60)
    live.clock.true += MINUTE
    live.clock.restart()
    live.clock.error = 365 * DAY
    with live.running():
        live.stamps["m"] = None
        live.run(650)
        assert live.ends()[-1] > 365 * 24 * 60
        live.stamps["m"] = 0
        live.clock.error = 0
        live.run(120)
        newest = (live.clock.true - START) // MINUTE
        assert {newest, newest - 1} <= set(live.ends())


# A single check


def test_a_check_says_that_the_clock_was_set_and_that_it_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = LateWorld(folder=tmp_path)
    clock = SetClock(true=FIRST, booted=FIRST - DAY)
    monkeypatch.setattr("driftwatch.cli.verbs.check.SystemClock", lambda: clock)

    def notes(true: int, error: int = 0) -> str:
        clock.true, clock.error = FIRST + true, error
        result = CliRunner().invoke(main, ["check", str(world.path)])
        assert result.exit_code in (0, 3, 5), result.output
        return " ".join(result.stderr.split())

    world.write(0)
    world.write(1)
    assert "clock" not in notes(DAY)
    assert "clock" not in notes(2 * DAY)
    assert "set forward by 2 h since the last check" in notes(2 * DAY + HOUR, 2 * HOUR)
    assert "set back by 5 days" in notes(2 * DAY + 2 * HOUR, 2 * HOUR - 5 * DAY)
    told = notes(2 * DAY + 3 * HOUR, 2 * HOUR - 5 * DAY)
    assert "m: the clock shows 2026-01-26T05:00:00Z, but the newest decided window ends at 2026-01-31" in told
    clock.restart()
    assert "set" not in notes(3 * DAY)


# What else waits


def test_a_message_is_not_given_up_because_the_clock_was_set_a_day_ahead() -> None:
    class Deaf:
        refresh_seconds = None

        def send(self, message: Message, now: int) -> Delivery:
            return Delivery(delivered=False, retryable=True, reason="server_error")

    clock, outbox = SetClock(), MemoryOutbox()
    number = outbox.put("a", message(), at=clock.now())
    worker = SinkWorker("a", Deaf(), outbox, random.Random(1), clock.steady)

    def attempts(until: int) -> None:
        while outbox.entries[number].state == "pending" and clock.true < until:
            clock.true += 10 * MINUTE
            worker.run_round(clock.now, lambda: False)

    attempts(START + 3 * HOUR)
    clock.error = 2 * DAY
    attempts(START + 20 * HOUR)
    assert outbox.entries[number].state == "pending"
    attempts(START + 2 * DAY)
    assert outbox.entries[number].state == "dead", "a day after it was queued"


@pytest.mark.parametrize("error", [-HOUR, 2 * HOUR])
def test_a_pause_that_a_receiver_asked_for_lasts_as_long_however_the_clock_is_set(error: int) -> None:
    class Busy:
        refresh_seconds = None
        calls = 0

        def send(self, message: Message, now: int) -> Delivery:
            self.calls += 1
            return Delivery(delivered=False, retryable=True, reason="rate_limited", retry_after=60.0)

    clock, outbox, sink = SetClock(), MemoryOutbox(), Busy()
    outbox.put("a", message(), at=clock.now())
    worker = SinkWorker("a", sink, outbox, random.Random(1), clock.steady)
    worker.run_round(clock.now, lambda: False)
    clock.error = error
    for _ in range(59):
        clock.true += NS
        worker.run_round(clock.now, lambda: False)
    assert sink.calls == 1
    clock.true += 2 * NS
    if error < 0:
        # The outbox's own rule: beyond the longest back-off, a row was queued before the clock was set back.
        outbox.entries[1].next_at = clock.now()
    worker.run_round(clock.now, lambda: False)
    assert sink.calls == 2


def test_a_time_that_no_row_confirms_deletes_nothing_for_a_day(live: Live) -> None:
    with live.running():
        live.run(60)
        live.stamps["m"] = None
        live.clock.error = 5 * 365 * DAY
        live.run(650)
        assert not live.doubt
        live.clock.true += 3 * HOUR
        live.tick()
        assert 1 in live.ends()


def test_a_window_that_waits_does_not_wait_less_because_the_clock_was_set(live: Live) -> None:
    with live.running():
        live.run(60)
        live.stamps["m"] = None
        live.run(120)
        owed = live.daemon.session.history.owed
        assert owed.count("m")
        live.clock.error = DAY
        live.run(900)
        assert not live.doubt
        waited = [item.waited for item in owed.of_monitor("m") if item.window.end <= START + 10 * MINUTE]
        assert waited
        assert max(waited) <= 1080 * NS


def test_a_file_being_written_does_not_look_finished_because_the_clock_was_set_ahead(live: Live) -> None:
    path = live.world.folder / "growing.csv"
    path.write_text("ts,amount\n2026-12-31T12:00:00Z,1\n2026-12-31T12:00:01Z,2")
    source = FilesConfig(type="files", path=str(path), time_column="ts")

    def rejected() -> list[str]:
        files_read = FilesRead()
        readers = live.daemon.session.readers
        for _ in readers.batches(source, None, memory=1 << 28, seconds=60, files_read=files_read):
            pass
        return [str(item.problem) for item in files_read.rejected]

    with live.running():
        os.utime(path, ns=(live.clock.true, live.clock.true))
        live.clock.error = 2 * HOUR
        assert rejected() == ["half_written"]
        live.clock.error = 0
        live.clock.true += 2 * MINUTE
        assert rejected() == []
