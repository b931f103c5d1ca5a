"""A clock that somebody sets, and a daemon whose seconds pass by hand beside a source written live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from daemon_world import MINUTE, NS, World, write_rows

from driftwatch.config.load import load
from driftwatch.core.schema import Span
from driftwatch.daemon.app import Daemon

HOUR, DAY = 60 * MINUTE, 1440 * MINUTE
#: A round minute of 2027: no time before 2026 is believed.
START = 1_800_000_000 * NS
#: Rows of a minute, in pieces of so many seconds.
ROWS, PIECE = 300, 5


@dataclass
class SetClock:
    """``true`` is the time that it really is; the wall clock is ``error`` ahead of it."""

    true: int = START
    error: int = 0
    boot: str = "first"
    #: The machine was started so long before ``START``.
    booted: int = START - 5 * DAY

    def now(self) -> int:
        return self.true + self.error

    def steady(self) -> int:
        return self.true - self.booted

    def restart(self) -> None:
        """Another boot of the machine."""
        self.boot, self.booted = f"{self.boot} and next", self.true - 30 * NS


@dataclass
class Live:
    """Monitors of windows of a minute whose sources are written every few seconds, by the true time."""

    world: World
    clock: SetClock
    daemon: Daemon = field(init=False)
    #: Of each monitor, how far its rows are stamped ahead of the true time; None: it writes none.
    stamps: dict[str, int | None] = field(default_factory=dict)
    written: int = 0

    @contextmanager
    def running(self) -> Iterator[Live]:
        self.daemon = Daemon(lambda: load(self.world.config), self.clock, tick_seconds=3600.0)
        self.daemon.start()
        try:
            yield self
        finally:
            self.daemon.stop()

    def tick(self) -> None:
        self.daemon._tick()
        assert self.daemon.runner.wait_idle(60)

    def piece(self) -> None:
        """The rows of the seconds that just passed."""
        for name in self.world.monitors:
            stamp = self.stamps.get(name, 0)
            if stamp is not None:
                end = self.clock.true + stamp
                self.written += 1
                path = self.world.folder / name / f"{self.written:06}.parquet"
                write_rows(path, end - PIECE * NS, end, ROWS * PIECE // 60, seed=self.written)

    def run(self, seconds: float) -> None:
        """Let time pass, with rows and ticks; fewer where nothing is written."""
        is_silent = all(self.stamps.get(name, 0) is None for name in self.world.monitors)
        step = 5 * PIECE if is_silent else PIECE
        for _ in range(int(seconds / step)):
            self.clock.true += step * NS
            self.piece()
            self.tick()

    def rows(self, begin: int, end: int, name: str = "m") -> None:
        """Whole minutes of rows at once."""
        for start in range(begin, end, MINUTE):
            self.written += 1
            path = self.world.folder / name / f"{self.written:06}.parquet"
            write_rows(path, start, start + MINUTE, ROWS, seed=self.written)

    def verdicts(self, name: str = "m") -> list[dict[str, Any]]:
        return self.daemon.session.history.verdicts.newest(name, None, limit=10_000)

    def ends(self, name: str = "m") -> list[int]:
        """Ends of the decided windows in minutes after the start."""
        span = Span(start=0, end=1 << 62)
        ends = self.daemon.session.history.verdicts.ends(name, span)
        return [(end - START) // MINUTE for end in ends]

    def decided_at(self, minute: int, name: str = "m") -> int | None:
        return self.daemon.session.history.verdicts.decided_at(name, None, START + minute * MINUTE)

    @property
    def doubt(self) -> str:
        return self.daemon.snapshot().own_health.clock.doubt

    @property
    def jumps(self) -> int:
        return self.daemon.snapshot().own_health.clock.jumps


def waits(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition comes true within so many real seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
