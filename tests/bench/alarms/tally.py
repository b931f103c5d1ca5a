"""Counts of a run in which nobody acknowledges: pages, keys, updates, ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from driftwatch.results.results import Verdict

PAGE, AGAIN, UPDATE = "page", "again", "update"
Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one window gave, over all segments."""

    verdicts: tuple[Verdict, ...]
    #: Keys of incidents with a new key, of those that are open after it, and of those that ended.
    new_keys: tuple[str, ...]
    open_keys: frozenset[str]
    ended_keys: frozenset[str]

    @property
    def pages(self) -> tuple[Verdict, ...]:
        return tuple(item for item in self.verdicts if item.page)


@dataclass(slots=True, kw_only=True)
class Tally:
    first_pages: int = 0
    again_pages: int = 0
    updates: int = 0
    ends: int = 0
    open_windows: int = 0
    windows: int = 0
    keys: set[str] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    #: (window, page or again, segment, names).
    pages: list[tuple[int, str, str | None, list[str]]] = field(default_factory=list)

    def add(self, step: Step, t: int) -> None:
        self.windows += 1
        self.open_windows += bool(step.open_keys)
        self.ends += len(step.ended_keys)
        self.updates += sum(len(item.updates) for item in step.verdicts)
        self.keys.update(step.new_keys)
        for verdict in step.pages:
            self.again_pages += verdict.again
            self.first_pages += not verdict.again
            if verdict.incident is not None:
                self.keys.add(verdict.incident)
            names = sorted(page_names(verdict))
            self.names.update(names)
            self.pages.append((t, AGAIN if verdict.again else PAGE, verdict.segment, names[:6]))

    def result(self) -> Result:
        return {
            "first": self.first_pages, "again": self.again_pages, "keys": len(self.keys),
            "updates": self.updates, "ends": self.ends, "open": self.open_windows, "windows": self.windows,
            "pages": self.pages, "named": dict(self.names.most_common(8)),
        }  # fmt: skip


def page_names(verdict: Verdict) -> set[str]:
    """Columns that a page is about; a joint detector's name beside those that it points to."""
    updated = {column for item in verdict.updates for column in item.columns}
    return _names(verdict, {item.column for item in verdict.named} - updated) | {
        item.column for item in verdict.breakages if item.column not in updated
    }


def update_names(verdict: Verdict) -> set[str]:
    """Columns that joined an incident or moved further in it, without waking anybody."""
    updated = {column for item in verdict.updates for column in item.columns}
    return _names(verdict, updated) | updated


def _names(verdict: Verdict, owners: set[str]) -> set[str]:
    return {name for item in verdict.named if item.column in owners for name in (item.column, *item.columns)}


def shown_as(step: Step, names: frozenset[str]) -> str:
    """How a window tells of these columns: page, again, update, or not at all."""
    for verdict in step.pages:
        if page_names(verdict) & names:
            return AGAIN if verdict.again else PAGE
    return UPDATE if any(update_names(verdict) & names for verdict in step.verdicts) else ""
