"""The demo's receiver: its address as it was given, and the messages of the replay once, after the replay."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemon_world import MINUTE, Inside, World, driftwatch
from peers import Receiver, free_port

from driftwatch.cli.demo.demo import deliver, write_config
from driftwatch.config.load import load

DAY = 24 * 60


@pytest.mark.parametrize(
    "path", ["/", '/"', "/a'b", "/{x}", "/a,%20b", "/\\", "/$store", "/@FOLDER@", "/?a=b&c=*x", "/é😀"]
)
def test_an_address_and_a_folder_are_written_as_what_they_are(path: str, tmp_path: Path) -> None:
    folder = tmp_path / f"a: {path.strip('/')} #"
    config = load(write_config(folder, "127.0.0.1:0", f"http://127.0.0.1:9{path}"))
    assert [getattr(item, "url", None) for item in config.notify] == [f"http://127.0.0.1:9{path}"]
    assert config.storage.path == folder / "store"
    assert config.monitors[0].reference.path == str(folder / "reference.parquet")


def test_without_a_receiver_nobody_is_told(tmp_path: Path) -> None:
    assert load(write_config(tmp_path, "127.0.0.1:0")).notify == []


@pytest.mark.parametrize("wrong", ["receiver", "ftp://127.0.0.1/", "http://", "http://x/\n    secret: y", ""])
def test_a_wrong_address_is_told_as_of_a_configuration_and_nothing_is_lost(
    wrong: str, tmp_path: Path
) -> None:
    earlier_history = tmp_path / "store" / "driftwatch.sqlite"
    earlier_history.parent.mkdir()
    earlier_history.write_bytes(b"an earlier demo")
    result = driftwatch("demo", "--exit", "--listen", "127.0.0.1:0", "--data", tmp_path, "--notify", wrong)
    assert result.returncode == 2, result.stderr
    assert f"{tmp_path}/driftwatch.yaml:28: notify[0].url: expected a URL " in result.stderr
    assert earlier_history.read_bytes() == b"an earlier demo"


def replay_month(world: World, inside: Inside) -> None:
    """A month of days, all but the first two of them moved."""
    for number in range(30):
        world.minute(number, shift=0.0 if number < 2 else 2.0)
        inside.to((number + 1) * DAY)
    assert inside.view().incidents
    inside.clock.release()


def world_of_days(folder: Path, url: str) -> World:
    day = DAY * MINUTE
    start = 1_700_000_000 * 10**9 // day * day
    return World(folder, start=start, step=day, settings={"notify": [{"type": "webhook", "url": url}]})


def test_a_receiver_that_comes_late_gets_the_page_of_the_replay_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Weeks pass in a second: tried meanwhile, the page would be old and given up before anybody answers."""
    receiver.answers = [(503, {}), (503, {}), (200, {})]
    world = world_of_days(tmp_path, receiver.url)
    with world.inside(DAY, deliver=False) as inside:
        replay_month(world, inside)
        assert not receiver.requests
        report = deliver(inside.daemon)
        page = inside.page()
    assert report.endswith("delivered to the receiver; failed attempts: server_error 2")
    keys = [request.headers["Idempotency-Key"] for request in receiver.requests[2:]]
    assert keys
    assert len(set(keys)) == len(keys)
    assert report.startswith(f"{len(keys)} message")
    assert f'driftwatch_notifications_total{{sink="webhook"}} {len(keys)}' in page


def test_the_demo_goes_on_without_a_receiver_that_is_down(tmp_path: Path) -> None:
    world = world_of_days(tmp_path, f"http://127.0.0.1:{free_port()}/")
    with world.inside(DAY, deliver=False) as inside:
        replay_month(world, inside)
        report = deliver(inside.daemon, 0.2)
        (sink,) = inside.daemon.senders.views()
    assert sink.pending
    assert report.startswith(
        f"0 messages delivered to the receiver, {sink.pending} not yet; failed attempts: "
    )


def test_a_message_that_is_refused_is_said_to_be_given_up(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers = [(400, {})]
    world = world_of_days(tmp_path, receiver.url)
    with world.inside(DAY, deliver=False) as inside:
        replay_month(world, inside)
        report = deliver(inside.daemon)
    count = len(receiver.requests)
    assert (
        report == f"0 messages delivered to the receiver, {count} given up; failed attempts: rejected {count}"
    )
