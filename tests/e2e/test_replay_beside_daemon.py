"""Verbs that look back beside a daemon: they judge as of the window, and leave all that it uses alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from daemon_world import MINUTE, Inside, World

from driftwatch.cli import main
from driftwatch.core.schema import iso
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.results.verdict_json import window_json
from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.database import FILE, Database
from driftwatch.store.history import History

_WINDOWS, _SHIFTED_FROM = 34, 28
#: What the daemon judges with; a look at the past may keep references of its own elsewhere.
_IN_FORCE = ("active_references", "reference_versions", "blocks", "beginnings", "tracks")
_EDITED = {"exclude": ["2020-01-01"], "timezone": "Europe/Berlin"}


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def looked_back(world: World, minutes: int) -> tuple[list[dict[str, Any]], str]:
    """The windows that ``check --at`` tells of a minute, all rows first, and its notes.

    Which row of them was the newest is told by whoever read them, and stored windows are not read again.
    """
    at = iso(world.start + minutes * MINUTE)
    result = call("check", world.config, "--at", at, "--format", "json")
    assert result.exit_code in (0, 1, 3, 5), result.stderr
    answer = json.loads(result.stdout)
    assert answer.pop("monitor") == "m"
    segments = answer.pop("segments")
    assert answer.pop("late_windows") == []
    assert all(item.pop("late_parts") == [] for item in (answer, *segments))
    return [unread(item) for item in (answer, *segments)], result.stderr


def unread(window: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in window.items() if name != "newest_row"}


def stored(world: World, minutes: int) -> list[dict[str, Any]]:
    database = Database(world.store, read_only=True)
    history = History(database)
    active = history.references.active("m")
    assert active is not None
    end = world.start + minutes * MINUTE
    verdicts = [history.verdicts.get("m", segment, end) for segment in active.reference.plan.segments]
    database.close()
    return [unread(window_json(verdict_from_json(item))) for item in verdicts if item is not None]


def everything(world: World) -> dict[str, list[Any]]:
    """Every row of every table."""
    with sqlite3.connect(world.store / FILE) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    connection.close()
    return tables


def subset(tables: dict[str, list[Any]], names: tuple[str, ...]) -> dict[str, list[Any]]:
    return {name: tables[name] for name in names}


def segmented(folder: Path) -> World:
    """Windows 0 to 27 are healthy, then ``x`` is moved; split by ``level``."""
    world = World(folder, settings={"notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]})
    world.settings["monitors"] = [{**world.monitor("m"), "segment_by": {"column": "level"}}]
    world.write()
    for number in range(_WINDOWS):
        world.minute(number, rows=300, shift=0.0 if number < _SHIFTED_FROM else 1.5)
    return world


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Inside]]:
    """A daemon that has decided every window and goes on running."""
    world = segmented(tmp_path_factory.mktemp("watched"))
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(_WINDOWS)
        assert len(inside.ends()) == _WINDOWS * 5
        yield world, inside


def accepted(inside: Inside) -> None:
    database = inside.daemon.session.database
    Acknowledgements(database).ask("m", "", "accepted", until=None, note="", who="me", now=inside.clock.now())
    inside.daemon.runner.tick()
    assert inside.daemon.runner.wait_idle(30)


def test_a_stored_window_is_judged_as_it_was(watched: tuple[World, Inside]) -> None:
    world, _ = watched
    tables = everything(world)
    assert tables["outbox"], "there was a page"
    assert any(row[3] for row in tables["checkpoints"]), "some windows are replayed from near by"
    states = set()
    for minutes in (1, 2, 13, 26, _SHIFTED_FROM, _SHIFTED_FROM + 1, _SHIFTED_FROM + 2, _WINDOWS):
        windows, notes = looked_back(world, minutes)
        assert windows == stored(world, minutes), minutes
        assert notes == ""
        states.add(windows[0]["state"])
    assert states == {"ok", "drifting"}
    assert call("backtest", world.config).exit_code == 0
    assert everything(world) == tables


def test_settings_of_another_reference_leave_the_daemon_its_own(watched: tuple[World, Inside]) -> None:
    world, inside = watched
    edited = world.folder / "edited.yaml"
    whole = json.loads(world.config.read_text())
    whole["monitors"] = [{**whole["monitors"][0], **_EDITED}]
    edited.write_text(json.dumps(whole))
    tables = subset(everything(world), _IN_FORCE)
    first = call("backtest", edited, "--format", "json")
    assert "building the reference, since its data or settings changed" in first.stderr
    second = call("backtest", edited, "--format", "json")
    assert "building" not in second.stderr
    assert second.stdout == first.stdout
    at = iso(world.start + 3 * MINUTE)
    assert call("check", edited, "--at", at).exit_code == 0
    assert subset(everything(world), _IN_FORCE) == tables
    fingerprint = inside.view().reference.fingerprint
    inside.daemon.reload()
    assert inside.daemon.loader.wait(30)
    assert inside.view().reference.fingerprint == fingerprint


def test_what_was_accepted_stays_in_force(tmp_path: Path) -> None:
    world = segmented(tmp_path)
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(_WINDOWS - 2)
        unaccepted = call("backtest", world.config, "--format", "json")
        built = inside.view().reference.fingerprint
        accepted(inside)
        rebased = inside.view().reference.fingerprint
        assert rebased != built
        inside.to(_WINDOWS)
        tables = everything(world)
        backtest = call("backtest", world.config, "--format", "json")
        assert backtest.stdout == unaccepted.stdout, "a backtest follows from configuration and data alone"
        assert "ack --as accepted" in backtest.stderr
        assert "ack --as accepted" not in unaccepted.stderr
        # The shift was accepted, so the window it was paged in is fine; later ones are as they were judged.
        for minutes in (_SHIFTED_FROM + 1, _WINDOWS - 2):
            (whole, *_), _ = looked_back(world, minutes)
            assert (whole["state"], whole["reference"]) == ("ok", rebased)
        for minutes in (_WINDOWS - 1, _WINDOWS):
            assert looked_back(world, minutes)[0] == stored(world, minutes)
        assert everything(world) == tables


def test_without_stored_windows_the_reference_alone_teaches(tmp_path: Path) -> None:
    world = segmented(tmp_path)
    for minutes in (3, _SHIFTED_FROM + 1):
        windows, _ = looked_back(world, minutes)
        edges = [iso(world.start + minute * MINUTE) for minute in (minutes - 1, minutes)]
        result = call("backtest", world.config, "--from", edges[0], "--to", edges[1], "--format", "json")
        assert [unread(item) for item in json.loads(result.stdout)["windows"]] == windows
    tables = everything(world)
    assert tables.pop("trial_references")
    assert not any(tables.values()), "nothing is in force, nothing was judged for good"
    world.settings.pop("notify")
    world.write()
    notes = call("check", world.config).stderr
    assert "is in force now, since there was none" in notes
    assert "building" not in notes


def test_windows_past_retention_are_judged_and_said_so(tmp_path: Path) -> None:
    world = segmented(tmp_path)
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(_WINDOWS)
        ((decided_until,),) = inside.daemon.session.database.query(
            "SELECT max(decided_until) FROM checkpoints"
        )
        assert decided_until > world.start + 20 * MINUTE
        inside.daemon.session.history.forget(decided_until, 0)
        assert looked_back(world, _WINDOWS) == (stored(world, _WINDOWS), "")
        windows, notes = looked_back(world, 20)
        assert "past retention.tiles. Judged by what the reference alone teaches" in notes
        assert windows[0]["state"] == "ok"
