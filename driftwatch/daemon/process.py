"""The process around the daemon: its memory, its signals, its end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from driftwatch.core.memory import keep_some, one_arena, without_pandas
from driftwatch.daemon.logging_setup import configure
from driftwatch.errors import DriftwatchError

if TYPE_CHECKING:
    from driftwatch.daemon.app import Daemon

log = logging.getLogger(__name__)

#: Seconds a thread may keep the interpreter while another waits; Python's own 5 ms make a scrape, which takes
#: its turn a dozen times, wait for the checks far longer than it works.
_TURN_SECONDS = 0.0005


def take_short_turns() -> None:
    """Let scrapes and pages have their turn among checks. Belongs to the process: it has one interpreter."""
    sys.setswitchinterval(_TURN_SECONDS)


def run_daemon(path: Path, *, log_format: str, log_level: str) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code."""
    configure(log_format, log_level)
    without_pandas()
    one_arena()
    keep_some()
    take_short_turns()
    # pyarrow chooses its allocator when it is imported: everything that may import it comes after.
    from driftwatch.config.load import load
    from driftwatch.core.clock import SystemClock
    from driftwatch.daemon.app import Daemon

    return _serve(Daemon(lambda: load(path), SystemClock()))


def _serve(daemon: Daemon) -> int:
    wake = threading.Event()
    asked: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, receive)
    try:
        daemon.start(wait_loaded=False)
    except BaseException:
        daemon.close()
        raise
    while True:
        wake.wait()
        wake.clear()
        while asked:
            if asked.pop(0) != signal.SIGHUP:
                return _leave(daemon)
            try:
                daemon.reload()
            except DriftwatchError as error:
                log.warning("reload refused", extra={"error": str(error)})


def _leave(daemon: Daemon) -> int:
    """Stop, and leave even when an abandoned read still holds a thread."""
    if not daemon.stop():
        logging.shutdown()
        os._exit(0)
    return 0
