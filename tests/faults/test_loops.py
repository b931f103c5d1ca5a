"""Each loop of the daemon killed, and each hanging: what is said of it; it heals, or the process ends.

Steps that may take long are given half a second here, so that "too long" does not take minutes. Everything is
waited for: no assertion depends on how fast the machine is.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from daemon_world import Inside, World, children, fetch, running
from peers import until

from driftwatch.daemon import delivery, reference_loader, runner, scheduler
from driftwatch.daemon.own_health.loops import reader_starter
from driftwatch.daemon.systemd import notify_systemd
from driftwatch.daemon.web.http import server
from driftwatch.engines.local.readers.reader_handle import Reader
from driftwatch.monitor.check import Monitor
from driftwatch.notify.webhook import WebhookNotifier

TICK = 0.2
SINK = {"type": "webhook", "url": "http://127.0.0.1:9/"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, settings={"notify": [SINK]})
    for number in range(3):
        world.minute(number)
    return world


class Watchdog:
    """What systemd would have received."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def feedings(self) -> int:
        count = 0
        try:
            while True:
                count += self._socket.recv(64) == b"WATCHDOG=1"
        except BlockingIOError:
            return count

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def watchdog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watchdog]:
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    watchdog = Watchdog(path)
    yield watchdog
    watchdog.close()


@pytest.fixture(autouse=True)
def quiet_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)


def kill(thread: threading.Thread | None) -> None:
    """Raise SystemExit in a thread, wherever it is, as a bug of the interpreter's runtime would."""
    assert thread is not None
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


def kill_executor(pool: ThreadPoolExecutor) -> None:
    """End an executor's thread between two jobs."""
    # The thread exists once it has had a job, and wakes up for the next one.
    pool.submit(int).result()
    (thread, *_) = pool._threads
    kill(thread)

    def has_ended() -> bool:
        # A job wakes one of several threads. A loader that is started again has closed this executor.
        with suppress(RuntimeError):
            pool.submit(int)
        if thread.is_alive():
            # Amid a check it is that check's failure, and the thread goes on.
            kill(thread)
        return not thread.is_alive()

    until(has_ended)


def end_readers(inside: Inside) -> None:
    """Kill every reader, and wait until it is dead: a dying one may still be taken for alive."""
    for child in children(os.getpid()):
        os.kill(child, signal.SIGKILL)
    until(lambda: not any(reader.alive for reader in inside.daemon.session.readers.processes.idle))


def health(inside: Inside) -> tuple[int, str]:
    return fetch(inside.daemon.server.url.rstrip("/") + "/-/healthy")


def metric(inside: Inside, name: str) -> float | None:
    match = re.search(rf"^{re.escape(name)} (\S+)$", inside.page(), re.M)
    return None if match is None else float(match[1])


def restarts(inside: Inside, loop: str) -> float | None:
    return metric(inside, f'driftwatch_loop_restarts_total{{loop="{loop}"}}')


def test_every_loop_says_when_it_last_went_on(world: World, watchdog: Watchdog) -> None:
    with world.inside(1, tick_seconds=TICK) as inside:
        pattern = r'^driftwatch_loop_last_progress_timestamp_seconds\{loop="([^"]+)"\}'
        names = sorted(re.findall(pattern, inside.page(), re.M))
        assert names == ["check", "deliver-webhook", "load", "readers", "scheduler", "supervisor", "web"]
        until(watchdog.feedings)
        assert health(inside)[0] == 200


def delivery_thread(inside: Inside) -> None:
    kill(inside.daemon.senders._loop._threads["webhook"])


def web_thread(inside: Inside) -> None:
    # In the event loop itself: an answer that is being written would catch it.
    inside.daemon.server._server.servers[0].get_loop().call_soon_threadsafe(sys.exit)


def scheduler_thread(inside: Inside) -> None:
    kill(inside.daemon.scheduler._scheduler._thread)
    inside.daemon.scheduler._scheduler.wakeup()


def loader_thread(inside: Inside) -> None:
    kill_executor(inside.daemon.loader._jobs.pool)


@pytest.mark.parametrize(
    ("loop", "end_thread"),
    [
        ("deliver-webhook", delivery_thread),
        ("web", web_thread),
        ("scheduler", scheduler_thread),
        ("load", loader_thread),
    ],
)
def test_a_loop_whose_thread_ends_is_started_again_and_counted(
    world: World, watchdog: Watchdog, loop: str, end_thread: Callable[[Inside], None]
) -> None:
    with world.inside(1, tick_seconds=TICK) as inside:
        port = inside.daemon.server.port
        assert restarts(inside, loop) == 0
        end_thread(inside)
        until(lambda: any(item.restarts for item in inside.daemon.health.view().loops))
        assert inside.daemon.server.port == port
        assert restarts(inside, loop) == 1
        assert health(inside)[0] == 200
        (trouble,) = inside.daemon.health.view().troubles
        assert trouble.subject == f"loop {loop}"
        # It does its work again.
        watchdog.feedings()
        until(watchdog.feedings)
        ticked_at = inside.daemon.scheduler._marked
        until(lambda: inside.daemon.scheduler._marked > ticked_at)
        inside.daemon.reload()
        assert inside.daemon.loader.wait(60)
        inside.to(2)
        # A look that began before the clock moved may be in the way; the next tick judges the window.
        until(lambda: inside.ends()[-1] == 2)


def check_thread(inside: Inside) -> None:
    kill_executor(inside.daemon.runner._pool)


def starter_thread(inside: Inside) -> None:
    kill_executor(inside.daemon.session.readers.starter.threads)


def web_thread_twice(inside: Inside) -> None:
    web_thread(inside)
    until(lambda: inside.daemon.server._was_restarted and inside.daemon.server._server.started)
    web_thread(inside)


@pytest.mark.parametrize(
    ("words", "end_thread"),
    [("checks", check_thread), ("readers", starter_thread), ("web server", web_thread_twice)],
)
def test_what_cannot_be_started_again_ends_the_process(
    world: World, watchdog: Watchdog, words: str, end_thread: Callable[[Inside], None]
) -> None:
    with world.inside(1, tick_seconds=TICK) as inside:
        reasons: list[str] = []
        inside.daemon.on_give_up = reasons.append
        end_thread(inside)
        until(lambda: reasons)
        assert words in reasons[0]
        assert len(reasons) == 1
        watchdog.feedings()
        time.sleep(3 * TICK)
        assert watchdog.feedings() == 0, "what is lost is not said to be well"


#: The daemon, one of whose check threads ends two seconds after the start.
_ENDING = """
import ctypes, sys, threading, time
from contextlib import suppress
from pathlib import Path
from driftwatch.daemon.app import Daemon
from driftwatch.daemon.process import run_daemon

def end(pool):
    pool.submit(int).result()
    (thread, *_) = pool._threads
    # Amid a check it is that check's failure, and the thread goes on.
    while thread.is_alive():
        ident = ctypes.c_ulong(thread.ident)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
        with suppress(RuntimeError):
            pool.submit(int)
        time.sleep(0.1)

start = Daemon.start
def start_and_end(self, **options):
    start(self, **options)
    threading.Timer(2.0, end, (self.runner._pool,)).start()
Daemon.start = start_and_end
sys.exit(run_daemon(Path(sys.argv[1]), log_format="json", log_level="info"))
"""


def test_the_process_ends_in_order_and_with_an_exit_code_for_its_supervisor(world: World) -> None:
    with running(world.config, script=_ENDING) as daemon:
        assert daemon.process.wait(60) == 4
        assert daemon.logged("a loop is lost")
        assert daemon.logged("stopped")


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MAX_ATTEMPT_SECONDS", 0.5)
    monkeypatch.setattr(server, "_EVENT_LOOP_SECONDS", 0.5)
    monkeypatch.setattr(scheduler, "STORE_STEP_SECONDS", 0.5)
    monkeypatch.setattr(reader_starter, "_START_SECONDS", 0.5)
    for module, reads, seconds in (
        (runner, "_READS_PER_STEP", "_JUDGE_SECONDS"),
        (reference_loader, "_READS_PER_LOAD", "_BUILD_SECONDS"),
    ):
        monkeypatch.setattr(module, reads, 0)
        monkeypatch.setattr(module, seconds, 0.5)


class Hanging:
    """A stand-in that waits until it is let go."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self, *args: Any, **options: Any) -> Any:
        assert self.event.wait(60)


def hang_send(inside: Inside, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(WebhookNotifier):
        def send(self, message: Any, now: int) -> Any:
            hanging()
            return super().send(message, now)

    worker = inside.daemon.senders._loop._workers[0]
    worker._notifier._notifier = Stuck(worker._notifier._notifier._config)
    for number in range(2, 14):
        inside.to(number + 1)


def hang_check(inside: Inside, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    check = Monitor.check

    def wait_and_check(self: Monitor, *args: Any) -> Any:
        hanging()
        return check(self, *args)

    monkeypatch.setattr(Monitor, "check", wait_and_check)


def hang_load(inside: Inside, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(inside.daemon.session), "monitor", hanging)
    inside.daemon.reload()


def hang_tick(inside: Inside, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside.daemon.runner, "tick", hanging)


def hang_starter(inside: Inside, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Reader.start

    def wait_and_start() -> Reader:
        hanging()
        return start()

    monkeypatch.setattr(Reader, "start", wait_and_start)
    end_readers(inside)
    inside.clock.set(inside.clock.now() + 60_000_000_000)


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize(
    ("loop", "hang"),
    [
        ("deliver-webhook", hang_send),
        ("check", hang_check),
        ("load", hang_load),
        ("scheduler", hang_tick),
        ("readers", hang_starter),
    ],
)
def test_a_loop_that_hangs_is_named_and_no_watchdog_is_fed_until_it_goes_on(
    world: World,
    watchdog: Watchdog,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
    hang: Callable[[Inside, Hanging, pytest.MonkeyPatch], None],
) -> None:
    for number in range(3, 14):
        world.minute(number, shift=2.0)
    hanging = Hanging()
    with world.inside(1, tick_seconds=TICK) as inside:
        until(watchdog.feedings)
        until(lambda: inside.ends() == [1])
        assert inside.daemon.runner.wait_idle(60)
        hang(inside, hanging, monkeypatch)
        inside.clock.set(inside.clock.now() + 60_000_000_000)
        until(lambda: f"{loop}: no progress for" in health(inside)[1])
        assert health(inside)[0] == 503
        until(lambda: any(item.subject == f"loop {loop}" for item in inside.daemon.health.view().troubles))
        watchdog.feedings()
        time.sleep(4 * TICK)
        assert watchdog.feedings() == 0
        hanging.event.set()
        monkeypatch.undo()
        monkeypatch.setenv("NOTIFY_SOCKET", str(world.folder / "notify"))
        until(lambda: health(inside)[0] == 200)
        until(watchdog.feedings)
        trouble = next(item for item in inside.daemon.health.view().troubles if loop in item.subject)
        assert trouble.ended_at is not None


def test_a_tick_that_waits_for_a_slow_disk_is_no_dead_scheduler(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit may take several times six seconds: no reason to kill the process."""
    hanging = Hanging()
    with world.inside(1, tick_seconds=TICK) as inside:
        until(lambda: inside.ends() == [1])
        hang_tick(inside, hanging, monkeypatch)
        until(lambda: inside.daemon.scheduler.lost)
        inside.daemon.scheduler._marked -= scheduler.STORE_STEP_SECONDS - 10
        assert health(inside) == (200, "driftwatch is healthy.\n")
        inside.daemon.scheduler._marked -= 10 + 2 * TICK
        assert health(inside)[0] == 503
        hanging.event.set()
        until(lambda: health(inside)[0] == 200)


def test_a_process_that_stood_still_has_no_stuck_loop(
    world: World, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by SIGSTOP or a frozen container. The clock of the loops passes for all of them."""
    passed = [0.0]
    monotonic = time.monotonic
    with world.inside(1, tick_seconds=TICK) as inside:
        until(lambda: inside.ends() == [1])
        hanging = Hanging()
        hang_tick(inside, hanging, monkeypatch)
        until(lambda: inside.daemon.scheduler.lost)
        supervisor = inside.daemon.supervisor
        monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed[0])
        passed[0] = 60.0
        until(lambda: supervisor._standstills)
        assert health(inside)[0] == 200
        troubles = {item.subject: item.words for item in inside.daemon.health.view().troubles}
        assert list(troubles) == ["process"]
        assert "stood still for 60 s" in troubles["process"]
        watchdog.feedings()
        until(watchdog.feedings)
        inside.daemon.scheduler._marked -= scheduler.STORE_STEP_SECONDS
        assert health(inside)[0] == 503, "its own silence is still told"
        hanging.event.set()


@pytest.mark.usefixtures("short_steps")
def test_an_event_loop_that_hangs_stops_the_watchdog(world: World, watchdog: Watchdog) -> None:
    """Nobody can ask the port then: only the supervisor of the process can help."""
    hanging = Hanging()
    with world.inside(1, tick_seconds=TICK) as inside:
        until(watchdog.feedings)
        loop = inside.daemon.server._server.servers[0].get_loop()
        loop.call_soon_threadsafe(hanging)
        until(lambda: "web" in "".join(inside.daemon.health.view().unhealthy_reasons()))
        until(lambda: any(item.subject == "loop web" for item in inside.daemon.health.view().troubles))
        watchdog.feedings()
        time.sleep(4 * TICK)
        assert watchdog.feedings() == 0
        hanging.event.set()
        until(watchdog.feedings)
        assert health(inside)[0] == 200


def test_a_check_that_never_returns_shows_its_age_long_before_its_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.inside(1, tick_seconds=TICK) as inside:
        assert inside.daemon.runner.wait_idle(60)
        hanging = Hanging()
        hang_check(inside, hanging, monkeypatch)
        inside.clock.set(inside.clock.now() + 60_000_000_000)
        first = until(lambda: metric(inside, "driftwatch_check_oldest_seconds"))
        until(lambda: (metric(inside, "driftwatch_check_oldest_seconds") or 0) > first + 3 * TICK)
        assert health(inside)[0] == 200, "limits.seconds is 300"
        hanging.event.set()
        until(lambda: metric(inside, "driftwatch_check_oldest_seconds") is None)


def test_a_frozen_reader_shows_as_the_age_of_its_check(world: World) -> None:
    with world.inside(1, tick_seconds=TICK) as inside:
        inside.to(1)
        frozen = children(os.getpid())
        for child in frozen:
            os.kill(child, signal.SIGSTOP)
        inside.clock.set(inside.clock.now() + 60_000_000_000)
        until(lambda: (metric(inside, "driftwatch_check_oldest_seconds") or 0) > 3 * TICK)
        for child in frozen:
            os.kill(child, signal.SIGCONT)
        until(lambda: inside.ends()[-1] == 2)


@pytest.mark.parametrize("error", [SystemExit("a library called exit"), KeyboardInterrupt(), GeneratorExit()])
def test_what_ends_a_thread_elsewhere_is_a_failure_of_the_check(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    check = Monitor.check

    def leave(self: Monitor, *args: Any) -> Any:
        raise error

    with world.inside(1) as inside:
        monkeypatch.setattr(Monitor, "check", leave)
        inside.to(1)
        assert inside.ends() == []
        assert dict(inside.view().failures)["internal"] == 1
        assert type(error).__name__ in inside.view().last_failure
        assert any(record.exc_info for record in caplog.records if record.message == "check failed")
        inside.to(1.001)
        assert dict(inside.view().failures)["internal"] == 1, "it backs off"
        monkeypatch.setattr(Monitor, "check", check)
        inside.to(1.5)
        assert inside.ends() == [1]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE, errno.ENOMEM])
def test_readers_that_cannot_be_started_are_counted_by_name_and_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with world.inside(1) as inside:
        inside.to(1)

        def refuse(*args: Any, **options: Any) -> Any:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", refuse)
            end_readers(inside)
            inside.to(2)
            assert inside.ends() == [1]
            assert dict(inside.view().failures)["reader_died"] >= 1
            assert os.strerror(number) in inside.view().last_failure
        inside.to(2.9)
        assert inside.ends() == [1, 2]


def test_readers_that_are_killed_all_the_time_are_counted_and_replaced(world: World) -> None:
    for number in range(3, 12):
        world.minute(number)
    with world.inside(1) as inside:
        inside.to(1)
        stop = threading.Event()

        def kill_readers() -> None:
            while not stop.wait(0.002):
                for child in children(os.getpid()):
                    os.kill(child, signal.SIGKILL)

        killer = threading.Thread(target=kill_readers)
        killer.start()
        try:
            for minute in range(2, 12):
                inside.to(minute)
                if dict(inside.view().failures).get("reader_died"):
                    break
        finally:
            stop.set()
            killer.join()
        assert dict(inside.view().failures)["reader_died"] >= 1
        for later in (1, 12):
            inside.to(minute + later)
        assert inside.ends() == list(range(1, 13)), "nothing is lost"


def test_lives_that_end_early_begin_with_each_monitor_in_turn(tmp_path: Path) -> None:
    """A crash loop that ends each life after the first monitor leaves none of them out."""
    names = ("m0", "m1", "m2", "m3")
    world = World(tmp_path, monitors=names, settings={"limits": {"workers": 1, "shutdown": "2s"}})
    firsts = []
    for _ in range(5):
        with world.inside(1, deliver=False) as inside:
            firsts.append(inside.daemon.runner.slots()[0].monitor.config.name)
    assert firsts == ["m0", "m1", "m2", "m3", "m0"]


def test_a_start_on_a_store_that_takes_nothing_begins_with_the_first_monitor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from driftwatch.errors import StoreError
    from driftwatch.store.tables.start_order import StartOrder

    def refuse(self: StartOrder, monitors: Any) -> str:
        raise StoreError("the disk is full")

    monkeypatch.setattr(StartOrder, "advance", refuse)
    with world.inside(1) as inside:
        inside.to(1)
        assert inside.ends() == [1]


def test_a_supervisor_that_does_not_read_its_socket_stops_nothing(watchdog: Watchdog) -> None:
    """The queue of a datagram socket is short, and a send beyond it would wait for ever."""

    def feed() -> None:
        for _ in range(1000):
            notify_systemd("WATCHDOG=1")

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    feeder.join(60)
    assert not feeder.is_alive()
    assert watchdog.feedings() > 0
