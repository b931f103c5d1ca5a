"""Mail, through an SMTP server.

The ``Message-ID`` is made of the incident's key, so that a resend is the same mail to whatever tells
duplicates apart, and the end of an incident stands in the thread its beginning opened. A server that takes a
mail for one of several recipients has taken it; who must not miss one gets a notifier of their own (``name``
tells them apart), with its own queue.
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
from driftwatch.charts.svg import standalone
from driftwatch.core.settings import Secret, one_of, read_secret
from driftwatch.notify._drawing import evidence_table
from driftwatch.notify._reach import Timeout
from driftwatch.notify._smtp import send_mail
from driftwatch.notify._text import description, facts, identity, link, summary
from driftwatch.notify.base import Delivery, Message, NotifierConfig

NANOSECONDS = 1_000_000_000
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LONGEST_SUBJECT = 200


def _known_address(value: str) -> str:
    try:
        parsed = Address(addr_spec=value)
    except (ValueError, HeaderParseError, IndexError):
        parsed = Address()
    # A space, a comma or a line end would be a second address or another header.
    plain = value.isascii() and value.isprintable() and not set(value) & set(" ,;<>()\"'\\")
    if not plain or not parsed.username or not parsed.domain:
        raise ValueError(f"expected an address such as oncall@example.org. Got {value[:60]!r}")
    return value


def _known_host(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or set(value) & set(" /:@[]"):
        try:
            ip_address(value)
        except ValueError as error:
            raise ValueError(f"expected a host such as mail.example.org. Got {value[:60]!r}") from error
    return value


MailAddress = Annotated[str, AfterValidator(_known_address)]


class EmailConfig(NotifierConfig):
    """``port`` is by default 587 with ``starttls``, 465 with ``tls`` and 25 with ``none``.

    ``attach_svg`` adds the evidence of the last 60 windows as a drawing that opens in any browser. Off: the
    mail itself draws the newest windows, and there are gateways that hold back mail with such files.
    """

    type: Literal["email"] = "email"
    host: Annotated[str, AfterValidator(_known_host)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    sender: MailAddress
    to: Annotated[list[MailAddress], Field(min_length=1, max_length=50)]
    username: str = ""
    password: Secret | None = None
    password_file: Path | None = None
    timeout: Timeout = 10.0
    ca_file: Path | None = None
    attach_svg: bool = False

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        given = one_of(self, "password", "password_file", needed=False)
        if bool(self.username) != bool(given):
            missing = "password" if self.username else "username"
            raise ValueError(f"{missing}: expected a username with a password, or neither. Got one of them.")
        if given and self.encryption == "none":
            raise ValueError("encryption: expected starttls or tls, to keep the password secret. Got none.")
        return self


class EmailNotifier:
    """Mails each state change once."""

    refreshes: float | None = None

    def __init__(self, config: EmailConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        """Send once, within ``timeout`` seconds."""
        config = self._config
        try:
            password = read_secret(config.password, config.password_file) or ""
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        content = compose(message, now, config).as_bytes()
        port = config.port or _PORTS[config.encryption]
        return send_mail(config, port, password, config.sender, config.to, content)


def compose(message: Message, now: int, config: EmailConfig) -> EmailMessage:
    """The whole mail, the same text whether it opens or ends an incident. ``now`` is in nanoseconds."""
    domain = config.sender.rpartition("@")[2]
    key = identity(message.key)
    opened = f"<{key}.firing@{domain}>"
    # The library unpacks an encoded word that stands in a name, line ends and all: it could be a header.
    subject = summary(message).replace("=?", "= ?")[:_LONGEST_SUBJECT]
    # Folding puts a space before a first word that stands in brackets; what must be encoded must be folded.
    width = 998 if subject.isascii() else 78
    mail = EmailMessage(policy=policy.SMTP.clone(max_line_length=width))
    mail["Subject"] = subject
    mail["From"] = Address("driftwatch", addr_spec=config.sender)
    mail["To"] = ", ".join(config.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now // NANOSECONDS, tz=UTC))
    mail["Message-ID"] = f"<{key}.resolved@{domain}>" if message.resolved else opened
    if message.resolved:
        mail["In-Reply-To"] = mail["References"] = opened
    # No out-of-office answers to a machine.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    text = f"{summary(message)}\n\n{description(message)}\n"
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(_page(message), subtype="html", cte="quoted-printable")
    # The same bytes for a resend; RFC 2046 allows 70 characters, and none that another begins with.
    mail.set_boundary(f"=_{key[:60]}")
    if config.attach_svg and message.trail:
        drawing = standalone(timeline(message.trail, message.window_end, message.onset))
        mail.add_attachment(drawing.encode(), maintype="image", subtype="svg+xml", filename="evidence.svg")
        mail.set_boundary(f"=-{key[:60]}")
    return mail


def _page(message: Message) -> str:
    lines = "<br>\n".join(escape(line) for line in facts(message))
    where = link(message)
    look = f'<p><a href="{escape(where)}">Look: what moved, and the working</a></p>\n' if where else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><body style="font-family:sans-serif">\n'
        f"<p><strong>{escape(summary(message))}</strong></p>\n<p>{lines}</p>\n{look}"
        f"{evidence_table(message.trail, message.window_end)}</body></html>\n"
    )


CONFIG = EmailConfig


def open_notifier(config: EmailConfig) -> EmailNotifier:
    """The notifier; connects to nothing yet."""
    return EmailNotifier(config)
