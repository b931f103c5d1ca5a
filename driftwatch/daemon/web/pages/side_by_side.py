"""Two windows of one monitor, or a window and the reference, put side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from driftwatch.core.schema import iso
from driftwatch.daemon.status.history_view import Past, Working
from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.daemon.web.http.query import Side
from driftwatch.daemon.web.pages.sections import Asked, Columns, compared_columns
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both sides' counts on the same frozen cells, those of ``reference``."""

    reference: Reference
    before: Summary
    after: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a comparison shows; ``why_not`` says why there is nothing to show."""

    pair: Pair | None
    columns: Columns | None
    why_not: str


def compare(
    past: Past,
    view: MonitorView,
    segment: str | None,
    sides: tuple[Side | None, Side | None],
    asked: Asked,
    url: Callable[[str], str],
) -> Compared:
    """The two sides' columns, the furthest apart first."""
    found = pair_of(past, view, segment, sides)
    if isinstance(found, str):
        return Compared(pair=None, columns=None, why_not=found)
    columns = compared_columns(found.reference, found.before, found.after, asked, url)
    return Compared(pair=found, columns=columns, why_not="")


def pair_of(
    past: Past, view: MonitorView, segment: str | None, sides: tuple[Side | None, Side | None]
) -> Pair | str:
    """Counts of both sides, or why they cannot be compared."""
    first, second = sides
    if first is None or second is None:
        return "Choose two windows, or a window and the reference."
    workings = [_working(past, view, segment, side) for side in (first, second)]
    for found in workings:
        if isinstance(found, str):
            return found
    known = [item for item in workings if isinstance(item, Working)]
    reference = known[-1].reference if known else _current(view, segment)
    if reference is None:
        return "The reference is not at hand."
    before, after = (reference.summary if item is None else item.window for item in workings)  # type: ignore[union-attr]
    if before is None or after is None:
        return "The counts of a window are past retention.tiles, or none were read."
    if before.plan != after.plan:
        return "The two windows were counted on different cells: the reference was built anew in between."
    return Pair(reference=reference, before=before, after=after)


def _current(view: MonitorView, segment: str | None) -> Reference | None:
    return None if view.reference is None else view.reference.at(segment)


def _working(past: Past, view: MonitorView, segment: str | None, side: Side) -> Working | str | None:
    if side.end is None:
        return None
    found = past.working(view, segment, side.end)
    return f"No verdict is stored for a window that ends {iso(side.end)}." if found is None else found
