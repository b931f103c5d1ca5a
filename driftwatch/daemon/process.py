"""Runs the daemon as a process: memory settings, signals, exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from driftwatch.core.memory import block_pandas_import, retain_freed_memory, use_single_arena
from driftwatch.daemon.logging_setup import configure
from driftwatch.errors import DriftwatchError

if TYPE_CHECKING:
    from driftwatch.daemon.app import Daemon

log = logging.getLogger(__name__)

#: Seconds a thread may hold the GIL while another waits. With Python's own 5 ms a scrape, which needs the GIL
#: a dozen times, waits for the checks far longer than it works. The setting holds for the whole process.
_GIL_SWITCH_SECONDS = 0.0005


def shorten_gil_switches() -> None:
    sys.setswitchinterval(_GIL_SWITCH_SECONDS)


def run_daemon(path: Path, *, log_format: str, log_level: str) -> int:
    """Run until SIGTERM or SIGINT and return the exit code; SIGHUP reloads."""
    configure(log_format, log_level)
    block_pandas_import()
    use_single_arena()
    retain_freed_memory()
    shorten_gil_switches()
    # pyarrow chooses its allocator at import, so modules that may import it follow the settings above.
    from driftwatch.config.load import load
    from driftwatch.core.clock import SystemClock
    from driftwatch.daemon.app import Daemon

    return _serve(Daemon(lambda: load(path), SystemClock()))


def _serve(daemon: Daemon) -> int:
    wake = threading.Event()
    pending: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        pending.append(number)
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, receive)
    # References are built in the background, so that signals are handled meanwhile.
    daemon.start(wait_loaded=False)
    while True:
        wake.wait()
        wake.clear()
        while pending:
            if pending.pop(0) != signal.SIGHUP:
                return _exit(daemon)
            try:
                daemon.reload()
            except DriftwatchError as error:
                log.warning("reload refused", extra={"error": str(error)})


def _exit(daemon: Daemon) -> int:
    if not daemon.stop():
        # An abandoned read still occupies a thread, which an ordinary exit would wait for.
        logging.shutdown()
        os._exit(0)
    return 0
