"""Whole processes and what they cost; this module must not import the package that is measured."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

#: Beginnings of variables that a shell may set but a user has not: chosen kernels, no compiled modules.
_SHELL_VARIABLES = ("OPENBLAS_", "PYTHONDONTWRITEBYTECODE")
#: Commands of the lines of ``line_start``, by name.
STARTS = {
    "import": [sys.executable, "-c", "import driftwatch"],
    "help": [sys.executable, "-m", "driftwatch", "--help"],
}


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Medians of some runs: CPU and wall seconds, MiB above what was resident."""

    cpu: float
    wall: float
    mib: float | None = None


def environment(**variables: str) -> dict[str, str]:
    """The environment of a measured process: matrix products run in one thread, as in readers."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(_SHELL_VARIABLES)}
    return base | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | variables


def one_process(
    command: list[str], *, folder: Path | None = None, variables: dict[str, str] | None = None
) -> Timing:
    """Run one process to its end; children that it waited for are included."""
    start = time.perf_counter()
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, env=variables
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"expected exit code 0 of {' '.join(command)}. Got {child.returncode}.")
    return Timing(cpu=usage.ru_utime + usage.ru_stime, wall=wall, mib=usage.ru_maxrss / 1024)


def median_timing(runs: list[Timing]) -> Timing:
    """The median of the seconds, and the largest MiB."""
    return Timing(
        cpu=statistics.median(run.cpu for run in runs),
        wall=statistics.median(run.wall for run in runs),
        mib=max(run.mib or 0.0 for run in runs),
    )


def whole_process(command: list[str], runs: int) -> Timing:
    """Medians of ``runs`` processes of one command."""
    return median_timing([one_process(command) for _ in range(runs)])


class ChildProcess:
    """A process whose output is read when it has ended; it runs on one core if ``core`` is given."""

    def __init__(
        self, command: list[str], *, folder: Path, variables: dict[str, str], core: int | None = None
    ) -> None:
        self._text, self._errors = (tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2))  # noqa: SIM115
        # A group of its own: an interrupt of this process must not reach what that one does at its end.
        self._process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=self._text, stderr=self._errors, process_group=0
        )
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})

    def text(self) -> str:
        """Wait for the end, and return the output. Raises ``RuntimeError`` unless the exit code is 0."""
        code = self._process.wait()
        for file in (self._text, self._errors):
            file.seek(0)
        if code:
            raise RuntimeError((self._errors.read().strip().splitlines() or [f"exit code {code}"])[-1])
        return self._text.read()

    def stop(self) -> None:
        """Interrupt a running process; killed, it could not end the daemons that its line started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
