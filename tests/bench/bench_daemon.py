"""`driftwatch run` with one monitor: seconds to the first scrape that shows it, and resident memory.

Twice: on a stored reference, and when the daemon builds the reference itself.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import urllib3

CONFIG = """
version: 1
storage: {{path: {folder}/store}}
web: {{listen: "127.0.0.1:{port}"}}
monitors:
  - name: bench
    reference: {{path: {folder}/reference.parquet, time_column: at}}
    source: {{type: files, path: "{folder}/production/*.parquet", time_column: at}}
    window: {{length: 1h, min_rows: 100}}
"""


def table(start: datetime, hours: int, rows: int, columns: int) -> pa.Table:
    """``rows`` an hour of ``columns`` normal columns."""
    rng = np.random.default_rng(hours)
    at = [start + timedelta(hours=h, seconds=3599 * i / rows) for h in range(hours) for i in range(rows)]
    data = {f"c{i}": rng.normal(size=len(at)) for i in range(columns)}
    return pa.table({"at": pa.array(at, pa.timestamp("us", "UTC")), **data})


def resident(pid: int) -> float:
    """Resident MiB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def children(pid: int) -> list[int]:
    """Child processes, of all its threads."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(item) for item in (task / "children").read_text(encoding="ascii").split()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--port", type=int, default=19876)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "production").mkdir()
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        reference = table(hour - timedelta(days=30), 24 * 7, options.rows, options.columns)
        pq.write_table(reference, folder / "reference.parquet")
        production = table(hour - timedelta(hours=3), 3, options.rows, options.columns)
        pq.write_table(production, folder / "production/now.parquet")
        config = folder / "driftwatch.yaml"
        config.write_text(CONFIG.format(folder=folder, port=options.port), encoding="utf-8")
        build = [sys.executable, "-m", "driftwatch", "reference", "build", str(config)]
        began = time.perf_counter()
        subprocess.run(build, check=True, stderr=subprocess.DEVNULL)
        print(f"reference of {reference.num_rows:,} x {options.columns}: {time.perf_counter() - began:.1f} s")
        measure("on the stored reference", config, options.port)
        shutil.rmtree(folder / "store")
        measure("having built its reference", config, options.port)


def measure(case: str, config: Path, port: int) -> None:
    """Start the daemon and watch it."""
    http = urllib3.PoolManager(retries=False)
    began = time.perf_counter()
    command = [sys.executable, "-m", "driftwatch", "run", str(config), "--log-level", "error"]
    daemon = subprocess.Popen(command)
    first = checked = None
    try:
        while time.perf_counter() - began < 60 and checked is None:
            time.sleep(0.02)
            try:
                text = http.request("GET", f"http://127.0.0.1:{port}/metrics").data.decode()
            except urllib3.exceptions.HTTPError:
                continue
            first = first or time.perf_counter() - began
            if "driftwatch_window_rows{" in text:
                checked = time.perf_counter() - began
        time.sleep(3)
        print(f"{case}: first scrape after {first:.2f} s, first verdict in it after {checked:.2f} s")
        print(f"{case}: resident: daemon {resident(daemon.pid):.0f} MiB", end="")
        for child in children(daemon.pid):
            print(f", reader {resident(child):.0f} MiB", end="")
        print()
    finally:
        daemon.terminate()
        daemon.wait(30)


if __name__ == "__main__":
    main()
