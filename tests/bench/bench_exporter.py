"""Scrapes of a daemon with many monitors while their checks run: latency, series, bytes.

A real daemon runs in this process. Its clock is moved by hand, so that a check is always due. Another process
scrapes over loopback on one persistent connection, as Prometheus does.
Under ``export.columns: all`` the default of 100 monitors x 200 columns meets the cap of 100,000 series.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock, SystemClock
from driftwatch.daemon.app import Daemon
from driftwatch.daemon.logging_setup import configure
from driftwatch.daemon.process import shorten_gil_switches
from driftwatch.monitor.session import open_session

HOUR = 3600 * 1_000_000_000
START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000_000
REFERENCE_HOURS, FILES = 24, 8
#: Paths and headers of the scrapes. The first costs next to nothing: its latency is that of any answer.
CASES: dict[str, tuple[str, dict[str, str]]] = {
    "/-/healthy": ("/-/healthy", {}),
    "text": ("/metrics", {}),
    "OpenMetrics": ("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0"}),
    "text, gzip": ("/metrics", {"Accept-Encoding": "gzip"}),
}


def write(path: Path, first: int, hours: int, rows: int, columns: int) -> None:
    """Write normal columns from hour ``first`` on, ``rows`` an hour."""
    rng = np.random.default_rng(first + 1000)
    times = START + first * HOUR + np.arange(hours * rows) * (HOUR // rows)
    data = {f"column_{n:03}": rng.normal(size=len(times)) for n in range(columns)}
    pq.write_table(pa.table({"at": pa.array(times, pa.timestamp("ns", "UTC")), **data}), path)


def configuration(folder: Path, monitors: int, policy: str) -> Path:
    """All monitors read the same files, because reading is not measured here."""
    settings = {
        "reference": {"path": str(folder / "reference.parquet"), "time_column": "at"},
        "source": {"type": "files", "path": str(folder / "production/*.parquet"), "time_column": "at"},
        "window": {"length": "1h", "min_rows": 100},
        "limits": {"seconds": 300},
    }
    config = {
        "version": 1,
        "storage": {"path": str(folder / "store")},
        "web": {"listen": "127.0.0.1:0"},
        "export": {"columns": policy},
        "monitors": [{"name": f"monitor-{n:03}", **settings} for n in range(monitors)],
    }
    path = folder / "driftwatch.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def share_reference(path: Path) -> None:
    """Build the reference of the first monitor, and store it for all monitors."""
    with open_session(load(path), SystemClock(), lambda text: None) as session:
        first, *rest = session.config.monitors
        session.monitor(first)
        active = session.history.references.active(first.name)
        assert active is not None
        reference, key, since = active.reference, active.source_key, active.since
        blocks = {None: list(session.history.references.blocks(first.name, reference.fingerprint, None))}
        for item in rest:
            session.history.references.store(replace(reference, monitor=item.name), key, blocks, since)


@contextmanager
def world(options: argparse.Namespace) -> Iterator[Path]:
    """Yield a folder with the files and the shared reference."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "production").mkdir()
        write(folder / "reference.parquet", -REFERENCE_HOURS, REFERENCE_HOURS, options.rows, options.columns)
        for hour in range(FILES):
            write(folder / f"production/{hour:04}.parquet", hour, 1, options.rows, options.columns)
        start = time.perf_counter()
        share_reference(configuration(folder, options.monitors, "all"))
        print(f"a reference for {options.monitors} monitors: {time.perf_counter() - start:.0f} s", flush=True)
        yield folder


def scrape(url: str, headers: dict[str, str], times: int, pause: float) -> dict[str, Any]:
    """Latencies of ``times`` scrapes in milliseconds, and the bytes of the last one."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    latencies, size = [], 0
    for _ in range(times):
        start = time.perf_counter()
        connection.request("GET", address.path, headers=headers)
        size = len(connection.getresponse().read())
        latencies.append((time.perf_counter() - start) * 1000)
        time.sleep(pause)
    latencies.sort()
    return {
        "p50": statistics.median(latencies),
        "p95": latencies[math.ceil(0.95 * len(latencies)) - 1],
        "p99": latencies[math.ceil(0.99 * len(latencies)) - 1],
        "max": latencies[-1],
        "bytes": size,
    }


def client(url: str, path: str, headers: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    """Run ``scrape`` in another process, which shares neither interpreter nor lock with the daemon."""
    address = url.rstrip("/") + path
    command = [sys.executable, __file__, "--scrape", address, "--headers", json.dumps(headers)]
    command += ["--times", str(options.times), "--pause", str(options.pause)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(folder: Path, policy: str, options: argparse.Namespace) -> None:
    """Print latencies under one export policy: of an idle daemon, and while checks run."""
    path = configuration(folder, options.monitors, policy)
    shutil.copytree(folder / "store", folder / policy)
    path.write_text(path.read_text(encoding="utf-8").replace('/store"', f'/{policy}"'), encoding="utf-8")
    clock = ReplayClock(START + HOUR)
    daemon = Daemon(lambda: load(path), clock, tick_seconds=1.0)
    daemon.start()
    try:
        daemon.runner.tick()
        assert daemon.runner.wait_idle(600)
        url = daemon.server.url
        text = fetch_metrics(url)
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        dropped_line = next(line for line in lines if line.startswith("driftwatch_series_dropped "))
        print(
            f"{policy}: {len(lines):,} series, {len(text) / 1e6:.1f} MB, left out {dropped_line.split()[1]}"
        )
        for name, case in CASES.items():
            report(f"{policy}: {name}, idle", client(url, *case, options))
        # Two windows for every monitor keep it busy, and what is published does not become stale.
        clock.set(START + 3 * HOUR)
        daemon.runner.tick()
        checks_before = sum(view.checks for view in daemon.snapshot().monitors)
        start = time.perf_counter()
        for name, case in CASES.items():
            report(f"{policy}: {name}, checks running", client(url, *case, options))
            if not daemon.snapshot().checks_running:
                print("the checks ended before the scrapes: fewer --times, or more --monitors")
        n_checks = sum(view.checks for view in daemon.snapshot().monitors) - checks_before
        print(
            f"{policy}: meanwhile {n_checks / (time.perf_counter() - start):.1f} checks a second", flush=True
        )
    finally:
        daemon.stop()


def fetch_metrics(url: str) -> str:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def report(what: str, figures: dict[str, Any]) -> None:
    latencies = "  ".join(f"{name} {figures[name]:6.0f} ms" for name in ("p50", "p95", "p99", "max"))
    print(f"{what:42} {latencies}  {figures['bytes'] / 1e6:6.2f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=100)
    parser.add_argument("--columns", type=int, default=200)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between scrapes")
    parser.add_argument("--policies", default="all,drifted")
    parser.add_argument("--scrape", help=argparse.SUPPRESS)
    parser.add_argument("--headers", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scrape:
        figures = scrape(options.scrape, json.loads(options.headers), options.times, options.pause)
        print(json.dumps(figures))
        return
    configure("text", "critical")
    shorten_gil_switches()
    with world(options) as folder:
        for policy in options.policies.split(","):
            measure(folder, policy, options)


if __name__ == "__main__":
    main()
