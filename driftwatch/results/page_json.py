"""Converts the pages of a history to JSON for scripts: what woke somebody, and what joined it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from driftwatch.core.schema import Span, iso
from driftwatch.results.incident_json import updated_columns
from driftwatch.results.results import Breakage, NamedColumn, State, Verdict
from driftwatch.results.verdict_json import named_json


def pages_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return what woke somebody, oldest first, each with what joined it until the next page of its key."""
    pages: list[dict[str, Any]] = []
    newest: dict[str | None, dict[str, Any]] = {}
    for _, group in groupby(verdicts, key=lambda item: item.window.end):
        window = tuple(group)
        for verdict in window:
            if verdict.page:
                page = page_json(verdict)
                if (earlier := newest.get(verdict.incident)) is not None:
                    _spread(page, *earlier["segments"])
                newest[verdict.incident] = page
                pages.append(page)
        for verdict in window:
            for item in verdict.updates:
                # One that is not there was paged before these verdicts.
                if item.key in newest:
                    _spread(newest[item.key], verdict.segment)
        for update in later_updates(window):
            if update.key in newest:
                joined = {"window_end": iso(update.window.end), "columns": list(update.columns)}
                newest[update.key]["updates"].append(joined)
    return pages


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterUpdate:
    """What joined an incident in one window, or moved further, in whichever segments, without a page."""

    key: str
    window: Span
    segments: tuple[str | None, ...]
    #: With joint detectors, and with the columns that they point to in their place.
    names: tuple[str, ...]
    columns: tuple[str, ...]


def later_updates(verdicts: Iterable[Verdict]) -> list[LaterUpdate]:
    """Return the updates of each window over its segments, without what the window's page names."""
    verdicts = tuple(verdicts)
    paged: dict[tuple[int, str], set[str]] = {}
    for verdict in verdicts:
        if verdict.page and verdict.incident is not None:
            names = paged.setdefault((verdict.window.end, verdict.incident), set())
            names.update(item.column for item in page_named(verdict))
            names.update(item.column for item in _page_breakages(verdict))
    updates: dict[tuple[int, str], LaterUpdate] = {}
    for verdict in verdicts:
        for item in verdict.updates:
            place = (verdict.window.end, item.key)
            left = tuple(name for name in item.columns if name not in paged.get(place, ()))
            if not left:
                continue
            update = updates.get(place) or LaterUpdate(
                key=item.key, window=verdict.window, segments=(), names=(), columns=()
            )
            columns = updated_columns(replace(item, columns=left), verdict)
            updates[place] = replace(
                update,
                segments=(*update.segments, verdict.segment),
                names=tuple(dict.fromkeys([*update.names, *left])),
                columns=tuple(dict.fromkeys([*update.columns, *columns])),
            )
    return list(updates.values())


def _spread(page: dict[str, Any], *segments: str | None) -> None:
    page["segments"] = list(dict.fromkeys([*page["segments"], *segments]))
    if len(page["segments"]) > 1:
        page["segment"] = None


def page_named(verdict: Verdict) -> tuple[NamedColumn, ...]:
    """Return what the verdict names for its page, without what joined other incidents."""
    joined = {name for item in verdict.updates if item.key != verdict.incident for name in item.columns}
    return tuple(item for item in verdict.named if item.column not in joined)


def _page_breakages(verdict: Verdict) -> tuple[Breakage, ...]:
    # Other columns may have been broken before.
    ending = next((item for item in verdict.endings if item.key == verdict.incident), None)
    columns = None if ending is None else {item.column for item in ending.columns}
    return tuple(item for item in verdict.breakages if columns is None or item.column in columns)


def page_json(verdict: Verdict) -> dict[str, Any]:
    named = [named_json(item) for item in page_named(verdict)]
    broken = [
        {
            "column": item.column,
            "columns": [item.column],
            "detector": str(item.reason),
            "effect": item.detail,
            "share": None,
        }
        for item in _page_breakages(verdict)
    ]
    is_broken = bool(broken) and verdict.state is State.BROKEN
    return {
        "window_start": iso(verdict.window.start),
        "window_end": iso(verdict.window.end),
        "segment": verdict.segment,
        "segments": [verdict.segment],
        "incident": verdict.incident,
        "again": verdict.again,
        "kind": "broken" if is_broken else "drift",
        "onset": None if verdict.onset is None else iso(verdict.onset),
        "columns": [*broken, *named] if verdict.endings else (named or broken),
        "updates": [],
        "unchanged": list(verdict.unchanged),
        "could_not_tell": list(verdict.could_not_tell),
    }
