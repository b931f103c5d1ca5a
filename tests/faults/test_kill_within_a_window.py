"""Killed with signal 9 inside the transaction of a window in which one cause pages in several segments."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from daemon_world import World
from soak import length

from driftwatch.decide.state_codec import decode
from driftwatch.store.database import FILE

_OPTIONS = {"segment_by": {"column": "level", "most": 3}}
_WINDOWS = 8
#: Kills itself before or after a step of the first transaction that opens an incident.
_LIFE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from daemon_world import World
from driftwatch.store import history
from driftwatch.store.tables.incident_table import IncidentTable

opened = [False]
open_incidents = IncidentTable.open


def noting(connection, rows):
    opened[0] = opened[0] or bool(rows)
    open_incidents(connection, rows)


def dying(step, is_before):
    def run(*arguments):
        if opened[0] and is_before:
            os.kill(os.getpid(), signal.SIGKILL)
        step(*arguments)
        if opened[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    return run


place, name, moment = (sys.argv[3].split() + [""] * 3)[:3]
IncidentTable.open = staticmethod(noting)
if place:
    owner = getattr(history, place)
    setattr(owner, name, staticmethod(dying(getattr(owner, name), moment == "before")))
world = World(Path(sys.argv[1]), settings={"notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]},
              options={"segment_by": {"column": "level", "most": 3}})
with world.inside(int(sys.argv[4]), deliver=False) as inside:
    inside.daemon.runner.tick()
    assert inside.daemon.runner.wait_idle(60)
"""
_STEPS = (
    "OutboxTable queue before",
    "Acknowledgements mark_applied after",
    "IncidentTable open after",
    "OutboxTable queue after",
)[: length(2, 4)]


def life(folder: Path, step: str = "") -> int:
    support = Path(__file__).parents[1] / "support"
    command = [sys.executable, "-c", _LIFE, str(folder), str(support), step, str(_WINDOWS)]
    return subprocess.run(command, timeout=120, check=False).returncode


def prepared(folder: Path) -> World:
    folder.mkdir()
    world = World(folder, options=_OPTIONS)
    for number in range(_WINDOWS):
        world.minute(number, rows=1500, shift=0.0 if number < 3 else 3.0)
    return world


def everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    connection = sqlite3.connect(f"file:{world.store / FILE}?mode=ro", uri=True)
    try:
        return {
            name: connection.execute(sql).fetchall()
            for name, sql in (
                ("incidents", "SELECT key, segment, segments, columns FROM incidents ORDER BY key"),
                ("outbox", "SELECT sink, key, kind, state FROM outbox ORDER BY id"),
                ("verdicts", "SELECT segment, window_end FROM verdicts ORDER BY 1, 2"),
                ("tracks", "SELECT segment, content FROM tracks ORDER BY 1"),
            )
        }
    finally:
        connection.close()


@pytest.mark.soak
def test_all_segments_of_a_window_are_stored_or_none(tmp_path: Path) -> None:
    """The page is neither lost nor sent twice, and every segment holds its key."""
    whole = prepared(tmp_path / "whole")
    assert life(whole.folder) == 0
    expected = everything(whole)
    keys = [{item.key for item in decode(content).incidents} for _, content in expected["tracks"]]
    ((key, *_),) = expected["incidents"]
    assert sum(item == {key} for item in keys) >= 3
    assert [row[1:3] for row in expected["outbox"]] == [(key, "firing")]
    for number, step in enumerate(_STEPS):
        world = prepared(tmp_path / f"killed-{number}")
        assert life(world.folder, step) == -signal.SIGKILL, step
        interrupted = everything(world)
        assert not interrupted["incidents"], step
        assert not interrupted["outbox"], step
        assert not any(decode(content).incidents for _, content in interrupted["tracks"]), step
        assert life(world.folder) == 0
        resumed = everything(world)
        for table in ("incidents", "outbox", "verdicts"):
            assert resumed[table] == expected[table], (step, table)
        assert [{item.key for item in decode(row[1]).incidents} for row in resumed["tracks"]] == keys
