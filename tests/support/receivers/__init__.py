"""Receivers of every kind of notifier: they speak its protocol over a socket and can misbehave.

A module named as the notifier holds its receiver as ``Peer``. The contract suite finds it by name, so a new
notifier needs this file and the plugin's own, nothing else.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, Self

#: What a receiver does with a message: takes it; answers with a rate limit, an outage or a rejection; claims
#: success and did not take it; redirects; takes it and answers without end; takes it and hangs up before it
#: answers.
MODES = ("takes", "limited", "unavailable", "refused", "lies", "redirects", "floods", "hangs_up")
ACCEPTING_MODES = frozenset({"takes", "floods", "hangs_up"})
#: Reason, and whether another attempt can help, where every protocol agrees.
EXPECTED = {
    "limited": ("rate_limited", True),
    "unavailable": ("server_error", True),
    "refused": ("rejected", False),
    "lies": ("answer", True),
    "redirects": ("redirect", True),
    "hangs_up": ("cut_off", True),
}
RETRY_AFTER_SECONDS = 7
FLOOD_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 16 * 1024
SECRET = "hunter2andmore"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A message that a receiver took.

    ``key`` identifies duplicates; ``incident`` identifies incidents, the same for a resolve; ``text`` is what
    a person reads; ``whole`` is everything, fit for a golden file.
    """

    key: str
    incident: str
    resolved: bool
    text: str
    whole: str


class Peer(Protocol):
    """A receiver. ``modes`` apply in turn, the last one for ever.

    ``complaints`` are breaches of the protocol; ``slow_answer`` is the beginning of an answer, sent one byte
    at a time.
    """

    modes: list[str]
    received: list[ReceivedMessage]
    complaints: list[str]
    attempts: int
    slow_answer: bytes
    expected: dict[str, tuple[str, bool]]

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        """The notifier's settings, with ``SECRET`` for every secret; ``port`` for another server."""

    def serving(self, folder: Path) -> Any:
        """A context manager of the peer while it runs."""


def peer_of(notifier: str) -> Peer:
    peer: Peer = importlib.import_module(f"receivers.{notifier}").Peer()
    return peer


@dataclass
class HttpPeer:
    """What receivers over HTTP share."""

    modes: list[str] = field(default_factory=lambda: ["takes"])
    received: list[ReceivedMessage] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    attempts: int = 0
    port: int = 0
    slow_answer = b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200
    expected = EXPECTED
    success_answer = (200, b"")
    false_success_answer = (200, b"")

    def parse_message(self, path: str, headers: dict[str, str], body: Any) -> ReceivedMessage:
        """The message in a request. Raises ``ValueError`` or ``KeyError`` for what no real receiver takes."""
        raise NotImplementedError

    def answer(
        self, path: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body; None to hang up."""
        self.attempts += 1
        mode = self.modes.pop(0) if len(self.modes) > 1 else self.modes[0]
        try:
            message = self.parse_message(path, headers, json.loads(raw))
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            self.complaints.append(f"{type(error).__name__}: {error}")
            return 400, {}, b"invalid"
        if mode in ACCEPTING_MODES:
            self.received.append(message)
        if mode == "hangs_up":
            return None
        status, body = self.success_answer
        answers: dict[str, tuple[int, dict[str, str], bytes]] = {
            "takes": (status, {}, body),
            "limited": (429, {"Retry-After": str(RETRY_AFTER_SECONDS)}, b""),
            "unavailable": (503, {}, b"upstream"),
            "refused": (400, {}, f"no such thing: {path} {headers} ".encode() + raw),
            "lies": (
                self.false_success_answer[0],
                {"Content-Type": "text/html"},
                self.false_success_answer[1],
            ),
            "redirects": (302, {"Location": f"http://127.0.0.1:{self.port}/elsewhere"}, b""),
            "floods": (status, {"Content-Length": str(FLOOD_BYTES)}, b"x" * _CHUNK_BYTES),
        }
        return answers[mode]

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Self]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)


def _handler(owner: HttpPeer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = owner.answer(self.path, dict(self.headers), body)
            if answer is None:
                return
            status, headers, content = answer
            try:
                self.send_response(status)
                headers = {"Content-Length": str(len(content)), **headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for _ in range(int(headers["Content-Length"]) // max(len(content), 1)):
                    self.wfile.write(content)
            except OSError:
                return

        def do_GET(self) -> None:
            owner.complaints.append("a redirect was followed")
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            return

    return Handler


def secret_file(folder: Path, content: str = SECRET) -> str:
    path = folder / "secret"
    path.write_text(content + "\n")
    path.chmod(0o600)
    return str(path)


def expect(condition: object, detail: object) -> None:
    """Raises ``ValueError`` with the detail."""
    if not condition:
        raise ValueError(str(detail)[:300])
