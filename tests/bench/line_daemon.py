"""Whole processes that a person or an orchestrator waits for."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Line, Options, children, cpu_of, measure_time, resident
from processes import whole_process

DRIFTWATCH = [sys.executable, "-m", "driftwatch"]
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


def _floor(imports: str, runs: int) -> float:
    return whole_process([sys.executable, "-c", imports], runs).cpu


def checks(options: Options) -> Iterator[Line]:
    """Point 7: ``check`` on the demo's data with a stored reference."""
    with tempfile.TemporaryDirectory() as name:
        config = _demo(Path(name))
        subprocess.run([*DRIFTWATCH, "reference", "build", str(config)], check=True, capture_output=True)
        command = [*DRIFTWATCH, "check", str(config), "--at", "2013-04-11T06:00"]
        timing = whole_process(command, options.runs)
    yield Line(
        name="daemon.check",
        what="driftwatch check on the demo's flights, reference stored",
        value=timing.cpu,
        target=1.5,
        floor=_floor("import numpy, scipy.special, pyarrow.parquet, pydantic, click", options.runs),
        floor_is="python and the libraries it cannot do without",
        wall=timing.wall,
        mib=timing.mib,
    )


def _demo(folder: Path) -> Path:
    """The flights of the demo as files with its configuration."""
    from driftwatch.cli.demo.data import write_stream
    from driftwatch.cli.demo.demo import write_config

    write_stream(folder)
    return write_config(folder, "127.0.0.1:0")


def table(start: datetime, hours: int, rows: int, columns: int) -> pa.Table:
    """Normal columns, ``rows`` rows an hour."""
    rng = np.random.default_rng(hours)
    times = [start + timedelta(hours=h, seconds=3599 * i / rows) for h in range(hours) for i in range(rows)]
    data = {f"c{i}": rng.normal(size=len(times)) for i in range(columns)}
    return pa.table({"at": pa.array(times, pa.timestamp("us", "UTC")), **data})


def runs(options: Options) -> Iterator[Line]:
    """Point 7: ``run`` with one monitor on a stored reference."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "production").mkdir()
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        pq.write_table(table(hour - timedelta(days=30), 24 * 7, 1000, 20), folder / "reference.parquet")
        pq.write_table(table(hour - timedelta(hours=3), 3, 1000, 20), folder / "production/now.parquet")
        config = folder / "driftwatch.yaml"
        config.write_text(CONFIG.format(folder=folder, port=options.port), encoding="utf-8")
        subprocess.run([*DRIFTWATCH, "reference", "build", str(config)], check=True, capture_output=True)
        watches = [_watch(config, options.port) for _ in range(min(options.runs, 3))]
    first_scrape, first_verdict, daemon_mib, reader_mib, cpu, reader_cpu = (
        float(np.median(part)) for part in zip(*watches, strict=True)
    )
    yield Line(
        name="daemon.run",
        what="driftwatch run, 1 monitor x 20 columns: seconds to the first scrape",
        value=first_scrape,
        unit="s wall",
        target=2.5,
        floor=measure_time(
            lambda: subprocess.run([sys.executable, "-c", "import numpy, scipy.special, pyarrow, pydantic"]),
            min(options.runs, 3),
        ).wall,
        floor_is="python and the libraries it cannot do without",
        beside={"first verdict": first_verdict, "daemon's CPU": cpu, "reader's CPU": reader_cpu},
    )
    yield Line(
        name="daemon.memory",
        what="resident memory of that daemon",
        value=daemon_mib,
        unit="MiB",
        target=200.0,
        beside={"MiB of its reader": reader_mib},
    )


def _watch(config: Path, port: int) -> tuple[float, ...]:
    """Seconds to the first scrape and to the first verdict in it; MiB, then CPU, of daemon and readers."""
    import urllib3

    http = urllib3.PoolManager(retries=False)
    start = time.perf_counter()
    daemon = subprocess.Popen([*DRIFTWATCH, "run", str(config), "--log-level", "error"])
    first_scrape = first_verdict = float("nan")
    try:
        while time.perf_counter() - start < 60 and first_verdict != first_verdict:
            time.sleep(0.02)
            try:
                text = http.request("GET", f"http://127.0.0.1:{port}/metrics").data.decode()
            except urllib3.exceptions.HTTPError:
                continue
            first_scrape = time.perf_counter() - start if first_scrape != first_scrape else first_scrape
            if "driftwatch_window_rows{" in text:
                first_verdict = time.perf_counter() - start
        time.sleep(3)
        readers = children(daemon.pid)
        reader_mib, reader_cpu = (sum(map(figure, readers)) for figure in (resident, cpu_of))
        return first_scrape, first_verdict, resident(daemon.pid), reader_mib, cpu_of(daemon.pid), reader_cpu
    finally:
        daemon.terminate()
        daemon.wait(30)


LINES = {"daemon.check": checks, "daemon.run": runs}
