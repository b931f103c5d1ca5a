"""The daemon under trouble, its clock moved by hand: sources that go, late rows, full disks, dead threads."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from daemon_world import MINUTE, NS, Inside, World, children, fetch, write_rows
from peers import until

from driftwatch.core.clock import SystemClock
from driftwatch.daemon.own_health.loops.heartbeat import STORE_STEP_SECONDS, Moment
from driftwatch.daemon.scheduler import Scheduler
from driftwatch.errors import ConfigError, DriftwatchError
from driftwatch.store.locks import daemon_running
from driftwatch.store.outbox import message_from_json


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def outbox(inside: Inside) -> list[tuple[str, str, str]]:
    rows = inside.daemon.session.database.query("SELECT sink, key, kind FROM outbox ORDER BY id")
    return [tuple(row) for row in rows]


def segment_states(inside: Inside) -> list[bytes]:
    return [row[0] for row in inside.daemon.session.database.query("SELECT content FROM tracks")]


def test_missed_windows_are_caught_up_in_order_up_to_the_limit(world: World) -> None:
    world.settings["limits"] = {"workers": 2, "shutdown": "2s", "catch_up": 20}
    world.write()
    for number in range(32):
        world.minute(number)
    with world.inside(1) as inside:
        inside.to(1)
        assert inside.ends() == [1]
    with world.inside(32) as inside:
        inside.to(32)
        assert inside.ends() == [1, *range(13, 33)]
        assert dict(inside.view().skipped) == {"catch_up_limit": 11}
        page = inside.page()
        assert re.search(r"^driftwatch_checks_skipped_total\{.*catch_up_limit.*\} 11(\.0)?$", page, re.M)


def test_a_source_that_goes_away_is_no_drift_and_is_caught_up(world: World) -> None:
    world.settings["notify"] = [{"type": "webhook", "url": "http://127.0.0.1:9/"}]
    world.write()
    for number in range(6):
        world.minute(number)
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(2)
        states = segment_states(inside)
        (world.folder / "m").rename(world.folder / "gone")
        inside.to(3)
        assert inside.state() == "source_error"
        assert inside.ends() == [1, 2]
        assert segment_states(inside) == states
        waits = inside.view().checks
        inside.to(3.01)
        assert inside.view().checks == waits, "it backs off"
        assert (inside.view().next_run_at or 0) > inside.clock.now(), "what is next is not past"
        assert not inside.view().incidents
        inside.to(4.1)
        inside.to(5)
        assert inside.ends() == [1, 2]
        assert [item.kind for item in inside.view().incidents] == ["blind"]
        assert [kind for *_, kind in outbox(inside)] == ["firing"]
        (incident,) = inside.daemon.session.database.query("SELECT content FROM incidents")
        link = json.loads(incident[0])["url"]
        assert link.endswith("/monitors/m"), "no window that may stay undecided"
        assert re.search(r'^driftwatch_state\{.*state="source_error"\} 1(\.0)?$', inside.page(), re.M)
        (world.folder / "gone").rename(world.folder / "m")
        inside.to(5.9)
        assert inside.ends() == [1, 2, 3, 4, 5]
        assert inside.state() in ("ok", "calibrating")
        assert not inside.view().incidents
        assert [kind for *_, kind in outbox(inside)] == ["firing", "resolved"]
        assert len(set(outbox(inside))) == 2
        rows = inside.daemon.session.database.query("SELECT message FROM outbox ORDER BY id")
        begun, ended = (message_from_json(row[0]).lines for row in rows)
        assert begun[-1] == "nothing is known about drift until this works again"
        assert ended == (begun[0], "it works again, and every window was looked at")


def test_windows_that_an_outage_left_behind_are_said_to_be_unknown(world: World) -> None:
    """Nothing is stored of those beyond the limit: that must not read as if all had been looked at."""
    world.settings["notify"] = [{"type": "webhook", "url": "http://127.0.0.1:9/"}]
    world.write(limits={"workers": 2, "shutdown": "2s", "catch_up": 2})
    for number in range(10):
        world.minute(number)
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(2)
        (world.folder / "m").rename(world.folder / "gone")
        for minutes in (3, 4.1, 5, 8):
            inside.to(minutes)
        (world.folder / "gone").rename(world.folder / "m")
        inside.to(9)
        assert inside.ends() == [1, 2, 3, 4, 5, 7, 8, 9]
        (resolution,) = inside.daemon.session.database.query(
            "SELECT message FROM outbox WHERE kind = 'resolved'"
        )
        missed = "it works again; nothing is known about drift in windows that nobody could look at"
        assert message_from_json(resolution[0]).lines[-1] == missed


def test_what_was_worked_out_of_a_reference_goes_with_the_check(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.minute(0)
    with world.inside(1) as inside:
        inside.to(1)
        assert inside.ends() == [1]
        (slot,) = inside.daemon.runner.slots()
        assert not slot.monitor.evaluator.context.memo
        assert slot.outcome is not None
        assert not slot.outcome.reading.tiles
        assert slot.outcome.reading.rows_read


def test_late_rows_make_a_new_version_and_leave_the_verdict(world: World) -> None:
    with world.inside(1) as inside:
        for number in range(2):
            world.minute(number)
            inside.to(number + 1)
        decided = inside.verdicts()
        world.minute(1, part=1, rows=60)
        world.minute(2)
        inside.to(3)
        assert inside.verdicts()[:2] == decided
        assert inside.view().late_rows == 60
        history = inside.daemon.session.history
        assert history.tiles.get("m", None, world.start + MINUTE, 1).summary.rows == 200
        assert history.tiles.get("m", None, world.start + MINUTE, 2).summary.rows == 260
        world.minute(3)
        inside.to(4)
        assert inside.view().late_rows == 60, "counted once"


def test_rows_without_a_time_are_shown_as_long_as_they_are_there(world: World) -> None:
    whole = pq.read_table(world.minute(0))
    times = whole["at"].to_pylist()
    part = whole.set_column(0, "at", pa.array([*times[:150], *[None] * 50], whole.schema.field("at").type))
    pq.write_table(part, world.folder / "m" / "0000-0.parquet")
    with world.inside(1) as inside:
        inside.to(1)
        assert inside.view().segment(None).verdict.rows == 150
        assert re.search(r'^driftwatch_untimed_rows\{monitor="m"\} 50(\.0)?$', inside.page(), re.M)
        assert "50 rows" in inside.verdicts()[0]["detail"]
        world.minute(0)
        world.minute(1)
        inside.to(2)
        assert inside.view().untimed_rows == 0
        assert inside.verdicts()[1]["detail"] == ""


def test_a_restart_keeps_the_moment_of_the_newest_look(world: World) -> None:
    pattern = re.compile(r'^driftwatch_check_last_success_timestamp_seconds\{monitor="m"\} (\S+)$', re.M)
    world.minute(0)
    with world.inside(1) as inside:
        inside.to(1.4)
        assert inside.ends() == [1]
        moments = pattern.findall(inside.page())
    assert [float(moment) for moment in moments] == [(world.start + int(1.4 * MINUTE)) / NS]
    with world.inside(1.6) as inside:
        assert pattern.findall(inside.page()) == moments


def test_no_rows_and_rows_that_are_late_are_told_apart(world: World) -> None:
    world.minute(0)
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(2)
        assert inside.state() == "stale"
        assert inside.ends() == [1], "late rows are waited for"
        world.minute(2)
        inside.to(3)
        assert inside.ends() == [1, 3], "a newer row alone ends nothing"
        assert inside.verdicts()[1]["state"] == "no_data"
        assert re.search(r'^driftwatch_windows_owed\{monitor="m"\} 1(\.0)?$', inside.page(), re.M)
        world.minute(1)
        inside.to(4)
        assert inside.ends() == [1, 2, 3]
        assert inside.verdicts()[1]["late"]
        assert re.search(r'^driftwatch_windows_owed\{monitor="m"\} 1(\.0)?$', inside.page(), re.M)


def test_a_window_is_given_up_after_the_patience(tmp_path: Path) -> None:
    world = World(tmp_path, window={"length": "1m", "patience": "3m"})
    world.minute(0)
    with world.inside(1) as inside:
        for minutes in (1, 2, 3, 4):
            inside.to(minutes)
        assert inside.ends() == [1]
        for minutes in (5, 6, 7):
            inside.to(minutes)
        assert inside.ends()[:2] == [1, 2]
        assert inside.verdicts()[1]["state"] == "stale"


def test_gauges_within_a_window_are_no_evidence(tmp_path: Path) -> None:
    world = World(tmp_path, window={"length": "4m", "every": "1m"})
    first = (world.start // MINUTE + 3) // 4 * 4 - world.start // MINUTE
    for number in range(first - 4, first + 8):
        world.minute(number)
    with world.inside(first) as inside:
        inside.to(first)
        assert inside.ends() == [first]
        whole, states = inside.view().segment(None).verdict, segment_states(inside)
        for minute in (1, 2, 3):
            inside.to(first + minute)
            shown = inside.view().segment(None)
            assert shown.verdict == whole
            assert shown.usable_verdict.window.end == world.start + (first + minute) * MINUTE
            page = inside.page("/monitors/m")
            links = set(re.findall(r'href="(/monitors/m/windows/[^"]+)"', page))
            assert len(links) == 1, "only a decided window has a page"
            assert all(fetch(inside.daemon.server.url.rstrip("/") + link)[0] == 200 for link in links)
            assert "not decided yet" in page
        assert segment_states(inside) == states
        assert inside.ends() == [first]
        inside.to(first + 4)
        assert inside.ends() == [first, first + 4]
        assert inside.verdicts()[-1]["rows"] == 800


def test_a_dead_scheduler_is_unhealthy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    with world.inside(1) as inside:
        url = inside.daemon.server.url.rstrip("/")
        assert fetch(f"{url}/-/healthy")[0] == 200
        inside.daemon.supervisor.stop()
        scheduler = inside.daemon.scheduler._scheduler
        scheduler._process_jobs = lambda: 1 / 0
        scheduler.wakeup()
        until(lambda: fetch(f"{url}/-/healthy")[0] == 503)


@pytest.mark.parametrize("trouble", ["stands still", "fails"])
def test_a_scheduler_whose_ticks_come_to_nothing_is_dead_or_stuck(trouble: str) -> None:
    hold, good = threading.Event(), [True]

    def tick() -> None:
        if good:
            good.clear()
        elif trouble == "fails":
            raise ZeroDivisionError
        else:
            hold.wait(20)

    scheduler = Scheduler(tick, SystemClock(), 0.05)
    scheduler.start()
    last = until(lambda: scheduler.last_tick)
    assert scheduler.alive
    until(lambda: scheduler.lost >= 10)
    assert scheduler.last_tick == last
    scheduler._marked -= 11.0
    assert scheduler.alive == (trouble == "stands still"), "a slow disk is no reason to kill the process"
    scheduler._marked -= STORE_STEP_SECONDS
    assert scheduler.loops(Moment(now=0, tick_seconds=0.05))[0].is_stuck
    hold.set()
    scheduler.stop()


def test_a_lost_tick_is_counted_and_exported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.inside(1) as inside:
        assert re.search(r"^driftwatch_scheduler_ticks_lost_total 0(\.0)?$", inside.page(), re.M)
        monkeypatch.setattr(inside.daemon.runner, "tick", lambda: 1 / 0)
        scheduler = inside.daemon.scheduler._scheduler
        scheduler.modify_job("tick", next_run_time=datetime.now(scheduler.timezone))
        until(lambda: re.search(r"^driftwatch_scheduler_ticks_lost_total 1(\.0)?$", inside.page(), re.M))


def test_a_reference_that_cannot_be_built_leaves_the_others_and_is_retried(tmp_path: Path) -> None:
    world = World(tmp_path, monitors=("good", "poor"))
    poor = {
        **world.monitor("poor"),
        "reference": {"path": str(tmp_path / "none.parquet"), "time_column": "at"},
    }
    world.settings["monitors"] = [poor, world.monitor("good")]
    world.write()
    for name in ("good", "poor"):
        world.minute(0, name=name)
        world.minute(1, name=name)
    with world.inside(1) as inside:
        inside.to(1)
        assert inside.ends("good") == [1]
        assert inside.view("poor").last_failure
        assert fetch(inside.daemon.server.url.rstrip("/") + "/-/ready")[0] == 200
        write_rows(tmp_path / "none.parquet", world.start - 40 * MINUTE, world.start, 8000, seed=5)
        inside.clock.set(world.start + 2 * MINUTE + 30 * NS)
        inside.daemon._tick()
        assert inside.daemon.loader.wait(30)
        inside.to(2.6)
        assert inside.ends("poor") == [2]
        assert inside.ends("good") == [1, 2]


def test_a_monitor_without_a_feature_is_left_out_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, monitors=("good", "bare"))
    times = pa.array(range(world.start - 40 * MINUTE, world.start, MINUTE), pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"at": times}), tmp_path / "bare.parquet")
    reference = {"path": str(tmp_path / "bare.parquet"), "time_column": "at"}
    world.settings["monitors"] = [{**world.monitor("bare"), "reference": reference}, world.monitor("good")]
    world.write()
    for name in ("good", "bare"):
        world.minute(0, name=name)
    with world.inside(1) as inside:
        inside.to(1)
        assert inside.ends("good") == [1]
        reason = "expected at least one feature that can be watched. Got none"
        assert reason in str(inside.view("bare").last_failure)
        (record,) = (record for record in caplog.records if record.message == "reference unusable")
        assert reason in record.__dict__["error"]
        url = inside.daemon.server.url.rstrip("/")
        assert fetch(url + "/-/ready")[0] == 200
        assert reason in str(fetch(url + "/monitors/bare")[1])


def test_the_stored_reference_serves_while_its_files_cannot_be_read(world: World) -> None:
    world.minute(0)
    world.minute(1)
    with world.inside(1) as inside:
        inside.to(1)
        fingerprint = inside.view().reference.fingerprint
    (world.folder / "reference.parquet").rename(world.folder / "away.parquet")
    with world.inside(1) as inside:
        assert inside.view().reference.fingerprint == fingerprint
        assert inside.view().segment(None).verdict is not None
        inside.to(2)
        assert inside.ends() == [1, 2]


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system, which only root may")
def test_a_full_disk_is_served_through_and_recovered_from(world: World) -> None:
    world.store.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(world.store)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this container may not mount") if not os.environ.get("CI") else pytest.fail("no mount")
    try:
        world.minute(0)
        world.minute(1)
        with world.inside(1) as inside:
            inside.to(1)
            ballast = world.store / "ballast"
            fill(ballast)
            inside.to(2)
            assert inside.ends() == [1]
            assert inside.daemon.snapshot().store_errors == 1
            assert "driftwatch_evidence_ratio{" in inside.page()
            assert fetch(inside.daemon.server.url.rstrip("/") + "/-/healthy")[0] == 200
            ballast.unlink()
            inside.to(2.2)
            assert inside.ends() == [1, 2]
    finally:
        subprocess.run(["umount", str(world.store)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def test_one_source_that_hangs_starves_nobody(tmp_path: Path) -> None:
    names = tuple(f"m{number:02}" for number in range(12))
    world = World(tmp_path, monitors=names)
    # Whoever meets the child that stands still has to give it up in time.
    short = {"limits": {"seconds": 4}}
    world.settings["monitors"] = [{**world.monitor(name), **short} for name in names]
    world.write()
    for name in names:
        world.minute(0, name=name)
    with world.inside(1) as inside:
        child = children(os.getpid())
        runner = inside.daemon.runner
        stopped = min(child)
        os.kill(stopped, signal.SIGSTOP)
        runner.tick()
        assert runner.wait_idle(30)
        done = [name for name in names if inside.ends(name) == [1]]
        assert len(done) >= 11


def acknowledge(inside: Inside, verdict: str, until: int | None = None) -> None:
    inside.daemon.session.acknowledgements.ask(
        "m", "", verdict, until=until, note="seen", who="me", now=inside.clock.now()
    )
    inside.daemon.runner.tick()
    assert inside.daemon.runner.wait_idle(30)


def drifted(world: World, inside: Inside, *, to: int = 14) -> Any:
    for number in range(to):
        world.minute(number, shift=0.0 if number < 2 else 2.0)
        inside.to(number + 1)
    return inside.view().incidents


def test_muted_is_said_to_be_and_accepted_moves_the_reference(world: World) -> None:
    world.settings["notify"] = [{"type": "webhook", "url": "http://127.0.0.1:9/"}]
    world.write()
    with world.inside(1) as inside:
        incidents = drifted(world, inside)
        assert [item.kind for item in incidents] == ["drift"]
        from driftwatch.store.outbox import OutboxTable

        database = inside.daemon.session.database
        with database.transaction() as connection:
            connection.execute("UPDATE outbox SET state = 'delivered'")
        table = OutboxTable(database, inside.clock.now)
        assert [row.message.muted_until for row in table.firing("webhook")] == [None]
        acknowledge(inside, "muted", world.start + 20 * MINUTE)
        assert inside.view().incidents[0].muted_until == world.start + 20 * MINUTE
        assert [row.message.muted_until for row in table.firing("webhook")] == [world.start + 20 * MINUTE]
        inside.clock.set(world.start + 20 * MINUTE)
        assert [row.message.muted_until for row in table.firing("webhook")] == [None]
        inside.clock.set(world.start + 14 * MINUTE)
        fingerprint = inside.view().reference.fingerprint
        acknowledge(inside, "accepted")
        assert not inside.view().incidents
        assert inside.view().reference.fingerprint != fingerprint
        rows = database.query("SELECT verdict, outcome, applied_at FROM acknowledgements ORDER BY id")
        assert [row["verdict"] for row in rows] == ["muted", "accepted"]
        assert all(row["applied_at"] for row in rows)
        for number in range(14, 20):
            world.minute(number, shift=2.0)
            inside.to(number + 1)
        assert not inside.view().incidents, "what was accepted is normal now"
        reference = inside.view().reference.fingerprint
    with world.inside(20) as inside:
        assert inside.view().reference.fingerprint == reference, "a restart keeps what was accepted"


def test_a_reload_keeps_what_runs_and_refuses_the_rest_whole(world: World) -> None:
    world.minute(0)
    world.minute(1)
    with world.inside(1) as inside:
        inside.to(1)
        checks = inside.view().checks
        senders, config = inside.daemon.senders._loop, inside.daemon.config
        world.write(notify=[{"type": "webhook", "url": "http://127.0.0.1:9/"}], web={"listen": "127.0.0.1:1"})
        with pytest.raises(DriftwatchError, match="restart"):
            inside.daemon.reload()
        assert inside.daemon.senders._loop is senders
        assert inside.daemon.config is config
        world.write()
        inside.daemon.reload()
        assert inside.daemon.loader.wait(30)
        inside.to(2)
        assert inside.ends() == [1, 2]
        assert inside.view().checks == checks + 1, "counters go on"
        assert len(inside.daemon.runner.slots()) == 1


def test_a_bug_in_a_reload_keeps_what_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.minute(0)
    with world.inside(1) as inside:
        config = inside.daemon.config
        monkeypatch.setattr(inside.daemon.senders, "reconfigure", lambda session: 1 / 0)
        with pytest.raises(DriftwatchError, match="reload failed: ZeroDivisionError: division by zero"):
            inside.daemon.reload()
        assert inside.daemon.config is config
        assert "driftwatch_config_last_reload_successful 0" in inside.page()
        monkeypatch.undo()
        inside.daemon.reload()
        assert "driftwatch_config_last_reload_successful 1" in inside.page()
        inside.to(1)
        assert inside.ends() == [1]


def test_a_start_that_fails_leaves_the_store_to_the_next_one(world: World) -> None:
    world.minute(0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world.write(web={"listen": f"127.0.0.1:{port}"})
        with pytest.raises(ConfigError, match="expected a free address"), world.inside(1):
            pass
        assert not daemon_running(world.store)
    world.write()
    with world.inside(1) as inside:
        inside.to(1)
        assert inside.ends() == [1]


def test_a_broken_stored_reference_hides_no_other_monitor(tmp_path: Path) -> None:
    """Both are shown from the first scrape on: one as it was, one as unknown until its reference is built."""
    world = World(tmp_path, monitors=("good", "torn"))
    for name in ("good", "torn"):
        world.minute(0, name=name)
    with world.inside(1) as inside:
        inside.to(1)
        with inside.daemon.session.database.transaction() as connection:
            connection.execute("UPDATE reference_versions SET content = x'00' WHERE monitor = 'torn'")
    # No reference can be built meanwhile.
    (tmp_path / "reference.parquet").rename(tmp_path / "away")
    with world.inside(1) as inside:
        assert inside.state("good") == "ok"
        assert inside.view("torn").reference is None
        assert inside.view("torn").last_failure
        world.minute(1, name="good")
        inside.to(2)
        assert inside.ends("good") == [1, 2]


def test_a_clock_set_back_does_not_stop_the_retries(world: World) -> None:
    world.minute(0)
    with world.inside(2) as inside:
        (world.folder / "m").rename(world.folder / "gone")
        for minute in range(3, 9):
            inside.to(minute)
        failures = inside.view().checks
        (world.folder / "gone").rename(world.folder / "m")
        slot = inside.daemon.runner.slot("m")
        slot.backoff.until = inside.clock.now() + 86400 * NS
        inside.to(9)
        assert inside.view().checks > failures


def test_a_tick_starts_no_turn_of_a_monitor_that_is_being_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removed monitor's incidents are closed at once unless its check is running: none may begin."""
    world = World(tmp_path)
    world.minute(0)
    with world.inside(1) as inside:
        runner = inside.daemon.runner
        slots = runner.slots()
        runner.remove("m")
        monkeypatch.setattr(runner, "slots", lambda: slots)
        runner.tick()
        assert slots[0].running is None
