"""Human-readable texts of numbers, times and states."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from driftwatch.core.schema import NANOSECONDS, Kind, TypeChange, Unwatched
from driftwatch.results.results import (
    MAX_TYPE_CHANGES,
    MoveLimit,
    Reason,
    State,
    UnwatchedColumn,
    Verdict,
)

#: The three kinds of states, never to be confused, with a word and a symbol for each.
MOVED, SAME, BLIND = "moved", "same", "blind"
KIND_WORDS = {MOVED: "moved", SAME: "nothing moved", BLIND: "could not look"}
KIND_SYMBOLS = {MOVED: "▲", SAME: "✓", BLIND: "?"}

STATE_WORDS = {
    State.OK: "nothing moved",
    State.DRIFTING: "inputs drifted",
    State.BROKEN: "inputs are broken",
    State.CALIBRATING: "learning what is usual",
    State.INSUFFICIENT: "not enough to tell",
    State.NO_DATA: "no rows came",
    State.STALE: "the source is behind",
    State.SOURCE_ERROR: "the source could not be read",
}

REASON_WORDS = {
    Reason.NOTHING_MOVED: "nothing moved",
    Reason.EVIDENCE_COMPLETE: "the evidence reached a page",
    Reason.INCIDENT_OPEN: "an incident is still open",
    Reason.COLUMN_MISSING: "a column is missing",
    Reason.COLUMN_ALL_NULL: "a column has no value at all",
    Reason.COLUMN_WRONG_TYPE: "a column changed its type",
    Reason.COLUMN_CONSTANT: "a column stopped varying",
    Reason.BURN_IN: "still learning what is usual",
    Reason.TOO_FEW_ROWS: "too few rows",
    Reason.EFFECT_TOO_SMALL_TO_SEE: "with so few rows only a large change could be seen",
    Reason.NO_ROWS: "no rows in the window",
    Reason.SOURCE_BEHIND: "the source has not delivered the whole window yet",
    Reason.SOURCE_UNAVAILABLE: "source unreachable",
    Reason.SOURCE_TIMEOUT: "reading the source took longer than allowed",
    Reason.READER_DIED: "the reading process died",
    Reason.TOO_MANY_ROWS: "more rows than limits.rows allows",
    Reason.ALL_FILES_UNREADABLE: "no file could be read",
    Reason.UNDECODABLE: "no message could be decoded",
    Reason.SCHEMA_MISMATCH: "the data does not have the expected columns",
    Reason.EXCLUDED: "the day is excluded by the configuration",
    Reason.COLUMNS_UNWATCHED: "columns could not be looked at",
}

UNWATCHED_WORDS = {
    Unwatched.TYPE: "its type cannot be counted",
    Unwatched.NESTED: "nested values cannot be counted",
    Unwatched.VECTOR_DIRECTION: "its norm is watched, its direction is not",
    Unwatched.TOO_FEW_VALUES: "too few values",
    Unwatched.UNDEFINED: "no statistic of it is defined",
    Unwatched.INCIDENT_OPEN: "an open incident suspends it",
    Unwatched.UNREADABLE: "the source could not be read",
}

_DAY = 86400
#: Columns of another type that one line names.
_MAX_NAMED_TYPES = 5
#: Characters of a name in it.
_MAX_NAME_CHARS = 60
#: A smaller p-value is shown as "<1e-16".
_MIN_P_VALUE = 1e-16


def state_kind(state: str | None) -> str:
    """Return ``MOVED``, ``SAME`` or ``BLIND``; no state, or an unknown one, is ``BLIND``."""
    if state is None or state not in STATE_WORDS:
        return BLIND
    if State(state).moved:
        return MOVED
    return SAME if state == State.OK else BLIND


def format_number(value: float | None) -> str:
    """Format a number with about four significant digits.

    >>> format_number(0.0123456), format_number(12840.0), format_number(3.2e9), format_number(None)
    ('0.01235', '12,840', '3.2e+09', '–')
    """
    if value is None or not math.isfinite(value):
        return "–" if value is None or math.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e7 or size < 1e-4:
        return f"{value:.3g}".replace("-", "−", 1 if value < 0 else 0)
    if size >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def format_percent(share: float | None) -> str:
    """Format a share as a percentage; a share above 0 never becomes 0 %.

    >>> format_percent(0.416), format_percent(0.00002), format_percent(0.0), format_percent(None)
    ('42 %', '<0.1 %', '0 %', '–')
    """
    if share is None or math.isnan(share):
        return "–"
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    digits = 1 if 0 < share < 0.1 or 0.99 < share < 1 else 0
    return f"{100 * share:.{digits}f} %"


def format_p_value(value: float | None) -> str:
    """Format a p-value with two significant digits.

    >>> format_p_value(0.03125), format_p_value(0.0), format_p_value(3.04e-9)
    ('0.031', '<1e-16', '3e-09')
    """
    if value is None or math.isnan(value):
        return "–"
    if value < _MIN_P_VALUE:
        return "<1e-16"
    return f"{value:.2g}"


def format_time(nanoseconds: int | None) -> str:
    """Format a time in UTC, to the minute.

    >>> format_time(0)
    '1970-01-01 00:00 UTC'
    """
    if nanoseconds is None:
        return "–"
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_date(nanoseconds: int, now: int) -> str:
    """Format day and month, with the year unless it is that of ``now``, and the time unless it is midnight.

    >>> format_date(0, 0), format_date(3600 * NANOSECONDS, 2**61)
    ('1 Jan', '1 Jan 1970 01:00 UTC')
    """
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC)
    year = "" if moment.year == datetime.fromtimestamp(now // NANOSECONDS, tz=UTC).year else f" {moment.year}"
    hour = "" if (moment.hour, moment.minute) == (0, 0) else moment.strftime(" %H:%M UTC")
    return f"{moment.day} {moment:%b}{year}{hour}"


def format_coarse_duration(seconds: float) -> str:
    """Format seconds as a rounded duration.

    >>> format_coarse_duration(50), format_coarse_duration(5400), format_coarse_duration(200000)
    ('50 s', '90 min', '2 days')
    """
    for unit, size, min_seconds in (("days", _DAY, 2 * _DAY), ("h", 3600, 7200), ("min", 60, 120)):
        if seconds >= min_seconds:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or seconds == 0 else f"{seconds:.2g} s"


def format_relative_time(nanoseconds: int | None, now: int) -> str:
    """Format the time since a moment, or until it.

    >>> format_relative_time(0, 120 * NANOSECONDS), format_relative_time(None, 0)
    ('2 min ago', 'never')
    """
    if nanoseconds is None:
        return "never"
    seconds = (now - nanoseconds) / NANOSECONDS
    return (
        f"in {format_coarse_duration(round(-seconds))}"
        if seconds < 0
        else f"{format_coarse_duration(round(seconds))} ago"
    )


def format_axis_value(value: float, kind: Kind, width: float) -> str:
    """Format a tick label of an axis of range ``width``; datetimes are seconds since 1970."""
    if kind is not Kind.DATETIME:
        return format_number(value)
    try:
        moment = datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return format_number(value)
    return moment.strftime("%Y-%m-%d" if width > 3 * _DAY else "%m-%d %H:%M")


def escape_invisible(text: str) -> str:
    r"""Escape invisible characters, so that text from data cannot hide or reorder itself.

    >>> escape_invisible("a\0b\u202e"), escape_invisible("Größe")
    ('a\\x00b\\u202e', 'Größe')
    """
    return "".join(
        character
        if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def truncate(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def listing(texts: Sequence[str], limit: int) -> str:
    """Join texts, of more than ``limit`` the first.

    >>> listing(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    n_more = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {n_more} more" if n_more > 0 else "")


def move_notes(names: Sequence[str], limits: Sequence[MoveLimit]) -> list[tuple[str, str]]:
    """Return each column and the upper limit of its move, empty where there is none.

    >>> move_notes(["age", "pay"], [MoveLimit(column="age", limit=0.031)])
    [('age', 'at most 3.1 %'), ('pay', '')]
    """
    limit_by_name = {item.column: f"at most {format_percent(item.limit)}" for item in limits}
    return [(name, limit_by_name.get(name, "")) for name in names]


def move_texts(names: Sequence[str], limits: Sequence[MoveLimit]) -> list[str]:
    """Return the notes as texts: "age: at most 3.1 %"."""
    return [f"{name}: {note}" if note else name for name, note in move_notes(names, limits)]


def unwatched_notes(unwatched: Sequence[UnwatchedColumn]) -> list[tuple[str, str]]:
    """Return each column and why it could not be looked at."""
    return [(item.column, f"({UNWATCHED_WORDS[item.reason]})") for item in unwatched]


def unwatched_text(item: UnwatchedColumn) -> str:
    return f"{item.column} ({UNWATCHED_WORDS[item.reason]})"


def type_changes_text(changes: Sequence[TypeChange]) -> str:
    """Return one line on the columns of another type.

    >>> type_changes_text([TypeChange(column="age", reference="float64", window="float32")])
    'age: float64 became float32'
    """
    items = [
        f"{truncate(item.column, _MAX_NAME_CHARS)}: {item.reference} became {item.window}"
        for item in changes[:_MAX_NAMED_TYPES]
    ]
    n_more = len(changes) - _MAX_NAMED_TYPES
    if n_more > 0:
        # A verdict lists no more of them.
        items.append(f"and {'at least ' if len(changes) == MAX_TYPE_CHANGES else ''}{n_more} more")
    return escape_invisible("; ".join(items))


def watched_text(verdict: Verdict) -> str:
    """Return for how many columns a verdict speaks; empty if it does not say."""
    if verdict.watched is None:
        return ""
    return f"{verdict.watched.drawn:,} of {format_count(verdict.watched.of, 'column')}"


def format_count(count: int, noun: str) -> str:
    """Format a count with its noun in singular or plural.

    >>> format_count(1, "column"), format_count(3, "column")
    ('1 column', '3 columns')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
