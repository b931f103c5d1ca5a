"""Notifiers against receivers that behave, misbehave and stay silent."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import ssl
import subprocess
import time
from dataclasses import replace
from http.client import InvalidURL
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_outbox import SECOND, message
from peers import Receiver, free_port, silent
from pydantic import ValidationError

from driftwatch.core import plugins
from driftwatch.notify import _http
from driftwatch.notify._alert import alert
from driftwatch.notify._text import clean
from driftwatch.notify.alertmanager import AlertmanagerConfig, AlertmanagerNotifier
from driftwatch.notify.base import Notifier
from driftwatch.notify.webhook import WebhookConfig, WebhookNotifier
from driftwatch.store.outbox import message_from_json, message_to_json

NOW = 1_795_424_470 * SECOND
RESOLVED = message(resolved=True, resolved_at=NOW - 5 * SECOND)


def webhook(url: str, **settings: object) -> WebhookNotifier:
    return WebhookNotifier(WebhookConfig.model_validate({"type": "webhook", "url": url, **settings}))


def members(*urls: str, **settings: object) -> AlertmanagerNotifier:
    return AlertmanagerNotifier(AlertmanagerConfig.model_validate({"urls": list(urls), **settings}))


@pytest.fixture(params=["alertmanager", "webhook"])
def notifier(request: pytest.FixtureRequest, receiver: Receiver) -> Notifier:
    """Each notifier with the receiver as its target and a second to answer."""
    if request.param == "webhook":
        return webhook(receiver.url, timeout=1)
    return members(receiver.url, timeout=1)


def test_every_notifier_is_found_by_its_file_name() -> None:
    assert plugins.names("notify") == ("alertmanager", "email", "pagerduty", "slack", "webhook")


def test_the_title_fits_a_telephone_and_names_what_is_watched() -> None:
    summary = alert(message(title="inputs drifted"), NOW, 240, {})["annotations"]["summary"]
    assert summary == "[critical] credit-risk (model credit-xgb 14): inputs drifted"


def test_labels_hold_nothing_that_changes_while_it_fires() -> None:
    first = alert(message(), NOW, 240, {})["labels"]
    later = message(lines=("age: median 41 → 12",), state="ok", window_end=NOW, possible_duplicate=True)
    assert alert(later, NOW + 999 * SECOND, 240, {})["labels"] == first
    assert alert(RESOLVED, NOW, 240, {})["labels"] == first


def test_a_resolve_is_the_whole_alert_with_an_end() -> None:
    resolve = alert(RESOLVED, NOW, 240, {})
    assert resolve["endsAt"] == "2026-11-23T09:01:05.000Z"
    assert resolve["generatorURL"] == message().url
    assert "age: median" in resolve["annotations"]["description"]


def test_an_end_never_lies_before_the_start() -> None:
    early_resolve = replace(RESOLVED, resolved_at=message().opened_at - SECOND)
    early_alert = alert(early_resolve, NOW, 240, {})
    assert early_alert["endsAt"] == early_alert["startsAt"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300), st.text(min_size=1, max_size=200))
def test_hostile_names_come_out_as_short_printable_json(title: str, line: str, segment: str) -> None:
    hostile = message(title=title, lines=(line,) * 40, segment=segment, unchanged=line)
    hostile_alert = alert(hostile, NOW, 240, {})
    json.dumps(hostile_alert, ensure_ascii=False).encode("utf-8")
    assert all(value.isprintable() and len(value) <= 128 for value in hostile_alert["labels"].values())
    assert len(hostile_alert["annotations"]["summary"]) < 500
    assert len(hostile_alert["annotations"]["description"]) <= 4000
    assert clean(title).isprintable()


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text())
def test_a_stored_message_comes_back_as_it_was(title: str, line: str) -> None:
    trail = ((1, None, "stale", False), (2, 0.5, line, True))
    stored = message(title=title, lines=(line, "b"), segment=line or None, trail=trail)
    assert message_from_json(message_to_json(stored)) == stored


def test_a_message_that_an_older_version_queued_comes_back() -> None:
    stored = json.loads(message_to_json(message()))
    del stored["trail"]
    assert message_from_json(json.dumps(stored)) == message()


@pytest.mark.parametrize(
    ("status", "delivered", "retryable", "reason"),
    [
        (200, True, False, ""),
        (202, True, False, ""),
        (301, False, True, "redirect"),
        (307, False, True, "redirect"),
        (400, False, False, "rejected"),
        (401, False, True, "secret"),
        (403, False, False, "rejected"),
        (404, False, False, "rejected"),
        (408, False, True, "rate_limited"),
        (429, False, True, "rate_limited"),
        (500, False, True, "server_error"),
        (503, False, True, "server_error"),
    ],
)
def test_an_answer_says_whether_trying_again_helps(
    notifier: Notifier, receiver: Receiver, status: int, delivered: bool, retryable: bool, reason: str
) -> None:
    receiver.answers = [(status, {"Location": receiver.url})]
    answer = notifier.send(message(), NOW)
    assert (answer.delivered, answer.retryable, answer.reason) == (delivered, retryable, reason)
    assert len(receiver.requests) == 1, "one attempt, no redirect followed"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Mon, 23 Nov 2026 09:01:30 GMT", 20.0), ("Mon, 23 Nov 2020 08:00:00 GMT", 0.0),
     ("soon", None), ("-5", None), ("", None)],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(
    notifier: Notifier, receiver: Receiver, header: str, seconds: float | None
) -> None:
    receiver.answers = [(429, {"Retry-After": header})]
    assert notifier.send(message(), NOW).retry_after == seconds


def test_nobody_listens() -> None:
    sink = webhook(f"http://127.0.0.1:{free_port()}")
    answer = sink.send(message(), NOW)
    assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "connection")


@pytest.mark.parametrize(
    ("answer_bytes", "interval"),
    [(b"", 0.0), (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200, 0.05)],
    ids=["silent", "one byte at a time"],
)
def test_a_receiver_that_hangs_is_left_at_the_deadline(answer_bytes: bytes, interval: float) -> None:
    with silent(answer_bytes, interval) as url:
        started = time.monotonic()
        answer = webhook(url, timeout=0.4).send(message(), NOW)
        assert time.monotonic() - started < 1.5
    assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "timeout")


@pytest.mark.parametrize(
    "answer_bytes", [b"\x00garbage\r\n\r\n", b"HTTP/1.1 999999 no\r\n\r\n", b"SSH-2.0-x\r\n"]
)
def test_an_answer_that_is_no_http_is_a_failed_connection(answer_bytes: bytes) -> None:
    with silent(answer_bytes) as url:
        answer = webhook(url, timeout=0.5).send(message(), NOW)
    assert (answer.delivered, answer.retryable) == (False, True)
    assert answer.reason in ("cut_off", "timeout")


def test_proxies_of_the_environment_are_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert webhook(receiver.url).send(message(), NOW).delivered


@pytest.mark.parametrize("peer", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254"])
def test_metadata_addresses_are_refused_after_connecting(monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    sent: list[bytes] = []

    class Connected:
        def getpeername(self) -> tuple[str, int]:
            return (peer, 80)

        def sendall(self, data: bytes) -> None:
            sent.append(data)

        def close(self) -> None:
            return

    monkeypatch.setattr(_http.connection.HTTPConnection, "_new_conn", lambda self: Connected())
    answer = webhook("http://innocent.example").send(message(), NOW)
    assert (answer.delivered, answer.retryable, answer.reason) == (False, False, "address")
    assert sent == []


@pytest.mark.parametrize(
    "url",
    ["ftp://host", "host:9093", "http://", "http://host:port", "http://u:secret@host", "http://a b", "file:///x",
     "http://host/\n", "http://host/#x", "http://[::1"],
)  # fmt: skip
def test_only_plain_http_urls_are_accepted(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        webhook(url)
    assert "secret" not in str(caught.value.errors()[0]["msg"])


def test_every_member_of_a_cluster_is_told_and_one_is_enough(receiver: Receiver) -> None:
    with Receiver().serving() as second_receiver, silent() as hanging_url:
        answer = members(hanging_url, receiver.url, second_receiver.url, timeout=0.5).send(message(), NOW)
        assert answer.delivered
        assert answer.retryable, "who has to reach all of them has something left to do"
        assert "1 of 3 members failed: timeout" in answer.detail
        assert [len(receiver.requests), len(second_receiver.requests)] == [1, 1]
        assert receiver.requests[0].path == "/api/v2/alerts"
        receiver.answers = second_receiver.answers = [(400, {})]
        assert members(receiver.url, second_receiver.url).send(message(), NOW).reason == "rejected"


@pytest.mark.parametrize("labels", [{"monitor": "x"}, {"severity": "x"}, {"a-b": "x"}, {"__x": "y"}])
def test_extra_labels_must_not_disturb_the_own_ones(labels: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        members("http://host", labels=labels)


def test_the_webhook_is_signed_and_carries_the_key(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "token").write_text("open-sesame\n")
    sink = webhook(receiver.url + "/hook?a=b", secret_file=tmp_path / "secret", token_file=tmp_path / "token")
    assert sink.send(message("k-1"), NOW).delivered
    assert sink.send(replace(message("k-1"), possible_duplicate=True), NOW + SECOND).delivered
    assert sink.send(replace(RESOLVED, key="k-1"), NOW + 2 * SECOND).delivered
    first, resend, _ = receiver.requests
    assert first.path == "/hook?a=b"
    assert [request.headers["Idempotency-Key"] for request in receiver.requests] == [
        "k-1",
        "k-1",
        "k-1-resolved",
    ]
    for request, sent_at in ((first, NOW), (resend, NOW + SECOND)):
        timestamp = str(sent_at // SECOND)
        signed = timestamp.encode() + b"." + request.body
        expected = hmac.new(b"hunter2", signed, hashlib.sha256).hexdigest()
        assert request.headers["X-Driftwatch-Timestamp"] == timestamp
        assert request.headers["X-Driftwatch-Signature"] == f"sha256={expected}"
    assert first.headers["Authorization"] == "Bearer open-sesame"
    assert json.loads(resend.body)["alerts"][0]["annotations"]["possible_duplicate"] == "true"


@pytest.mark.parametrize("content", ["a\nb", "tökén"])
def test_a_broken_secret_is_named_and_never_shown(receiver: Receiver, tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    for path in (tmp_path / "token", tmp_path / "missing"):
        answer = webhook(receiver.url, token_file=path).send(message(), NOW)
        assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "secret")
        assert content not in answer.detail
    assert receiver.requests == []


def test_an_address_can_be_a_secret(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(receiver.url + "/T000/B000/XXXX\n")
    sink = WebhookNotifier(WebhookConfig.model_validate({"url_file": tmp_path / "url"}))
    assert sink.send(message(), NOW).delivered
    assert receiver.requests[0].path == "/T000/B000/XXXX"
    (tmp_path / "url").write_text("ftp://secret")
    answer = sink.send(message(), NOW)
    assert answer.reason == "secret"
    assert "ftp" not in answer.detail
    with pytest.raises(ValidationError, match="url: expected url or url_file"):
        WebhookConfig.model_validate({"type": "webhook"})


def test_a_certificate_nobody_vouches_for_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Receiver().serving(context) as secure:
        url = secure.url.replace("http://127.0.0.1", "https://localhost")
        answer = webhook(url).send(message(), NOW)
        assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "tls")
        assert webhook(url, ca_file=tmp_path / "cert.pem").send(message(), NOW).delivered


def test_a_handshake_that_never_ends_is_left_at_the_deadline() -> None:
    # The head of a TLS record of 16 kB, whose bytes come one at a time.
    with silent(b"\x16\x03\x03\x3f\xff" + b"\x02" * 400, 0.05) as url:
        answer = webhook(url.replace("http:", "https:"), timeout=0.4).send(message(), NOW)
    assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "timeout")


def test_a_slow_body_after_a_success_is_no_failure() -> None:
    """A second attempt would notify twice where a resend cannot be told apart."""
    with silent(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"y" * 900, 0.004) as url:
        assert webhook(url, timeout=1).send(message(), NOW).delivered


def test_no_error_tells_the_secret_part_of_an_address() -> None:
    url = "https://hooks.slack.com/services/T000/B000/hunter2?key=swordfish"
    notifier = InvalidURL("URL can't contain control characters. '/services/T000/B000/hunter2?key=swordfish'")
    answer = _http._failed_delivery(notifier, url)
    assert not [secret for secret in ("hunter2", "swordfish") if secret in answer.detail]
    assert "control characters" in answer.detail


def test_slack_says_in_a_word_what_it_refuses() -> None:
    details = {b"channel_is_archived": "HTTP 410: channel_is_archived", b"no: /services/T000": "HTTP 410"}
    for body, detail in details.items():
        answer = _http._judge(_http.Answer(status=410, retry_after=None, body=body), NOW, _http.no_body_error)
        assert (answer.reason, answer.retryable, answer.detail) == ("rejected", False, detail)


@pytest.mark.parametrize(
    ("name", "values", "error"),
    [
        ("slack", {}, "url: expected url or url_file. Got neither."),
        (
            "slack",
            {"url": "https://a/", "url_file": "b"},
            "url: expected url or url_file, not both. Got both.",
        ),
        ("pagerduty", {}, "routing_key: expected routing_key or routing_key_file. Got neither."),
        ("webhook", {"url": "https://a/", "url_file": "b"}, "url: expected url or url_file, not both."),
        (
            "webhook",
            {"url": "https://a/", "secret": "s", "secret_file": "b"},
            "secret: expected secret or secret_file, not both. Got both.",
        ),
    ],
)
def test_one_of_two_ways_to_give_a_secret(name: str, values: dict[str, str], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        plugins.load("notify", name).CONFIG.model_validate(values)
