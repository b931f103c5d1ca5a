"""What a notifier sends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from driftwatch.results.evidence_trail import TrailPoint


class IncidentKind(StrEnum):
    DRIFT = "drift"
    BROKEN = "broken"
    BLIND = "blind"


class OwnKind(StrEnum):
    """What a message is about that is about the daemon itself, not about a monitor."""

    STORE = "store"


#: Stands for the monitor in messages about the daemon itself.
OWN_NAME = "driftwatch"


def minute_text(nanoseconds: int) -> str:
    """Format nanoseconds since 1970 as a minute in UTC.

    >>> minute_text(0)
    '1970-01-01 00:00Z'
    """
    return f"{datetime.fromtimestamp(nanoseconds // 1_000_000_000, tz=UTC):%Y-%m-%d %H:%MZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One state change worth a notification, never with raw rows. Times are nanoseconds since 1970 UTC."""

    #: The same for every resend, over restarts and crashes.
    key: str
    kind: IncidentKind | OwnKind
    #: ``OWN_NAME`` where the message is about the daemon itself.
    monitor: str
    #: That of the incident's first page; None stands for all rows.
    segment: str | None
    resolved: bool
    title: str
    #: What moved, in plain words, most important first.
    lines: tuple[str, ...]
    #: What did not move.
    unchanged: str
    window_start: int
    window_end: int
    onset: int | None
    opened_at: int
    resolved_at: int | None
    state: str
    reason: str
    model_name: str = ""
    model_version: str = ""
    url: str = ""
    possible_duplicate: bool = False
    #: Seconds until the sender checks again; None for a daemon, which resends after ``refresh_seconds``.
    again_within: float | None = None
    #: Evidence of the newest windows, oldest first, for a sink that can draw.
    trail: tuple[TrailPoint, ...] = ()
    #: Time until which somebody muted the incident. Only a notifier that refreshes gets this, once, so that
    #: the silence is not taken for an end; others get neither the mute nor its end. Messages that a mute
    #: holds back are sent after it.
    muted_until: int | None = None
    #: Where the incident is or was open, if that is not ``segment`` alone.
    segments: tuple[str | None, ...] = ()
    #: How it ended and how long it lasted; empty while it is open.
    ended: str = ""
    #: It pages under the key of an incident that was open.
    again: bool = False
    #: What the incident's newest page said of its columns, the end of its window, and since when a column of
    #: it is further than then.
    effects: tuple[tuple[str, str], ...] = ()
    paged_until: int | None = None
    further_since: int | None = None
