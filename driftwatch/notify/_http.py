"""One POST: no retries, no redirects, no proxies, an end to everything.

The deadline holds for the whole exchange, also against a receiver that sends one byte a second. Addresses
that only serve the machine's own cloud (link-local, metadata) are refused after the connection is made and
before anything is sent, so that no name can be made to point there.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from urllib3 import connection, exceptions

from driftwatch.notify._text import clean
from driftwatch.notify.base import Delivery
from driftwatch.settings import read_secret

NANOSECONDS = 1_000_000_000
_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})
_LONGEST_DETAIL = 200

#: Every word that ``Delivery.reason`` can be; the metric's label values.
REASONS = (
    "timeout", "connection", "tls", "address", "redirect", "rate_limited", "rejected", "server_error",
    "secret",
)  # fmt: skip


class Peer(Protocol):
    """What a notifier's settings say about speaking to its receiver. ``timeout`` is in seconds."""

    @property
    def timeout(self) -> float:
        """For everything after the name was resolved."""

    @property
    def token_file(self) -> Path | None:
        """Bearer token."""

    @property
    def ca_file(self) -> Path | None:
        """Certificates to trust instead of the system's."""


def known_url(url: str) -> str:
    """The URL itself. Raises ``ValueError``, which never holds the URL, when it cannot be posted to."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_valid = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ValueError("expected a URL such as https://host:9093 (http or https)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected a URL without user and password; use token_file. Got one with them")
    if any(mark.isspace() or not mark.isprintable() for mark in url) or parts.fragment:
        raise ValueError("expected a URL without spaces and #")
    return url


Url = Annotated[str, AfterValidator(known_url)]
Timeout = Annotated[float, Field(gt=0, le=10)]


class AddressRefused(OSError):
    """Raised when a name resolved to an address that must never be spoken to."""


class _Guard:
    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        peer = ipaddress.ip_address(made.getpeername()[0].partition("%")[0])
        inner = getattr(peer, "ipv4_mapped", None) or peer
        if inner.is_link_local or inner.is_multicast or str(inner) in _METADATA:
            made.close()
            raise AddressRefused(str(inner))
        return made


class _Plain(_Guard, connection.HTTPConnection):
    pass


class _Tls(_Guard, connection.HTTPSConnection):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    retry_after: str | None


def post(url: str, body: bytes, headers: Mapping[str, str], peer: Peer, now: int) -> Delivery:
    """Send ``body`` once and judge the answer. Never raises on a receiver's fault.

    ``now`` is in nanoseconds.
    """
    sent = {"Content-Type": "application/json", "User-Agent": "driftwatch", **headers}
    try:
        token = read_secret(None, peer.token_file)
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise ValueError("not a token")
            sent["Authorization"] = f"Bearer {token}"
    except (OSError, ValueError) as error:
        # The text of a ValueError can hold the token.
        return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
    try:
        answer = _exchange(url, body, sent, peer)
    except AddressRefused as error:
        return Delivery(delivered=False, reason="address", detail=f"{error} must not be spoken to")
    except (exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        return _failed(error)
    return _judge(answer, now)


def _exchange(url: str, body: bytes, headers: Mapping[str, str], peer: Peer) -> _Answer:
    parts = urlsplit(url)
    made: connection.HTTPConnection
    if parts.scheme == "https":
        trusted = None if peer.ca_file is None else str(peer.ca_file)
        made = _Tls(parts.hostname or "", parts.port, timeout=peer.timeout, ca_certs=trusted)
    else:
        made = _Plain(parts.hostname or "", parts.port, timeout=peer.timeout)
    expired = threading.Event()
    deadline = threading.Timer(peer.timeout, _end, (made, expired))
    deadline.daemon = True
    deadline.start()
    try:
        made.connect()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not expired.is_set():
            made.request("POST", target, body=body, headers=dict(headers))
            response = made.getresponse()
            return _Answer(status=response.status, retry_after=response.headers.get("Retry-After"))
        raise TimeoutError
    except (exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        if expired.is_set():
            raise TimeoutError from error
        raise
    finally:
        deadline.cancel()
        made.close()


def _end(made: connection.HTTPConnection, expired: threading.Event) -> None:
    """Wake whoever waits on the socket: it then reads the end of the stream."""
    expired.set()
    if made.sock is not None:
        with suppress(OSError):
            made.sock.shutdown(socket.SHUT_RDWR)


def _failed(error: Exception) -> Delivery:
    text = clean(str(error), _LONGEST_DETAIL)
    # A refused connection is a NewConnectionError, which urllib3 derives from its timeouts.
    late = isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError)
    if late or isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, exceptions.SSLError) or "certificate" in text.lower():
        reason = "tls"
    else:
        reason = "connection"
    return Delivery(delivered=False, retryable=True, reason=reason, detail=f"{type(error).__name__}: {text}")


def _judge(answer: _Answer, now: int) -> Delivery:
    status, detail = answer.status, f"HTTP {answer.status}"
    if 200 <= status < 300:
        return Delivery(delivered=True, detail=detail)
    if 300 <= status < 400:
        return Delivery(delivered=False, reason="redirect", detail=detail)
    if status in (408, 425, 429):
        wait = _seconds(answer.retry_after, now)
        return Delivery(
            delivered=False, retryable=True, reason="rate_limited", retry_after=wait, detail=detail
        )
    if status >= 500:
        wait = _seconds(answer.retry_after, now)
        return Delivery(
            delivered=False, retryable=True, reason="server_error", retry_after=wait, detail=detail
        )
    return Delivery(delivered=False, reason="rejected", detail=detail)


def _seconds(value: str | None, now: int) -> float | None:
    """Seconds of a Retry-After header: a number or a date. None when it is neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - now / NANOSECONDS)
    except (ValueError, OverflowError, OSError):
        return None
