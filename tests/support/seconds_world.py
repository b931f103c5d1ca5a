"""A world of windows of five seconds, whose rows are there for the next minutes: daemons in real time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon_world import MINUTE, NS, World, fetch, write_rows
from peers import Receiver, free_port, until

WINDOW_SECONDS = 5


@dataclass
class SecondsWorld:
    world: World
    url: str
    receiver: Receiver

    @classmethod
    def begin(cls, folder: Path, receiver: Receiver, **settings: Any) -> SecondsWorld:
        url = f"127.0.0.1:{free_port()}"
        length = WINDOW_SECONDS * NS
        start = (time.time_ns() // length - 6) * length
        world = World(
            folder,
            start=start,
            settings={
                "web": {"listen": url},
                "notify": [{"type": "webhook", "url": receiver.url, "timeout": 2}],
                **settings,
            },
            window={"length": f"{WINDOW_SECONDS}s", "min_rows": 5},
        )
        world.write()
        write_rows(folder / "m" / "rows.parquet", start, start + 5 * MINUTE, 6000, seed=3)
        return cls(world=world, url=f"http://{url}", receiver=receiver)

    def drift(self) -> None:
        """Let all rows differ from the reference."""
        start = self.world.start
        write_rows(self.world.folder / "m" / "rows.parquet", start, start + 5 * MINUTE, 6000, shift=4.0)

    def state(self) -> str | None:
        """The store's state on the gauge; None while nobody answers."""
        try:
            page = fetch(f"{self.url}/metrics")[1]
        except OSError:
            return None
        match = re.search(r'^driftwatch_store_state\{state="(\w+)"\} 1\.0$', page, re.M)
        return None if match is None else match[1]

    def until_state(self, state: str, seconds: float = 30.0) -> None:
        until(lambda: self.state() == state, seconds)

    def store_messages(self) -> list[tuple[str, str, str]]:
        return [item for item in self.messages() if item[1].startswith("driftwatch-store-")]

    def messages(self) -> list[tuple[str, str, str]]:
        """(status, key, summary) of what the receiver took."""
        return [
            (body["status"], alert["labels"]["incident"], alert["annotations"]["summary"])
            for body in self.receiver.bodies()
            for alert in body["alerts"]
        ]
