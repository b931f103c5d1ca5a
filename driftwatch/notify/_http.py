"""Sends one POST: no retries, redirects or proxies, a total deadline, a bound on the bytes read."""

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

from driftwatch.core.host_list import HostList
from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.settings import read_secret
from driftwatch.notify._reach import AddressRefused, CutOff, Deadline, listed_networks, refused_delivery
from driftwatch.notify._text import clean
from driftwatch.notify.base import Delivery

#: Characters of an error in the log.
_MAX_DETAIL_CHARS = 200
#: Bytes read of an answer's body.
_MAX_ANSWER_BYTES = 65_536
_ONE_WORD = re.compile(rb"[a-z_]{3,40}")


class HttpSettings(Protocol):
    #: Seconds for everything after the name was resolved.
    @property
    def timeout(self) -> float: ...

    #: Holds a bearer token.
    @property
    def token_file(self) -> Path | None: ...

    #: Certificates to trust instead of the system's.
    @property
    def ca_file(self) -> Path | None: ...

    #: None: any.
    @property
    def allowed_hosts(self) -> HostList | None: ...


def valid_url(url: str) -> str:
    """Return the URL if it is usable. Raises ``ValueError``, which never quotes it: it may be secret."""
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


Url = Annotated[str, AfterValidator(valid_url)]


class _WatchedConnection:
    deadline: Deadline

    def _new_conn(self) -> socket.socket:
        new_socket: socket.socket = super()._new_conn()  # type: ignore[misc]
        return self.deadline.watch(new_socket)


class _PlainConnection(_WatchedConnection, connection.HTTPConnection):
    pass


class _TlsConnection(_WatchedConnection, connection.HTTPSConnection):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    retry_after: str | None
    #: At most 64 KiB; empty when it could not be read to its end.
    body: bytes


def no_body_error(answer: Answer) -> str:
    # The status alone says whether the message was taken.
    return ""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    settings: HttpSettings,
    now: int,
    body_error: Callable[[Answer], str] = no_body_error,
) -> Delivery:
    """Send ``body`` once and judge the answer. Never raises on a receiver's fault.

    ``body_error`` returns what is wrong with the body of a successful answer. ``now`` is in nanoseconds.
    """
    all_headers = {"Content-Type": "application/json", "User-Agent": "driftwatch", **headers}
    try:
        token = read_secret(None, settings.token_file)
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise ValueError("not a token")
            all_headers["Authorization"] = f"Bearer {token}"
    except (OSError, ValueError) as error:
        # The text of a ValueError can hold the token.
        return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
    try:
        answer = _exchange(url, body, all_headers, settings)
    except AddressRefused as error:
        return refused_delivery(error)
    except (exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        return _failed_delivery(error, url)
    return _judge(answer, now, body_error)


def _exchange(url: str, body: bytes, headers: Mapping[str, str], settings: HttpSettings) -> Answer:
    parts = urlsplit(url)
    networks = listed_networks(settings.allowed_hosts, parts.hostname or "")
    client: _PlainConnection | _TlsConnection
    if parts.scheme == "https":
        ca_file = None if settings.ca_file is None else str(settings.ca_file)
        client = _TlsConnection(parts.hostname or "", parts.port, timeout=settings.timeout, ca_certs=ca_file)
    else:
        client = _PlainConnection(parts.hostname or "", parts.port, timeout=settings.timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with Deadline(settings.timeout, networks) as deadline:
        client.deadline = deadline
        try:
            client.connect()
            # Not preloaded: that would read and unpack a body of any size.
            client.request("POST", target, body=body, headers=dict(headers), preload_content=False)
            deadline.sent = True
            return _read(client)
        except (exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            if deadline.expired:
                raise TimeoutError from error
            if deadline.sent and not isinstance(error, TimeoutError | exceptions.TimeoutError):
                raise CutOff(type(error).__name__) from error
            raise
        finally:
            client.close()


def _read(client: connection.HTTPConnection) -> Answer:
    response = client.getresponse()
    try:
        body = response.read(_MAX_ANSWER_BYTES, decode_content=False)
    except (exceptions.HTTPError, HTTPException, OSError, ValueError):
        # The status is known: to count a slow body as a failure would send the message twice.
        body = b""
    return Answer(status=response.status, retry_after=response.headers.get("Retry-After"), body=body)


def _failed_delivery(error: Exception, url: str) -> Delivery:
    parts = urlsplit(url)
    # A path or query can be the secret.
    text = str(error)
    for secret in (parts.path, parts.query):
        text = text.replace(secret, "…") if len(secret) > 1 else text
    text = clean(text, _MAX_DETAIL_CHARS)
    # A refused connection is a NewConnectionError, which urllib3 derives from its timeouts.
    is_timeout = isinstance(error, exceptions.TimeoutError) and not isinstance(
        error, exceptions.NewConnectionError
    )
    if is_timeout or isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, CutOff):
        reason = "cut_off"
    elif isinstance(error, exceptions.SSLError) or "certificate" in text.lower():
        reason = "tls"
    else:
        reason = "connection"
    return Delivery(delivered=False, retryable=True, reason=reason, detail=f"{type(error).__name__}: {text}")


def _judge(answer: Answer, now: int, body_error: Callable[[Answer], str]) -> Delivery:
    status, detail = answer.status, f"HTTP {answer.status}"
    if 200 <= status < 300:
        error = body_error(answer)
        if not error:
            return Delivery(delivered=True, detail=detail)
        return Delivery(delivered=False, retryable=True, reason="answer", detail=f"{detail}: {error}")
    if status == 401:
        # Secrets are read at every attempt: an expired one is replaced without a restart.
        return Delivery(delivered=False, retryable=True, reason="secret", detail=detail)
    if status < 400:
        # Never followed, but tried again: a login page was in the way, or the address gets corrected.
        return Delivery(delivered=False, retryable=True, reason="redirect", detail=detail)
    if status in (408, 425, 429):
        reason = "rate_limited"
    elif status >= 500:
        reason = "server_error"
    else:
        return Delivery(
            delivered=False, reason="rejected", detail=f"{detail}: {_error_word(answer)}".rstrip(": ")
        )
    wait = _retry_seconds(answer.retry_after, now)
    return Delivery(delivered=False, retryable=True, reason=reason, retry_after=wait, detail=detail)


def _error_word(answer: Answer) -> str:
    # One word such as ``invalid_payload``: more could repeat a secret.
    match = _ONE_WORD.fullmatch(answer.body)
    return match[0].decode() if match else ""


def json_object(answer: Answer) -> dict[str, object] | None:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _retry_seconds(value: str | None, now: int) -> float | None:
    if value is None:
        return None
    # Retry-After is a number of seconds or a date.
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - now / NANOSECONDS)
    except (ValueError, OverflowError, OSError):
        return None
