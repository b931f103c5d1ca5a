"""The interface of notifiers.

A notifier module defines ``CONFIG`` (a subclass of ``NotifierConfig`` with ``type: Literal["<file name>"]``)
and ``open_notifier(config) -> Notifier``, which connects to nothing yet. A notifier tries once; outbox,
retries, keys and metrics are the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from driftwatch.core.settings import Settings
from driftwatch.results.evidence_trail import TrailPoint

#: Values of ``Delivery.reason`` and of the metric's label. ``answer`` is an answer that is not what the
#: receiver's protocol gives for a message it took: a proxy, a login page, an error called a success.
#: ``cut_off`` is a connection that ended after the message was sent and before the answer.
REASONS = (
    "timeout", "connection", "tls", "address", "redirect", "rate_limited", "rejected", "server_error",
    "secret", "answer", "cut_off",
)  # fmt: skip
#: After these the receiver may have the message.
UNCERTAIN_REASONS = frozenset({"timeout", "answer", "cut_off"})


class NotifierConfig(Settings):
    type: str
    #: Tells two notifiers of one type apart.
    name: str = ""

    @property
    def sink(self) -> str:
        """Name of the notifier in the outbox, logs and metrics."""
        return self.name or self.type


class IncidentKind(StrEnum):
    DRIFT = "drift"
    BROKEN = "broken"
    BLIND = "blind"


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
    kind: IncidentKind
    monitor: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    #: True together with ``retryable``: one of several receivers does not have the message.
    delivered: bool
    retryable: bool = False
    #: One of ``REASONS``, safe as a metric label.
    reason: str = ""
    #: Seconds that the receiver asked to wait.
    retry_after: float | None = None
    #: For the log.
    detail: str = ""


class Notifier(Protocol):
    #: Seconds after which a firing message must be sent again, or the receiver takes it for resolved; None
    #: when sending it once is enough.
    refresh_seconds: float | None

    def send(self, message: Message, now: int) -> Delivery:
        """Send the message once, within ten seconds. Never raises on a receiver's fault."""
