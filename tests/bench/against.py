"""`make bench AGAINST=COMMIT`: this code and another commit's in turn, line by line, by paired ratios.

A line is worse when the 95 % interval of its ratio (this / COMMIT) lies above 1.03; then the exit code is 1,
as it is when a line fails. Finished pairs of two commits are kept in ``--pairs-in``, and a stopped comparison
goes on there; a working tree that differs from its commit is measured afresh each time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from paired import FEWEST, Comparison, comparisons
from processes import STARTS
from records import opened, read
from sides import WORKTREE, Items, Side, both, commit_of, copied, current, runs, share

ROOT = Path(__file__).resolve().parents[2]
#: Seconds of a pair, until one was measured.
USUAL = 25.0
#: Verdicts that a change must not have.
FAILING = ("worse", "failed")


@dataclass(frozen=True, kw_only=True)
class Race:
    """Two codes, what is run of each, and the file of finished pairs."""

    this: Side
    that: Side
    pairs: int
    full: bool
    path: Path
    other_data: set[str] = field(default_factory=set)

    def key(self, line: str, number: int) -> dict[str, Any]:
        """A pair has both commits and what was run as its key."""
        commits = {"this": self.this.commit, "that": self.that.commit}
        return commits | {"line": line, "pair": number, "runs": runs(line), "full": self.full}

    def finished(self, line: str) -> dict[int, dict[str, Any]]:
        """The file has pairs of a line, each counted once, and none of a working tree."""
        if WORKTREE in (self.this.commit, self.that.commit):
            return {}
        return {
            record["pair"]: record
            for record in read(self.path)
            if record["pair"] < self.pairs and record.items() >= self.key(line, record["pair"]).items()
        }

    def seconds(self, line: str) -> float:
        """A line takes as long as its pairs of any commits took."""
        past = [
            record["seconds"]
            for record in read(self.path)
            if record["line"] == line and record["full"] == self.full
        ]
        missing = self.pairs - len(self.finished(line))
        return (missing + 1) * (statistics.median(past) if past else USUAL) if missing else 0.0

    def compared(self, line: str) -> list[Comparison]:
        """The missing pairs of one line are run, and all of its pairs are compared."""
        pairs = self.finished(line)
        missing = [number for number in range(self.pairs) if number not in pairs]
        try:
            reason = self._warm(line) if missing else ""
            if reason:
                return [Comparison(name=line, verdict="skipped", note=reason)]
            for number in missing:
                pairs[number] = self._pair(line, number)
        except RuntimeError as error:
            return [Comparison(name=line, verdict="failed", note=str(error))]
        return comparisons(pairs[number] for number in sorted(pairs))

    def _run(self, line: str, number: int) -> Items:
        """Both codes run the line."""
        return both(self.this, self.that, line, number=number, full=self.full)

    def _warm(self, line: str) -> str:
        """An unmeasured pair generates data and compiles modules; the reason to skip the line is returned."""
        trial = self._run(line, 0)
        for name in share(self.this, self.that):
            if name not in self.other_data:
                self.other_data.add(name)
                print(f"each code has data of its own: {name}", file=sys.stderr)
        return next((item["skipped"] for side in trial.values() for item in side if "skipped" in item), "")

    def _pair(self, line: str, number: int) -> dict[str, Any]:
        """One pair is run and appended to the file."""
        start = time.perf_counter()
        items = self._run(line, number)
        seconds = round(time.perf_counter() - start, 2)
        record = self.key(line, number) | {"seconds": seconds, "items": items}
        with opened(self.path) as out:
            out.write(json.dumps(record) + "\n")
        return record


def chosen(race: Race, beginnings: str) -> dict[str, bool]:
    """Every line that is asked for is told with whether both codes have it."""
    this, that = race.this.lines(), race.that.lines()
    wanted = tuple(name for name in beginnings.split(",") if name) or ("",)
    names = dict.fromkeys([*STARTS, *this, *that])
    return {
        name: name in STARTS or (name in this and name in that) for name in names if name.startswith(wanted)
    }


def amount(value: float | None, unit: str) -> str:
    """A figure is shown in three digits, short seconds in ms."""
    if value is None:
        return "-"
    if unit.startswith("s ") and value < 0.1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} {unit.split()[0]}"


def row(item: Comparison) -> str:
    """One comparison is one line of the table."""
    ratio = f"{item.ratio:.3f}" if item.ratio else "-"
    ends = f"{item.low:.3f} to {item.high:.3f}" if item.low and item.high else "-"
    wall, mib = (format(item.beside[key], ".2f") if key in item.beside else "-" for key in ("wall", "mib"))
    return (
        f"{item.name:20} {amount(item.this, item.unit):>10} {amount(item.that, item.unit):>10} {ratio:>6} "
        f"{ends:>15} {wall:>5} {mib:>5}  {item.verdict}{': ' if item.note else ''}{item.note}"
    )


@contextmanager
def raced(given: argparse.Namespace) -> Iterator[Race]:
    """Both codes lie in a temporary folder, and each imports its own package."""
    that, this = commit_of(ROOT, given.against), current(ROOT)
    data = ROOT / ".bench"
    data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="against-", dir=data) as name:
        sides = {
            label: copied(ROOT, commit, Path(name) / label)
            for label, commit in (("this", this), ("that", that))
        }
        for side in sides.values():
            side.check()
        yield Race(**sides, pairs=given.pairs, full=given.full, path=given.pairs_in)


def run(race: Race, beginnings: str) -> list[Comparison]:
    """Every line is run and shown."""
    lines = chosen(race, beginnings)
    seconds = sum(race.seconds(line) for line, common in lines.items() if common)
    print(f"{race.this.commit} against {race.that.commit}: {race.pairs} pairs of {len(lines)} lines")
    print(f"{platform.machine()}, {os.cpu_count()} cores; about {seconds:.0f} s", flush=True)
    print(f"{'line':20} {'this':>10} {'that':>10} {'ratio':>6} {'95 %':>15} {'wall':>5} {'MiB':>5}")
    results = []
    for line, common in lines.items():
        items = race.compared(line) if common else [Comparison(name=line, verdict="not in both")]
        results += items
        print("\n".join(map(row, items)), flush=True)
    return results


def main() -> None:
    """The command line is read, and both codes are compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", required=True, metavar="COMMIT")
    parser.add_argument("--only", default="", help="names or beginnings of names, with commas")
    parser.add_argument("--pairs", type=int, default=9, help=f"at least {FEWEST}; more narrow the intervals")
    parser.add_argument("--full", action="store_true", help="the lines of minutes at their full size")
    parser.add_argument("--json", type=Path, help="write every comparison here")
    parser.add_argument("--pairs-in", type=Path, default=ROOT / ".bench" / "pairs.jsonl", metavar="FILE")
    given = parser.parse_args()
    if given.pairs < FEWEST:
        parser.error(f"expected at least {FEWEST} pairs. Got {given.pairs}.")
    # An exit, so that the temporary folder goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with raced(given) as race:
        results = run(race, given.only)
        commits = {"this": race.this.commit, "that": race.that.commit}
        whole = commits | {
            "other_data": sorted(race.other_data),
            "lines": [asdict(item) for item in results],
        }
    if given.json:
        given.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(item.verdict in FAILING for item in results))


if __name__ == "__main__":
    main()
