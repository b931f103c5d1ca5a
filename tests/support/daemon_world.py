"""A small world to run daemons in: a reference, one file a minute, a configuration; processes and pages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peers import until

from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.daemon.app import Daemon

NS = 1_000_000_000
MINUTE = 60 * NS
#: Where replayed time begins: a round minute.
START = 1_700_000_040 * NS - 1_700_000_040 % 60 * NS


def write_rows(path: Path, start: int, end: int, rows: int, *, shift: float = 0.0, seed: int = 0) -> None:
    """A file of ``rows`` rows evenly over [start, end); ``x`` is moved by ``shift``. Appears at once."""
    rng = np.random.default_rng(seed)
    times = start + (np.arange(rows) * ((end - start) // rows))
    table = pa.table(
        {
            "at": pa.array(times, pa.timestamp("ns", "UTC")),
            "x": rng.normal(shift, 1, rows),
            "level": rng.choice(["a", "b", "c"], rows),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    pq.write_table(table, draft)
    draft.rename(path)


@dataclass
class World:
    """``settings`` are the configuration, ``options`` those of each monitor.

    ``write`` puts it into the file the daemon reads.
    """

    folder: Path
    monitors: tuple[str, ...] = ("m",)
    start: int = START
    settings: dict[str, Any] = field(default_factory=dict)
    window: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    step: int = MINUTE

    def __post_init__(self) -> None:
        write_rows(self.folder / "reference.parquet", self.start - 40 * self.step, self.start, 8000, seed=99)
        for name in self.monitors:
            (self.folder / name).mkdir(exist_ok=True)
        self.write()

    @property
    def config(self) -> Path:
        return self.folder / "driftwatch.yaml"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def monitor(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "reference": {"path": str(self.folder / "reference.parquet"), "time_column": "at"},
            "source": {"type": "files", "path": str(self.folder / name / "*.parquet"), "time_column": "at"},
            "window": {"length": f"{self.step // MINUTE}m", "min_rows": 50, **self.window},
            **self.options,
        }

    def write(self, **changes: Any) -> None:
        whole: dict[str, Any] = {
            "version": 1,
            "storage": {"path": str(self.store)},
            "web": {"listen": "127.0.0.1:0", "enable_reload": True},
            "limits": {"workers": 2, "shutdown": "2s"},
            "monitors": [self.monitor(name) for name in self.monitors],
            **self.settings,
            **changes,
        }
        self.config.write_text(json.dumps(whole))

    def minute(
        self, number: int, *, name: str = "m", rows: int = 200, shift: float = 0.0, part: int = 0
    ) -> Path:
        """One step's file (a minute unless told otherwise), counted from ``start``."""
        path = self.folder / name / f"{number:04}-{part}.parquet"
        begin = self.start + number * self.step
        write_rows(path, begin, begin + self.step, rows, shift=shift, seed=500 + number + 1000 * part)
        return path

    @contextmanager
    def inside(
        self, minutes: float = 1, *, tick_seconds: float = 3600.0, deliver: bool = True
    ) -> Iterator[Inside]:
        """A daemon in this process, its clock standing ``minutes`` after the start; it ticks when told."""
        clock = ReplayClock(self.start + int(minutes * MINUTE))
        daemon = Daemon(lambda: load(self.config), clock, tick_seconds=tick_seconds, deliver=deliver)
        daemon.start()
        try:
            yield Inside(daemon=daemon, clock=clock, start=self.start)
        finally:
            daemon.stop()


@dataclass
class Inside:
    """A daemon of this process whose time is moved by hand."""

    daemon: Daemon
    clock: ReplayClock
    start: int

    def to(self, minutes: float) -> None:
        """Move the clock, and let everything due happen."""
        self.clock.set(self.start + int(minutes * MINUTE))
        self.daemon.runner.tick()
        assert self.daemon.runner.wait_idle(30)

    def view(self, name: str = "m") -> Any:
        return self.daemon.snapshot().monitor(name)

    def state(self, name: str = "m") -> str:
        return str(self.view(name).segment(None).verdict.state)

    def verdicts(self, name: str = "m") -> list[dict[str, Any]]:
        return self.daemon.session.history.verdicts.newest(name, None, limit=1000)

    def ends(self, name: str = "m") -> list[int]:
        """Ends of the decided windows in minutes after the start."""
        rows = self.daemon.session.database.query(
            "SELECT window_end FROM verdicts WHERE monitor = ? AND json_extract(content, '$.owed') IS NULL"
            " ORDER BY window_end",
            (name,),
        )
        return [(row[0] - self.start) // MINUTE for row in rows]

    def page(self, path: str = "/metrics") -> str:
        return fetch(self.daemon.server.url.rstrip("/") + path)[1]


def hourly(folder: Path, *, spare: float = 40.0, **settings: Any) -> World:
    """A world of hours, five of them over now. No window closes within the next ``spare`` seconds."""
    left = 3600 - time.time() % 3600
    time.sleep(left + 1 if left < spare else 0)
    hour = 60 * MINUTE
    world = World(folder, start=time.time_ns() // hour * hour - 5 * hour, step=hour, **settings)
    for number in range(5):
        world.minute(number)
    return world


def driftwatch(*words: object) -> subprocess.CompletedProcess[str]:
    """A verb as a process of its own, to its end."""
    command = [sys.executable, "-m", "driftwatch", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def fetch(url: str, method: str = "GET") -> tuple[int, str]:
    """Status and text of an answer; an error status is no exception."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@dataclass
class Running:
    """A real daemon process and what it logged."""

    process: subprocess.Popen[bytes]
    log: Path
    began: float

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def logged(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["message"].startswith(message)]

    @property
    def url(self) -> str:
        entries = until(lambda: self.process.poll() is not None or self.logged("ready"))
        assert entries is not True, self.log.read_text()[-3000:]
        return str(entries[0]["url"]).rstrip("/")

    def checked(self) -> list[str]:
        return [line["window_end"] for line in self.logged("checked") if line["decided"]]

    def end(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def running(config: Path, *, name: str = "log", script: str | None = None) -> Iterator[Running]:
    """``driftwatch run`` as a process of its own, ended at the latest when the block ends.

    ``script`` is Python to run instead; its first argument is the configuration.
    """
    log = config.parent / name
    began = time.monotonic()
    verb = ["-m", "driftwatch", "run", str(config), "--log-format", "json"]
    command = verb if script is None else ["-c", script, str(config)]
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, *command], stdout=file, stderr=file)
    try:
        yield Running(process=process, log=log, began=began)
    except BaseException:
        # What a failed test shows of the daemon.
        sys.stdout.write(f"{log}, exit {process.poll()}:\n{log.read_text(errors='replace')[-8000:]}\n")
        raise
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(10)


def children(pid: int) -> list[int]:
    """Child processes of a process."""
    pids: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        pids += [int(one) for one in (task / "children").read_text().split()]
    return pids
