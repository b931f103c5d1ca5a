"""Compares two windows of one monitor, or a window with the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from driftwatch.core.schema import iso
from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.daemon.status.verdict_reader import VerdictData, VerdictReader
from driftwatch.daemon.web.http.query import Side
from driftwatch.daemon.web.pages.sections import ColumnSection, ColumnSelection, compared_columns
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryPair:
    """Counts of both sides on the cells of ``reference``."""

    reference: Reference
    first: Summary
    second: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    pair: SummaryPair | None
    columns: ColumnSection | None
    #: Why there is nothing to show.
    problem: str


def compare(
    verdicts: VerdictReader,
    view: MonitorView,
    segment: str | None,
    sides: tuple[Side | None, Side | None],
    selection: ColumnSelection,
    url: Callable[[str], str],
) -> Comparison:
    pair = summary_pair(verdicts, view, segment, sides)
    if isinstance(pair, str):
        return Comparison(pair=None, columns=None, problem=pair)
    columns = compared_columns(pair.reference, pair.first, pair.second, selection, url)
    return Comparison(pair=pair, columns=columns, problem="")


def summary_pair(
    verdicts: VerdictReader, view: MonitorView, segment: str | None, sides: tuple[Side | None, Side | None]
) -> SummaryPair | str:
    """Return the counts of both sides, or why they cannot be compared."""
    first, second = sides
    if first is None or second is None:
        return "Choose two windows, or a window and the reference."
    results = [_verdict_data(verdicts, view, segment, side) for side in (first, second)]
    for result in results:
        if isinstance(result, str):
            return result
    verdict_data = [item for item in results if isinstance(item, VerdictData)]
    reference = verdict_data[-1].reference if verdict_data else _current_reference(view, segment)
    if reference is None:
        return "The reference is not at hand."
    first_summary, second_summary = (
        reference.summary if item is None else item.window  # type: ignore[union-attr]
        for item in results
    )
    if first_summary is None or second_summary is None:
        return "The counts of a window are past retention.tiles, or none were read."
    if first_summary.plan != second_summary.plan:
        return "The two windows were counted on different cells: the reference was built anew in between."
    return SummaryPair(reference=reference, first=first_summary, second=second_summary)


def _current_reference(view: MonitorView, segment: str | None) -> Reference | None:
    return None if view.reference is None else view.reference.for_segment(segment)


def _verdict_data(
    verdicts: VerdictReader, view: MonitorView, segment: str | None, side: Side
) -> VerdictData | str | None:
    if side.end is None:
        return None
    verdict_data = verdicts.data(view, segment, side.end)
    return (
        f"No verdict is stored for a window that ends {iso(side.end)}."
        if verdict_data is None
        else verdict_data
    )
