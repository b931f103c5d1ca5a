"""The store's files are removed or replaced under a running daemon: it says so, and ends."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from daemon_world import World, driftwatch, fetch, running
from peers import Receiver, until
from seconds_world import SecondsWorld

from driftwatch.errors import StoreError
from driftwatch.store.database import FILE


def remove_file(store: Path) -> None:
    (store / FILE).unlink()


def remove_folder(store: Path) -> None:
    shutil.rmtree(store)


def replace_file(store: Path) -> None:
    shutil.copy(store / FILE, store / "copy")
    (store / "copy").rename(store / FILE)


def replace_lock(store: Path) -> None:
    (store / "daemon.lock").unlink()
    (store / "daemon.lock").touch()


def replace_folder(store: Path) -> None:
    store.rename(store.with_name("away"))
    store.mkdir()


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "file removed": (remove_file, "gone"),
    "folder removed": (remove_folder, "gone"),
    "file replaced": (replace_file, "replaced"),
    "lock replaced": (replace_lock, "replaced"),
    "folder replaced": (replace_folder, "gone"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_look_sees_that_the_store_is_not_at_its_path(tmp_path: Path, case: str) -> None:
    change, state = CASES[case]
    world = World(tmp_path)
    reasons: list[str] = []
    with world.inside(1) as inside:
        inside.daemon.on_give_up = reasons.append
        watch = inside.daemon.store_care.watch
        watch.look()
        assert inside.daemon.snapshot().own_health.store.state == "ok"
        change(world.store)
        for _ in range(2):
            watch.look()
            assert inside.daemon.snapshot().own_health.store.state == state
            assert inside.daemon.snapshot().own_health.not_ready_reasons()
            assert not watch.may_decide
            assert not reasons
        with pytest.raises(StoreError, match="its supervisor"):
            inside.daemon.session.database.probe()
        watch.look()
        assert len(reasons) == 1, "two ticks later"


def test_a_store_that_comes_back_at_once_is_the_same(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.inside(1) as inside:
        watch = inside.daemon.store_care.watch
        world.store.rename(tmp_path / "away")
        watch.look()
        (tmp_path / "away").rename(world.store)
        watch.look()
        assert inside.daemon.snapshot().own_health.store.state == "ok"
        inside.daemon.session.database.probe()


@pytest.mark.parametrize("case", ["folder removed", "file replaced"])
def test_a_store_that_is_not_at_its_path_ends_the_process(
    tmp_path: Path, receiver: Receiver, case: str
) -> None:
    change, state = CASES[case]
    world = SecondsWorld.begin(tmp_path, receiver)
    world.drift()
    with running(world.world.config) as daemon:
        until(lambda: [key for status, key, _ in world.messages() if status == "firing"])
        (key,) = {key for _, key, _ in world.messages()}
        change(world.world.store)
        began = time.monotonic()
        states, readiness = set(), set()

        def is_over() -> bool:
            states.add(world.state())
            with suppress(OSError):
                readiness.add(fetch(f"{world.url}/-/ready")[0])
            return daemon.process.poll() is not None

        until(is_over, 20)
        # Three ticks of a second, and the message's way: a loaded machine takes longer.
        assert time.monotonic() - began < 12
        assert daemon.process.returncode == 4
        assert state in states
        assert 503 in readiness
        ((status, _, title),) = world.store_messages()
        verb = "removed" if state == "gone" else "replaced"
        assert (status, title) == ("firing", f"[critical] driftwatch cannot store: its history was {verb}")
        (text,) = (
            alert["annotations"]["description"]
            for alert in receiver.alerts("firing")
            if alert["labels"]["alertname"] == "DriftwatchCannotStore"
        )
        assert key in text, "the incident that it does not follow any more"


def test_a_folder_made_anew_keeps_a_second_daemon_and_verbs_out(tmp_path: Path, receiver: Receiver) -> None:
    world = SecondsWorld.begin(tmp_path, receiver)
    # Ticks of a minute: the first daemon does not notice while the others try.
    script = (
        "import sys\nfrom pathlib import Path\nfrom driftwatch.config.load import load\n"
        "from driftwatch.core.clock import SystemClock\nfrom driftwatch.daemon import process\n"
        "from driftwatch.daemon.app import Daemon\n"
        "from driftwatch.daemon.logging_setup import configure\nconfigure('json', 'info')\n"
        "path = Path(sys.argv[1])\n"
        "sys.exit(process._serve(Daemon(lambda: load(path), SystemClock(), tick_seconds=60)))\n"
    )
    with running(world.world.config, script=script) as first:
        assert first.url
        world.world.store.rename(tmp_path / "away")
        for words in (("check",), ("ack", "--monitor", "m", "--as", "fixed")):
            verb = driftwatch(words[0], world.world.config, *words[1:])
            assert verb.returncode == 2, verb.stderr
            assert f"process {first.process.pid}" in verb.stderr
        assert not world.world.store.exists(), "no new history beside a running daemon"
        with running(world.world.config, name="second") as second:
            time.sleep(3)
            assert second.process.poll() is None, "it waits"
            assert not second.logged("ready")
            first.end()
            until(lambda: second.logged("ready"))
            assert second.end() == 0


def test_the_thread_that_looks_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    with world.inside(1) as inside:
        watch = inside.daemon.store_care.watch

        def fail() -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(watch, "look", fail)
            watch._wake.set()
            until(lambda: not is_alive("store-watch"), 10)
        inside.daemon._tick()
        assert is_alive("store-watch")


def is_alive(name: str) -> bool:
    return name in {thread.name for thread in threading.enumerate()}
