"""The interface of notifiers.

A notifier module defines ``CONFIG`` (a subclass of ``NotifierConfig`` with ``type: Literal["<file name>"]``)
and ``open_notifier(config) -> Notifier``, which connects to nothing yet. A notifier tries once; outbox,
retries, keys and metrics are the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pydantic import PrivateAttr

from driftwatch.core.host_list import HostList
from driftwatch.core.settings import Settings
from driftwatch.notify import _text as message_text
from driftwatch.notify._message import OWN_NAME, IncidentKind, Message, OwnKind, minute_text

__all__ = [
    "OWN_NAME",
    "REASONS",
    "UNCERTAIN_REASONS",
    "Delivery",
    "IncidentKind",
    "Message",
    "Notifier",
    "NotifierConfig",
    "OwnKind",
    "message_text",
    "minute_text",
]

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
    _allowed_hosts: HostList | None = PrivateAttr(default=None)

    @property
    def allowed_hosts(self) -> HostList | None:
        """Hosts that may be contacted (``limits.notify_hosts``); None: any."""
        return self._allowed_hosts

    def restrict(self, hosts: HostList | None) -> None:
        self._allowed_hosts = hosts

    @property
    def sink(self) -> str:
        """Name of the notifier in the outbox, logs and metrics."""
        return self.name or self.type


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
