"""A long list cut into pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Generic[T]):
    """Page ``page`` of ``pages``, counted from 1, of a list of ``total``; ``asked`` is what was searched."""

    items: tuple[T, ...]
    page: int
    pages: int
    total: int
    asked: str = ""

    @property
    def first(self) -> int:
        """Place of the first item in the whole list, from 1; 0 in an empty one."""
        return 0 if not self.items else self.before + 1

    @property
    def last(self) -> int:
        """Place of the last item in the whole list."""
        return self.before + len(self.items)

    before: int = 0


def part_of(items: Sequence[T], page: int, size: int, asked: str = "") -> Part[T]:
    """The page asked for, or the last one when there are fewer.

    >>> part_of("abcde", 2, 2).items, part_of("abcde", 9, 2).items, part_of("", 1, 2).pages
    (('c', 'd'), ('e',), 1)
    """
    pages = max(1, -(-len(items) // size))
    page = min(page, pages)
    start = (page - 1) * size
    return Part(
        items=tuple(items[start : start + size]),
        page=page,
        pages=pages,
        total=len(items),
        asked=asked,
        before=start,
    )


def matching(names: Sequence[str], asked: str) -> list[str]:
    """Names that contain what is asked for, whatever the case.

    >>> matching(["Age", "page", "x"], "AGE")
    ['Age', 'page']
    """
    wanted = asked.casefold()
    return [name for name in names if wanted in name.casefold()]
