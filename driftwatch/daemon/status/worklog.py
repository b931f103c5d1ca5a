"""The log of one verdict, built from the store: events around it, oldest first."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.core.schema import iso
from driftwatch.daemon.status.verdict_reader import SliceChange, VerdictData
from driftwatch.results import text_format
from driftwatch.results.results import Verdict
from driftwatch.store.browsing import Browsing
from driftwatch.store.records import AGAIN

#: Slices, and messages, that are listed one by one.
_MAX_ITEMS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    #: Nanoseconds; None when only the order is known.
    at: int | None
    what: str


def worklog(data: VerdictData, browsing: Browsing) -> list[Entry]:
    verdict = data.verdict
    entries = [Entry(at=verdict.window.end, what="the window closed")]
    if verdict.newest_row is not None:
        entries.append(Entry(at=verdict.newest_row, what="the newest row in it"))
    if verdict.judged_from is not None:
        rows = f"{verdict.judged_rows:,} rows"
        entries.append(
            Entry(at=verdict.judged_from, what=f"judged together with the windows since here: {rows}")
        )
    slices = text_format.format_count(len(verdict.tiles), "slice")
    read = f"{verdict.state}, {verdict.reason}; {verdict.rows:,} rows in {slices}"
    if verdict.rejected_files:
        read += f", {text_format.format_count(len(verdict.rejected_files), 'file')} left out"
    if verdict.untimed_rows:
        read += f", {verdict.untimed_rows:,} rows without a usable time in no window"
    if verdict.before_history_rows or verdict.future_rows:
        read += (
            f", {verdict.before_history_rows:,} rows stamped before the history and "
            f"{verdict.future_rows:,} in the future in no window"
        )
    decided = "not decided" if verdict.owed else "decided"
    entries.append(Entry(at=data.decided_at, what=f"{decided}: {read}"))
    if data.undone is not None:
        what = f"the acceptance of {data.undone.incident} was undone; it was in force when this was decided"
        entries.append(Entry(at=data.undone.end, what=what))
    for part in data.late_parts:
        judged = f"{part.verdict.state}, {part.verdict.reason}; {part.verdict.rows:,} rows"
        what = f"part {part.verdict.part} of its late rows decided: {judged}"
        entries.append(Entry(at=part.decided_at, what=what))
    for item in (verdict, *(part.verdict for part in data.late_parts)):
        entries += _sendings(item, browsing)
    entries += [Entry(at=None, what=_change_text(item)) for item in data.changes[:_MAX_ITEMS]]
    if len(data.changes) > _MAX_ITEMS:
        entries.append(Entry(at=None, what=f"and {len(data.changes) - _MAX_ITEMS} more changes of slices"))
    return sorted(entries, key=lambda item: (item.at is None, item.at or 0))


def _sendings(verdict: Verdict, browsing: Browsing) -> list[Entry]:
    sendings = browsing.sendings(verdict.incident) if verdict.page and verdict.incident is not None else []
    entries = []
    for item in sendings[:_MAX_ITEMS]:
        tries = text_format.format_count(item.attempts, "attempt")
        state = f"{item.state} after {tries}" + (f", {item.reason}" if item.reason else "")
        kind = "firing again" if item.kind.startswith(AGAIN) else item.kind
        entries.append(Entry(at=item.created_at, what=f"message to {item.sink}, {kind}: {state}"))
    return entries


def _change_text(change: SliceChange) -> str:
    place = f"the slice from {iso(change.start)}"
    if not change.is_growth:
        return (
            f"rows of {place} were corrected, {change.rows_before:,} are {change.rows:,} now; the verdict "
            "stays, later windows and gauges use the new ones"
        )
    late_rows = f"{change.rows - change.rows_before:,} more rows came for {place}"
    if change.part is None:
        return f"{late_rows}: counted, and judged once there are enough"
    return f"{late_rows}: judged in part {change.part}"
