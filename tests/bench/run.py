"""`make bench`: every speed promise of this release and its floor, each line in a process of its own.

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

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

from harness import Options, Skipped  # noqa: E402
from processes import environment  # noqa: E402

from driftwatch.core.memory import retain_freed_memory, use_single_arena  # noqa: E402

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


def line_modules() -> dict[str, str]:
    """The module of every line, by the name of the line."""
    return {line: module for module in MODULES for line in import_module(module).LINES}


def run_line(name: str, options: Options) -> list[dict[str, Any]]:
    """Run one line in a fresh process."""
    command = [sys.executable, str(FOLDER / "run.py"), "--here", name, "--runs", str(options.runs)]
    command += ["--port", str(options.port), *(["--full"] if options.full else [])]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if process.returncode:
        return [
            {
                "name": name,
                "failed": process.stderr.strip().splitlines()[-1:] or [f"exit {process.returncode}"],
            }
        ]
    items: list[dict[str, Any]] = json.loads(process.stdout.splitlines()[-1])
    return items


def amount(value: float | None, unit: str) -> str:
    """A figure as text that fits a column of the table."""
    if value is None:
        return "-"
    if unit.startswith("s"):
        return f"{value * 1000:.2f} ms" if value < 0.1 else f"{value:.2f} s"
    return f"{value:.1f} {unit}"


#: Beginnings of the names of further figures that are not in seconds.
_UNITS = ("ms ", "us ", "kB ", "MiB ", "wall / ")


def _further_amount(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if name.startswith(_UNITS) else amount(value, "s")


def row(item: dict[str, Any]) -> str:
    """One line of the table."""
    if "skipped" in item:
        return f"{item['name']:20} skipped: {item['skipped']}"
    if "failed" in item:
        return f"{item['name']:20} failed: {item['failed'][0]}"
    unit = item["unit"]
    verdict = {None: "", True: "ok", False: "MISSED"}[item["met"]]
    ratio = f"{item['ratio']:.2f}" if item["ratio"] else "-"
    text = (
        f"{item['name']:20} {amount(item['value'], unit):>10} {amount(item['target'], unit):>10} {verdict:6} "
        f"{amount(item['floor'], unit):>10} {ratio:>6} {amount(item['wall'], 's'):>10} "
        f"{'-' if item['mib'] is None else format(item['mib'], '.0f'):>5}  {item['what']}"
    )
    if item["floor_is"] or item["beside"]:
        further_figures = [f"{name} {_further_amount(name, value)}" for name, value in item["beside"].items()]
        parts = [f"floor: {item['floor_is']}"] if item["floor_is"] else []
        text += "\n" + " " * 21 + "; ".join([*parts, *further_figures])
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="the lines of minutes at their full size")
    parser.add_argument("--only", default="", help="names or beginnings of names, with commas")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--port", type=int, default=19876)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    options = Options(runs=arguments.runs, full=arguments.full, port=arguments.port)
    # The same memory settings as in a daemon.
    use_single_arena()
    retain_freed_memory()
    lines = line_modules()
    if arguments.here:
        try:
            items = [
                line.to_json() for line in import_module(lines[arguments.here]).LINES[arguments.here](options)
            ]
        except Skipped as reason:
            items = [{"name": arguments.here, "skipped": str(reason)}]
        print(json.dumps(items))
        return
    scripts = sorted(script.stem.removeprefix("bench_") for script in FOLDER.glob("bench_*.py"))
    prefixes = [name for name in arguments.only.split(",") if name]
    names = [name for name in (*lines, *scripts) if not prefixes or any(name.startswith(w) for w in prefixes)]
    if arguments.list:
        print("\n".join(names))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores; medians of {options.runs} runs")
    print(
        f"{'line':20} {'ours':>10} {'target':>10} {'':6} {'floor':>10} {'ratio':>6} {'wall':>10} {'MiB':>5}"
    )
    results: list[dict[str, Any]] = []
    for name in names:
        if name in lines:
            for item in run_line(name, options):
                results.append(item)
                print(row(item), flush=True)
        else:
            print(f"== bench_{name}.py", flush=True)
            subprocess.run([sys.executable, str(FOLDER / f"bench_{name}.py")], check=False)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
