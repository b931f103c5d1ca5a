"""Signals that the kernel hands to another thread than the main one, which nothing wakes."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from daemon_world import MINUTE, World, running
from peers import until

#: The daemon, a thread of which gets the signal two seconds after the start; the main thread sleeps.
_IN_ANOTHER_THREAD = """
import signal, sys, threading, time
from pathlib import Path
from driftwatch.daemon.app import Daemon
from driftwatch.daemon.process import run_daemon

def send():
    signal.pthread_kill(threading.get_ident(), NUMBER)
    time.sleep(60)

start = Daemon.start
def start_and_send(self, **options):
    start(self, **options)
    timer = threading.Timer(2.0, send)
    timer.daemon = True
    timer.start()
Daemon.start = start_and_send
sys.exit(run_daemon(Path(sys.argv[1]), log_format="json", log_level="info"))
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    minute = time.time_ns() // MINUTE * MINUTE
    world = World(tmp_path, start=minute - 5 * MINUTE)
    world.minute(4)
    return world


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_that_ends_the_daemon_ends_it(world: World, number: int) -> None:
    with running(world.config, script=_IN_ANOTHER_THREAD.replace("NUMBER", str(int(number)))) as daemon:
        assert daemon.process.wait(30) == 0
        assert daemon.logged("stopped")


def test_one_that_reloads_reloads(world: World) -> None:
    script = _IN_ANOTHER_THREAD.replace("NUMBER", str(int(signal.SIGHUP)))
    with running(world.config, script=script) as daemon:
        until(lambda: daemon.logged("reloaded"), 30)
        assert daemon.end() == 0
