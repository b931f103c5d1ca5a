"""`make bench`: what this release measures, each line with the command that reran it here.

Figures are medians of repeated runs in fresh processes; nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def timed(command: list[str], runs: int) -> tuple[float, int]:
    """Median seconds and peak resident KiB of a whole process."""
    seconds, peak = [], 0
    for _ in range(runs):
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        seconds.append(time.perf_counter() - started)
        peak = max(peak, usage.ru_maxrss)
    return statistics.median(seconds), peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    driftwatch = [sys.executable, "-m", "driftwatch"]
    lines = []
    for name, command, runs in (
        ("driftwatch --help", [*driftwatch, "--help"], options.runs),
        (
            "demo --exit (nine months of flights)",
            [*driftwatch, "demo", "--exit", "--listen", "127.0.0.1:0"],
            1,
        ),
    ):
        seconds, peak = timed(command, runs)
        lines.append({"what": name, "seconds": round(seconds, 2), "peak_mib": round(peak / 1024)})
    for script in sorted(HERE.glob("bench_*.py")):
        print(f"== {script.name}", flush=True)
        subprocess.run([sys.executable, str(script)], check=False)
    if options.json:
        print(json.dumps(lines))
        return
    for line in lines:
        print(f"{line['what']:40} {line['seconds']:8.2f} s {line['peak_mib']:6} MiB")


if __name__ == "__main__":
    main()
