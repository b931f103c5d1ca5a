"""Says in one line which columns are not watched, and why."""

from __future__ import annotations

from collections.abc import Sequence

from driftwatch.core.schema import Column, Role

#: Columns that a line names, and characters of a reason.
_MAX_NAMED, _MAX_REASON_CHARS = 20, 120


def set_aside_lines(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return a line for features that cannot be watched, and one for columns set aside.

    >>> set_aside_lines([Column(name="order", kind="numeric", role=Role.ID, reason="an identifier")])
    ('set aside: order (an identifier)',)
    """
    unwatched = [column for column in columns if column.unwatched is not None]
    ignored = [
        column for column in columns if column.unwatched is None and column.role in (Role.ID, Role.IGNORE)
    ]
    parts = (("cannot be watched", unwatched), ("set aside", ignored))
    return tuple(f"{title}: {_listing(part)}" for title, part in parts if part)


def _listing(columns: Sequence[Column]) -> str:
    names = [f"{_printable(column.name)} ({_short(column.reason)})" for column in columns[:_MAX_NAMED]]
    rest = f" and {len(columns) - _MAX_NAMED:,} more" if len(columns) > _MAX_NAMED else ""
    return ", ".join(names) + rest


def _short(reason: str) -> str:
    text = _printable(reason)
    return text if len(text) <= _MAX_REASON_CHARS else text[: _MAX_REASON_CHARS - 1] + "…"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)
