"""Receivers of every kind of notifier, speaking its protocol over a socket and able to misbehave.

A module here, named as the notifier, holds its receiver as ``Peer``: with the plugin's own file that is all a
new notifier needs, the contract suite finds it by name.
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

#: What a receiver does with a message: takes it; answers that it comes too often, that it is not well, that
#: the message is wrong; claims success and did not take it; sends elsewhere; takes it and talks without end;
#: takes it and hangs up before it answers.
MODES = ("takes", "limited", "unavailable", "refused", "lies", "redirects", "floods", "hangs_up")
TAKING = frozenset({"takes", "floods", "hangs_up"})
#: Reason and whether trying again helps, where every protocol says the same.
EXPECTED = {
    "limited": ("rate_limited", True),
    "unavailable": ("server_error", True),
    "refused": ("rejected", False),
    "lies": ("answer", True),
    "redirects": ("redirect", True),
    "hangs_up": ("cut_off", True),
}
ASKED_TO_WAIT = 7
FLOOD = 16 * 1024 * 1024
_PIECE = 16 * 1024
SECRET = "hunter2andmore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message a receiver took.

    ``key`` is what it tells duplicates by; ``incident`` what it tells incidents by, the same for an end;
    ``text`` what a person reads; ``whole`` everything, fit for a golden file.
    """

    key: str
    incident: str
    resolved: bool
    text: str
    whole: str


class Peer(Protocol):
    """See ``HttpPeer`` for most. ``modes`` are taken in turn, the last one for ever.

    ``complaints`` are breaches of the protocol it noticed; ``drips`` is the beginning of an answer, for a
    server that says one byte at a time.
    """

    modes: list[str]
    taken: list[Taken]
    complaints: list[str]
    attempts: int
    drips: bytes
    expected: dict[str, tuple[str, bool]]

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        """How it is configured, with ``SECRET`` wherever a secret goes; ``port`` for another server."""

    def serving(self, folder: Path) -> Any:
        """A context manager of the peer while it runs."""


def peer_of(notifier: str) -> Peer:
    made: Peer = importlib.import_module(f"receivers.{notifier}").Peer()
    return made


@dataclass
class HttpPeer:
    """What receivers through HTTP share."""

    modes: list[str] = field(default_factory=lambda: ["takes"])
    taken: list[Taken] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    attempts: int = 0
    port: int = 0
    drips = b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200
    expected = EXPECTED
    thanks = (200, b"")
    lie = (200, b"")

    def understand(self, path: str, headers: dict[str, str], body: Any) -> Taken:
        """The message in a request. Raises ``ValueError`` or ``KeyError`` for what no real receiver takes."""
        raise NotImplementedError

    def answer(
        self, path: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body; None to hang up."""
        self.attempts += 1
        mode = self.modes.pop(0) if len(self.modes) > 1 else self.modes[0]
        try:
            found = self.understand(path, headers, json.loads(raw))
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            self.complaints.append(f"{type(error).__name__}: {error}")
            return 400, {}, b"invalid"
        if mode in TAKING:
            self.taken.append(found)
        if mode == "hangs_up":
            return None
        status, body = self.thanks
        other: dict[str, tuple[int, dict[str, str], bytes]] = {
            "takes": (status, {}, body),
            "limited": (429, {"Retry-After": str(ASKED_TO_WAIT)}, b""),
            "unavailable": (503, {}, b"upstream"),
            "refused": (400, {}, f"no such thing: {path} {headers} ".encode() + raw),
            "lies": (self.lie[0], {"Content-Type": "text/html"}, self.lie[1]),
            "redirects": (302, {"Location": f"http://127.0.0.1:{self.port}/elsewhere"}, b""),
            "floods": (status, {"Content-Length": str(FLOOD)}, b"x" * _PIECE),
        }
        return other[mode]

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
            said = owner.answer(self.path, dict(self.headers), body)
            if said is None:
                return
            status, headers, content = said
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


def expect(truth: object, said: object) -> None:
    """Raises ``ValueError`` with what was said."""
    if not truth:
        raise ValueError(str(said)[:300])
