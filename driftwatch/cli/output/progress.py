"""Long work shows how far it is: on standard error, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of a named piece of work; what it yields is told how much is done, and of how much."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn(escape(what)),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        disable=not sys.stderr.isatty(),
    ) as bars:
        task = bars.add_task(what, total=None)

        def advance(done: int, whole: int) -> None:
            bars.update(task, completed=done, total=whole)

        yield advance
