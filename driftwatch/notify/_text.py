"""A message in words, for people who read it on a telephone at three in the morning."""

from __future__ import annotations

from datetime import UTC, datetime

from driftwatch.notify.base import IncidentKind, Message

NANOSECONDS = 1_000_000_000
_LONGEST_LINE = 200
_LONGEST_TEXT = 4000
_MOST_LINES = 12

#: Alert names, the same as in the Prometheus rules.
ALERT_NAMES = {
    IncidentKind.DRIFT: "DriftwatchDrift",
    IncidentKind.BROKEN: "DriftwatchBroken",
    IncidentKind.BLIND: "DriftwatchNotLooking",
}
#: A page was paid for from the page budget, so it pages. Not being able to look is a ticket.
SEVERITIES = {IncidentKind.DRIFT: "critical", IncidentKind.BROKEN: "critical", IncidentKind.BLIND: "warning"}


def clean(text: str, limit: int = _LONGEST_LINE) -> str:
    """``text`` on one line of at most ``limit`` characters, with nothing in it that is not printable.

    >>> clean("a\\nb\\x00\\ud800c")
    'a b��c'
    """
    one_line = " ".join(text.split())
    shown = "".join(mark if mark.isprintable() else "�" for mark in one_line)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def rfc3339(nanoseconds: int) -> str:
    """A moment as Alertmanager reads it.

    >>> rfc3339(1_500_000_000)
    '1970-01-01T00:00:01.500Z'
    """
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % NANOSECONDS // 1_000_000:03d}Z"


def subject(message: Message) -> str:
    """What is watched: monitor, segment, model."""
    model = " ".join(part for part in (message.model_name, message.model_version) if part)
    segment = f" [{clean(message.segment, 80)}]" if message.segment else ""
    return f"{message.monitor}{segment}" + (f" (model {clean(model, 80)})" if model else "")


def summary(message: Message) -> str:
    """The first line: how bad, what, where."""
    mark = "resolved" if message.resolved else SEVERITIES[message.kind]
    title = clean(message.title)
    return (
        f"[{mark}] {title}" if title.startswith(message.monitor) else f"[{mark}] {subject(message)}: {title}"
    )


def description(message: Message) -> str:
    """Everything else, one fact a line: since when, what moved, what did not, where to look."""
    told = list(message.lines[:_MOST_LINES])
    opening = told.pop(0) if told and told[0].startswith("since ") else None
    lines = [_when(message, opening), *(clean(line) for line in told)]
    left_out = len(message.lines) - _MOST_LINES
    if left_out > 0:
        lines.append(f"and {left_out} more")
    if message.unchanged:
        lines.append(clean(message.unchanged, 400))
    if message.possible_duplicate:
        lines.append("You may have been told before: driftwatch was interrupted while sending this.")
    if message.url:
        lines.append(f"Look: {clean(message.url, 500)}")
    text = "\n".join(lines)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _when(message: Message, opening: str | None) -> str:
    if opening is None:
        opening = f"since {_minute(message.opened_at if message.onset is None else message.onset)}"
    text = f"{clean(opening)}; window {_minute(message.window_start)} to {_minute(message.window_end)}"
    if message.resolved and message.resolved_at is not None:
        text += f"; resolved {_minute(message.resolved_at)}"
    return text


def _minute(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC):%Y-%m-%d %H:%MZ}"
