"""Standard output as people see it: as wide as it is, in colour if it can, in letters its encoding has."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: Characters of one cell, and columns of output that goes to a file or a pipe and was not told otherwise.
_LONGEST, _WIDE = 300, 100
#: Drawings are no wider than this on the widest screen: the eye loses the line.
WIDEST = 120
_NARROWEST = 40
#: What is drawn where the encoding has no blocks; each takes the place of one character.
_PLAIN = str.maketrans("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉│─·…→–−▲✓", "_.:-=+*#...####|-..>--^v")


def show_json(value: Any) -> None:
    """One JSON value on standard output; NaN cannot occur."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def clean(text: str) -> str:
    """Text from data without control characters, so that a column name cannot steer the terminal.

    >>> clean("a\\x1b[31mb")
    'a?[31mb'
    """
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return "".join(char if char.isprintable() else "?" for char in text)


def width() -> int:
    """Columns there are: the terminal's, else ``COLUMNS``, else 100."""
    return max(_console().width, _NARROWEST)


def show(*items: Any) -> None:
    """Print texts, tables and drawings, one beneath the other."""
    console = _console()
    with console.capture() as captured:
        for item in items:
            console.print(said(item) if isinstance(item, str) else item)
    text = re.sub(r" +$", "", captured.get(), flags=re.MULTILINE)
    click.echo(encodable(text, sys.stdout.encoding or "ascii"), nl=False)


def encodable(text: str, encoding: str) -> str:
    """The text in characters the encoding has; blocks and arrows in ASCII, as wide as they were.

    >>> encodable("▁▄█ 3 → 4", "ascii"), encodable("▁▄█ 3 → 4", "utf-8")
    ('_-# 3 > 4', '▁▄█ 3 → 4')
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text


def said(text: str, style: str = "") -> Text:
    """A text that is printed as it is: nothing in it is markup, and no character steers the terminal."""
    from rich.text import Text

    return Text(clean(text), style=style)


def table(*columns: str) -> Table:
    """An empty table. Columns whose name begins with ``>`` hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        right = name.startswith(">")
        made.add_column(
            name.lstrip(">"), overflow="fold", justify="right" if right else "left", no_wrap=right
        )
    return made


def facts() -> Table:
    """An empty list of facts: what, and what is said of it."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def row(into: Table, *cells: Any) -> None:
    """Add a row; texts are cleaned."""
    into.add_row(*(said(cell) if isinstance(cell, str) else cell for cell in cells))


def _console() -> Console:
    from rich.console import Console

    # FORCE_COLOR is not heard: whoever reads a pipe or a file did not ask for escape codes.
    console = Console(highlight=False, force_terminal=sys.stdout.isatty())
    if not console.is_terminal:
        told = os.environ.get("COLUMNS", "")
        console.width = int(told) if told.isdigit() and int(told) else _WIDE
    return console
