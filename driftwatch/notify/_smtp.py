"""One mail through SMTP: no retries, an end to everything, a bound on what is read."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from driftwatch.notify._reach import AddressRefused, Deadline
from driftwatch.notify._text import clean
from driftwatch.notify.base import Delivery

_LONGEST_DETAIL = 200
_MOST_BYTES = 65_536


class Server(Protocol):
    """What a notifier's settings say about its mail server. ``timeout`` is in seconds."""

    @property
    def host(self) -> str:
        """Its name, which its certificate must have."""

    @property
    def encryption(self) -> str:
        """``starttls``, ``tls`` or ``none``."""

    @property
    def username(self) -> str:
        """Whom to log in as; empty to send without."""

    @property
    def timeout(self) -> float:
        """For everything after the name was resolved."""

    @property
    def ca_file(self) -> Path | None:
        """Certificates to trust instead of the system's."""


class _Flood(OSError):
    """Raised when a server says more than any server has to say."""


class _Bounded:
    """The server's lines, as many as a mail needs."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _MOST_BYTES

    def readline(self, size: int) -> bytes:
        line = self._file.readline(min(size, self._left))
        self._left -= len(line)
        if self._left <= 0 or len(line) >= size:
            raise _Flood("the server says too much")
        return line

    def close(self) -> None:
        self._file.close()


class _Client(smtplib.SMTP):
    def __init__(self, deadline: Deadline, timeout: float, context: ssl.SSLContext | None) -> None:
        # Its own default asks the name service who we are, which can take for ever.
        super().__init__(local_hostname=clean(socket.gethostname(), 60) or "localhost", timeout=timeout)
        self._deadline = deadline
        self._context = context

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = self._deadline.watch(socket.create_connection((host, port), timeout))
        return made if self._context is None else self._context.wrap_socket(made, server_hostname=host)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self._deadline.sent = True
        return super().data(msg)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _NotReady(Exception):
    """Raised when the server does not take mail now, whatever the mail."""


def send_mail(
    server: Server, port: int, password: str, sender: str, recipients: Sequence[str], content: bytes
) -> Delivery:
    """Hand ``content`` over once and judge the answers. Never raises on a server's fault.

    One recipient who is taken is enough: waiting for the others would keep the message from everybody.
    """
    with Deadline(server.timeout) as deadline:
        try:
            refused = _converse(deadline, server, port, password, sender, recipients, content)
        except AddressRefused as error:
            return Delivery(delivered=False, reason="address", detail=f"{error} must not be spoken to")
        except (smtplib.SMTPException, _NotReady, OSError, ValueError) as error:
            return _failed(error, deadline)
    detail = f"{len(refused)} of {len(recipients)} recipients refused" if refused else "taken"
    return Delivery(delivered=True, detail=detail)


def _converse(
    deadline: Deadline,
    server: Server,
    port: int,
    password: str,
    sender: str,
    recipients: Sequence[str],
    content: bytes,
) -> dict[str, tuple[int, bytes]]:
    encrypted = server.encryption != "none"
    trusted = None if server.ca_file is None else str(server.ca_file)
    context = ssl.create_default_context(cafile=trusted) if encrypted else None
    client = _Client(deadline, server.timeout, context if server.encryption == "tls" else None)
    try:
        # Only what stands here is known to ``starttls`` as the name to look for in the certificate.
        client._host = server.host  # type: ignore[attr-defined]
        _ready(client.connect(server.host, port))
        if server.encryption == "starttls":
            _ready(client.ehlo(), 250)
            client.starttls(context=context)
        if server.username:
            client.login(server.username, password)
        refused = client.sendmail(sender, recipients, content)
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
        return refused
    finally:
        client.close()


def _ready(answer: tuple[int, bytes], expected: int = 220) -> None:
    if answer[0] != expected:
        raise _NotReady(f"{answer[0]} {_words(answer[1])}")


def _failed(error: Exception, deadline: Deadline) -> Delivery:
    # smtplib tells every error of the socket as a disconnection.
    if deadline.expired or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return _again("timeout", type(error).__name__)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        # A password that was changed is read anew at the next attempt.
        kind = "server_error" if 400 <= error.smtp_code < 500 else "secret"
        return _again(kind, f"{error.smtp_code} at the login")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _refused([code for code, _ in error.recipients.values()], "every recipient refused")
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        return _refused([error.smtp_code], _words(error.smtp_error))
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return _again("tls" if "STARTTLS" in str(error) else "secret", str(error))
    if isinstance(error, smtplib.SMTPResponseException):
        return _again("server_error", f"{error.smtp_code} {_words(error.smtp_error)}")
    if isinstance(error, _NotReady):
        return _again("server_error" if error.args[0][:1] in "45" else "answer", str(error))
    if isinstance(error, ssl.SSLError):
        return _again("tls", str(error))
    if isinstance(error.__context__, _Flood):
        return _again("answer", str(error.__context__))
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return _again("answer", str(error))
    if isinstance(error, OSError):
        return _again("cut_off" if deadline.sent else "connection", f"{type(error).__name__}: {error}")
    # Only a password that cannot be written down: the error's own text would hold it.
    return _again("secret", type(error).__name__)


def _refused(codes: Sequence[int], said: str) -> Delivery:
    """What was said of this mail: 4xx may change its mind, 5xx will not, anything else is no answer to it."""
    detail = clean(f"{', '.join(map(str, dict.fromkeys(codes)))} {said}", _LONGEST_DETAIL)
    if any(not 400 <= code < 600 for code in codes):
        return _again("answer", detail)
    if 421 in codes:
        return _again("server_error", detail)
    if any(code < 500 for code in codes):
        return _again("rate_limited", detail)
    return Delivery(delivered=False, reason="rejected", detail=detail)


def _again(reason: str, detail: str) -> Delivery:
    return Delivery(delivered=False, retryable=True, reason=reason, detail=clean(detail, _LONGEST_DETAIL))


def _words(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
