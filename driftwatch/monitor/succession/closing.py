"""Closes incidents that a change ended, and words the messages to their receivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftwatch.monitor.incident_message import Ending, resolved_message
from driftwatch.monitor.incidents.incident_records import QueuedMessage
from driftwatch.monitor.record import TRAIL_WINDOWS
from driftwatch.store.browsing import Browsing
from driftwatch.store.records import StoredIncident


@dataclass(frozen=True, slots=True, kw_only=True)
class Closings:
    #: (key, resolution).
    resolved: tuple[tuple[str, str], ...]
    messages: tuple[QueuedMessage, ...]


def close(
    endings: Mapping[str, Ending],
    incidents: Sequence[StoredIncident],
    browsing: Browsing,
    sinks: Sequence[str],
    now: int,
) -> Closings:
    messages: list[QueuedMessage] = []
    endings = {item.key: endings[item.key] for item in incidents if item.key in endings}
    for item in incidents:
        if item.key in endings:
            trail = browsing.trail(item.monitor, item.segment, limit=TRAIL_WINDOWS)
            text = resolved_message(item.content, now, trail, ending=endings[item.key])
            messages += [(sink, item.key, "resolved", item.segment, text) for sink in sinks]
    return Closings(
        resolved=tuple((key, str(ending)) for key, ending in endings.items()), messages=tuple(messages)
    )
