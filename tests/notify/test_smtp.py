"""Mail: encryption, logins, several recipients, and servers that are not what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from memory_outbox import SECOND, message
from peers import silent
from pydantic import ValidationError
from receivers.email import Peer, certificate

from driftwatch.notify import _reach
from driftwatch.notify.base import Delivery
from driftwatch.notify.email import EmailConfig, EmailNotifier, compose

#: aiosmtpd does not count TLS from the first byte as TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
NOW = 1_795_424_470 * SECOND
PLAIN = {"host": "localhost", "sender": "driftwatch@example.org", "to": ["oncall@example.org"]}


@contextmanager
def mail_server(folder: Path, **options: Any) -> Iterator[Peer]:
    with Peer(**options).serving(folder) as peer:
        yield peer
    assert peer.complaints == []


def send(peer: Peer, folder: Path, **changes: Any) -> Delivery:
    values = {**peer.settings(folder), **changes}
    settings = {name: value for name, value in values.items() if value is not None}
    return EmailNotifier(EmailConfig.model_validate(settings)).send(message(), NOW)


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_both_ways_to_encrypt(tmp_path: Path, encryption: str) -> None:
    with mail_server(tmp_path, encryption=encryption) as peer:
        assert send(peer, tmp_path).delivered
    assert len(peer.received) == 1


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path, encryption: str) -> None:
    with mail_server(tmp_path, encryption=encryption) as peer:
        for changes in ({"ca_file": None}, {"host": "127.0.0.1"}):
            answer = send(peer, tmp_path, **changes)
            assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "tls")
    assert peer.attempts == 0


def test_a_server_without_encryption_is_told_nothing(tmp_path: Path) -> None:
    """Somebody in between can remove STARTTLS from what the server offers."""
    with mail_server(tmp_path, encryption="none") as peer:
        answer = send(peer, tmp_path, encryption="starttls")
    assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "tls")
    assert peer.attempts == 0


def test_a_wrong_password_is_waited_out_and_not_shown(tmp_path: Path) -> None:
    with mail_server(tmp_path) as peer:
        for password in ("swordfish", "tökén"):
            answer = send(peer, tmp_path, password=password, password_file=None)
            assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "secret")
            assert password not in answer.detail
    assert peer.attempts == 0


def test_one_refused_recipient_keeps_the_page_from_nobody(tmp_path: Path) -> None:
    for reply in ("550 5.1.1 no such user", "450 4.2.1 mailbox busy"):
        with mail_server(tmp_path, refused_recipients={"team@example.org": reply}) as peer:
            answer = send(peer, tmp_path)
        assert answer.delivered
        assert answer.detail == "1 of 2 recipients refused"
        assert len(peer.received) == 1


def test_a_handshake_that_never_ends_is_left_at_the_deadline(tmp_path: Path) -> None:
    certificate(tmp_path)
    # The head of a TLS record of 16 kB, whose bytes come one at a time.
    with silent(b"\x16\x03\x03\x3f\xff" + b"\x02" * 400, 0.05) as url:
        port = int(url.rpartition(":")[2])
        answer = send(Peer(port=port), tmp_path, encryption="tls", timeout=0.5)
    assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "timeout")


def test_metadata_addresses_are_refused_before_anything_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reach, "_METADATA_ADDRESSES", frozenset({"127.0.0.1", "::1"}))
    with mail_server(tmp_path) as peer:
        answer = send(peer, tmp_path)
    assert (answer.delivered, answer.retryable, answer.reason) == (False, False, "address")
    assert peer.attempts == 0


def test_a_resend_is_the_same_mail_and_an_end_stands_in_its_thread() -> None:
    config = EmailConfig.model_validate(PLAIN)
    first, resend = (compose(message("k-1"), NOW, config).as_bytes() for _ in range(2))
    assert first == resend
    later_mail = compose(message("k-1"), NOW + SECOND, config)
    resolve = compose(replace(message("k-1"), resolved=True, resolved_at=NOW), NOW, config)
    assert (
        later_mail["Message-ID"]
        == resolve["In-Reply-To"]
        == resolve["References"]
        == "<k-1.firing@example.org>"
    )


@pytest.mark.parametrize("charset", ["utf-8", "us-ascii", "latin-1*en"])
@pytest.mark.parametrize("suffix", ["", " é"])
def test_no_encoded_word_in_a_name_becomes_a_header_or_a_text(charset: str, suffix: str) -> None:
    nasty = f"=?{charset}?q?a=0D=0ABcc:_evil@x.example=0D=0A=0D=0Abody?={suffix}"
    for title in (f"fraud: {nasty}", nasty, f"[{nasty}]", f"=={nasty}", f"=?{nasty}?="):
        content = compose(message("k", title=title), NOW, EmailConfig.model_validate(PLAIN)).as_bytes()
        mail = message_from_bytes(content, policy=policy.default)
        assert mail["Bcc"] is None
        assert "body?=" in mail["Subject"]
        head = content.partition(b"\r\n\r\n")[0]
        assert b"multipart/alternative" in head
        assert b"\r\nBcc" not in content


def test_no_name_becomes_a_header() -> None:
    nasty = "x\r\nBcc: thief@example.org\r\n\r\nbody \u2028 \x0b é"
    mail = compose(
        message(nasty, title=nasty, monitor=nasty, segment=nasty), NOW, EmailConfig.model_validate(PLAIN)
    )
    parsed = message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert "Bcc" not in parsed
    assert len(parsed["Subject"].splitlines()) == 1
    assert all(len(line) <= 78 for line in mail.as_bytes().splitlines() if line.startswith(b"Subject"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sender": "a@b\r\nBcc: c@d"}, "expected an address"),
        ({"to": ["a@b, c@d"]}, "expected an address"),
        ({"to": ["A <a@b>"]}, "expected an address"),
        ({"to": ["nobody"]}, "expected an address"),
        ({"host": "mail.example.org:25"}, "expected a host"),
        ({"host": "https://mail.example.org"}, "expected a host"),
        ({"username": "x"}, "expected a username with a password"),
        ({"password": "x"}, "expected a username with a password"),
        ({"username": "x", "password": "y", "encryption": "none"}, "expected starttls or tls"),
        ({"username": "x", "password": "y", "password_file": "z"}, "not both"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        EmailConfig.model_validate({**PLAIN, **changes})
