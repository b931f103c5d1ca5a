"""Keeps the stored message of an open incident: what joined it or moved further belongs to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.segment_state import Incident
from driftwatch.monitor.incident_message import title_of
from driftwatch.monitor.incidents.ending_text import is_ending_line
from driftwatch.monitor.incidents.incident_lines import (
    LATER,
    PAGED_AGAIN,
    further_since,
    later_lines,
    page_effects,
    places_lines,
)
from driftwatch.notify.base import IncidentKind, Message
from driftwatch.results.results import Verdict

#: Lines on what joined an incident after its page: the newest ones.
_MAX_LATER_LINES = 4


def joined_lines(message: Message) -> tuple[tuple[bool, str], ...]:
    """Return what a stored message says of what came after its page: whether it paged again, and what."""
    lines = [line.removeprefix(LATER) for line in message.lines if line.startswith(LATER)]
    return tuple(
        (PAGED_AGAIN in line.partition(": ")[0], line.replace(f"{PAGED_AGAIN}: ", ": ", 1)) for line in lines
    )


def paged_again_at(message: Message) -> int | None:
    """Return the end of the window of an incident's newest page, if that is not its first."""
    paged_until = message.paged_until
    return None if paged_until is None or paged_until == message.window_end else paged_until


def updated_message(
    message: Message,
    incident: Incident,
    verdicts: Sequence[Verdict],
    config: MonitorConfig,
    segments: Sequence[str | None],
    *,
    pages: bool,
) -> Message:
    """Return the stored message of an open incident with what a window added to it, for its end.

    What names an alert is that of its newest page, so that the end reaches it.
    """
    places = message.segments or (message.segment,)
    everywhere = tuple(dict.fromkeys([*places, *segments]))
    earlier = [line for line in message.lines if not is_ending_line(line)]
    later = [line for line in earlier if line.startswith(LATER)]
    later += [line for verdict in verdicts for line in later_lines(incident, verdict, pages=pages)]
    lines = [line for line in earlier if not line.startswith(LATER) and line not in places_lines(places)]
    at = 1 if lines and lines[0].startswith("since ") else 0
    lines[at:at] = places_lines(everywhere)
    return replace(
        message,
        kind=IncidentKind(incident.kind) if pages else message.kind,
        title=title_of(incident, replace(verdicts[0], segment=message.segment), config, everywhere),
        lines=(*lines, *later[-_MAX_LATER_LINES:]),
        segments=() if everywhere == (message.segment,) else everywhere,
        again=False,
        **_newest_page(message, incident, verdicts, pages=pages),
    )


def _newest_page(
    message: Message, incident: Incident, verdicts: Sequence[Verdict], *, pages: bool
) -> dict[str, Any]:
    """Return what the next page of the key is to be compared with."""
    if pages:
        effects = {**dict(message.effects), **page_effects(incident, verdicts)}
        paged_until = verdicts[0].window.end
        return {"effects": tuple(effects.items()), "paged_until": paged_until, "further_since": None}
    paged = {column for column, _ in message.effects}
    moved = {
        name
        for item in verdicts
        for update in item.updates
        if update.key == incident.key
        for name in update.columns
    }
    if message.further_since is not None or not paged.intersection(moved):
        return {}
    return {"further_since": min(further_since(item, message) for item in verdicts)}
