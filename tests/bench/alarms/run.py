"""``make bench-alarms``: run the pieces that are missing in ``--out``, then print the tables of all results.

Every quarter of a null world and every repeat of a setting is one piece of work with its own seed. Its result
is appended as one line of JSON, so that a stopped run goes on where it was.
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

from records import open_to_append, read

import driftwatch
from alarms import delays, late, nulls, report, sequences
from alarms.healthy import SETTINGS
from alarms.late_report import late_nulls, late_shifts
from alarms.late_worlds import LATE_WORLDS
from alarms.rare_worlds import NULL_WORLDS
from alarms.sequence_report import open_nulls
from alarms.sequence_report import sequences as sequence_table
from alarms.sequence_worlds import SEQUENCES
from alarms.sequences import OPEN_WORLDS
from alarms.shifts import LINES

LATE_KINDS = ("late", "late shift")
#: Null and shifted worlds whose rows come late.
LATE = dict.fromkeys([*LATE_WORLDS, *late.SHIFTED])
Result = dict[str, Any]
Piece = tuple[Callable[..., Any], tuple[Any, ...]]


def code_fingerprint() -> str:
    """Fingerprint of the code under test, which tells results of other code."""
    root = Path(driftwatch.__file__).parent
    rooms = ("monitor/evaluation", "summary", "detectors", "decide", "reference")
    files = [file for room in rooms for file in sorted((root / room).rglob("*.py"))]
    if not all((root / room).is_dir() for room in rooms):
        raise SystemExit(f"expected the rooms {', '.join(rooms)}. One of them has moved.")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def pieces(options: argparse.Namespace, results: list[Result]) -> Iterator[Piece]:
    """Missing pieces, in the order that gives every world its first quarters first."""
    quarters = {(r["world"], r["number"]) for r in results if r["kind"] == "null"}
    runs = {(r["setting"], r["number"], r["line"]) for r in results if r["kind"] == "shift"}
    late_runs = {(r["world"], r["number"]) for r in results if r["kind"] in LATE_KINDS}
    sequence_runs = {(r["sequence"], r["number"]) for r in results if r["kind"] == "sequence"}
    open_quarters = {(r["world"], r["number"], r["moved"]) for r in results if r["kind"] == "open"}
    for number in range(max(options.quarters, options.hourly_quarters or 0, options.repeats)):
        for name in options.late:
            is_null = name in LATE_WORLDS
            limit = options.quarters if is_null else options.repeats
            if number < limit and (name, number) not in late_runs:
                yield late.quarter if is_null else late.repeat, (name, number, options.budget)
        for name in options.sequences:
            if number < options.repeats and (name, number) not in sequence_runs:
                yield sequences.repeat, (name, number, options.budget)
        for name in options.open:
            for is_moved in (False, True):
                if number < options.quarters and (name, number, is_moved) not in open_quarters:
                    yield sequences.quarter, (name, number, options.budget, is_moved)
        for world in options.worlds:
            hourly = NULL_WORLDS[world].length == "1h"
            n_quarters = (
                options.hourly_quarters
                if hourly and options.hourly_quarters is not None
                else options.quarters
            )
            is_due = number * NULL_WORLDS[world].quarters < n_quarters
            if is_due and (world, number) not in quarters:
                yield nulls.quarter, (world, number, options.budget, not options.no_rivals)
        for setting in options.settings:
            missing_lines = [line for line in options.lines if (setting, number, line) not in runs]
            if number < options.repeats and missing_lines:
                yield (
                    delays.repeat,
                    (setting, number, options.budget, missing_lines, options.within, not options.no_rivals),
                )


def work(options: argparse.Namespace) -> None:
    """Run the missing pieces and append their results."""
    fingerprint, records = code_fingerprint(), read(options.out)
    n_foreign = sum(item["code"] != fingerprint for item in records)
    if n_foreign:
        print(
            f"{options.out} holds {n_foreign} results of other code; take another --out to measure afresh",
            file=sys.stderr,
        )
    missing_pieces = list(pieces(options, [item for item in records if item["budget"] == options.budget]))
    start = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as workers, open_to_append(options.out) as file:
        futures = [workers.submit(function, *arguments) for function, arguments in missing_pieces]
        try:
            for number, future in enumerate(as_completed(futures), 1):
                result = future.result()
                for item in result if isinstance(result, list) else [result]:
                    file.write(json.dumps({**item, "code": fingerprint}) + "\n")
                file.flush()
                seconds = time.perf_counter() - start
                print(f"\r{number} of {len(missing_pieces)} pieces, {seconds:.0f} s", end="", file=sys.stderr)
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
    print(file=sys.stderr)


def tables(results: list[Result], max_windows: int) -> str:
    """All tables of all budgets in the file."""
    lines = []
    for (budget,), items in report.group_by(results, "budget").items():
        null_results = [item for item in items if item["kind"] == "null"]
        shift_results = [item for item in items if item["kind"] == "shift"]
        lines += report.nulls(null_results, budget) + report.shifts(shift_results, budget, max_windows)
        lines += report.compare_rules(null_results, shift_results, budget, max_windows)
        lines += late_nulls([item for item in items if item["kind"] == "late"], budget)
        lines += late_shifts([item for item in items if item["kind"] == "late shift"])
        lines += sequence_table([item for item in items if item["kind"] == "sequence"])
        lines += open_nulls([item for item in items if item["kind"] == "open"], budget)
    return "\n".join(lines)


def _name_parser(choices: dict[str, Any]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in names if name not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"expected some of {', '.join(choices)}. Got {', '.join(unknown)}."
            )
        return names

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True, help="results, one line of JSON each; appended to")
    parser.add_argument("--budget", default="1 per 90d")
    parser.add_argument("--quarters", type=int, default=100, help="of each null world")
    parser.add_argument(
        "--hourly-quarters", type=int, help="of those with hourly windows, which cost 24 times as much"
    )
    parser.add_argument("--repeats", type=int, default=100, help="of each shifted world")
    parser.add_argument("--within", type=int, default=30, help="windows after the change")
    parser.add_argument(
        "--worlds", type=_name_parser(NULL_WORLDS), default=list(NULL_WORLDS), help="null worlds, by commas"
    )
    parser.add_argument(
        "--settings", type=_name_parser(SETTINGS), default=list(SETTINGS), help="rows and cadence"
    )
    parser.add_argument("--lines", type=_name_parser(dict(LINES)), default=list(LINES), help="changes")
    parser.add_argument(
        "--late", type=_name_parser(LATE), default=list(LATE), help="worlds whose rows come late"
    )
    parser.add_argument(
        "--sequences",
        type=_name_parser(SEQUENCES),
        default=list(SEQUENCES),
        help="what follows a page that nobody acknowledges; --repeats of each",
    )
    parser.add_argument(
        "--open",
        type=_name_parser(OPEN_WORLDS),
        default=list(OPEN_WORLDS),
        help="null worlds whose pages nobody acknowledges, without and with one move; --quarters of each",
    )
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--tables", action="store_true", help="print the tables only")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    if not options.tables:
        work(options)
    print(tables(read(options.out), options.within))


if __name__ == "__main__":
    main()
