"""A disk on which every commit takes seconds: whoever asks for health, metrics or a page is answered."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from pathlib import Path

from daemon_world import fetch, hourly, running
from peers import free_port, until

from driftwatch.daemon.web.http.answer_threads import AnswerThreads

#: Every commit takes six seconds, under the database's lock, as a hanging fdatasync does.
_SLOW = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from driftwatch.config.load import load
from driftwatch.core.clock import SystemClock
from driftwatch.daemon import process
from driftwatch.daemon.app import Daemon
from driftwatch.daemon.logging_setup import configure
from driftwatch.store.database import Database

transaction = Database.transaction
slow = Path(sys.argv[1]).with_name("slow")

@contextmanager
def slow_transaction(self):
    with self._lock, transaction(self) as connection:
        yield connection
        if slow.exists():
            print("commit", flush=True)
            time.sleep(6)

Database.transaction = slow_transaction
configure("json", "info")
path = Path(sys.argv[1])
sys.exit(process._serve(Daemon(lambda: load(path), SystemClock())))
"""


def seconds(url: str) -> float:
    began = time.monotonic()
    assert fetch(url)[0] == 200
    return time.monotonic() - began


def answers(url: str) -> bool:
    try:
        return fetch(url)[0] == 200
    except OSError:
        return False


def test_no_answer_waits_for_a_commit(tmp_path: Path) -> None:
    world = hourly(tmp_path)
    world.settings["web"] = {"listen": f"127.0.0.1:{free_port()}"}
    world.write()
    url = f"http://{world.settings['web']['listen']}"
    with running(world.config, script=_SLOW) as daemon:
        until(lambda: answers(f"{url}/-/healthy") and last_tick(url) is not None)
        (tmp_path / "slow").touch()
        until(lambda: "commit" in daemon.log.read_text())
        statuses: list[int] = []
        page_url = f"{url}/monitors/m/windows"
        pages = [
            threading.Thread(target=lambda: statuses.append(fetch(page_url)[0]), daemon=True)
            for _ in range(40)
        ]
        for page in pages:
            page.start()
        slowest = 0.0
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            for path in ("/-/healthy", "/metrics", "/static/driftwatch.css"):
                slowest = max(slowest, seconds(url + path))
            tick = last_tick(url)
            assert tick is not None
            assert time.time() - tick < 4, "the tick is not held up either"
        # Six seconds and more when one waits, a tenth when none does: two leave room for a loaded machine.
        assert slowest < 2.0
        for page in pages:
            page.join(20)
        assert statuses == [200] * 40, "a page reads beside a commit"
        assert daemon.end(seconds=12) == 0


def last_tick(url: str) -> float | None:
    """None before the first one: a daemon answers before it has started its scheduler."""
    pattern = r"^driftwatch_scheduler_last_tick_timestamp_seconds (\S+)$"
    match = re.search(pattern, fetch(f"{url}/metrics")[1], re.M)
    return float(match[1]) if match else None


def test_pages_that_hang_take_no_thread_from_what_does_not() -> None:
    threads = AnswerThreads("test", 2, 0.2)
    release = threading.Event()

    async def ask() -> list[int]:
        jobs = [asyncio.create_task(threads.run(release.wait)) for _ in range(40)]
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        release.set()
        assert await threads.run(lambda: True)
        return [getattr(answer, "status_code", 0) for answer in answers]

    assert asyncio.run(ask()) == [503] * 40
