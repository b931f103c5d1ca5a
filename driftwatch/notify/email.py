"""Notifies by mail, through an SMTP server.

The ``Message-ID`` is made of the incident's key, so that mail systems drop a resend as a duplicate and show
further pages and the resolve in the thread of the first mail. A mail counts as delivered when one of several
recipients gets it; a recipient who must not miss one needs a separate notifier (``name``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from driftwatch.charts.evidence_chart import timeline
from driftwatch.charts.svg import standalone_svg
from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.settings import Secret, exclusive_setting, read_secret
from driftwatch.notify._drawing import evidence_table
from driftwatch.notify._reach import Timeout
from driftwatch.notify._smtp import send_mail
from driftwatch.notify._text import description, facts, incident_id, link, link_text, page_id, summary
from driftwatch.notify.base import Delivery, Message, NotifierConfig

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_MAX_SUBJECT_CHARS = 200


def _valid_address(value: str) -> str:
    try:
        parsed = Address(addr_spec=value)
    except (ValueError, HeaderParseError, IndexError):
        parsed = Address()
    # A space, a comma or a line end would be a second address or another header.
    is_plain = value.isascii() and value.isprintable() and not set(value) & set(" ,;<>()\"'\\")
    if not is_plain or not parsed.username or not parsed.domain:
        raise ValueError(f"expected an address such as oncall@example.org. Got {value[:60]!r}")
    return value


def _valid_host(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or set(value) & set(" /:@[]"):
        try:
            ip_address(value)
        except ValueError as error:
            raise ValueError(f"expected a host such as mail.example.org. Got {value[:60]!r}") from error
    return value


MailAddress = Annotated[str, AfterValidator(_valid_address)]


class EmailConfig(NotifierConfig):
    type: Literal["email"] = "email"
    host: Annotated[str, AfterValidator(_valid_host)]
    #: By default 587 with ``starttls``, 465 with ``tls`` and 25 with ``none``.
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    sender: MailAddress
    to: Annotated[list[MailAddress], Field(min_length=1, max_length=50)]
    username: str = ""
    password: Secret | None = None
    password_file: Path | None = None
    timeout: Timeout = 10.0
    ca_file: Path | None = None
    #: Attach the evidence of the last 60 windows as a drawing that opens in any browser. Off: the mail itself
    #: draws the newest windows, and some gateways hold back mail with such files.
    attach_svg: bool = False

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        has_password = exclusive_setting(self, "password", "password_file", required=False)
        if bool(self.username) != bool(has_password):
            missing = "password" if self.username else "username"
            raise ValueError(f"{missing}: expected a username with a password, or neither. Got one of them.")
        if has_password and self.encryption == "none":
            raise ValueError("encryption: expected starttls or tls, to keep the password secret. Got none.")
        return self


class EmailNotifier:
    refresh_seconds: float | None = None

    def __init__(self, config: EmailConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        config = self._config
        try:
            password = read_secret(config.password, config.password_file) or ""
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        content = compose(message, now, config).as_bytes()
        port = config.port or _PORTS[config.encryption]
        return send_mail(config, port, password, config.sender, config.to, content)


def compose(message: Message, now: int, config: EmailConfig) -> EmailMessage:
    domain = config.sender.rpartition("@")[2]
    key = incident_id(message.key)
    firing_id = f"<{key}.firing@{domain}>"
    # The library decodes an encoded word in a name, line ends included, which could become a header.
    subject = summary(message).replace("=?", "= ?")[:_MAX_SUBJECT_CHARS]
    # Folding puts a space before a first word in brackets, so only text that must be encoded is folded.
    width = 998 if subject.isascii() else 78
    mail = EmailMessage(policy=policy.SMTP.clone(max_line_length=width))
    mail["Subject"] = subject
    mail["From"] = Address("driftwatch", addr_spec=config.sender)
    mail["To"] = ", ".join(config.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now // NANOSECONDS, tz=UTC))
    mail["Message-ID"] = (
        f"<{key}.resolved@{domain}>" if message.resolved else f"<{page_id(message)}.firing@{domain}>"
    )
    if message.resolved or message.again:
        mail["In-Reply-To"] = mail["References"] = firing_id
    # No out-of-office answers to a machine.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    text = f"{summary(message)}\n\n{description(message)}\n"
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(_page(message), subtype="html", cte="quoted-printable")
    # A fixed boundary gives a resend the same bytes. RFC 2046 allows 70 characters, and no boundary may begin
    # with another.
    mail.set_boundary(f"=_{key[:60]}")
    if config.attach_svg and message.trail:
        drawing = standalone_svg(timeline(message.trail, message.window_end, message.onset))
        mail.add_attachment(drawing.encode(), maintype="image", subtype="svg+xml", filename="evidence.svg")
        mail.set_boundary(f"=-{key[:60]}")
    return mail


def _page(message: Message) -> str:
    lines = "<br>\n".join(escape(line) for line in facts(message))
    url = link(message)
    link_html = f'<p><a href="{escape(url)}">Look: {link_text(message)}</a></p>\n' if url else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><body style="font-family:sans-serif">\n'
        f"<p><strong>{escape(summary(message))}</strong></p>\n<p>{lines}</p>\n{link_html}"
        f"{evidence_table(message.trail, message.window_end)}</body></html>\n"
    )


CONFIG = EmailConfig


def open_notifier(config: EmailConfig) -> EmailNotifier:
    return EmailNotifier(config)
