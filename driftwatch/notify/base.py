"""What every notifier is.

A notifier module defines ``CONFIG`` (a subclass of ``NotifierConfig`` with ``type: Literal["<file name>"]``)
and ``open_notifier(config) -> Notifier``. It tries once and says whether trying again can help; the outbox,
retries, keys and metrics are not its work.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from driftwatch.core.settings import Settings
from driftwatch.results.evidence_trail import Place

#: Every word that ``Delivery.reason`` can be; the metric's label values. ``answer`` is one that does not say
#: what the receiver's protocol says when it took a message: a proxy, a login page, an error called a success.
#: ``cut_off`` is a connection that ended after the message was sent and before it was answered.
REASONS = (
    "timeout", "connection", "tls", "address", "redirect", "rate_limited", "rejected", "server_error",
    "secret", "answer", "cut_off",
)  # fmt: skip
#: After these the receiver may have the message all the same.
UNCERTAIN = frozenset({"timeout", "answer", "cut_off"})


class NotifierConfig(Settings):
    """Settings every notifier has; ``name`` tells two of one type apart."""

    type: str
    name: str = ""

    @property
    def sink(self) -> str:
        """The notifier's name in the outbox, logs and metrics."""
        return self.name or self.type


class IncidentKind(StrEnum):
    """What an incident is about."""

    DRIFT = "drift"
    BROKEN = "broken"
    BLIND = "blind"


def minute(nanoseconds: int) -> str:
    """A moment as messages say it, in UTC.

    >>> minute(0)
    '1970-01-01 00:00Z'
    """
    return f"{datetime.fromtimestamp(nanoseconds // 1_000_000_000, tz=UTC):%Y-%m-%d %H:%MZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One state change worth telling. No raw rows, ever.

    ``key`` is the same for every resend, over restarts and crashes. Times are nanoseconds since 1970
    UTC. ``lines`` say what moved in plain words, most important first; ``unchanged`` what did not; ``trail``
    is the evidence of the newest windows, oldest first, for a sink that can draw.
    ``again_within`` is how many seconds may pass before whoever sends it looks again, when that is not a
    daemon, which keeps to the notifier's ``refreshes``. ``muted_until``: somebody asked for quiet until then;
    only a notifier that refreshes is told, once, so that the receiver's quiet is not taken for an end; the
    others hear neither of a mute nor of its end. What nobody was told before the mute is told after it.
    """

    key: str
    kind: IncidentKind
    monitor: str
    segment: str | None
    resolved: bool
    title: str
    lines: tuple[str, ...]
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
    again_within: float | None = None
    trail: tuple[Place, ...] = ()
    muted_until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one attempt. ``retry_after`` is seconds the receiver asked to wait, if it did.

    ``delivered`` and yet ``retryable``: one of several receivers does not have it.
    ``reason`` is one of a small closed set of words, safe as a metric label; ``detail`` is for the log.
    """

    delivered: bool
    retryable: bool = False
    reason: str = ""
    retry_after: float | None = None
    detail: str = ""


class Notifier(Protocol):
    """Something that can be told.

    ``refreshes`` is how often (seconds) a firing message must be sent again so that the receiver does
    not consider it resolved; None when once is enough.
    """

    refreshes: float | None

    def send(self, message: Message, now: int) -> Delivery:
        """Send once, within ten seconds. Never raises on a receiver's fault."""
