"""Numbers, times and states as people say them."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

from driftwatch.core.schema import NANOSECONDS, Kind
from driftwatch.results.results import Reason, State

#: The three things that are never confused: how each is called and the mark beside it.
MOVED, SAME, BLIND = "moved", "same", "blind"
WORD = {MOVED: "moved", SAME: "nothing moved", BLIND: "could not look"}
SYMBOL = {MOVED: "▲", SAME: "✓", BLIND: "?"}

STATE_WORDS = {
    State.OK: "nothing moved",
    State.DRIFTING: "inputs drifted",
    State.BROKEN: "inputs are broken",
    State.CALIBRATING: "learning what is usual",
    State.INSUFFICIENT: "too few rows to tell",
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
    Reason.SCHEMA_MISMATCH: "the data does not have the expected columns",
    Reason.EXCLUDED: "the day is excluded by the configuration",
}

_DAY = 86400
_SMALLEST = 1e-16


def kind_of(state: str | None) -> str:
    """Which of the three things a state says; no state yet, or an unknown one, is *could not look*."""
    if state is None or state not in STATE_WORDS:
        return BLIND
    if State(state).moved:
        return MOVED
    return SAME if state == State.OK else BLIND


def number(value: float | None) -> str:
    """A number of about four significant digits.

    >>> number(0.0123456), number(12840.0), number(3.2e9), number(None)
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


def percent(share: float | None) -> str:
    """A share as percent; what is not zero never reads as zero.

    >>> percent(0.416), percent(0.00002), percent(0.0), percent(None)
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


def p_value(value: float | None) -> str:
    """A p-value.

    >>> p_value(0.03125), p_value(0.0), p_value(3.04e-9)
    ('0.031', '<1e-16', '3e-09')
    """
    if value is None or math.isnan(value):
        return "–"
    if value < _SMALLEST:
        return "<1e-16"
    return f"{value:.2g}"


def instant(nanoseconds: int | None) -> str:
    """A moment in UTC to the minute.

    >>> instant(0)
    '1970-01-01 00:00 UTC'
    """
    if nanoseconds is None:
        return "–"
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def day(nanoseconds: int, now: int) -> str:
    """A moment as it is said aloud; midnight loses its hour and this year its number.

    >>> day(0, 0), day(3600 * NANOSECONDS, 2**61)
    ('1 Jan', '1 Jan 1970 01:00 UTC')
    """
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC)
    year = "" if moment.year == datetime.fromtimestamp(now // NANOSECONDS, tz=UTC).year else f" {moment.year}"
    hour = "" if (moment.hour, moment.minute) == (0, 0) else moment.strftime(" %H:%M UTC")
    return f"{moment.day} {moment:%b}{year}{hour}"


def span(seconds: float) -> str:
    """A length of time, coarse.

    >>> span(50), span(5400), span(200000)
    ('50 s', '90 min', '2 days')
    """
    for unit, size, least in (("days", _DAY, 2 * _DAY), ("h", 3600, 7200), ("min", 60, 120)):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or seconds == 0 else f"{seconds:.2g} s"


def ago(nanoseconds: int | None, now: int) -> str:
    """How long ago, or in how long.

    >>> ago(0, 120 * NANOSECONDS), ago(None, 0)
    ('2 min ago', 'never')
    """
    if nanoseconds is None:
        return "never"
    seconds = (now - nanoseconds) / NANOSECONDS
    return f"in {span(round(-seconds))}" if seconds < 0 else f"{span(round(seconds))} ago"


def axis_value(value: float, kind: Kind, width: float) -> str:
    """A value beneath an axis whose range is ``width``; datetimes are seconds since 1970."""
    if kind is not Kind.DATETIME:
        return number(value)
    try:
        moment = datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return number(value)
    return moment.strftime("%Y-%m-%d" if width > 3 * _DAY else "%m-%d %H:%M")


def visible(text: str) -> str:
    r"""Text from data with everything invisible spelt out, so that no name hides or reorders itself.

    >>> visible("a\0b\u202e"), visible("Größe")
    ('a\\x00b\\u202e', 'Größe')
    """
    return "".join(
        character
        if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def shortened(text: str, most: int) -> str:
    """Text cut to ``most`` characters, with an ellipsis in place of the rest."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def plural(count: int, what: str) -> str:
    """A count and its noun.

    >>> plural(1, "column"), plural(3, "column")
    ('1 column', '3 columns')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"
