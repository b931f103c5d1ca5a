"""Messages of a running daemon on their way to a real receiver."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from daemon_world import MINUTE, World
from peers import Receiver, until
from receivers import peer_of

from driftwatch.core import plugins


def test_a_clock_set_back_does_not_hold_a_page_up(tmp_path: Path, receiver: Receiver) -> None:
    world = World(tmp_path, settings={"notify": [{"type": "webhook", "url": receiver.url}]})
    receiver.answers = [(503, {"Retry-After": "600"}), (200, {})]
    with world.inside(1) as inside:
        for number in range(14):
            world.minute(number, shift=0.0 if number < 2 else 2.0)
            inside.to(number + 1)
            if inside.view().incidents:
                break
        database = inside.daemon.session.database
        waits = "SELECT next_at FROM outbox WHERE state = 'pending' AND attempts = 1"
        (row,) = until(lambda: database.query(waits))
        assert row[0] >= world.start + 600 * 10**9, "the receiver asked for patience"
        assert len(receiver.requests) == 1
        inside.clock.set(world.start - 24 * 60 * MINUTE)
        until(lambda: len(receiver.requests) == 2, 10)
        until(lambda: database.query("SELECT 1 FROM outbox WHERE state = 'delivered'"), 10)


def test_every_notifier_tells_of_one_page_and_its_end_once(tmp_path: Path) -> None:
    """One key from the page over a restart to its end, whoever is told."""
    peers = {name: peer_of(name) for name in plugins.names("notify")}
    with ExitStack() as running:
        for name, peer in peers.items():
            (tmp_path / name).mkdir()
            running.enter_context(peer.serving(tmp_path / name))
        world = World(tmp_path, options={"model": {"name": "forest", "version": "7"}})
        world.settings = {
            "notify": [peer.settings(tmp_path / name) for name, peer in peers.items()],
            "web": {"listen": "127.0.0.1:0", "external_url": "https://drift.example.org/"},
        }
        world.write()
        with world.inside(1) as inside:
            peers["alertmanager"].clock = inside.clock.now  # type: ignore[attr-defined]
            for number in range(15):
                world.minute(number, shift=0.0 if number < 2 else 2.0)
                inside.to(number + 1)
                if inside.view().incidents:
                    break
            (incident,) = inside.view().incidents
            until(lambda: all(peer.received for peer in peers.values()))
            minutes = (inside.clock.now() - world.start) / MINUTE
        with world.inside(minutes) as inside:
            peers["alertmanager"].clock = inside.clock.now  # type: ignore[attr-defined]
            session = inside.daemon.session
            now = inside.clock.now()
            session.acknowledgements.ask("m", "", "fixed", until=None, note="", who="me", now=now)
            inside.to(minutes)
            until(lambda: all(peer.received[-1].resolved for peer in peers.values()))
            states = "SELECT 1 FROM outbox WHERE state = 'delivered'"
            until(lambda: len(session.database.query(states)) == 2 * len(peers))
    for name, peer in peers.items():
        assert peer.complaints == []
        assert len({receipt.incident for receipt in peer.received}) == 1
        assert len({receipt.key for receipt in peer.received}) == 2
        assert len(peer.received) == 2 or name == "alertmanager", "only what would time out is told again"
        for receipt in peer.received:
            assert "m (model forest 7): inputs drifted, x (1 of 2 columns)" in receipt.text
            assert "https://drift.example.org/monitors/m/windows/" in receipt.text
            assert incident.key in receipt.whole
    tables = [receipt.whole.partition("Window to, UTC")[2] for receipt in peers["email"].received]
    assert [table.count("a page, inputs drifted") for table in tables] == [1, 1]
    assert all(table.count("nothing moved") == 2 for table in tables), "and the windows before it"


def test_a_reload_waits_for_the_attempt_under_way(tmp_path: Path, receiver: Receiver) -> None:
    """Begun again by the new configuration's notifiers, it would arrive twice."""
    world = World(tmp_path, settings={"notify": [{"type": "webhook", "url": receiver.url, "timeout": 10}]})
    # Longer than the daemon waits for attempts when it stops.
    receiver.delay = 6.5
    with world.inside(1) as inside:
        for number in range(15):
            world.minute(number, shift=0.0 if number < 2 else 2.0)
            inside.to(number + 1)
            if inside.view().incidents:
                break
        until(lambda: receiver.requests)
        inside.daemon.reload()
        rows = "SELECT 1 FROM outbox WHERE state = 'delivered'"
        until(lambda: inside.daemon.session.database.query(rows))
    assert len(receiver.requests) == 1
