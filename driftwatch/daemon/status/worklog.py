"""The log of one verdict, built from the store: events around it, oldest first."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.core.schema import iso
from driftwatch.daemon.status.verdict_reader import VerdictData
from driftwatch.results import text_format
from driftwatch.results.results import Verdict
from driftwatch.store.browsing import Browsing

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
    read = f"decided: {verdict.state}, {verdict.reason}; {verdict.rows:,} rows in {slices}"
    if verdict.rejected_files:
        read += f", {text_format.format_count(len(verdict.rejected_files), 'file')} left out"
    if verdict.untimed_rows:
        read += f", {verdict.untimed_rows:,} rows without a usable time in no window"
    if verdict.before_history_rows or verdict.future_rows:
        read += (
            f", {verdict.before_history_rows:,} rows stamped before the history and "
            f"{verdict.future_rows:,} in the future in no window"
        )
    entries.append(Entry(at=data.decided_at, what=read))
    sendings = browsing.sendings(verdict.incident) if verdict.page and verdict.incident is not None else []
    for item in sendings[:_MAX_ITEMS]:
        tries = text_format.format_count(item.attempts, "attempt")
        state = f"{item.state} after {tries}" + (f", {item.reason}" if item.reason else "")
        entries.append(Entry(at=item.created_at, what=f"message to {item.sink}, {item.kind}: {state}"))
    for start, decided, newest in _newer_slices(verdict, browsing)[:_MAX_ITEMS]:
        change = f"the slice from {iso(start)} changed later: decided on version {decided}, now {newest}"
        entries.append(Entry(at=None, what=change))
    return sorted(entries, key=lambda item: (item.at is None, item.at or 0))


def _newer_slices(verdict: Verdict, browsing: Browsing) -> list[tuple[int, int, int]]:
    """Return (start, decided version, newest version) of slices that changed after the verdict."""
    changes = []
    for start, version in verdict.tiles:
        versions = browsing.tile_versions(verdict.monitor, start)
        if versions and versions[-1][0] > version:
            changes.append((start, version, versions[-1][0]))
    return changes
