"""Splits a long list into pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[T]):
    """Page ``number`` (from 1) of ``n_pages``; ``offset`` items precede it."""

    items: tuple[T, ...]
    number: int
    n_pages: int
    total: int
    search: str = ""

    @property
    def start_index(self) -> int:
        return 0 if not self.items else self.offset + 1

    @property
    def end_index(self) -> int:
        return self.offset + len(self.items)

    offset: int = 0


def list_page(items: Sequence[T], number: int, size: int, search: str = "") -> ListPage[T]:
    """Return one page, the last one when ``number`` is too large.

    >>> list_page("abcde", 2, 2).items, list_page("abcde", 9, 2).items, list_page("", 1, 2).n_pages
    (('c', 'd'), ('e',), 1)
    """
    n_pages = max(1, -(-len(items) // size))
    number = min(number, n_pages)
    offset = (number - 1) * size
    return ListPage(
        items=tuple(items[offset : offset + size]),
        number=number,
        n_pages=n_pages,
        total=len(items),
        search=search,
        offset=offset,
    )


def filter_names(names: Sequence[str], search: str) -> list[str]:
    """Return the names that contain ``search``, ignoring case.

    >>> filter_names(["Age", "page", "x"], "AGE")
    ['Age', 'page']
    """
    needle = search.casefold()
    return [name for name in names if needle in name.casefold()]
