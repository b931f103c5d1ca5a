"""Process start: the cost that every command and every notebook pays first."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from harness import Line, Options
from processes import STARTS, whole_process

#: Processes for each run of ``--runs``, because they are short.
PROCESSES_PER_RUN = 5


def _start(name: str, what: str, target: float | None, floor: str, floor_is: str, options: Options) -> Line:
    runs = PROCESSES_PER_RUN * options.runs
    timing = whole_process(STARTS[name], runs)
    return Line(
        name=name,
        what=what,
        value=timing.cpu,
        target=target,
        floor=whole_process([sys.executable, "-c", floor], runs).cpu,
        floor_is=floor_is,
        wall=timing.wall,
    )


def imports(options: Options) -> Iterator[Line]:
    yield _start("import", "a fresh process imports driftwatch", None, "pass", "python", options)


def helps(options: Options) -> Iterator[Line]:
    """Point 7."""
    yield _start("help", "driftwatch --help", 0.25, "import click", "python and click", options)


LINES = {"import": imports, "help": helps}
