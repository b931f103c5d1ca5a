"""Faults of reader processes: a file that says so ends or stops the process that opens it.

Python imports this module at its start where this folder is on ``PYTHONPATH``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from driftwatch.sources import files
from driftwatch.sources._formats.listing import Entry

#: Bytes of a file, and the fault of its reader.
MARK = b"FAULT-"
#: Seconds longer than any test waits.
_FOR_EVER = 600
_open = files.FilesSource._open
_candidates = files.FilesSource._candidates


def _faulty_open(self: files.FilesSource, entry: Entry) -> None:
    _open(self, entry)
    content = Path(entry.path).read_bytes()
    if MARK not in content:
        return
    fault = content.partition(MARK)[2][:4]
    # A disk that hangs from the moment on at which one file was opened.
    hangs = Path(entry.path).parent / "hangs"
    if fault == b"turn":
        hangs.touch()
    if fault in (b"turn", b"fine") and hangs.exists():
        time.sleep(_FOR_EVER)
    if fault == b"segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == b"kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == b"much":
        # Outside of the parts that turn it into a rejected file.
        raise MemoryError
    elif fault == b"hang":
        time.sleep(_FOR_EVER)
    elif fault == b"slow":
        time.sleep(float(os.environ["PYTHON_FAULT_SECONDS"]))


def _faulty_candidates(self: files.FilesSource, *arguments: object) -> list[Entry]:
    entries = _candidates(self, *arguments)  # type: ignore[arg-type]
    if any("hanging-share" in entry.path for entry in entries):
        time.sleep(_FOR_EVER)
    return entries


# A collector of doctests imports every module: only readers are to fail.
if "driftwatch.engines.local.child" in sys.orig_argv:
    files.FilesSource._open = _faulty_open  # type: ignore[method-assign]
    files.FilesSource._candidates = _faulty_candidates  # type: ignore[method-assign]
