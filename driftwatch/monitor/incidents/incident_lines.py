"""The lines of an incident's message: what moved or broke, where, what joined it, when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from driftwatch.decide.incidents.incident_changes import MAX_OPEN_INCIDENTS
from driftwatch.decide.segment_state import BROKEN, DRIFT, Incident
from driftwatch.monitor.column_labels import column_labels, followers_of, named_column_text
from driftwatch.monitor.incidents.ending_text import ending_line
from driftwatch.notify.base import Message, minute_text
from driftwatch.results import text_format
from driftwatch.results.page_json import page_named
from driftwatch.results.results import Verdict

BLIND_NOTE = "nothing is known about drift until this works again"
#: Begins lines on what joined an incident after its page.
LATER = "later, "
#: Marks those that were paged.
PAGED_AGAIN = ", paged again"
#: Columns with their effect, of one segment and of each further one, and characters of a line of names.
_MAX_EFFECTS, _MAX_EFFECTS_ELSEWHERE, _MAX_NAMES_CHARS = 4, 1, 180
#: Columns of a line on what joined, and segments that a line names.
_MAX_JOINED, _MAX_SEGMENTS = 3, 6
#: Part of the evidence that is written as a number.
_SMALLEST_SHARE = 0.005
#: Effects stored for the next page of the key.
_MAX_STORED_EFFECTS = 40
#: Columns listed as unchanged, and as ones that nothing can be told of.
_MAX_UNCHANGED = 6
#: Share of the traffic; a test set that may represent this much is not reported as falling short.
_MIN_REPRESENTED_SHARE = 0.95


def page_lines(incident: Incident, verdict: Verdict, earlier: Message | None = None) -> list[str]:
    """Return what moved or broke; ``earlier`` is what a page again follows."""
    moved = _moved_lines(incident, verdict, dict(earlier.effects) if earlier is not None else {})
    if incident.kind == DRIFT:
        opening = f"since {minute_text(incident.onset)}, {verdict.rows:,} rows"
        return [opening, *_lateness(verdict), *moved, *_unrepresented(verdict), *_burn_in(verdict)]
    if incident.kind == BROKEN:
        return [*_lateness(verdict), *moved, *_burn_in(verdict)]
    return [verdict.detail, BLIND_NOTE]


def _moved_lines(incident: Incident, verdict: Verdict, effects: Mapping[str, str]) -> list[str]:
    """Return a line for each column that moved, the strongest first; of many, the others' names.

    ``effects`` are those at the newest page before.
    """
    followers, broken = followers_of(verdict.named), set(broken_columns(incident, verdict))
    moves = _moves(incident, verdict)
    columns = {column for column, _ in moves} - followers
    shares = {item.column: item.share for item in verdict.named if item.column in columns}
    # Not that of what follows from them or belongs to another incident.
    total = 1 - sum(item.share for item in verdict.named if item.column not in columns)
    if len(moves) > _MAX_EFFECTS + 1:
        moves = [item for item in moves if item[0] not in followers]
    lines = []
    for column, text in moves[: _MAX_EFFECTS + (len(moves) == _MAX_EFFECTS + 1)]:
        share, effect = shares.get(column, 0.0), effects.get(column, "").partition("; ")[0]
        if column not in broken:
            text += f" ({_share_text(share / total)} of the evidence)" if share > 0 else ""
            text += f"; at the last page {effect}" if effect and effect not in text else ""
        lines.append(text)
    return [*lines, *also_moved("also moved: ", [column for column, _ in moves[len(lines) :]])]


def _share_text(share: float) -> str:
    return "under 1%" if share < _SMALLEST_SHARE else f"{min(share, 1.0):.0%}"


def also_moved(opening: str, names: Sequence[str]) -> list[str]:
    """Return a line of names, as many as fit; none without names."""
    if not names:
        return []
    labels = column_labels(names)
    count = len(labels)
    while count > 1 and len(opening + text_format.listing(labels, count)) > _MAX_NAMES_CHARS:
        count -= 1
    return [opening + text_format.listing(labels, count)]


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
        place = segment_name(other.segment)
        lines += [f"in {place}, {text}" for _, text in moves[:_MAX_EFFECTS_ELSEWHERE]]
        lines += also_moved(f"in {place}, also: ", [name for name, _ in moves[_MAX_EFFECTS_ELSEWHERE:]])
        columns |= {column for column, _ in moves}
    return lines


def later_lines(incident: Incident, verdict: Verdict, *, pages: bool) -> list[str]:
    texts = [text for _, text in _moves(incident, verdict)]
    updates = [item for item in verdict.updates if item.key == incident.key]
    texts = texts or column_labels(name for item in updates for name in item.columns)
    if not texts:
        return []
    place = f" in {segment_name(verdict.segment)}" if verdict.segment is not None else ""
    text = text_format.listing(texts, _MAX_JOINED)
    return [f"{LATER}{minute_text(verdict.window.end)}{place}{PAGED_AGAIN if pages else ''}: {text}"]


def segment_name(segment: str | None) -> str:
    return "all rows" if segment is None else segment[:40]


def broken_columns(incident: Incident, verdict: Verdict) -> list[str]:
    return [item.column for item in verdict.breakages if item.column in incident.columns]


def again_line(incident: Incident, verdict: Verdict, earlier: Message) -> str:
    """Say since when an incident is further than at its last page, and when that was."""
    if len(verdict.endings) >= MAX_OPEN_INCIDENTS:
        text = f"again: more moved. {len(verdict.endings)} incidents are open, as many as are told apart"
        return f"{text}, so what moves besides joins this one"
    what = "it broke"
    if not broken_columns(incident, verdict):
        what = f"it has moved further since {minute_text(further_since(verdict, earlier))}"
    if earlier.paged_until is None:
        return f"again: {what}"
    return f"again: {what}; its last page was for the window to {minute_text(earlier.paged_until)}"


def further_since(verdict: Verdict, earlier: Message) -> int:
    """Return since when columns of the newest page are further than then, as far as the verdict says."""
    if earlier.further_since is not None:
        return earlier.further_since
    paged_until = earlier.window_end if earlier.paged_until is None else earlier.paged_until
    onsets = [item.onset for item in page_named(verdict) if item.onset >= paged_until]
    return min(onsets, default=verdict.window.start)


def page_effects(incident: Incident, verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Return what a page says of each column that drifted, in the first segment that names it."""
    effects: dict[str, str] = {}
    for verdict in verdicts:
        for item in page_named(verdict):
            if item.column in incident.columns and item.words and len(effects) < _MAX_STORED_EFFECTS:
                effects.setdefault(item.column, item.words)
    return effects


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
