"""Formats a message as text for people who read it on a telephone at three in the morning."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from urllib.parse import quote

from driftwatch.core.schema import NANOSECONDS
from driftwatch.notify._message import IncidentKind, Message, OwnKind, minute_text

_MAX_LINE_CHARS = 200
_MAX_TEXT_CHARS = 4000
_MAX_LINES = 12
_SAFE_LINK_CHARS = ":/?#[]@!$&'()*+,;=%~"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9._-]{1,100}")

#: Alert names, the same as in the Prometheus rules.
ALERT_NAMES: dict[IncidentKind | OwnKind, str] = {
    IncidentKind.DRIFT: "DriftwatchDrift",
    IncidentKind.BROKEN: "DriftwatchBroken",
    IncidentKind.BLIND: "DriftwatchNotLooking",
    OwnKind.STORE: "DriftwatchCannotStore",
}
#: A page is critical: the page budget paid for it. Not being able to look is a ticket, for one monitor; a
#: daemon that decides nothing looks nowhere.
SEVERITIES: dict[IncidentKind | OwnKind, str] = {
    IncidentKind.DRIFT: "critical",
    IncidentKind.BROKEN: "critical",
    IncidentKind.BLIND: "warning",
    OwnKind.STORE: "critical",
}


def clean(text: str, limit: int = _MAX_LINE_CHARS) -> str:
    """Return the text as one printable line of at most ``limit`` characters.

    >>> clean("a\\nb\\x00\\ud800c")
    'a b��c'
    """
    one_line = " ".join(text.split())
    shown = "".join(mark if mark.isprintable() else "�" for mark in one_line)
    return shortened(shown, limit)


def rfc3339(nanoseconds: int) -> str:
    """Format nanoseconds since 1970 as an RFC 3339 time.

    >>> rfc3339(1_500_000_000)
    '1970-01-01T00:00:01.500Z'
    """
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % NANOSECONDS // 1_000_000:03d}Z"


def subject(message: Message) -> str:
    model = " ".join(part for part in (message.model_name, message.model_version) if part)
    segment = f" [{clean(message.segment, 80)}]" if message.segment else ""
    return f"{clean(message.monitor, 80)}{segment}" + (f" (model {clean(model, 80)})" if model else "")


def summary(message: Message) -> str:
    """Return a message's first line: severity, subject, title."""
    mark = "resolved" if message.resolved else SEVERITIES[message.kind]
    if message.muted_until is not None:
        mark = f"muted until {minute_text(message.muted_until)}, not resolved"
    title = clean(message.title)
    return (
        f"[{mark}] {title}" if title.startswith(message.monitor) else f"[{mark}] {subject(message)}: {title}"
    )


def facts(message: Message) -> list[str]:
    """Return a message's facts, one per line: since when, what moved, what did not."""
    message_lines = list(message.lines[:_MAX_LINES])
    opening = message_lines.pop(0) if message_lines and message_lines[0].startswith("since ") else None
    ends = [] if not message.resolved or message.resolved_at is None else [_end(message, message.resolved_at)]
    lines = [*ends, _when(message, opening), *(clean(line) for line in message_lines)]
    n_hidden = len(message.lines) - _MAX_LINES
    if n_hidden > 0:
        lines.append(f"and {n_hidden} more")
    if message.unchanged:
        lines.append(clean(message.unchanged, 400))
    if message.possible_duplicate:
        lines.append("You may have been told before: nobody saw how an earlier attempt to send this ended.")
    return lines


def description(message: Message) -> str:
    lines = facts(message)
    if message.url:
        lines.append(f"Look: {clean(message.url, 500)}")
    return shortened("\n".join(lines), _MAX_TEXT_CHARS)


def shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def link(message: Message) -> str:
    """Return the web page's URL, escaped for use in any text; empty when it is not HTTP."""
    is_link = message.url.startswith(("http://", "https://"))
    return quote(clean(message.url, 500), safe=_SAFE_LINK_CHARS) if is_link else ""


def link_text(message: Message) -> str:
    return "what moved, and the working" if isinstance(message.kind, IncidentKind) else "what it could not do"


def incident_id(key: str) -> str:
    """Return an incident's key in at most 100 safe characters, the same for resends and the resolve.

    >>> incident_id("fraud-drift-a2f3d11bda"), len(incident_id("a b" * 99))
    ('fraud-drift-a2f3d11bda', 64)
    """
    if _PLAIN_KEY.fullmatch(key):
        return key
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def page_id(message: Message) -> str:
    """Return an identifier of a firing message: that of its incident, and another for each further page."""
    key = incident_id(message.key)
    return f"{key}-again{message.window_end // NANOSECONDS}" if message.again else key


def _when(message: Message, opening: str | None) -> str:
    if opening is None:
        opening = f"since {minute_text(message.opened_at if message.onset is None else message.onset)}"
    text = clean(opening)
    # The daemon's own trouble has no window.
    if isinstance(message.kind, IncidentKind):
        start, end = minute_text(message.window_start), minute_text(message.window_end)
        same_day = start[:10] == end[:10]
        text += f", window {start} to {end[11:] if same_day else end}"
    return text


def _end(message: Message, resolved_at: int) -> str:
    return f"resolved {minute_text(resolved_at)}" + (f": {clean(message.ended)}" if message.ended else "")
