"""What happened around one verdict, in order, from what the store knows."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.core.schema import iso
from driftwatch.daemon.status.history_view import Past, Working
from driftwatch.results import words

#: Slices and messages listed one by one.
_MOST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened; ``at`` is nanoseconds, None when only the order is known."""

    at: int | None
    what: str


def worklog(working: Working, past: Past) -> list[Entry]:
    """The entries of one verdict, oldest first."""
    verdict = working.verdict
    found = [Entry(at=verdict.window.end, what="the window closed")]
    if verdict.newest_row is not None:
        found.append(Entry(at=verdict.newest_row, what="the newest row in it"))
    if verdict.judged_from is not None:
        rows = f"{verdict.judged_rows:,} rows"
        found.append(
            Entry(at=verdict.judged_from, what=f"judged together with the windows since here: {rows}")
        )
    slices = words.plural(len(verdict.tiles), "slice")
    read = f"decided: {verdict.state}, {verdict.reason}; {verdict.rows:,} rows in {slices}"
    if verdict.rejected_files:
        read += f", {words.plural(len(verdict.rejected_files), 'file')} left out"
    if verdict.untimed_rows:
        read += f", {verdict.untimed_rows:,} rows without a usable time in no window"
    found.append(Entry(at=working.decided_at, what=read))
    for item in past.sendings(verdict.incident)[:_MOST] if verdict.page else ():
        tries = words.plural(item.attempts, "attempt")
        state = f"{item.state} after {tries}" + (f", {item.reason}" if item.reason else "")
        found.append(Entry(at=item.created_at, what=f"message to {item.sink}, {item.kind}: {state}"))
    for start, decided, newest in past.newer_slices(verdict)[:_MOST]:
        later = f"the slice from {iso(start)} changed later: decided on version {decided}, now {newest}"
        found.append(Entry(at=None, what=later))
    return sorted(found, key=lambda item: (item.at is None, item.at or 0))
