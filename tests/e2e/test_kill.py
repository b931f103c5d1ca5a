"""Killed with signal 9 again and again while windows are decided: as if nothing had happened."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from daemon_world import World
from peers import until
from soak import length

from driftwatch.store.database import FILE

_WINDOWS, _KILLS = length(40, 300), length(4, 40)
#: One life of a daemon: catches up to the last window; what it is killed in the middle of.
_LIFE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from daemon_world import World
world = World(Path(sys.argv[1]), settings={"notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]},
              options={"selftest": {"every": "3m", "shift": 0.2, "within": "4m"}})
with world.inside(1 if sys.argv[3] == "first" else int(sys.argv[3])) as inside:
    inside.daemon.runner.tick()
    assert inside.daemon.runner.wait_idle(60)
"""


def life(folder: Path, until_minute: str) -> subprocess.Popen[bytes]:
    support = Path(__file__).parents[1] / "support"
    command = [sys.executable, "-c", _LIFE, str(folder), str(support), until_minute]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    path = folder / "store" / FILE
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def everything(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that was decided, without the times at which it was and the reference's own build time."""
    return {
        "verdicts": query(folder, "SELECT segment, window_end, content FROM verdicts ORDER BY 1, 2"),
        "tracks": query(folder, "SELECT segment, content FROM tracks ORDER BY 1"),
        "tiles": query(folder, "SELECT segment, start, version, content FROM tiles ORDER BY 1, 2, 3"),
        "outbox": query(folder, "SELECT sink, key, kind FROM outbox ORDER BY 1, 2, 3"),
        "incidents": query(folder, "SELECT key, opened_at, onset FROM incidents ORDER BY 1"),
        "selftests": query(folder, "SELECT * FROM selftests"),
        "selftest_trials": query(folder, "SELECT * FROM selftest_trials ORDER BY begun_at"),
    }


def prepare(folder: Path) -> World:
    folder.mkdir()
    world = World(folder)
    for number in range(_WINDOWS):
        world.minute(number, shift=0.0 if number < 20 else 1.5)
    return world


def copy_of(world: World, folder: Path) -> None:
    """The same history after its first window, in another store."""
    (folder / "store").mkdir(parents=True)
    source = sqlite3.connect(world.store / FILE)
    target = sqlite3.connect(folder / FILE)
    source.backup(target)
    source.close()
    target.close()
    (folder / FILE).rename(folder / "store" / FILE)


@pytest.mark.soak
def test_kills_change_nothing(tmp_path: Path) -> None:
    world = prepare(tmp_path / "world")
    first = life(world.folder, "first")
    assert first.wait(60) == 0
    beginning = tmp_path / "beginning"
    copy_of(world, beginning)
    whole = life(world.folder, str(_WINDOWS))
    assert whole.wait(60) == 0
    expected = everything(world.folder)
    assert len(expected["verdicts"]) == _WINDOWS
    assert expected["outbox"], "there was a page to lose"
    assert len(expected["selftest_trials"]) >= 4, "and there were trials"
    for part in world.store.iterdir():
        part.unlink()
    (beginning / "store" / FILE).rename(world.store / FILE)
    rng, killed = random.Random(7), 0
    while True:
        n_verdicts = len(query(world.folder, "SELECT 1 FROM verdicts"))
        one = life(world.folder, str(_WINDOWS))
        if killed == _KILLS or n_verdicts >= _WINDOWS - 2:
            assert one.wait(60) == 0
            break
        # Kill in the midst of work: after some commits of this life, at a moment of no meaning.
        goal = min(n_verdicts + rng.randrange(1, 12), _WINDOWS - 1)
        until(lambda goal=goal: len(query(world.folder, "SELECT 1 FROM verdicts")) >= goal)
        time.sleep(rng.random() * 0.02)
        one.send_signal(signal.SIGKILL)
        killed += one.wait(10) == -signal.SIGKILL
    assert killed >= _KILLS * 2 // 3
    outcome = everything(world.folder)
    for table, rows in expected.items():
        assert outcome[table] == rows, table
    assert query(world.folder, "PRAGMA integrity_check") == [("ok",)]
