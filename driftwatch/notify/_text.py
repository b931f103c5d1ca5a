"""A message in words, for people who read it on a telephone at three in the morning."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from urllib.parse import quote

from driftwatch.notify.base import IncidentKind, Message, minute

NANOSECONDS = 1_000_000_000
_LONGEST_LINE = 200
_LONGEST_TEXT = 4000
_MOST_LINES = 12
_IN_LINKS = ":/?#[]@!$&'()*+,;=%~"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9._-]{1,100}")

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
    return shortened(shown, limit)


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
    return f"{clean(message.monitor, 80)}{segment}" + (f" (model {clean(model, 80)})" if model else "")


def summary(message: Message) -> str:
    """The first line: how bad, what, where."""
    mark = "resolved" if message.resolved else SEVERITIES[message.kind]
    if message.muted_until is not None:
        mark = f"muted until {minute(message.muted_until)}, not resolved"
    title = clean(message.title)
    return (
        f"[{mark}] {title}" if title.startswith(message.monitor) else f"[{mark}] {subject(message)}: {title}"
    )


def facts(message: Message) -> list[str]:
    """Everything else, one fact a line: since when, what moved, what did not."""
    told = list(message.lines[:_MOST_LINES])
    opening = told.pop(0) if told and told[0].startswith("since ") else None
    lines = [_when(message, opening), *(clean(line) for line in told)]
    left_out = len(message.lines) - _MOST_LINES
    if left_out > 0:
        lines.append(f"and {left_out} more")
    if message.unchanged:
        lines.append(clean(message.unchanged, 400))
    if message.possible_duplicate:
        lines.append("You may have been told before: nobody saw how an earlier attempt to send this ended.")
    return lines


def description(message: Message) -> str:
    """The facts, and where to look."""
    lines = facts(message)
    if message.url:
        lines.append(f"Look: {clean(message.url, 500)}")
    return shortened("\n".join(lines), _LONGEST_TEXT)


def shortened(text: str, limit: int) -> str:
    """``text`` of at most ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def link(message: Message) -> str:
    """Where to look, safe to stand in any text, when that is a link; else the empty text."""
    whole = message.url.startswith(("http://", "https://"))
    return quote(clean(message.url, 500), safe=_IN_LINKS) if whole else ""


def identity(key: str) -> str:
    """An incident's key in at most 100 safe characters: the same for every resend and for its end.

    >>> identity("fraud-drift-a2f3d11bda"), len(identity("a b" * 99))
    ('fraud-drift-a2f3d11bda', 64)
    """
    if _PLAIN_KEY.fullmatch(key):
        return key
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _when(message: Message, opening: str | None) -> str:
    if opening is None:
        opening = f"since {minute(message.opened_at if message.onset is None else message.onset)}"
    begun, ended = minute(message.window_start), minute(message.window_end)
    same_day = begun[:10] == ended[:10]
    text = f"{clean(opening)}, window {begun} to {ended[11:] if same_day else ended}"
    if message.resolved and message.resolved_at is not None:
        text += f"; resolved {minute(message.resolved_at)}"
    return text
