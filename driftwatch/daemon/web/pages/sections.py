"""Sections that several pages share: column cards, split into pages, and windows over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftwatch.charts import evidence_chart
from driftwatch.daemon.status.column_order import by_contribution, by_distance
from driftwatch.daemon.status.trends import read_trends
from driftwatch.daemon.web.http.paging import ListPage, filter_names, list_page
from driftwatch.daemon.web.pages import trend_lines
from driftwatch.daemon.web.pages.cards import COLUMNS_PER_PAGE, ColumnCard, ComparedSummaries, column_cards
from driftwatch.daemon.web.pages.correlations import correlation_changes
from driftwatch.results.results import Verdict
from driftwatch.store.browsing import Browsing, StoredVersion, StoredWindow
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Windows drawn in one timeline.
TIMELINE_WINDOWS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSection:
    page: ListPage[ColumnCard]
    correlation_chart: Markup
    #: Why nothing is drawn.
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSelection:
    search: str = ""
    page: int = 1


def verdict_columns(
    reference: Reference | None,
    verdict: Verdict | None,
    window: Summary | None,
    leading_columns: Sequence[str],
    selection: ColumnSelection,
    browsing: Browsing,
    url: Callable[[str], str],
) -> ColumnSection:
    """Build a verdict's column cards: ``leading_columns`` first, then by contribution."""
    if reference is None:
        return ColumnSection(
            page=list_page((), 1, COLUMNS_PER_PAGE),
            correlation_chart=Markup(),
            problem="The reference is not at hand.",
        )
    columns = {column.name: column for column in reference.plan.columns}
    contributors = [] if verdict is None else by_contribution(verdict)
    names = [name for name in dict.fromkeys([*leading_columns, *contributors, *columns]) if name in columns]
    page = list_page(
        filter_names(names, selection.search), selection.page, COLUMNS_PER_PAGE, selection.search
    )
    trends = (
        {}
        if verdict is None
        else read_trends(browsing, verdict.monitor, verdict.segment, page.items, verdict.window.end + 1)
    )
    summaries = ComparedSummaries(
        columns=columns, grids=reference.plan.grids, first=reference.summary, second=window
    )
    return ColumnSection(
        page=_with_cards(page, column_cards(summaries, page.items, url, verdict, trends)),
        correlation_chart=trend_lines.correlation_chart(
            correlation_changes(reference.plan, reference.summary, window)
        ),
        problem="" if window is not None else "The window's counts are past retention, or none were read.",
    )


def compared_columns(
    reference: Reference,
    first: Summary,
    second: Summary,
    selection: ColumnSelection,
    url: Callable[[str], str],
) -> ColumnSection:
    columns = {column.name: column for column in reference.plan.columns}
    names = by_distance(reference.plan, first, second)
    page = list_page(
        filter_names(names, selection.search), selection.page, COLUMNS_PER_PAGE, selection.search
    )
    summaries = ComparedSummaries(columns=columns, grids=reference.plan.grids, first=first, second=second)
    return ColumnSection(
        page=_with_cards(page, column_cards(summaries, page.items, url)),
        correlation_chart=trend_lines.correlation_chart(correlation_changes(reference.plan, first, second)),
        problem="",
    )


def _with_cards(page: ListPage[str], cards: list[ColumnCard]) -> ListPage[ColumnCard]:
    return ListPage(
        items=tuple(cards),
        number=page.number,
        n_pages=page.n_pages,
        total=page.total,
        search=page.search,
        offset=page.offset,
    )


def timeline(
    windows: Sequence[StoredWindow],
    versions: Sequence[StoredVersion],
    now: int,
    onset: int | None,
    url: Callable[[int], str],
) -> Markup:
    """Draw windows (newest first) with marks for alerts, onset and reference changes."""
    timeline_windows = list(reversed(windows[:TIMELINE_WINDOWS]))
    trail = [(item.end, item.evidence, item.state, item.has_page) for item in timeline_windows]
    return evidence_chart.timeline(trail, now, onset, reference_changes(timeline_windows, versions), url)


def reference_changes(
    windows: Sequence[StoredWindow], versions: Sequence[StoredVersion]
) -> list[evidence_chart.ReferenceChange]:
    """Return (position, label) of the first window after each change of the reference.

    ``windows`` are oldest first; the reference of the first one is not a change.
    """
    changes = []
    for version in versions[1:]:
        position = next((n for n, item in enumerate(windows) if item.decided_at >= version.stored_at), None)
        if position:
            changes.append((position, "rebased" if version.rebased else "new reference"))
    return changes
