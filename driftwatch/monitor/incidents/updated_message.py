"""Keeps the stored message of an open incident: what joined it or moved further belongs to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.segment_state import Incident
from driftwatch.monitor.incident_message import title_of
from driftwatch.monitor.incidents.ending_text import is_ending_line
from driftwatch.monitor.incidents.incident_lines import LATER, later_lines, places_lines
from driftwatch.notify.base import IncidentKind, Message
from driftwatch.results.results import Verdict
from driftwatch.store.outbox import message_from_json

#: Lines on what joined an incident after its page: the newest ones.
_MAX_LATER_LINES = 4


def joined_lines(content: str) -> tuple[str, ...]:
    """Return what the stored message of an incident says of what joined it since its page."""
    return tuple(
        line.removeprefix(LATER) for line in message_from_json(content).lines if line.startswith(LATER)
    )


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
    later += [line for verdict in verdicts for line in later_lines(incident, verdict)]
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
    )
