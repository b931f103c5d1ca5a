"""A mail server (aiosmtpd) that requires STARTTLS and a login, and parses mail as a mail program does."""

from __future__ import annotations

import gc
import re
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from peers import free_port, require

from receivers import ACCEPTING_MODES, EXPECTED, FLOOD_BYTES, SECRET, ReceivedMessage, expect, secret_file

_HEADERS = {
    "subject", "from", "to", "date", "message-id", "in-reply-to", "references", "auto-submitted",
    "x-auto-response-suppress", "mime-version", "content-type",
}  # fmt: skip
_TAGS = {"html", "body", "p", "strong", "br", "a", "table", "tr", "th", "td"}
_ATTRIBUTES = {"lang", "style", "role", "scope", "width", "height", "bgcolor", "cellpadding", "cellspacing"}


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost, and its key."""
    if not (folder / "cert.pem").exists():
        subprocess.run(
            [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem",
             "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


@dataclass
class Peer:
    modes: list[str] = field(default_factory=lambda: ["takes"])
    received: list[ReceivedMessage] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    attempts: int = 0
    port: int = 0
    encryption: str = "starttls"
    refused_recipients: dict[str, str] = field(default_factory=dict)
    mode: str = "takes"
    attachments: list[tuple[str | None, bytes]] = field(default_factory=list)
    slow_answer = b"220 " + b"y" * 200
    # 551 concerns this recipient: it is elsewhere, and this server does not forward.
    expected: ClassVar = {**EXPECTED, "redirects": ("rejected", False)}

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        return {
            "type": "email", "host": "localhost", "port": port or self.port, "encryption": self.encryption,
            "sender": "driftwatch@example.org", "to": ["oncall@example.org", "team@example.org"],
            "username": "driftwatch", "password_file": secret_file(folder), "timeout": timeout,
            "ca_file": str(certificate(folder)[0]),
        }  # fmt: skip

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Self]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(folder))
        self.port = free_port()
        server = _Controller(self, context)
        server.start()
        try:
            yield self
        finally:
            # aiosmtpd leaves a connection open that it accepts at the very end: its thread warns of it while
            # it stops, or a later test finds it.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                server.stop()
                gc.collect()

    def read(self, content: bytes) -> ReceivedMessage:
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        expect(not mail.defects, mail.defects)
        names = [name.lower() for name in mail]
        expect(set(names) <= _HEADERS and len(set(names)) == len(names), names)
        bodies = (mail.get_body((kind,)) for kind in ("plain", "html"))
        plain, page = (part.get_content().replace("\r\n", "\n") for part in bodies if part)
        self.attachments = [(part.get_filename(), part.get_content()) for part in mail.iter_attachments()]
        expect(max(map(len, content.splitlines())) <= 998, "a long line")
        reader = _Reader()
        reader.feed(page)
        expect(reader.tags <= _TAGS, reader.tags)
        firing_id = str(mail["Message-ID"]) if "References" not in mail else str(mail["References"])
        headers = "\n".join(f"{name}: {mail[name]}" for name in sorted(mail))
        return ReceivedMessage(
            key=str(mail["Message-ID"]),
            incident=firing_id,
            resolved=".resolved@" in mail["Message-ID"],
            text=plain,
            whole=f"{headers}\n\n{plain}\n{page}",
        )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            expect(name in _ATTRIBUTES or (name == "href" and re.match("https?://", value or "")), name)


class _Handler:
    def __init__(self, owner: Peer) -> None:
        self._owner = owner

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        owner = self._owner
        owner.attempts += 1
        owner.mode = owner.modes.pop(0) if len(owner.modes) > 1 else owner.modes[0]
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        expect(session.authenticated and encrypted, "neither login nor TLS")
        if owner.mode == "unavailable":
            return "421 4.3.2 shutting down"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answers = {
            "limited": "450 4.7.1 slow down",
            "refused": "550 5.1.1 no such user",
            "redirects": "551 5.1.6 try <other@example.org>",
        }
        error = answers.get(self._owner.mode) or self._owner.refused_recipients.get(address)
        if error:
            return error
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        owner = self._owner
        try:
            assert isinstance(envelope.content, bytes)
            message = owner.read(envelope.content)
        except (ValueError, AssertionError) as error:
            owner.complaints.append(str(error))
            return "554 5.6.0 unreadable"
        if owner.mode in ACCEPTING_MODES:
            owner.received.append(message)
        if owner.mode == "hangs_up":
            server.transport.abort()
        if owner.mode == "floods":
            for _ in range(FLOOD_BYTES // 16_000):
                server._writer.write(b"250-more\r\n" * 1600)
                await server._writer.drain()
        return "250 2.0.0 taken"


class _Server(SMTP):
    def __init__(self, owner: Peer, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owner = owner

    async def smtp_DATA(self, arg: str) -> None:
        if self._owner.mode == "lies":
            await self.push("250 2.0.0 taken, or so it says")
            return
        await super().smtp_DATA(arg)


class _Controller(Controller):
    def __init__(self, owner: Peer, context: ssl.SSLContext) -> None:
        self._owner = owner
        self._starttls = context if owner.encryption == "starttls" else None
        super().__init__(
            _Handler(owner), hostname="localhost", port=owner.port, server_hostname="localhost",
            ssl_context=context if owner.encryption == "tls" else None,
        )  # fmt: skip

    def factory(self) -> SMTP:
        def authenticate(
            server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
        ) -> AuthResult:
            is_valid = isinstance(data, LoginPassword) and data.password == SECRET.encode()
            return AuthResult(success=is_valid, handled=False)

        return _Server(
            self._owner, self.handler, hostname="localhost", tls_context=self._starttls,
            require_starttls=self._starttls is not None, authenticator=authenticate, auth_required=True,
            auth_require_tls=self._starttls is not None, loop=self.loop,
        )  # fmt: skip
