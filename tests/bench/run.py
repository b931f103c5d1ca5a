"""`make bench`: every line of what this release promises, ours beside the floor, in a process of its own.

Prints a table and writes the same as JSON (`--json FILE`). Scripts named ``bench_*.py`` that measure
something else (power, a large exporter) run at the end, or alone with ``--only``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from harness import Options, Skipped  # noqa: E402
from processes import environment  # noqa: E402

from driftwatch.core.memory import keep_some, one_arena  # noqa: E402

MODULES = (
    "line_start",
    "line_wide",
    "line_small",
    "line_joint",
    "line_reference",
    "line_history",
    "line_daemon",
    "line_fleet",
    "line_paint",
)


def known() -> dict[str, str]:
    """The module of every line."""
    return {line: module for module in MODULES for line in import_module(module).LINES}


def measured(name: str, options: Options) -> list[dict[str, Any]]:
    """One line in a fresh process."""
    command = [sys.executable, str(HERE / "run.py"), "--here", name, "--runs", str(options.runs)]
    command += ["--port", str(options.port), *(["--full"] if options.full else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        return [
            {"name": name, "failed": done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]}
        ]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def shown(value: float | None, unit: str) -> str:
    """A figure in words that fit a column."""
    if value is None:
        return "-"
    if unit.startswith("s"):
        return f"{value * 1000:.2f} ms" if value < 0.1 else f"{value:.2f} s"
    return f"{value:.1f} {unit}"


#: What the name of a further figure begins with when it is not in seconds.
_UNITS = ("ms ", "us ", "kB ", "MiB ", "wall / ")


def _beside(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if name.startswith(_UNITS) else shown(value, "s")


def row(item: dict[str, Any]) -> str:
    """One line of the table."""
    if "skipped" in item:
        return f"{item['name']:20} skipped: {item['skipped']}"
    if "failed" in item:
        return f"{item['name']:20} failed: {item['failed'][0]}"
    unit = item["unit"]
    kept = {None: "", True: "ok", False: "MISSED"}[item["met"]]
    ratio = f"{item['ratio']:.2f}" if item["ratio"] else "-"
    text = (
        f"{item['name']:20} {shown(item['value'], unit):>10} {shown(item['target'], unit):>10} {kept:6} "
        f"{shown(item['floor'], unit):>10} {ratio:>6} {shown(item['wall'], 's'):>10} "
        f"{'-' if item['mib'] is None else format(item['mib'], '.0f'):>5}  {item['what']}"
    )
    if item["floor_is"] or item["beside"]:
        beside = [f"{name} {_beside(name, value)}" for name, value in item["beside"].items()]
        parts = [f"floor: {item['floor_is']}"] if item["floor_is"] else []
        text += "\n" + " " * 21 + "; ".join([*parts, *beside])
    return text


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="the lines of minutes at their full size")
    parser.add_argument("--only", default="", help="names or beginnings of names, with commas")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--port", type=int, default=19876)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = Options(runs=given.runs, full=given.full, port=given.port)
    # As in a daemon.
    one_arena()
    keep_some()
    lines = known()
    if given.here:
        try:
            found = [line.to_json() for line in import_module(lines[given.here]).LINES[given.here](options)]
        except Skipped as why:
            found = [{"name": given.here, "skipped": str(why)}]
        print(json.dumps(found))
        return
    scripts = sorted(script.stem.removeprefix("bench_") for script in HERE.glob("bench_*.py"))
    wanted = [name for name in given.only.split(",") if name]
    chosen = [name for name in (*lines, *scripts) if not wanted or any(name.startswith(w) for w in wanted)]
    if given.list:
        print("\n".join(chosen))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores; medians of {options.runs} runs")
    print(
        f"{'line':20} {'ours':>10} {'target':>10} {'':6} {'floor':>10} {'ratio':>6} {'wall':>10} {'MiB':>5}"
    )
    results: list[dict[str, Any]] = []
    for name in chosen:
        if name in lines:
            for item in measured(name, options):
                results.append(item)
                print(row(item), flush=True)
        else:
            print(f"== bench_{name}.py", flush=True)
            subprocess.run([sys.executable, str(HERE / f"bench_{name}.py")], check=False)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
