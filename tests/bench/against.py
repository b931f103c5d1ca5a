"""`make bench AGAINST=COMMIT`: this code and another commit's in turn, line by line, by paired ratios.

A line is worse when the 95 % interval of its ratio (this / COMMIT) lies above 1.03; then the exit code is 1,
as it is when a line fails. Finished pairs of two commits are kept in ``--pairs-in``, and a stopped comparison
goes on there; a working tree that differs from its commit is measured again each time.
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

from paired import MIN_PAIRS, Comparison, comparisons
from processes import STARTS
from records import open_to_append, read
from sides import WORKTREE, Items, Side, commit_of, copy_side, current_commit, run_pair, runs, share_data

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that a pair is taken to need while none has been measured.
DEFAULT_PAIR_SECONDS = 25.0
#: Verdicts that make the exit code 1.
FAILING_VERDICTS = ("worse", "failed")


@dataclass(frozen=True, kw_only=True)
class Race:
    """Two codes, the number and size of their runs, and the file of finished pairs."""

    this: Side
    that: Side
    pairs: int
    full: bool
    path: Path
    other_data: set[str] = field(default_factory=set)

    def key(self, line: str, number: int) -> dict[str, Any]:
        """The key of a pair is both commits and what was run."""
        commits = {"this": self.this.commit, "that": self.that.commit}
        return commits | {"line": line, "pair": number, "runs": runs(line), "full": self.full}

    def finished_pairs(self, line: str) -> dict[int, dict[str, Any]]:
        """Pairs of a line that are in the file, by number; none of a working tree."""
        if WORKTREE in (self.this.commit, self.that.commit):
            return {}
        return {
            record["pair"]: record
            for record in read(self.path)
            if record["pair"] < self.pairs and record.items() >= self.key(line, record["pair"]).items()
        }

    def seconds(self, line: str) -> float:
        """Estimate the seconds of a line by the median of its pairs of any commits."""
        durations = [
            record["seconds"]
            for record in read(self.path)
            if record["line"] == line and record["full"] == self.full
        ]
        n_missing = self.pairs - len(self.finished_pairs(line))
        return (
            (n_missing + 1) * (statistics.median(durations) if durations else DEFAULT_PAIR_SECONDS)
            if n_missing
            else 0.0
        )

    def compare(self, line: str) -> list[Comparison]:
        """Run the missing pairs of one line, and compare all of its pairs."""
        pairs = self.finished_pairs(line)
        missing_numbers = [number for number in range(self.pairs) if number not in pairs]
        try:
            reason = self._warm(line) if missing_numbers else ""
            if reason:
                return [Comparison(name=line, verdict="skipped", note=reason)]
            for number in missing_numbers:
                pairs[number] = self._pair(line, number)
        except RuntimeError as error:
            return [Comparison(name=line, verdict="failed", note=str(error))]
        return comparisons(pairs[number] for number in sorted(pairs))

    def _run(self, line: str, number: int) -> Items:
        return run_pair(self.this, self.that, line, number=number, full=self.full)

    def _warm(self, line: str) -> str:
        """Run a pair that is not measured, which generates data and compiles modules.

        Returns the reason to skip the line, or "".
        """
        trial = self._run(line, 0)
        for name in share_data(self.this, self.that):
            if name not in self.other_data:
                self.other_data.add(name)
                print(f"each code has data of its own: {name}", file=sys.stderr)
        return next((item["skipped"] for side in trial.values() for item in side if "skipped" in item), "")

    def _pair(self, line: str, number: int) -> dict[str, Any]:
        """Run one pair and append it to the file."""
        start = time.perf_counter()
        items = self._run(line, number)
        seconds = round(time.perf_counter() - start, 2)
        record = self.key(line, number) | {"seconds": seconds, "items": items}
        with open_to_append(self.path) as file:
            file.write(json.dumps(record) + "\n")
        return record


def select_lines(race: Race, beginnings: str) -> dict[str, bool]:
    """Lines whose names have one of the beginnings, each with whether both codes have it."""
    this, that = race.this.lines(), race.that.lines()
    prefixes = tuple(name for name in beginnings.split(",") if name) or ("",)
    names = dict.fromkeys([*STARTS, *this, *that])
    return {
        name: name in STARTS or (name in this and name in that) for name in names if name.startswith(prefixes)
    }


def amount(value: float | None, unit: str) -> str:
    """A figure in three digits, short seconds in ms."""
    if value is None:
        return "-"
    if unit.startswith("s ") and value < 0.1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} {unit.split()[0]}"


def row(item: Comparison) -> str:
    """The line of one comparison in the table."""
    ratio = f"{item.ratio:.3f}" if item.ratio else "-"
    ends = f"{item.low:.3f} to {item.high:.3f}" if item.low and item.high else "-"
    wall, mib = (format(item.beside[key], ".2f") if key in item.beside else "-" for key in ("wall", "mib"))
    return (
        f"{item.name:20} {amount(item.this, item.unit):>10} {amount(item.that, item.unit):>10} {ratio:>6} "
        f"{ends:>15} {wall:>5} {mib:>5}  {item.verdict}{': ' if item.note else ''}{item.note}"
    )


@contextmanager
def prepare_race(options: argparse.Namespace) -> Iterator[Race]:
    """Copy both codes into a temporary folder, and check that each imports its own package."""
    that, this = commit_of(ROOT, options.against), current_commit(ROOT)
    data = ROOT / ".bench"
    data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="against-", dir=data) as name:
        sides = {
            label: copy_side(ROOT, commit, Path(name) / label)
            for label, commit in (("this", this), ("that", that))
        }
        for side in sides.values():
            side.check()
        yield Race(**sides, pairs=options.pairs, full=options.full, path=options.pairs_in)


def run(race: Race, beginnings: str) -> list[Comparison]:
    """Compare every line and print it."""
    lines = select_lines(race, beginnings)
    seconds = sum(race.seconds(line) for line, common in lines.items() if common)
    print(f"{race.this.commit} against {race.that.commit}: {race.pairs} pairs of {len(lines)} lines")
    print(f"{platform.machine()}, {os.cpu_count()} cores; about {seconds:.0f} s", flush=True)
    print(f"{'line':20} {'this':>10} {'that':>10} {'ratio':>6} {'95 %':>15} {'wall':>5} {'MiB':>5}")
    results = []
    for line, common in lines.items():
        items = race.compare(line) if common else [Comparison(name=line, verdict="not in both")]
        results += items
        print("\n".join(map(row, items)), flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", required=True, metavar="COMMIT")
    parser.add_argument("--only", default="", help="names or beginnings of names, with commas")
    parser.add_argument(
        "--pairs", type=int, default=9, help=f"at least {MIN_PAIRS}; more narrow the intervals"
    )
    parser.add_argument("--full", action="store_true", help="the lines of minutes at their full size")
    parser.add_argument("--json", type=Path, help="write every comparison here")
    parser.add_argument("--pairs-in", type=Path, default=ROOT / ".bench" / "pairs.jsonl", metavar="FILE")
    options = parser.parse_args()
    if options.pairs < MIN_PAIRS:
        parser.error(f"expected at least {MIN_PAIRS} pairs. Got {options.pairs}.")
    # Exit on a signal, so that the temporary folder is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with prepare_race(options) as race:
        results = run(race, options.only)
        commits = {"this": race.this.commit, "that": race.that.commit}
        content = commits | {
            "other_data": sorted(race.other_data),
            "lines": [asdict(item) for item in results],
        }
    if options.json:
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(item.verdict in FAILING_VERDICTS for item in results))


if __name__ == "__main__":
    main()
