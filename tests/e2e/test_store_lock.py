"""Checks and daemons on one storage folder, as real processes: one decides, the others wait or are told."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daemon_world import World, hourly, running
from peers import until

from driftwatch.errors import StoreError
from driftwatch.store.locks import DaemonLock, daemon_running, deciding


@pytest.fixture
def world(tmp_path: Path) -> World:
    return hourly(tmp_path)


@contextmanager
def checking(world: World, name: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """``driftwatch check`` as a process, and the file its notes go to."""
    words = [sys.executable, "-m", "driftwatch", "check", str(world.config), "--format", "json"]
    notes = world.folder / f"{name}.notes"
    with notes.open("wb") as file, (world.folder / f"{name}.json").open("wb") as answers:
        process = subprocess.Popen(words, stdout=answers, stderr=file)
    try:
        yield process, notes
    finally:
        process.kill()
        process.wait(10)


def answer(world: World, name: str) -> Any:
    return json.loads((world.folder / f"{name}.json").read_text())


def is_locked(path: Path) -> bool:
    """True while a process has taken the lock."""
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def stopped_midway(world: World, process: subprocess.Popen[bytes]) -> None:
    """Freeze a check while it may decide windows."""
    lock = world.store / "check.lock"
    until(lambda: is_locked(lock) and str(process.pid) == lock.read_text())
    process.send_signal(signal.SIGSTOP)
    assert process.poll() is None
    assert is_locked(lock), "it had not ended yet"


def test_a_second_check_waits_for_the_first(world: World) -> None:
    with checking(world, "first") as (first, _):
        stopped_midway(world, first)
        with checking(world, "second") as (second, notes):
            until(lambda: f"process {first.pid} checks here already" in notes.read_text())
            time.sleep(0.3)
            assert second.poll() is None
            first.send_signal(signal.SIGCONT)
            assert (first.wait(60), second.wait(60)) == (0, 0)
        assert "daemon" not in notes.read_text()
    assert answer(world, "first") == answer(world, "second")
    assert answer(world, "first")["state"] == "ok"


def test_a_killed_check_holds_nobody_up(world: World) -> None:
    with checking(world, "first") as (first, _):
        stopped_midway(world, first)
        first.kill()
        first.wait(10)
        with checking(world, "second") as (second, notes):
            assert second.wait(60) == 0
            assert "already" not in notes.read_text()


def test_a_daemon_waits_for_a_check_and_then_speaks_for_it(world: World) -> None:
    with checking(world, "first") as (first, _):
        stopped_midway(world, first)
        with running(world.config) as daemon:
            (line,) = until(lambda: daemon.logged("waiting for a check"))
            assert str(first.pid) in json.dumps(line)
            time.sleep(0.3)
            assert daemon.process.poll() is None
            first.send_signal(signal.SIGCONT)
            assert first.wait(60) == 0
            assert daemon.url
            with checking(world, "second") as (second, notes):
                assert second.wait(60) == 0
                assert "a daemon is running" in notes.read_text()
    assert answer(world, "second")["end"] == answer(world, "first")["end"]


def test_waiting_ends_and_names_who_is_waited_for(tmp_path: Path) -> None:
    notes: list[str] = []
    mine = rf"Process {os.getpid()} still checks"
    with deciding(tmp_path, notes.append) as first:
        assert first
        assert not daemon_running(tmp_path), "a check is no daemon"
        with pytest.raises(StoreError, match=mine):
            DaemonLock(tmp_path, wait=0.1)
        assert not daemon_running(tmp_path), "a daemon that gave up is gone"
        with pytest.raises(StoreError, match=mine), deciding(tmp_path, notes.append, wait=0.1):
            pytest.fail("two decide at once")
    assert len(notes) == 1
    assert re.search(rf"process {os.getpid()} checks here already; waiting for it, at most 0.1 s", notes[0])
    daemon = DaemonLock(tmp_path)
    with deciding(tmp_path, notes.append) as second:
        assert not second
    daemon.release()
    assert len(notes) == 1


_ASKS = """
import sys
from pathlib import Path
from driftwatch.store.locks import daemon_running
print("asking", flush=True)
while True:
    daemon_running(Path(sys.argv[1]))
"""


def test_asking_for_a_daemon_does_not_turn_one_away(tmp_path: Path) -> None:
    DaemonLock(tmp_path).release()
    asking = subprocess.Popen([sys.executable, "-c", _ASKS, str(tmp_path)], stdout=subprocess.PIPE)
    assert asking.stdout is not None
    assert asking.stdout.readline()
    try:
        for _ in range(200):
            DaemonLock(tmp_path).release()
    finally:
        asking.kill()
        asking.communicate()
