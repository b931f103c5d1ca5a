"""The lines of an incident's message: what moved or broke, where, what joined it, when it ends."""

from __future__ import annotations

from collections.abc import Sequence

from driftwatch.decide.incidents.incident_changes import MAX_OPEN_INCIDENTS
from driftwatch.decide.segment_state import BROKEN, DRIFT, Incident
from driftwatch.monitor.column_labels import column_labels, named_column_text
from driftwatch.monitor.incidents.ending_text import ending_line
from driftwatch.notify.base import minute_text
from driftwatch.results import text_format
from driftwatch.results.results import Verdict

BLIND_NOTE = "nothing is known about drift until this works again"
#: Begins lines on what joined an incident after its page.
LATER = "later, "
#: Columns of one such line, and segments that a line names.
_MAX_JOINED, _MAX_SEGMENTS = 3, 6
#: Columns listed as unchanged, and as ones that nothing can be told of.
_MAX_UNCHANGED = 6
#: Share of the traffic; a test set that may represent this much is not reported as falling short.
_MIN_REPRESENTED_SHARE = 0.95


def page_lines(incident: Incident, verdict: Verdict) -> list[str]:
    if incident.kind == DRIFT:
        opening = f"since {minute_text(incident.onset)}, {verdict.rows:,} rows"
        moved = _moved_lines(incident, verdict)
        return [opening, *_lateness(verdict), *moved, *_unrepresented(verdict), *_burn_in(verdict)]
    if incident.kind == BROKEN:
        return [*_lateness(verdict), *_moved_lines(incident, verdict), *_burn_in(verdict)]
    return [verdict.detail, BLIND_NOTE]


def _moved_lines(incident: Incident, verdict: Verdict) -> list[str]:
    shares = {item.column: f" ({item.share:.0%} of the evidence)" for item in verdict.named}
    broken = set(broken_columns(incident, verdict))
    return [
        text if column in broken else f"{text}{shares.get(column, '')}"
        for column, text in _moves(incident, verdict)
    ]


def _moves(incident: Incident, verdict: Verdict) -> list[tuple[str, str]]:
    """Return columns of an incident and what a window says of them: what broke, then what drifted."""
    broken = [
        (item.column, f"{item.column}: {item.detail}")
        for item in verdict.breakages
        if incident.kind == BROKEN and item.column in incident.columns
    ]
    # A window names what moved in all incidents.
    elsewhere = {name for item in verdict.updates if item.key != incident.key for name in item.columns}
    elsewhere -= set(incident.columns)
    drifted = [
        (item.column, named_column_text(item))
        for item in verdict.named
        if item.column not in elsewhere and (incident.kind == DRIFT or item.column in incident.columns)
    ]
    return [*broken, *drifted]


def lines_of_others(incident: Incident, verdict: Verdict, others: Sequence[Verdict]) -> list[str]:
    """Return what the page's window shows in other segments, of columns that its first one does not name."""
    columns, lines = {column for column, _ in _moves(incident, verdict)}, []
    for other in others:
        moves = [(column, text) for column, text in _moves(incident, other) if column not in columns]
        lines += [f"in {segment_name(other.segment)}, {text}" for _, text in moves]
        columns |= {column for column, _ in moves}
    return lines


def later_lines(incident: Incident, verdict: Verdict) -> list[str]:
    texts = [text for _, text in _moves(incident, verdict)]
    updates = [item for item in verdict.updates if item.key == incident.key]
    texts = texts or column_labels(name for item in updates for name in item.columns)
    if not texts:
        return []
    place = f" in {segment_name(verdict.segment)}" if verdict.segment is not None else ""
    text = text_format.listing(texts, _MAX_JOINED)
    return [f"{LATER}{minute_text(verdict.window.end)}{place}: {text}"]


def segment_name(segment: str | None) -> str:
    return "all rows" if segment is None else segment[:40]


def broken_columns(incident: Incident, verdict: Verdict) -> list[str]:
    return [item.column for item in verdict.breakages if item.column in incident.columns]


def again_line(incident: Incident, verdict: Verdict) -> str:
    if len(verdict.endings) >= MAX_OPEN_INCIDENTS:
        text = f"again: more moved. {len(verdict.endings)} incidents are open, as many as are told apart"
        return f"{text}, so what moves besides joins this one"
    what = "it broke" if broken_columns(incident, verdict) else "it has moved further"
    return f"again: {what} since its last page"


def places_lines(segments: Sequence[str | None]) -> list[str]:
    if len(segments) < 2:
        return []
    names = [segment_name(item) for item in segments]
    return [f"in {len(names)} segments: {text_format.listing(names, _MAX_SEGMENTS)}"]


def ending_lines(key: str, verdict: Verdict) -> list[str]:
    return [ending_line(item, verdict.window.seconds) for item in verdict.endings if item.key == key]


def _lateness(verdict: Verdict) -> list[str]:
    if verdict.part:
        text = f"{verdict.rows:,} rows of the window to {minute_text(verdict.window.end)} came late"
        return [f"judged late: {text}, {verdict.earlier_rows:,} were judged before"]
    if verdict.late:
        return [f"judged late: the rows of the window to {minute_text(verdict.window.end)} came late"]
    return []


def _unrepresented(verdict: Verdict) -> list[str]:
    # The test set never stood for this traffic: an offset, not a change.
    return [
        f"apart from any change, the test set stands for {item.share:.0%} of usual traffic in {item.column} "
        f"({item.low:.0%} to {item.high:.0%})"
        for item in verdict.represented[:1]
        if item.high < _MIN_REPRESENTED_SHARE
    ]


def _burn_in(verdict: Verdict) -> list[str]:
    if verdict.calibrating_until is None:
        return []
    until = minute_text(verdict.calibrating_until)
    return [f"what is usual is learned until {until}; what does not page before then stands in the verdict"]


def unchanged_text(verdict: Verdict) -> str:
    parts: list[str] = []
    if verdict.part:
        # Late rows alone tell nothing of the columns of their window.
        return ""
    for opening, names in (("Did not change", verdict.unchanged), ("Could not tell", verdict.could_not_tell)):
        if names:
            texts = text_format.move_texts(names, verdict.move_limits)
            parts.append(f"{opening}: {text_format.listing(texts, _MAX_UNCHANGED)}.")
    return " ".join(parts)
