"""Sends one mail through SMTP: no retries, a total deadline, a bound on the bytes read."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from driftwatch.core.host_list import HostList
from driftwatch.notify._reach import AddressRefused, Deadline, listed_networks, refused_delivery
from driftwatch.notify._text import clean
from driftwatch.notify.base import Delivery

#: Characters of an error or answer in the log.
_MAX_DETAIL_CHARS = 200
#: Bytes read from one server: more than any server has to say.
_MAX_ANSWER_BYTES = 65_536


class SmtpSettings(Protocol):
    #: The server's name, which its certificate must have.
    @property
    def host(self) -> str: ...

    #: ``starttls``, ``tls`` or ``none``.
    @property
    def encryption(self) -> str: ...

    #: Empty to send without a login.
    @property
    def username(self) -> str: ...

    #: Seconds for everything after the name was resolved.
    @property
    def timeout(self) -> float: ...

    #: Certificates to trust instead of the system's.
    @property
    def ca_file(self) -> Path | None: ...

    #: None: any.
    @property
    def allowed_hosts(self) -> HostList | None: ...


class _AnswerTooLong(OSError):
    pass


class _BoundedFile:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes_left = _MAX_ANSWER_BYTES

    def readline(self, size: int) -> bytes:
        line = self._file.readline(min(size, self._bytes_left))
        self._bytes_left -= len(line)
        if self._bytes_left <= 0 or len(line) >= size:
            raise _AnswerTooLong("the server says too much")
        return line

    def close(self) -> None:
        self._file.close()


class _Client(smtplib.SMTP):
    def __init__(self, deadline: Deadline, timeout: float, context: ssl.SSLContext | None) -> None:
        # The default asks the name service for our name, which can take for ever.
        super().__init__(local_hostname=clean(socket.gethostname(), 60) or "localhost", timeout=timeout)
        self._deadline = deadline
        self._context = context

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        new_socket = self._deadline.watch(socket.create_connection((host, port), timeout))
        return (
            new_socket
            if self._context is None
            else self._context.wrap_socket(new_socket, server_hostname=host)
        )

    def data(self, msg: Any) -> tuple[int, bytes]:
        self._deadline.sent = True
        return super().data(msg)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _BoundedFile(self.sock.makefile("rb"))
        return super().getreply()


class _ServerNotReady(Exception):
    """Raised when the server accepts no mail at present, regardless of the message."""


def send_mail(
    settings: SmtpSettings, port: int, password: str, sender: str, recipients: Sequence[str], content: bytes
) -> Delivery:
    """Send ``content`` once and judge the answers. Never raises on a server's fault.

    One accepted recipient is enough: waiting for the others would keep the message from everybody.
    """
    try:
        networks = listed_networks(settings.allowed_hosts, settings.host)
    except AddressRefused as error:
        return refused_delivery(error)
    with Deadline(settings.timeout, networks) as deadline:
        try:
            refused = _exchange(deadline, settings, port, password, sender, recipients, content)
        except AddressRefused as error:
            return refused_delivery(error)
        except (smtplib.SMTPException, _ServerNotReady, OSError, ValueError) as error:
            return _failed_delivery(error, deadline)
    detail = f"{len(refused)} of {len(recipients)} recipients refused" if refused else "taken"
    return Delivery(delivered=True, detail=detail)


def _exchange(
    deadline: Deadline,
    settings: SmtpSettings,
    port: int,
    password: str,
    sender: str,
    recipients: Sequence[str],
    content: bytes,
) -> dict[str, tuple[int, bytes]]:
    encrypted = settings.encryption != "none"
    ca_file = None if settings.ca_file is None else str(settings.ca_file)
    context = ssl.create_default_context(cafile=ca_file) if encrypted else None
    client = _Client(deadline, settings.timeout, context if settings.encryption == "tls" else None)
    try:
        # ``starttls`` looks for this name in the certificate; else only a constructor that connects sets it.
        client._host = settings.host  # type: ignore[attr-defined]
        _require_code(client.connect(settings.host, port))
        if settings.encryption == "starttls":
            _require_code(client.ehlo(), 250)
            client.starttls(context=context)
        if settings.username:
            client.login(settings.username, password)
        refused = client.sendmail(sender, recipients, content)
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
        return refused
    finally:
        client.close()


def _require_code(answer: tuple[int, bytes], expected: int = 220) -> None:
    if answer[0] != expected:
        raise _ServerNotReady(f"{answer[0]} {_answer_text(answer[1])}")


def _failed_delivery(error: Exception, deadline: Deadline) -> Delivery:
    # smtplib reports every error of the socket as a disconnection.
    if deadline.expired or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return _retryable("timeout", type(error).__name__)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        # A changed password is read at the next attempt.
        kind = "server_error" if 400 <= error.smtp_code < 500 else "secret"
        return _retryable(kind, f"{error.smtp_code} at the login")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _refusal([code for code, _ in error.recipients.values()], "every recipient refused")
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        return _refusal([error.smtp_code], _answer_text(error.smtp_error))
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return _retryable("tls" if "STARTTLS" in str(error) else "secret", str(error))
    if isinstance(error, smtplib.SMTPResponseException):
        return _retryable("server_error", f"{error.smtp_code} {_answer_text(error.smtp_error)}")
    if isinstance(error, _ServerNotReady):
        return _retryable("server_error" if error.args[0][:1] in "45" else "answer", str(error))
    if isinstance(error, ssl.SSLError):
        return _retryable("tls", str(error))
    if isinstance(error.__context__, _AnswerTooLong):
        return _retryable("answer", str(error.__context__))
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return _retryable("answer", str(error))
    if isinstance(error, OSError):
        return _retryable("cut_off" if deadline.sent else "connection", f"{type(error).__name__}: {error}")
    # Only a password that cannot be encoded, which the error's own text would hold.
    return _retryable("secret", type(error).__name__)


def _refusal(codes: Sequence[int], text: str) -> Delivery:
    # 4xx may be accepted later, 5xx never; any other code is no answer to a mail.
    detail = clean(f"{', '.join(map(str, dict.fromkeys(codes)))} {text}", _MAX_DETAIL_CHARS)
    if any(not 400 <= code < 600 for code in codes):
        return _retryable("answer", detail)
    if 421 in codes:
        return _retryable("server_error", detail)
    if any(code < 500 for code in codes):
        return _retryable("rate_limited", detail)
    return Delivery(delivered=False, reason="rejected", detail=detail)


def _retryable(reason: str, detail: str) -> Delivery:
    return Delivery(delivered=False, retryable=True, reason=reason, detail=clean(detail, _MAX_DETAIL_CHARS))


def _answer_text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
