"""Two codes beside each other: each has a folder with its own files, and runs its own benchmark there.

Only the command line of ``run.py`` is used, so that the code of an old commit goes on working as it is. A
folder is a copy: whoever edits or checks out meanwhile changes nothing that is measured. Both names are of
one length, as the length of a path moves what lies behind it in memory.
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

from processes import STARTS, Talk, Timing, environment, middle, one_process

#: What stands for a working tree that differs from its commit.
WORKTREE = "worktree"
#: Processes of either side in a pair of one of ``STARTS``.
TIMES = 20
#: Runs in one process after the line's own warm-up, by the beginning of its name: few where they take
#: seconds, many where they take less than what precedes them.
RUNS = {
    "wide.": 1,
    "reference.build": 1,
    "mmd.exact10000": 1,
    "paint": 1,
    "daemon.run": 1,
    "small.10000x100": 25,
    "small.500x20": 15,
    "reference.load": 15,
}
USUAL_RUNS = 5
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
        """A process that imports another package than this side's is refused."""
        words = [sys.executable, "-c", "import driftwatch; print(driftwatch.__file__)"]
        for folder in (self.root, self.bench):
            path = Path(Talk(words, folder=folder, variables=self.variables).text().strip())
            if not path.is_relative_to(self.root):
                raise SystemExit(f"expected the package of {self.commit} in {self.root}. Got {path}.")

    def lines(self) -> list[str]:
        """Its run.py lists the lines, and after them scripts, which are no lines."""
        scripts = {script.stem.removeprefix("bench_") for script in self.bench.glob("bench_*.py")}
        return [name for name in self.talk("--list").text().split() if name not in scripts]

    def talk(self, *asked: str, core: int | None = None) -> Talk:
        """Its run.py runs in a process of its own."""
        words = [sys.executable, str(self.bench / "run.py"), *asked]
        return Talk(words, folder=self.root, variables=self.variables, core=core)


def runs(line: str) -> int:
    """A line has as many runs in one process as its name says."""
    return next((number for name, number in RUNS.items() if line.startswith(name)), USUAL_RUNS)


def both(this: Side, that: Side, line: str, *, number: int, full: bool) -> Items:
    """A pair runs at once on one core, which serves them in turn every few milliseconds.

    Whatever else the machine does meanwhile, it does to both. The next pair is begun by the other side, and
    every other pair runs on another core.
    """
    sides = {"this": this, "that": that}
    order = list(sides) if number % 2 == 0 else list(sides)[::-1]
    if line in STARTS:
        return _starts(sides, order, line)
    cores = sorted(os.sched_getaffinity(0))
    core, full_size = cores[number // 2 % len(cores)], ["--full"] if full else []
    talks: dict[str, Talk] = {}
    try:
        for name in order:
            port = str(PORTS[name])
            asked = ("--here", line, "--runs", str(runs(line)), "--port", port, *full_size)
            talks[name] = sides[name].talk(*asked, core=core)
        return {name: figures(talk.text()) for name, talk in talks.items()}
    finally:
        for talk in talks.values():
            talk.stop()


def figures(text: str) -> list[dict[str, Any]]:
    """The last line of the text has the items; CPU seconds that stand beside wall seconds are added up."""
    items = []
    for item in json.loads(text.splitlines()[-1]):
        if "skipped" in item:
            return [item]
        parts = [value for name, value in item["beside"].items() if name.endswith("CPU")]
        cpu = {"cpu": sum(parts)} if item["unit"] == "s wall" and parts else {}
        items.append({key: item[key] for key in ("name", "unit", "value", "wall", "mib")} | cpu)
    return items


def _starts(sides: dict[str, Side], order: list[str], line: str) -> Items:
    """Processes of a few milliseconds run in turn: nothing lies nearer to each other."""
    times: dict[str, list[Timing]] = {name: [] for name in sides}
    for turn in range(TIMES):
        for name in order if turn % 2 == 0 else order[::-1]:
            side = sides[name]
            times[name].append(one_process(STARTS[line], folder=side.root, variables=side.variables))
    middles = {name: middle(values) for name, values in times.items()}
    return {
        name: [{"name": line, "unit": "s CPU", "value": one.cpu, "wall": one.wall, "mib": None}]
        for name, one in middles.items()
    }


def share(this: Side, that: Side) -> list[str]:
    """Generated files of the same bytes become one; the names of those that differ are returned."""
    other = []
    for path in sorted(this.cache.rglob("*")):
        name = path.relative_to(this.cache)
        twin = that.cache / name
        if not (path.is_file() and twin.is_file()) or path.samefile(twin):
            continue
        if filecmp.cmp(path, twin, shallow=False):
            twin.unlink()
            os.link(path, twin)
        else:
            other.append(str(name))
    return other


def _git(root: Path, *asked: str) -> bytes:
    return subprocess.run(["git", *asked], cwd=root, check=True, capture_output=True).stdout


def commit_of(root: Path, name: str) -> str:
    """A name of a commit becomes its first twelve digits."""
    try:
        return _git(root, "rev-parse", "--verify", f"{name}^{{commit}}").decode()[:12]
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"expected a commit. Got {name}: {error.stderr.decode().strip()}") from None


def current(root: Path) -> str:
    """The working tree is its commit, unless a file differs from it or is in no commit."""
    return WORKTREE if _git(root, "status", "--porcelain") else commit_of(root, "HEAD")


def copied(root: Path, commit: str, folder: Path) -> Side:
    """The files of a commit, or of the working tree, are laid into an empty folder."""
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
