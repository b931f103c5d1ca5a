"""One POST: no retries, no redirects, no proxies, an end to everything, a bound on what is read."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator
from urllib3 import connection, exceptions

from driftwatch.core.settings import read_secret
from driftwatch.notify._reach import AddressRefused, CutOff, Deadline
from driftwatch.notify._text import clean
from driftwatch.notify.base import Delivery

NANOSECONDS = 1_000_000_000
_LONGEST_DETAIL = 200
_LONGEST_ANSWER = 65_536
_ONE_WORD = re.compile(rb"[a-z_]{3,40}")


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


class _Guard:
    deadline: Deadline

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        return self.deadline.watch(made)


class _Plain(_Guard, connection.HTTPConnection):
    pass


class _Tls(_Guard, connection.HTTPSConnection):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; of the body at most 64 KiB, and nothing when it could not be read to its end."""

    status: int
    retry_after: str | None
    body: bytes


def anything(answer: Answer) -> str:
    """The status alone says whether a message was taken."""
    return ""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    peer: Peer,
    now: int,
    complaint: Callable[[Answer], str] = anything,
) -> Delivery:
    """Send ``body`` once and judge the answer. Never raises on a receiver's fault.

    ``now`` is in nanoseconds. ``complaint`` says what a successful answer lacks that every real receiver of
    this kind gives, the empty text when nothing.
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
        return _failed(error, url)
    return _judge(answer, now, complaint)


def _exchange(url: str, body: bytes, headers: Mapping[str, str], peer: Peer) -> Answer:
    parts = urlsplit(url)
    made: _Plain | _Tls
    if parts.scheme == "https":
        trusted = None if peer.ca_file is None else str(peer.ca_file)
        made = _Tls(parts.hostname or "", parts.port, timeout=peer.timeout, ca_certs=trusted)
    else:
        made = _Plain(parts.hostname or "", parts.port, timeout=peer.timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with Deadline(peer.timeout) as deadline:
        made.deadline = deadline
        try:
            made.connect()
            # Not preloaded: that would read and unpack a body of any size.
            made.request("POST", target, body=body, headers=dict(headers), preload_content=False)
            deadline.sent = True
            return _read(made)
        except (exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            if deadline.expired:
                raise TimeoutError from error
            if deadline.sent and not isinstance(error, TimeoutError | exceptions.TimeoutError):
                raise CutOff(type(error).__name__) from error
            raise
        finally:
            made.close()


def _read(made: connection.HTTPConnection) -> Answer:
    response = made.getresponse()
    try:
        body = response.read(_LONGEST_ANSWER, decode_content=False)
    except (exceptions.HTTPError, HTTPException, OSError, ValueError):
        # The status was said: to take a slow body for a failure would send twice.
        body = b""
    return Answer(status=response.status, retry_after=response.headers.get("Retry-After"), body=body)


def _failed(error: Exception, url: str) -> Delivery:
    parts = urlsplit(url)
    # A path or query can be the secret that lets one in.
    text = str(error)
    for secret in (parts.path, parts.query):
        text = text.replace(secret, "…") if len(secret) > 1 else text
    text = clean(text, _LONGEST_DETAIL)
    # A refused connection is a NewConnectionError, which urllib3 derives from its timeouts.
    late = isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError)
    if late or isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, CutOff):
        reason = "cut_off"
    elif isinstance(error, exceptions.SSLError) or "certificate" in text.lower():
        reason = "tls"
    else:
        reason = "connection"
    return Delivery(delivered=False, retryable=True, reason=reason, detail=f"{type(error).__name__}: {text}")


def _judge(answer: Answer, now: int, complaint: Callable[[Answer], str]) -> Delivery:
    status, detail = answer.status, f"HTTP {answer.status}"
    if 200 <= status < 300:
        wrong = complaint(answer)
        if not wrong:
            return Delivery(delivered=True, detail=detail)
        return Delivery(delivered=False, retryable=True, reason="answer", detail=f"{detail}: {wrong}")
    if status == 401:
        # Secrets are read anew at every attempt: one that expired is replaced without a restart.
        return Delivery(delivered=False, retryable=True, reason="secret", detail=detail)
    if status < 400:
        # Never followed, but tried again: a login page stood in the way, or the address is put right.
        return Delivery(delivered=False, retryable=True, reason="redirect", detail=detail)
    if status in (408, 425, 429):
        reason = "rate_limited"
    elif status >= 500:
        reason = "server_error"
    else:
        return Delivery(delivered=False, reason="rejected", detail=f"{detail}: {_said(answer)}".rstrip(": "))
    wait = _seconds(answer.retry_after, now)
    return Delivery(delivered=False, retryable=True, reason=reason, retry_after=wait, detail=detail)


def _said(answer: Answer) -> str:
    """The explanation when it is one word such as ``invalid_payload``: anything else can repeat a secret."""
    found = _ONE_WORD.fullmatch(answer.body)
    return found[0].decode() if found else ""


def json_object(answer: Answer) -> dict[str, object] | None:
    """The body as a JSON object; None when it is none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


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
