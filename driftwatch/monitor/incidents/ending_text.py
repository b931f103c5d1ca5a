"""Says when an open incident ends by itself and why it has not yet, and how one ended."""

from __future__ import annotations

from collections.abc import Sequence

from driftwatch.core.schema import NANOSECONDS
from driftwatch.decide.evalues.policy import QUIET_WINDOWS
from driftwatch.decide.segment_state import BLIND, BROKEN, Incident
from driftwatch.monitor.column_labels import column_label, column_labels
from driftwatch.results.results import ColumnEnding, IncidentEnding, IncidentUpdate, Verdict
from driftwatch.results.text_format import format_coarse_duration, format_count, listing

#: Columns that one text names.
_MAX_COLUMNS = 5
_RECURRING, _ENDS = "recurring: ends", "ends by itself"


def ending_line(ending: IncidentEnding, window_seconds: float) -> str:
    """Say when the incident ends by itself.

    >>> age = ColumnEnding(column="age", quiet=1, needed=3)
    >>> ending_line(IncidentEnding(key="k", kind="drift", columns=(age,)), 86400)
    'ends by itself after 3 quiet windows; so far 1'
    """
    moved = [item for item in ending.columns if not item.broken]
    if not moved:
        return f"{_ENDS} with the first whole window"
    needed, quiet = max(item.needed for item in moved), min(item.quiet for item in moved)
    if ending.recurring:
        text = f"{_RECURRING} after it has been away for {format_coarse_duration(needed * window_seconds)}"
        text += f"; so far {format_coarse_duration(quiet * window_seconds)}" if quiet else "; now it is there"
    else:
        text = f"{_ENDS} after {format_count(needed, 'quiet window')}; so far {quiet}"
    return text if len(moved) == len(ending.columns) else f"{text}. Its broken columns must be whole then"


def is_ending_line(text: str) -> bool:
    return text.startswith((_RECURRING, _ENDS))


def column_endings(ending: IncidentEnding, window_seconds: float) -> list[tuple[str, str]]:
    """Return why the columns of an open incident are still part of it, those of one reason together."""
    columns: dict[str, list[str]] = {}
    for item in ending.columns:
        columns.setdefault(_waiting(item, ending, window_seconds), []).append(column_label(item.column))
    return [
        (listing(names, _MAX_COLUMNS), note if len(names) == 1 else note.replace(" its ", " their "))
        for note, names in columns.items()
    ]


def _waiting(item: ColumnEnding, ending: IncidentEnding, window_seconds: float) -> str:
    if item.broken:
        return "still broken"
    if not item.quiet:
        return "still out of its range"
    if ending.recurring:
        quiet, needed = (format_coarse_duration(n * window_seconds) for n in (item.quiet, item.needed))
        return f"away for {quiet} of {needed}"
    return f"back for {item.quiet} of {format_count(item.needed, 'window')}"


def ending_texts(endings: Sequence[IncidentEnding], window_seconds: float) -> list[str]:
    """Return one text for each open incident: when it ends, and why not yet."""
    texts = []
    for ending in endings:
        columns = [f"{name}: {note}" for name, note in column_endings(ending, window_seconds)]
        name = f"{ending.key} " if len(endings) > 1 else ""
        texts.append(f"{name}{ending_line(ending, window_seconds)} ({listing(columns, _MAX_COLUMNS)})")
    return texts


def update_text(update: IncidentUpdate, verdict: Verdict) -> str:
    """Say what joined an incident, or moved further in it, and whether its window paged for it elsewhere."""
    end = verdict.window.end
    is_in_page = any(item.key == update.key and item.paged_at == end for item in verdict.other_pages)
    note = "in the page that another segment sent for this window" if is_in_page else "without a page"
    return f"{update.key}: {listing(column_labels(update.columns), _MAX_COLUMNS)}, {note}"


def how_it_ended(incident: Incident, end: int) -> str:
    """Say how an incident ended by itself at ``end``, and how long after its first page that was."""
    return f"{_cause_of_end(incident)}{lasting(incident.opened_at, end)}"


def _cause_of_end(incident: Incident) -> str:
    if incident.kind == BLIND:
        return "driftwatch can look again"
    if incident.kind == BROKEN and set(incident.only_broken or incident.columns) >= set(incident.columns):
        return "the values are whole again"
    if incident.absence:
        away = format_coarse_duration(2 * incident.absence / NANOSECONDS)
        text = f"it kept coming back, and has now been away for {away}"
    else:
        text = f"nothing was out of the ordinary for {format_count(QUIET_WINDOWS, 'window')} in a row"
    return f"the values are whole again, and {text}" if incident.kind == BROKEN else text


def lasting(opened_at: int, end: int) -> str:
    """Return the time since an incident's first page; nothing below a minute.

    >>> lasting(0, 86_400_000_000_000), lasting(0, 9)
    (', 24 h after the first page', '')
    """
    seconds = (end - opened_at) / NANOSECONDS
    return f", {format_coarse_duration(seconds)} after the first page" if seconds >= 60 else ""
