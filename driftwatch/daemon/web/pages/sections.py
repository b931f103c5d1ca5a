"""Parts of pages that several pages share: columns page by page, windows over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftwatch.charts import evidence_chart
from driftwatch.daemon.status.column_order import by_contribution, by_distance
from driftwatch.daemon.status.history_view import Past
from driftwatch.daemon.web.http.paging import Part, matching, part_of
from driftwatch.daemon.web.pages import trend_lines
from driftwatch.daemon.web.pages.cards import PER_PAGE, Card, Sides, cards_of
from driftwatch.daemon.web.pages.correlations import moved_pairs
from driftwatch.results.results import Verdict
from driftwatch.store.browsing import StoredVersion, StoredWindow
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Windows drawn in one timeline.
DRAWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """One page of columns with what is said of all of them together; ``why_not`` when nothing is drawn."""

    part: Part[Card]
    pairs: Markup
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which columns are asked for."""

    search: str = ""
    page: int = 1


def judged_columns(
    reference: Reference | None,
    verdict: Verdict | None,
    window: Summary | None,
    first: Sequence[str],
    asked: Asked,
    past: Past,
    url: Callable[[str], str],
) -> Columns:
    """Columns of a verdict by their contribution, ``first`` before all others, against the reference."""
    if reference is None:
        return Columns(part=part_of((), 1, PER_PAGE), pairs=Markup(), why_not="The reference is not at hand.")
    known = {column.name: column for column in reference.plan.columns}
    ranked = [] if verdict is None else by_contribution(verdict)
    names = [name for name in dict.fromkeys([*first, *ranked, *known]) if name in known]
    shown = part_of(matching(names, asked.search), asked.page, PER_PAGE, asked.search)
    trends = (
        {}
        if verdict is None
        else past.trends(verdict.monitor, verdict.segment, shown.items, verdict.window.end + 1)
    )
    sides = Sides(columns=known, grids=reference.plan.grids, before=reference.summary, after=window)
    return Columns(
        part=_filled(shown, cards_of(sides, shown.items, url, verdict, trends)),
        pairs=trend_lines.pairs(moved_pairs(reference.plan, reference.summary, window)),
        why_not="" if window is not None else "The window's counts are past retention, or none were read.",
    )


def compared_columns(
    reference: Reference, before: Summary, after: Summary, asked: Asked, url: Callable[[str], str]
) -> Columns:
    """Columns of two summaries on the cells of ``reference``, the furthest apart first."""
    known = {column.name: column for column in reference.plan.columns}
    names = by_distance(reference.plan, before, after)
    shown = part_of(matching(names, asked.search), asked.page, PER_PAGE, asked.search)
    sides = Sides(columns=known, grids=reference.plan.grids, before=before, after=after)
    return Columns(
        part=_filled(shown, cards_of(sides, shown.items, url)),
        pairs=trend_lines.pairs(moved_pairs(reference.plan, before, after)),
        why_not="",
    )


def _filled(part: Part[str], cards: list[Card]) -> Part[Card]:
    return Part(
        items=tuple(cards),
        page=part.page,
        pages=part.pages,
        total=part.total,
        asked=part.asked,
        before=part.before,
    )


def timeline(
    windows: Sequence[StoredWindow],
    versions: Sequence[StoredVersion],
    now: int,
    onset: int | None,
    url: Callable[[int], str],
) -> Markup:
    """Windows (newest first) as a timeline with pages, onset and changes of the reference."""
    drawn = list(reversed(windows[:DRAWN]))
    trail = [(item.end, item.evidence, item.state, item.page) for item in drawn]
    return evidence_chart.timeline(trail, now, onset, changes(drawn, versions), url)


def changes(
    windows: Sequence[StoredWindow], versions: Sequence[StoredVersion]
) -> list[evidence_chart.Change]:
    """Places in ``windows`` (oldest first) of those that were first decided with another reference.

    The very first reference is no change.
    """
    found = []
    for version in versions[1:]:
        place = next((n for n, item in enumerate(windows) if item.decided_at >= version.stored_at), None)
        if place:
            found.append((place, "rebased" if version.rebased else "new reference"))
    return found
