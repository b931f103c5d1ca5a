"""Runs the daemon as a process: memory settings, signals, exit code."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
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
#: Stands among the signals for the daemon's own wish to end, and the exit code of that.
_GIVE_UP, _GIVEN_UP_CODE = 0, 4
#: The main thread looks for signals as often, whatever woke it or did not.
_MAX_WAIT_SECONDS = 1.0
#: After ``limits.shutdown`` the process ends, whatever still waits: deliveries, answers and the store's close
#: have as long.
_LAST_SECONDS = 5.0


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


class _Signals:
    """Numbers of signals in the order in which they came, for the main thread.

    The kernel may hand a signal to any thread, and Python's handler runs in the main one, which nothing wakes
    from a lock. The descriptor that the handler in C writes to does.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._reader.settimeout(_MAX_WAIT_SECONDS)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: self._numbers.append(number))

    def add(self, number: int) -> None:
        """Add one from within, from any thread."""
        self._numbers.append(number)
        # A full buffer wakes as well.
        with suppress(BlockingIOError):
            self._writer.send(b"\0")

    def wait(self) -> int:
        """Return the next one."""
        while not self._numbers:
            with suppress(TimeoutError):
                self._reader.recv(4096)
        return self._numbers.pop(0)


def _serve(daemon: Daemon) -> int:
    signals = _Signals()

    def give_up(reason: str) -> None:
        log.critical("the process ends for its supervisor", extra={"reason": reason})
        signals.add(_GIVE_UP)

    daemon.on_give_up = give_up
    # References are built in the background, so that signals are handled meanwhile.
    daemon.start(wait_loaded=False)
    while (number := signals.wait()) == signal.SIGHUP:
        # In a thread, so that a reload that waits for the disk does not delay a SIGTERM.
        threading.Thread(target=_reload, args=(daemon,), name="reload-signal", daemon=True).start()
    return _exit(daemon, _GIVEN_UP_CODE if number == _GIVE_UP else 0)


def _reload(daemon: Daemon) -> None:
    try:
        daemon.reload()
    except DriftwatchError as error:
        log.warning("reload refused", extra={"error": str(error)})


def _exit(daemon: Daemon, code: int) -> int:
    # A disk that hangs can hold up any step, also the end of the interpreter.
    end = threading.Timer(daemon.config.limits.shutdown + _LAST_SECONDS, os._exit, (code,))
    end.daemon = True
    end.start()
    if code:
        daemon.senders.drain(_LAST_SECONDS)
    if not daemon.stop():
        # An abandoned read still occupies a thread, which an ordinary exit would wait for.
        logging.shutdown()
        os._exit(code)
    return code
