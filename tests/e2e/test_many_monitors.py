"""A hundred monitors in one real process: they share what there is, and each is looked at."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from daemon_world import children, fetch, hourly, running
from peers import until

_MONITORS = 100
_WORKERS = 2


def test_a_hundred_monitors_share_two_readers_and_none_starves(tmp_path: Path) -> None:
    """Reading is bounded whatever is due at once; every monitor is decided, and the web answers meanwhile."""
    names = tuple(f"m{number:03}" for number in range(_MONITORS))
    world = hourly(tmp_path, spare=120)
    # One column, so that building a hundred references is quick: all columns together need two.
    source = {**world.monitor("m"), "columns": {"level": {"role": "ignore"}}}
    world.settings = {
        "limits": {"workers": _WORKERS, "shutdown": "2s"},
        "monitors": [{**source, "name": name} for name in names],
    }
    world.write()
    slowest, most_readers, most_running = 0.0, 0, 0

    def decided(url: str) -> bool:
        nonlocal slowest, most_readers, most_running
        began = time.monotonic()
        status, text = fetch(f"{url}/api/v1/monitors")
        slowest = max(slowest, time.monotonic() - began)
        most_readers = max(most_readers, len(children(daemon.process.pid)))
        shown: list[dict[str, Any]] = json.loads(text)["monitors"]
        assert (status, len(shown)) == (200, _MONITORS)
        return all(item["segments"] and item["segments"][0]["window_end"] for item in shown)

    with running(world.config) as daemon:
        url = str(until(lambda: daemon.logged("ready"))[0]["url"]).rstrip("/")
        until(lambda: decided(url))
        checked = [line["monitor"] for line in daemon.logged("checked") if line["decided"]]
        assert sorted(checked) == sorted(names), "each once"
        # One more while references are built, so that checks do not wait for them.
        assert 0 < most_readers <= _WORKERS + 1
        assert slowest < 5
        threads = len(list(Path(f"/proc/{daemon.process.pid}/task").iterdir()))
        page = fetch(f"{url}/metrics")[1]
        assert page.count('driftwatch_check_success{monitor="') == _MONITORS
        assert threads < 60, "threads do not grow with monitors"
        assert daemon.end() == 0
