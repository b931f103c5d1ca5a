"""What every line of the benchmark is: a piece of work timed beside its floor, in a process of its own.

CPU seconds (user and system, all threads) come first: wall time on a shared machine says what else ran. Every
figure is the median of repeated runs. Memory is the high-water mark over what was resident before the work.
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

from driftwatch.core.memory import give_back

#: Generated once from fixed seeds, kept between runs.
CACHE = Path(__file__).parents[2] / ".bench"


class Skipped(Exception):
    """This machine lacks what a line needs; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How often, how large. ``full`` runs the lines that take minutes at their full size."""

    runs: int = 5
    full: bool = False
    port: int = 19876


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measured line. ``value`` and ``target`` are in ``unit``; ``floor`` is what no code could undercut.

    ``beside`` are further figures worth printing, by name.
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
        """Everything, and the ratio to the floor."""
        ratio = self.value / self.floor if self.floor else None
        return {**asdict(self), "ratio": ratio, "met": None if self.target is None else self.met}

    @property
    def met(self) -> bool:
        """Whether the target is kept; true without one."""
        return self.target is None or self.value <= self.target


def timed(work: Callable[[], object], runs: int, *, warm: int = 1, calls: int = 1) -> Timing:
    """Medians of ``runs`` runs of ``calls`` calls each, after ``warm`` unmeasured ones; for one call."""
    for _ in range(warm):
        work()
    cpu, wall = [], []
    for _ in range(runs):
        gc.collect()
        began = time.process_time(), time.perf_counter()
        for _ in range(calls):
            work()
        cpu.append((time.process_time() - began[0]) / calls)
        wall.append((time.perf_counter() - began[1]) / calls)
    return Timing(cpu=statistics.median(cpu), wall=statistics.median(wall))


def peak(work: Callable[[], object]) -> float:
    """MiB that one call takes at most, above what is resident before it. Linux."""
    # What earlier work freed and the allocator still holds would hide as much of this one's memory.
    give_back()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    work()
    return max(0.0, _status("VmHWM") - before)


def _status(name: str, pid: int | str = "self") -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def resident(pid: int) -> float:
    """Resident MiB of a process."""
    return _status("VmRSS", pid)


def cpu_of(pid: int) -> float:
    """User and system seconds of a living process, all its threads."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Child processes, of all its threads."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(item) for item in (task / "children").read_text(encoding="ascii").split()]
    return found
