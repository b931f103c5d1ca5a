"""Messages of a running daemon on their way to a real receiver."""

from __future__ import annotations

from pathlib import Path

from daemon_world import MINUTE, World
from peers import Receiver, until


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
