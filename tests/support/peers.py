"""Real services for tests: started on free loopback ports in folders of their own, stopped by their id."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def require(binary: str) -> str:
    """Path of a real service's program. Skips the test where it is missing; fails it in CI."""
    path = shutil.which(binary)
    if path is None and os.environ.get("CI"):
        pytest.fail(f"{binary} is not installed, and CI must not skip it")
    if path is None:
        pytest.skip(f"{binary} is not installed")
    return path


#: Below the range from which Linux gives ports to connections and to listeners on port 0.
_FIRST_PORT, _PORTS = 20_000, 10_000


def free_port() -> int:
    """A port that nobody listens on and that no other test of this machine gets while this process lives.

    An abstract Unix socket of the port's name is the lock: it needs no file, and ends with the process.
    """
    start = random.SystemRandom().randrange(_PORTS)
    for number in range(_PORTS):
        port = _FIRST_PORT + (start + number) % _PORTS
        with socket.socket(socket.AF_UNIX) as lock, socket.socket() as probe, suppress(OSError):
            lock.bind(f"\0driftwatch-test-port-{port}")
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            lock.detach()
            return port
    pytest.fail(f"no port from {_FIRST_PORT} on is free")


def until(truth: Callable[[], Any], seconds: float = 90.0) -> Any:
    """The first true value of ``truth``; fails the test after ``seconds``."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        value = truth()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"did not come true within {seconds} s")


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def program(command: Sequence[str], folder: Path, ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program from ready to gone. Only this very process is ended."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or _answers(ready))
            if process.poll() is not None:
                pytest.fail((folder / "log").read_text()[-2000:])
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


@contextmanager
def alertmanager(folder: Path, receiver: str, inhibit: Sequence[Any] = ()) -> Iterator[str]:
    """A real Alertmanager that tells the webhook ``receiver`` at once. Yields its address."""
    binary = require("prometheus-alertmanager")
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "route": {
            "receiver": "test", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver, "send_resolved": True}]}],
        "inhibit_rules": list(inhibit),
    }  # fmt: skip
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        binary, "--config.file=alertmanager.yml", "--storage.path=data", f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]  # fmt: skip
    with program(command, folder, f"http://{address}/-/ready"):
        yield f"http://{address}"


@contextmanager
def prometheus(folder: Path, target: str, rules: str, alertmanager: str | None) -> Iterator[str]:
    """A real Prometheus that scrapes ``target`` every second. Yields its address."""
    binary = require("prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules)
    static = [{"targets": [] if alertmanager is None else [alertmanager.removeprefix("http://")]}]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "driftwatch", "static_configs": [{"targets": [target]}]}],
        "alerting": {"alertmanagers": [{"static_configs": static}]},
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}",
        "--rules.alert.resend-delay=1s",
    ]  # fmt: skip
    with program(command, folder, f"http://{address}/-/ready"):
        yield f"http://{address}"


@dataclass(slots=True)
class Request:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A receiver of POSTs, answering what it is told; of GETs, answering ``page`` (None: 503).

    ``answers`` are (status, headers) in turn, the last one for ever. ``delay`` is seconds before an answer.
    """

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    delay: float = 0.0
    page: str | None = ""
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    release: threading.Event = field(default_factory=threading.Event)

    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.requests]

    def alerts(self, status: str) -> list[Any]:
        """Alerts of that status in everything received in Alertmanager's webhook shape."""
        return [alert for body in self.bodies() for alert in body["alerts"] if alert["status"] == status]

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            self.release.set()
            server.shutdown()
            server.server_close()
            thread.join(5)


def _handler(owner: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            owner.requests.append(Request(path=self.path, headers=dict(self.headers), body=body))
            if owner.delay:
                owner.release.wait(owner.delay)
            status, headers = owner.answers.pop(0) if len(owner.answers) > 1 else owner.answers[0]
            self._say(status, headers, b"")

        def do_GET(self) -> None:
            status = 503 if owner.page is None else 200
            self._say(status, {"Content-Type": "text/plain; version=0.0.4"}, (owner.page or "").encode())

        def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return

        def log_message(self, *args: object) -> None:
            return

    return Handler


@contextmanager
def silent(answer: bytes = b"", every: float = 0.0) -> Iterator[str]:
    """A server that accepts and says nothing, or ``answer`` one byte every ``every`` seconds."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    ended = threading.Event()

    def serve() -> None:
        connections: list[socket.socket] = []
        while not ended.is_set():
            try:
                connections.append(listener.accept()[0])
            except TimeoutError:
                continue
            for byte in answer:
                try:
                    connections[-1].sendall(bytes([byte]))
                except OSError:
                    break
                if ended.wait(every):
                    break
        for one in connections:
            one.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        thread.join(5)
        listener.close()
