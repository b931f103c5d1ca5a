"""``make bench-alarms``: run what is missing in ``--out``, then print the tables of all that is there.

Every quarter of a null world and every repeat of a setting is one piece of work with its own seed; its result
is one line of JSON, appended when it is done, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from records import opened, read

import driftwatch
from alarms import delays, nulls, report
from alarms.healthy import SETTINGS
from alarms.shifts import LINES
from alarms.worlds import WORLDS

Result = dict[str, Any]
Piece = tuple[Callable[..., Any], tuple[Any, ...]]


def code() -> str:
    """Fingerprint of what is measured: results of other code are told apart."""
    root = Path(driftwatch.__file__).parent
    parts = [
        root / "measure.py",
        *(
            f
            for part in ("summary", "detectors", "decide", "reference")
            for f in sorted((root / part).glob("*.py"))
        ),
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in parts)).hexdigest()[:12]


def pieces(asked: argparse.Namespace, done: list[Result]) -> Iterator[Piece]:
    """What is still to be done, in the order that gives every world its first quarters first."""
    quarters = {(r["world"], r["number"]) for r in done if r["kind"] == "null"}
    runs = {(r["setting"], r["number"], r["line"]) for r in done if r["kind"] == "shift"}
    for number in range(max(asked.quarters, asked.hourly_quarters or 0, asked.repeats)):
        for world in asked.worlds:
            hourly = WORLDS[world].length == "1h"
            wanted = asked.hourly_quarters if hourly and asked.hourly_quarters is not None else asked.quarters
            if number < wanted and (world, number) not in quarters:
                yield nulls.quarter, (world, number, asked.budget, not asked.no_rivals)
        for setting in asked.settings:
            missing = [line for line in asked.lines if (setting, number, line) not in runs]
            if number < asked.repeats and missing:
                yield (
                    delays.repeat,
                    (setting, number, asked.budget, missing, asked.within, not asked.no_rivals),
                )


def work(asked: argparse.Namespace) -> None:
    """Do the missing pieces and append their results."""
    mine, before = code(), read(asked.out)
    other = sum(item["code"] != mine for item in before)
    if other:
        print(
            f"{asked.out} holds {other} results of other code; take another --out to measure afresh",
            file=sys.stderr,
        )
    todo = list(pieces(asked, [item for item in before if item["budget"] == asked.budget]))
    started = time.perf_counter()
    with ProcessPoolExecutor(asked.processes) as workers, opened(asked.out) as out:
        waiting = [workers.submit(function, *arguments) for function, arguments in todo]
        try:
            for number, ready in enumerate(as_completed(waiting), 1):
                found = ready.result()
                for item in found if isinstance(found, list) else [found]:
                    out.write(json.dumps({**item, "code": mine}) + "\n")
                out.flush()
                seconds = time.perf_counter() - started
                print(f"\r{number} of {len(todo)} pieces, {seconds:.0f} s", end="", file=sys.stderr)
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
    print(file=sys.stderr)


def tables(results: list[Result], within: int) -> str:
    """All tables of all budgets in the file."""
    lines = []
    for (budget,), items in report.grouped(results, "budget").items():
        null = [item for item in items if item["kind"] == "null"]
        moved = [item for item in items if item["kind"] == "shift"]
        lines += report.nulls(null, budget) + report.shifts(moved, budget, within)
        lines += report.side_by_side(null, moved, budget, within)
    return "\n".join(lines)


def _names(known: dict[str, Any]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"expected some of {', '.join(known)}. Got {', '.join(unknown)}."
            )
        return names

    return parse


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True, help="results, one line of JSON each; appended to")
    parser.add_argument("--budget", default="1 per 90d")
    parser.add_argument("--quarters", type=int, default=100, help="of each null world")
    parser.add_argument(
        "--hourly-quarters", type=int, help="of those with hourly windows, which cost 24 times as much"
    )
    parser.add_argument("--repeats", type=int, default=100, help="of each shifted world")
    parser.add_argument("--within", type=int, default=30, help="windows after the change")
    parser.add_argument("--worlds", type=_names(WORLDS), default=list(WORLDS), help="null worlds, by commas")
    parser.add_argument("--settings", type=_names(SETTINGS), default=list(SETTINGS), help="rows and cadence")
    parser.add_argument("--lines", type=_names(dict(LINES)), default=list(LINES), help="changes")
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--tables", action="store_true", help="print the tables only")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    if not asked.tables:
        work(asked)
    print(tables(read(asked.out), asked.within))


if __name__ == "__main__":
    main()
