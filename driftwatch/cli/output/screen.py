"""Prints to standard output in its width, colours and encoding."""

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

#: Characters of one cell; the columns of a file or a pipe unless ``COLUMNS`` says otherwise.
_MAX_CELL_CHARS, _DEFAULT_WIDTH = 300, 100
#: Characters of an error: those of a file with a list of columns are long.
_MAX_LINE_CHARS = 4000
#: Columns of a drawing on the widest screen: the eye loses the line of a wider one.
MAX_DRAWING_WIDTH = 120
#: Columns below which no table can be read.
_MIN_WIDTH = 40
#: The ASCII sign for each block and arrow, one character for one, where the encoding has none.
_ASCII_SIGNS = str.maketrans("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉│─·…→–−▲✓", "_.:-=+*#...####|-..>--^v")


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def clean(text: str, max_chars: int = _MAX_CELL_CHARS) -> str:
    """Replace control characters, because a column name must not control the terminal.

    >>> clean("a\\x1b[31mb")
    'a?[31mb'
    """
    text = text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"
    return "".join(char if char.isprintable() else "?" for char in text)


def width() -> int:
    """Return the terminal's width in characters, else ``COLUMNS``, else 100."""
    return max(_console().width, _MIN_WIDTH)


def show(*items: Any) -> None:
    console = _console()
    with console.capture() as captured:
        for item in items:
            console.print(literal(item) if isinstance(item, str) else item)
    text = re.sub(r" +$", "", captured.get(), flags=re.MULTILINE)
    click.echo(encodable(text, sys.stdout.encoding or "ascii"), nl=False)


def show_line(head: str, text: str, style: str) -> None:
    """Show both on one line, which only the terminal wraps."""
    from rich.text import Text

    line = Text(clean(head), style="bold").append(clean(" ".join(text.split()), _MAX_LINE_CHARS), style)
    console = _console()
    with console.capture() as captured:
        console.print(line, soft_wrap=True)
    click.echo(encodable(captured.get(), sys.stdout.encoding or "ascii"), nl=False)


def encodable(text: str, encoding: str) -> str:
    """Replace block characters by ASCII signs of the same width if the encoding has none.

    >>> encodable("▁▄█ 3 → 4", "ascii"), encodable("▁▄█ 3 → 4", "utf-8")
    ('_-# 3 > 4', '▁▄█ 3 → 4')
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII_SIGNS).encode(encoding, "replace").decode(encoding)
    return text


def literal(text: str, style: str = "") -> Text:
    """Return the cleaned text as ``rich.text.Text``, without interpreting markup."""
    from rich.text import Text

    return Text(clean(text), style=style)


def table(*columns: str) -> Table:
    """Return a table; columns whose name begins with ``>`` hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        is_number = name.startswith(">")
        grid.add_column(
            name.lstrip(">"), overflow="fold", justify="right" if is_number else "left", no_wrap=is_number
        )
    return grid


def fact_table() -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def add_row(grid: Table, *cells: Any) -> None:
    grid.add_row(*(literal(cell) if isinstance(cell, str) else cell for cell in cells))


def _console() -> Console:
    from rich.console import Console

    # FORCE_COLOR is ignored: whoever reads a pipe or a file did not ask for escape codes.
    console = Console(highlight=False, force_terminal=sys.stdout.isatty())
    if not console.is_terminal:
        columns = os.environ.get("COLUMNS", "")
        console.width = int(columns) if columns.isdigit() and int(columns) else _DEFAULT_WIDTH
    return console
