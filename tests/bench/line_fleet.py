"""Many monitors in one daemon: the cost of an hour, scaled to a thousand monitors."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

import bench_exporter as fleet
from harness import Line, Options, children, cpu_of, resident

if TYPE_CHECKING:
    from driftwatch.daemon.app import Daemon

MONITORS, COLUMNS, ROWS = 1_000, 30, 1_000
#: Monitors without ``--full``; hours that are measured after the first; ticks that have nothing to do.
QUICK_MONITORS, HOURS, TICKS = 100, 4, 20
#: Cores of the machine that the promise is made for.
CORES = 2


def hourly(options: Options) -> Iterator[Line]:
    """Point 7: real checks in a real daemon, its clock moved hour by hour; readers' CPU included."""
    from driftwatch.config.load import load
    from driftwatch.core.clock import ReplayClock
    from driftwatch.daemon.app import Daemon
    from driftwatch.daemon.logging_setup import configure

    configure("text", "critical")
    monitors = MONITORS if options.full else QUICK_MONITORS
    settings = Namespace(monitors=monitors, columns=COLUMNS, rows=ROWS)
    with fleet.world(settings) as folder:
        clock = ReplayClock(fleet.START + fleet.HOUR)
        path = fleet.configuration(folder, monitors, "drifted")
        daemon = Daemon(lambda: load(path), clock, tick_seconds=3600.0)
        daemon.start()
        try:
            _run_due_checks(daemon)
            cpu_start, wall_start = _cpu_seconds(), time.perf_counter()
            for hour in range(2, HOURS + 2):
                clock.set(fleet.START + hour * fleet.HOUR)
                _run_due_checks(daemon)
            check_seconds, wall = (
                (_cpu_seconds() - cpu_start) / HOURS / monitors,
                (time.perf_counter() - wall_start) / HOURS,
            )
            cpu_start = _cpu_seconds()
            for _ in range(TICKS):
                daemon.runner.tick()
            tick_seconds = (_cpu_seconds() - cpu_start) / TICKS / monitors
            checks = sum(view.checks for view in daemon.snapshot().monitors)
            daemon_mib, reader_mib = resident(os.getpid()), sum(map(resident, children(os.getpid())))
        finally:
            daemon.stop()
    if checks != monitors * (HOURS + 1):
        raise RuntimeError(f"expected {monitors * (HOURS + 1)} checks. Got {checks}.")
    yield Line(
        name="daemon.fleet",
        what=f"load of {MONITORS:,} monitors x {COLUMNS} columns x {ROWS:,} rows hourly, from {monitors}",
        value=100 * MONITORS * (check_seconds / 3600 + tick_seconds) / CORES,
        unit=f"% of {CORES} cores",
        target=25.0,
        wall=wall * MONITORS / monitors,
        mib=daemon_mib + reader_mib,
        beside={
            "ms CPU a check": 1e3 * check_seconds,
            "ms CPU of every second's look at all of them": 1e3 * tick_seconds * MONITORS,
            "MiB of the daemon": daemon_mib,
            "MiB of its readers": reader_mib,
        },
    )


def _run_due_checks(daemon: Daemon) -> None:
    daemon.runner.tick()
    if not daemon.runner.wait_idle(3600):
        raise RuntimeError("expected the checks of an hour within an hour. Some are still going on.")


def _cpu_seconds() -> float:
    """CPU seconds of this process and of its readers so far."""
    return time.process_time() + sum(map(cpu_of, children(os.getpid())))


LINES = {"daemon.fleet": hourly}
