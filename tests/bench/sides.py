"""The two codes of a comparison: each has a folder with its own files, and runs its own benchmark there.

Only the command line and the JSON of ``run.py`` are used, so that an old commit works unchanged. A folder is
a copy, so edits and checkouts during a run change nothing that is measured. Both folder names have one
length, because the length of a path moves what lies behind it in memory.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import STARTS, ChildProcess, Timing, environment, median_timing, one_process

#: Stands for the commit of a working tree that differs from its commit.
WORKTREE = "worktree"
#: Processes of either side in a pair of one of ``STARTS``.
STARTS_PER_PAIR = 20
#: Runs in one process after the line's own warm-up, by the beginning of its name: few where they take
#: seconds, many where they take less than the set-up in front of them.
RUNS = {
    "wide.": 1,
    "history.": 1,
    "daemon.check": 1,
    "daemon.fleet": 1,
    "reference.build": 1,
    "mmd.exact10000": 1,
    "paint": 1,
    "daemon.run": 1,
    "small.10000x100": 25,
    "small.500x20": 15,
    "reference.load": 15,
}
DEFAULT_RUNS = 5
#: Where the daemon of either side listens.
PORTS = {"this": 19876, "that": 19877}

#: The figures of each item of a line, by side.
Items = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One code: its commit, and the folder of its files."""

    commit: str
    root: Path

    @property
    def bench(self) -> Path:
        """The folder of its benchmark."""
        return self.root / "tests" / "bench"

    @property
    def cache(self) -> Path:
        """The folder of its generated data."""
        return self.root / ".bench"

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which its package is the one that is imported."""
        return environment(PYTHONPATH=str(self.root))

    def check(self) -> None:
        """Raise ``SystemExit`` when its processes import the package of another folder."""
        command = [sys.executable, "-c", "import driftwatch; print(driftwatch.__file__)"]
        for folder in (self.root, self.bench):
            path = Path(ChildProcess(command, folder=folder, variables=self.variables).text().strip())
            if not path.is_relative_to(self.root):
                raise SystemExit(f"expected the package of {self.commit} in {self.root}. Got {path}.")

    def lines(self) -> list[str]:
        """Names of its lines: what its run.py lists, without the scripts."""
        scripts = {script.stem.removeprefix("bench_") for script in self.bench.glob("bench_*.py")}
        return [name for name in self.start_run("--list").text().split() if name not in scripts]

    def start_run(self, *arguments: str, core: int | None = None) -> ChildProcess:
        """Start its run.py in a process of its own."""
        command = [sys.executable, str(self.bench / "run.py"), *arguments]
        return ChildProcess(command, folder=self.root, variables=self.variables, core=core)


def runs(line: str) -> int:
    """Runs of a line in one process, by the beginning of its name."""
    return next((number for name, number in RUNS.items() if line.startswith(name)), DEFAULT_RUNS)


def run_pair(this: Side, that: Side, line: str, *, number: int, full: bool) -> Items:
    """Run both sides at once on one core, which serves them in turn every few milliseconds.

    Other load on the machine then meets both alike. Sides take turns in starting first, and the core changes
    after every second pair.
    """
    sides = {"this": this, "that": that}
    order = list(sides) if number % 2 == 0 else list(sides)[::-1]
    if line in STARTS:
        return _run_starts(sides, order, line)
    cores = sorted(os.sched_getaffinity(0))
    core, full_size = cores[number // 2 % len(cores)], ["--full"] if full else []
    children: dict[str, ChildProcess] = {}
    try:
        for name in order:
            port = str(PORTS[name])
            arguments = ("--here", line, "--runs", str(runs(line)), "--port", port, *full_size)
            children[name] = sides[name].start_run(*arguments, core=core)
        return {name: figures(child.text()) for name, child in children.items()}
    finally:
        for child in children.values():
            child.stop()


def figures(text: str) -> list[dict[str, Any]]:
    """Items in the last line of the text; CPU seconds among the figures beside wall seconds are summed up."""
    items = []
    for item in json.loads(text.splitlines()[-1]):
        if "skipped" in item:
            return [item]
        parts = [value for name, value in item["beside"].items() if name.endswith("CPU")]
        cpu = {"cpu": sum(parts)} if item["unit"] == "s wall" and parts else {}
        items.append({key: item[key] for key in ("name", "unit", "value", "wall", "mib")} | cpu)
    return items


def _run_starts(sides: dict[str, Side], order: list[str], line: str) -> Items:
    """Run short processes of both sides in turn, so that other load meets both alike."""
    times: dict[str, list[Timing]] = {name: [] for name in sides}
    for turn in range(STARTS_PER_PAIR):
        for name in order if turn % 2 == 0 else order[::-1]:
            side = sides[name]
            times[name].append(one_process(STARTS[line], folder=side.root, variables=side.variables))
    medians = {name: median_timing(values) for name, values in times.items()}
    return {
        name: [{"name": line, "unit": "s CPU", "value": timing.cpu, "wall": timing.wall, "mib": None}]
        for name, timing in medians.items()
    }


def share_data(this: Side, that: Side) -> list[str]:
    """Link generated files of the same bytes to one file; return the names of those that differ."""
    differences = []
    for path in sorted(this.cache.rglob("*")):
        name = path.relative_to(this.cache)
        twin = that.cache / name
        if not (path.is_file() and twin.is_file()) or path.samefile(twin):
            continue
        if filecmp.cmp(path, twin, shallow=False):
            twin.unlink()
            os.link(path, twin)
        else:
            differences.append(str(name))
    return differences


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True).stdout


def commit_of(root: Path, name: str) -> str:
    """The first twelve digits of a named commit. Raises ``SystemExit`` for an unknown name."""
    try:
        return _git(root, "rev-parse", "--verify", f"{name}^{{commit}}").decode()[:12]
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"expected a commit. Got {name}: {error.stderr.decode().strip()}") from None


def current_commit(root: Path) -> str:
    """The commit of the working tree, or ``WORKTREE`` where a file differs from it or is in no commit."""
    return WORKTREE if _git(root, "status", "--porcelain") else commit_of(root, "HEAD")


def copy_side(root: Path, commit: str, folder: Path) -> Side:
    """Copy the files of a commit, or of the working tree, into an empty folder."""
    folder.mkdir()
    if commit == WORKTREE:
        names = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for name in filter(None, names.decode().split("\0")):
            if (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
    else:
        subprocess.run(["tar", "-x", "-C", folder], input=_git(root, "archive", commit), check=True)
    return Side(commit=commit, root=folder)
