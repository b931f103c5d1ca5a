"""What strangers send to the port: too much of everything, guesses, and pages of other sites."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import until
from web_site import Serve, Site, serving

from driftwatch.daemon.web.http import guard, login_attempts
from driftwatch.daemon.web.http.login_attempts import LoginAttempts
from driftwatch.daemon.web.http.request_bounds import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS


@pytest.fixture
def serve() -> Iterator[Serve]:
    with serving() as start:
        yield start


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("s3cret", encoding="utf-8")
    file.chmod(0o600)
    return file


def answer(site: Site, *pieces: bytes) -> bytes:
    """The answer to raw bytes, read until the server closes or says no more."""
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=20) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        text = b""
        try:
            while not text.endswith(b"\n") and (piece := client.recv(65536)):
                text += piece
        except ConnectionResetError:
            pass
        return text


def head(path: str = "/metrics", *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def test_the_number_and_size_of_headers_are_bounded(serve: Serve) -> None:
    site = serve()
    few = [f"X-{number}: y" for number in range(MAX_HEADERS - 1)]
    assert answer(site, head("/-/healthy", *few)).startswith(b"HTTP/1.1 200")
    for headers in (
        [*few, "X-More: y"],
        [f"X-{number}: y" for number in range(10_000)],
        [f"X: {'y' * MAX_HEADER_BYTES}"],
        [f"X-{number}: {'y' * 400}" for number in range(90)],
    ):
        # Some are refused as a head without an end before they are counted.
        assert answer(site, head("/metrics", *headers))[9:12] in (b"431", b"400")
    assert answer(site, head("/-/healthy", *few, "X-More: y"))[9:12] == b"431"


def test_a_head_without_an_end_is_not_kept(serve: Serve) -> None:
    site = serve()
    started = time.monotonic()
    text = answer(site, b"GET / HTTP/1.1\r\nHost: localhost\r\n", *[b"X: " + b"y" * 1000 + b"\r\n"] * 1000)
    assert text == b"" or text.startswith(b"HTTP/1.1 400")
    assert time.monotonic() - started < 9, "not only at the deadline of 10 s"


@pytest.mark.parametrize("path", ["/-/reload", "/metrics", "/", "/api/v1/monitors", "/nothing"])
def test_a_body_that_nobody_reads_is_bounded(serve: Serve, path: str) -> None:
    site = serve(enable_reload=True)
    method = "POST" if path == "/-/reload" else "GET"
    chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    text = answer(site, head(path, "Transfer-Encoding: chunked", method=method), *[chunk] * 200)
    assert text == b"" or text.startswith(b"HTTP/1.1 413"), "or the refusal was lost with the connection"
    text = answer(site, head(path, f"Content-Length: {MAX_BODY_BYTES + 1}", method=method))
    assert text.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in text.lower()
    assert site.daemon.reloads == 0
    assert site.get("/-/healthy").status == 200


def test_an_endless_body_ends_with_its_connection(serve: Serve, token: Path) -> None:
    """Also one behind a refusal: what is sent after the answer is not read for ever."""
    site = serve(enable_reload=True, auth={"token_file": str(token)})
    chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=20) as client:
        client.sendall(head("/-/reload", "Transfer-Encoding: chunked", method="POST"))
        sent = 0
        try:
            while sent < 400_000_000:
                client.sendall(chunk)
                sent += len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 40_000_000, "no more than what lies in the sockets' buffers"
    assert site.daemon.reloads == 0


def test_a_small_body_disturbs_nothing(serve: Serve) -> None:
    site = serve(enable_reload=True)
    body = b"x" * MAX_BODY_BYTES
    request = head("/-/reload", f"Content-Length: {len(body)}", method="POST") + body
    assert answer(site, request).startswith(b"HTTP/1.1 200")
    assert site.daemon.reloads == 1
    # The connection goes on with the next request.
    text = answer(site, head("/-/healthy", "Content-Length: 3") + b"abc" + head("/-/ready"))
    assert text.count(b"HTTP/1.1 200") >= 1


def test_guessing_is_slowed_down_and_the_right_token_always_passes(
    serve: Serve, token: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "DELAY_SECONDS", 0.05)
    site = serve(auth={"token_file": str(token)})
    statuses = [site.get("/", Authorization=f"Bearer guess{number}").status for number in range(40)]
    assert statuses == [401] * 20 + [429] * 20
    refused = site.get("/", Authorization="Bearer guess")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "www-authenticate" not in refused.headers
    assert site.get("/", Authorization="Bearer s3cret").status == 200, "whoever is on call is not locked out"
    assert site.get("/").status == 401, "a browser's first question is no guess"
    records = [record for record in caplog.records if record.message == "wrong tokens from one address"]
    assert [record.__dict__["address"] for record in records] == ["127.0.0.1"]
    assert "guess" not in caplog.text


def test_attempts_are_counted_by_address_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(login_attempts.time, "monotonic", lambda: now[0])
    attempts = LoginAttempts()
    assert [attempts.wrong("192.0.2.1") for _ in range(21)] == [0] * 20 + [60]
    assert attempts.wrong("192.0.2.2") == 0
    assert [attempts.wrong(f"2001:db8::{number:x}") for number in range(21)][-1] == 60, "one network"
    now[0] += 59.8
    assert attempts.wrong("192.0.2.1") == 1
    now[0] += 0.3
    assert attempts.wrong("192.0.2.1") == 0
    for number in range(10_000):
        attempts.wrong(f"10.0.{number // 256}.{number % 256}")
    assert len(attempts._attempts) == login_attempts.MAX_ADDRESSES


def test_a_token_that_everybody_may_read_opens_nothing(serve: Serve, token: Path) -> None:
    """As at the start and at a reload. The probes stay open."""
    site = serve(auth={"token_file": str(token)})
    assert site.get("/", Authorization="Bearer s3cret").status == 200
    token.chmod(0o644)
    response = site.get("/", Authorization="Bearer s3cret")
    assert response.status == 503
    assert b"chmod 600" in response.data
    assert site.get("/-/healthy").status == 200
    token.chmod(0o640)
    assert site.get("/", Authorization="Bearer s3cret").status == 200


@pytest.mark.parametrize("value", ["cross-site", "same-site", "same-origin", "nonsense"])
def test_no_page_reloads_with_the_browsers_password(serve: Serve, value: str) -> None:
    site = serve(enable_reload=True)
    assert site.request("POST", "/-/reload", Sec_Fetch_Site=value).status == 403
    assert site.daemon.reloads == 0
    assert site.request("POST", "/-/reload", Sec_Fetch_Site="none").status == 200


def test_a_crowd_of_guesses_leaves_the_port_answering(serve: Serve, token: Path) -> None:
    """Refused guesses wait for their answer without holding a thread."""
    site = serve(auth={"token_file": str(token)})
    for number in range(20):
        site.get("/", Authorization=f"Bearer guess{number}")
    clients = [socket.create_connection(("127.0.0.1", site.server.port), timeout=20) for _ in range(100)]
    try:
        for client in clients:
            client.sendall(head("/", "Authorization: Bearer wrong"))
        assert site.get("/-/healthy").status == 200
        assert site.get("/", Authorization="Bearer s3cret").status == 200
        assert {client.recv(12) for client in clients} == {b"HTTP/1.1 429"}
    finally:
        for client in clients:
            client.close()


def test_no_bodies_are_held_in_memory(serve: Serve) -> None:
    site = serve(enable_reload=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunk = b"%x\r\n" % 60000 + b"x" * 60000 + b"\r\n"
    clients = [socket.create_connection(("127.0.0.1", site.server.port), timeout=20) for _ in range(100)]
    for client in clients:
        client.sendall(head("/-/reload", "Transfer-Encoding: chunked", method="POST") + chunk)
    until(lambda: site.get("/-/healthy").status == 200)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) < 100 * 1024, os.getpid()
    for client in clients:
        client.close()
