"""Starting: what every command and every notebook pays first."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from harness import Line, Options
from processes import STARTS, whole_process

#: Processes for every run asked for: they are short.
TIMES = 5


def _start(name: str, what: str, target: float | None, floor: str, floor_is: str, options: Options) -> Line:
    runs = TIMES * options.runs
    start = whole_process(STARTS[name], runs)
    return Line(
        name=name,
        what=what,
        value=start.cpu,
        target=target,
        floor=whole_process([sys.executable, "-c", floor], runs).cpu,
        floor_is=floor_is,
        wall=start.wall,
    )


def imports(options: Options) -> Iterator[Line]:
    """A process imports the package and ends."""
    yield _start("import", "a fresh process imports driftwatch", None, "pass", "python", options)


def helps(options: Options) -> Iterator[Line]:
    """Point 7."""
    yield _start("help", "driftwatch --help", 0.25, "import click", "python and click", options)


LINES = {"import": imports, "help": helps}
