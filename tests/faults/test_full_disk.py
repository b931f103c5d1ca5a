"""A full disk, while the daemon runs and when it starts: it answers, decides nothing, and loses nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from daemon_world import NS, World, driftwatch, fetch, running
from memory_outbox import message
from peers import Receiver, until
from seconds_world import WINDOW_SECONDS, SecondsWorld
from small_disk import fill, small_disk

from driftwatch.core.windows import parse_time
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.outbox import message_to_json
from driftwatch.store.records import CheckRecord
from driftwatch.store.reserve import Reserve


@pytest.fixture
def world(tmp_path: Path, receiver: Receiver) -> Iterator[SecondsWorld]:
    world = SecondsWorld.begin(tmp_path, receiver)
    with small_disk(world.world.store, 24):
        yield world


@pytest.fixture
def begun(world: SecondsWorld) -> SecondsWorld:
    """The store is there, and its log is empty: the next commit needs space."""
    assert driftwatch("check", world.world.config).returncode in (0, 1)
    return world


def no_gap(windows: list[str]) -> bool:
    ends = [parse_time(end) for end in windows]
    return all(later - earlier == WINDOW_SECONDS * NS for earlier, later in pairwise(sorted(ends)))


def until_full(world: SecondsWorld) -> Path:
    filler = fill(world.world.store)
    world.until_state("full")
    return filler


def test_a_disk_that_fills_costs_time_and_nothing_else(begun: SecondsWorld) -> None:
    world = begun
    config, store = world.world.config, world.world.store
    with running(config) as daemon:
        until(lambda: len(daemon.checked()) >= 1)
        filler = until_full(world)
        assert fetch(f"{world.url}/-/healthy")[0] == 200
        status, text = fetch(f"{world.url}/-/ready")
        assert (status, "full" in text, str(store) in text) == (503, True, True)
        assert fetch(f"{world.url}/")[0] == 200
        until(lambda: world.store_messages())
        count = len(daemon.checked())
        time.sleep(WINDOW_SECONDS + 2)
        assert len(daemon.checked()) == count, "nothing new is decided, also with the reserve's space"
        # A restart amid it, with not one byte free.
        assert daemon.end(seconds=12) == 0
        fill(store)
    with running(config, name="second") as second:
        world.until_state("full")
        assert fetch(f"{world.url}/-/ready")[0] == 503
        # What is stored shows, once the reference is loaded.
        until(lambda: 'driftwatch_window_rows{monitor="m"' in fetch(f"{world.url}/metrics")[1])
        time.sleep(3)
        assert len(world.store_messages()) == 1, "one message for one outage"
        filler.unlink()
        world.until_state("ok")
        until(lambda: len(world.store_messages()) == 2)
        assert fetch(f"{world.url}/-/ready")[0] == 200
        until(lambda: len(second.checked()) >= 2)
        windows = [*daemon.checked(), *second.checked()]
        assert len(set(windows)) == len(windows)
        assert no_gap(windows)
        (status, key, title), end = world.store_messages()
        assert (status, title) == ("firing", "[critical] driftwatch cannot store: the disk is full")
        assert end == ("resolved", key, "[resolved] driftwatch cannot store: the disk is full")
        assert second.end() == 0


def test_what_waits_in_the_outbox_leaves_while_the_disk_is_full_and_once(
    begun: SecondsWorld, receiver: Receiver
) -> None:
    world = begun
    config, store = world.world.config, world.world.store
    receiver.answers = [(503, {})]
    with running(config) as daemon:
        until(lambda: len(daemon.checked()) >= 1)
        until_full(world)
        assert daemon.end(seconds=12) == 0
    # Room for a page, which is queued, and then none.
    (store / "filler").unlink()
    database = Database(store)
    queued = [("webhook", "k1", "firing", None, message_to_json(message("k1", monitor="m")))]
    History(database).commit(CheckRecord(monitor="m", now=time.time_ns(), messages=queued))
    database.close()
    filler = fill(store)
    receiver.answers = [(200, {})]
    receiver.requests.clear()
    with running(config, name="second") as second:
        until(lambda: "k1" in {key for _, key, _ in world.messages()})
        assert world.state() == "full"
        filler.unlink()
        world.until_state("ok")
        until(lambda: second.logged("the store works again"))
        time.sleep(2)
        assert [key for _, key, _ in world.messages()].count("k1") == 1
        assert second.end() == 0
    database = Database(store, read_only=True)
    assert [row[0] for row in database.query("SELECT state FROM outbox WHERE key = 'k1'")] == ["delivered"]
    database.close()


def test_a_new_store_on_a_full_disk_is_waited_for(world: SecondsWorld) -> None:
    filler = fill(world.world.store)
    with running(world.world.config) as daemon:
        world.until_state("full")
        assert fetch(f"{world.url}/-/healthy")[0] == 200
        assert fetch(f"{world.url}/-/ready")[0] == 503
        assert fetch(f"{world.url}/")[0] == 200
        assert fetch(f"{world.url}/monitors/m/windows")[0] == 200
        until(lambda: world.store_messages())
        filler.unlink()
        world.until_state("ok")
        until(lambda: len(daemon.checked()) >= 3)
        assert fetch(f"{world.url}/-/ready")[0] == 200
        until(lambda: [status for status, _, _ in world.store_messages()] == ["firing", "resolved"])
        assert daemon.end() == 0


def test_who_is_told_while_the_note_is_written_is_in_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was left out of it was told again by a restart, and never of the end."""
    world = World(tmp_path, settings={"notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]})
    texts: list[str] = []
    with world.inside(1, deliver=False) as inside:
        watch, announcements = inside.daemon.store_care.watch, inside.daemon.senders.announcements

        def deliver_meanwhile(_reserve: Reserve, text: str) -> None:
            texts.append(text)
            if len(texts) == 1:
                item = announcements.next("webhook")
                assert item is not None
                announcements.finish("webhook", item, delivered=True)

        monkeypatch.setattr(Reserve, "write_note", deliver_meanwhile)
        for _ in range(2):
            inside.daemon.session.database.on_error(sqlite3.SQLITE_FULL)
            watch.look()
    assert '"informed": []' in texts[0]
    assert '"informed": ["webhook"]' in texts[1]
