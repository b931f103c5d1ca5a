"""A line of the benchmark: a piece of work and its floor, measured in a process of its own.

CPU seconds (user and system, all threads) come first, because wall time on a shared machine depends on other
load. Every figure is the median of repeated runs. Memory is the peak above what was resident before the work.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from processes import Timing

from driftwatch.core.memory import release_memory

#: Data generated from fixed seeds; runs share it.
CACHE = Path(__file__).parents[2] / ".bench"


class Skipped(Exception):
    """This machine lacks what a line needs; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Runs of each line; ``full`` runs the lines that take minutes at their full size."""

    runs: int = 5
    full: bool = False
    port: int = 19876


@dataclass(frozen=True, kw_only=True)
class Line:
    """A measured line. ``value`` and ``target`` are in ``unit``; ``floor`` is the least that any code needs.

    ``beside`` holds further figures by name. Field names are JSON keys, which older commits have as well.
    """

    name: str
    what: str
    value: float
    unit: str = "s CPU"
    target: float | None = None
    floor: float | None = None
    floor_is: str = ""
    wall: float | None = None
    mib: float | None = None
    beside: dict[str, float | str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields, the ratio to the floor, and whether the target is met."""
        ratio = self.value / self.floor if self.floor else None
        return {**asdict(self), "ratio": ratio, "met": None if self.target is None else self.met}

    @property
    def met(self) -> bool:
        """Whether the value is within the target; true without one."""
        return self.target is None or self.value <= self.target


def measure_time(work: Callable[[], object], runs: int, *, warm: int = 1, calls: int = 1) -> Timing:
    """Median seconds of one call over ``runs`` runs of ``calls`` calls each, after ``warm`` warm-up calls."""
    for _ in range(warm):
        work()
    cpu, wall = [], []
    for _ in range(runs):
        gc.collect()
        start = time.process_time(), time.perf_counter()
        for _ in range(calls):
            work()
        cpu.append((time.process_time() - start[0]) / calls)
        wall.append((time.perf_counter() - start[1]) / calls)
    return Timing(cpu=statistics.median(cpu), wall=statistics.median(wall))


def peak(work: Callable[[], object]) -> float:
    """Peak MiB of one call above what is resident before it. Linux only."""
    # Memory that earlier work freed and the allocator still holds would hide as much of this call's memory.
    release_memory()
    resident_mib = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    work()
    return max(0.0, _status("VmHWM") - resident_mib)


def _status(name: str, pid: int | str = "self") -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def resident(pid: int) -> float:
    """Resident MiB of a process."""
    return _status("VmRSS", pid)


def cpu_of(pid: int) -> float:
    """User and system seconds of a living process and all of its threads."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Child processes of all threads of a process."""
    pids = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        pids += [int(item) for item in (task / "children").read_text(encoding="ascii").split()]
    return pids
