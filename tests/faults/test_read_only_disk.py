"""A disk that takes no writes: mounted read-only, or failing."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path

import pytest
from daemon_world import World, driftwatch, fetch, running
from peers import Receiver, until
from seconds_world import SecondsWorld
from small_disk import small_disk

from driftwatch.errors import StoreError
from driftwatch.store.database import Database


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


def test_a_daemon_starts_on_a_disk_that_is_mounted_read_only(tmp_path: Path, receiver: Receiver) -> None:
    world = SecondsWorld.begin(tmp_path, receiver)
    with small_disk(world.world.store, 24) as store:
        assert driftwatch("check", world.world.config).returncode in (0, 1)
        remount(store, "ro")
        keys = set()
        for name in ("first", "second"):
            with running(world.world.config, name=name) as daemon:
                world.until_state("read_only")
                assert fetch(f"{world.url}/-/healthy")[0] == 200
                assert fetch(f"{world.url}/-/ready")[0] == 503
                count = len(keys)
                until(lambda: len(world.store_messages()) > count)  # noqa: B023 - called at once
                keys.add(world.store_messages()[-1][1])
                if name == "first":
                    assert daemon.end() == 0
                    continue
                remount(store, "rw")
                world.until_state("ok")
                until(lambda: daemon.checked())
                until(lambda: world.store_messages()[-1][0] == "resolved")
                assert daemon.end() == 0
        assert len(keys) == 1, "it takes no note either: told again, under the same key"


def test_one_error_of_the_disk_is_no_outage_and_a_lasting_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    with world.inside(1) as inside:
        database, watch = inside.daemon.session.database, inside.daemon.store_care.watch
        database.on_error(sqlite3.SQLITE_IOERR_WRITE)
        watch.look()
        assert inside.daemon.snapshot().own_health.store.state == "ok"

        def fail(self: Database) -> None:
            raise StoreError("disk I/O error")

        with monkeypatch.context() as patch:
            patch.setattr(Database, "probe", fail)
            database.on_error(sqlite3.SQLITE_IOERR_WRITE)
            for _ in range(3):
                watch.look()
                assert inside.daemon.snapshot().own_health.store.state == "read_only"
            assert [item.ended_at for item in inside.daemon.health.troubles.all()] == [None]
        watch.look()
        assert inside.daemon.snapshot().own_health.store.state == "ok"
        assert [item.ended_at is None for item in inside.daemon.health.troubles.all()] == [False]
