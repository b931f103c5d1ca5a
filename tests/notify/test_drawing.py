"""Evidence in a mail: drawn as table cells, which every mail program shows, and attached as a file."""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from xml.parsers.expat import ParserCreate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_outbox import SECOND, message
from peers import require
from receivers.email import Peer

from driftwatch.notify._drawing import MAX_TABLE_WINDOWS, evidence_table
from driftwatch.notify.base import Message
from driftwatch.notify.email import EmailConfig, EmailNotifier, compose
from driftwatch.results.evidence_trail import TrailPoint
from driftwatch.results.results import State

#: aiosmtpd does not count TLS from the first byte as TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
NOW = 1_795_424_470 * SECOND
GOLDEN = Path(__file__).parent / "golden" / "email"
QUARTER = 21_600 * SECOND
PLAIN = {"host": "localhost", "sender": "driftwatch@example.org", "to": ["oncall@example.org"]}
#: Evidence, state and page of the windows, oldest first: learning, quiet, no source, rising, the page.
EVIDENCE: tuple[tuple[float | None, str, bool], ...] = (
    (0.0, "calibrating", False), (0.01, "ok", False), (0.02, "ok", False), (None, "source_error", False),
    (None, "stale", False), (0.03, "ok", False), (0.12, "ok", False), (0.47, "ok", False),
    (1.31, "drifting", True),
)  # fmt: skip


def message_with_trail(**changes: object) -> Message:
    plain_message = message("credit-risk-drift-a2f3d11bda", **changes)
    first = plain_message.window_end - (len(EVIDENCE) - 1) * QUARTER
    return replace(
        plain_message, trail=tuple((first + n * QUARTER, *evidence) for n, evidence in enumerate(EVIDENCE))
    )


def composed_mail(sent: Message, **changes: object) -> EmailMessage:
    content = compose(sent, NOW, EmailConfig.model_validate({**PLAIN, **changes})).as_bytes()
    mail = message_from_bytes(content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def page_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def assert_same_as_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"wrote {path}: look at it, then run again")
    assert text == path.read_text(encoding="utf-8")


def test_the_drawings_are_what_they_were() -> None:
    mail = composed_mail(message_with_trail(), attach_svg=True)
    assert_same_as_golden("drawn.html", page_of(mail))
    (attachment,) = mail.iter_attachments()
    assert (attachment.get_content_type(), attachment.get_filename()) == ("image/svg+xml", "evidence.svg")
    assert_same_as_golden("evidence.svg", attachment.get_content().decode())


def test_nothing_is_attached_unasked_or_where_there_is_nothing_to_draw() -> None:
    assert list(composed_mail(message_with_trail()).iter_attachments()) == []
    mail = composed_mail(message(), attach_svg=True)
    assert list(mail.iter_attachments()) == []
    assert "<table" not in page_of(mail)


def test_a_drawing_arrives_as_it_left(tmp_path: Path) -> None:
    with (peer := Peer()).serving(tmp_path):
        config = EmailConfig.model_validate({**peer.settings(tmp_path), "attach_svg": True})
        assert EmailNotifier(config).send(message_with_trail(), NOW).delivered
    assert peer.complaints == []
    ((name, content),) = peer.attachments
    assert name == "evidence.svg"
    assert content.decode() == (GOLDEN / "evidence.svg").read_text(encoding="utf-8")


def test_a_resend_with_a_drawing_is_the_same_mail() -> None:
    config = EmailConfig.model_validate({**PLAIN, "attach_svg": True})
    assert (
        compose(message_with_trail(), NOW, config).as_bytes()
        == compose(message_with_trail(), NOW, config).as_bytes()
    )


def test_no_part_of_a_mail_is_taken_for_another() -> None:
    """A parser compares the beginning of a line (RFC 2046, 5.1.1), of which it must know 70 characters."""
    outer = composed_mail(replace(message_with_trail(), key=f"{'m' * 63}-broken-a2f3d11bda"), attach_svg=True)
    (inner,) = (part for part in outer.iter_parts() if part.is_multipart())
    assert isinstance(inner, EmailMessage)
    boundaries = [str(part.get_boundary()) for part in (outer, inner)]
    assert all(len(boundary) <= 70 for boundary in boundaries)
    assert not any(
        one.startswith(another) for one in boundaries for another in boundaries if one is not another
    )


def test_unknown_is_no_zero_and_a_page_is_full() -> None:
    rows = evidence_table(message_with_trail().trail, NOW).split("\n")
    page_row, quiet_row = rows[2], rows[-4]
    assert "a page, inputs drifted" in page_row
    assert 'width="90" height="12" bgcolor="#cc4037"' in page_row
    unknown_rows = [row for row in rows if "could not be read" in row or "is behind" in row]
    assert len(unknown_rows) == 2
    assert all("dashed" in row and "bgcolor" not in row for row in unknown_rows)
    assert "0.01, nothing moved" in quiet_row


hostile = st.text() | st.sampled_from(['"><script>', "</td>", "a\r\nb", "\x00\ud800"])
place = st.tuples(
    st.integers(0, 2**62),
    st.none() | st.floats(),
    st.sampled_from([*map(str, State)]) | hostile,
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(place, max_size=30), hostile)
def test_whatever_the_trail_the_mail_is_well_formed(trail: list[TrailPoint], title: str) -> None:
    trail.sort(key=lambda item: item[0])
    mail = composed_mail(message(title=title, trail=tuple(trail)), attach_svg=True)
    html = page_of(mail)
    assert html.count('<tr><td style="padding') == min(len(trail), MAX_TABLE_WINDOWS)
    assert "<script" not in html
    table = evidence_table(trail, NOW)
    if table:
        ParserCreate().Parse(re.sub("&nbsp;", " ", table).encode("utf-8", "replace"), True)
    for attachment in mail.iter_attachments():
        ParserCreate().Parse(attachment.get_content(), True)


@pytest.mark.peer
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_bars_are_seen_on_a_telephone(scheme: str) -> None:
    """Bar widths follow the numbers, and nothing is wider than the screen."""
    chromium = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 800}, color_scheme=scheme)
        page.set_content(page_of(composed_mail(message_with_trail())))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        bars = page.eval_on_selector_all(
            "td[bgcolor]", "cells => cells.map(c => [c.bgColor, c.getBoundingClientRect().width,"
            " getComputedStyle(c).backgroundColor])",
        )  # fmt: skip
        browser.close()
    assert bars[0] == ["#cc4037", 90, "rgb(204, 64, 55)"]
    assert [round(width) for shade, width, _ in bars[1:5]] == [42, 48, 11, 79]
