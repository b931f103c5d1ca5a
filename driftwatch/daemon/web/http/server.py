"""The web server: uvicorn in a thread of its own, with the deadlines uvicorn lacks."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn
from h11 import IDLE, SEND_BODY
from uvicorn.protocols.http.h11_impl import H11Protocol

from driftwatch.config.models import WebConfig
from driftwatch.errors import ConfigError, DriftwatchError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

#: Seconds from connecting, or from the first byte of a later request, until the request must be complete.
REQUEST_SECONDS = 10.0
#: Seconds a client may take to receive an answer.
ANSWER_SECONDS = 60.0
#: Beyond this many connections the oldest one without a complete request makes room.
MOST_CONNECTIONS = 512
_BACKLOG = 512
_START_SECONDS = 10.0


class _Protocol(H11Protocol):
    """HTTP/1.1 with a deadline on every request and every answer: half-open connections cost nothing."""

    _deadline: asyncio.TimerHandle | None = None
    _waiting = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(REQUEST_SECONDS)
        if len(self.connections) > MOST_CONNECTIONS:
            _make_room(self.connections)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waiting = self.conn.their_state in (IDLE, SEND_BODY)
        if waiting != self._waiting or self._deadline is None:
            self._waiting = waiting
            self._arm(REQUEST_SECONDS if waiting else ANSWER_SECONDS)

    def on_response_complete(self) -> None:
        self._disarm()
        super().on_response_complete()
        # An answer can come before the request's body has ended, and a pipelined request may be next;
        # an idle connection is uvicorn's to close.
        self._waiting = self.conn.their_state in (IDLE, SEND_BODY)
        if self.conn.their_state is not IDLE and not self.transport.is_closing():
            self._arm(REQUEST_SECONDS if self._waiting else ANSWER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def give_way(self) -> float | None:
        """When the request is due, if it is still incomplete."""
        return self._deadline.when() if self._waiting and self._deadline is not None else None


def _make_room(connections: set[Any]) -> None:
    due = {item: when for item in connections if (when := item.give_way()) is not None}
    if due:
        min(due, key=lambda item: due[item]).transport.abort()


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose TLS handshakes have the deadline of a request."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = REQUEST_SECONDS
        return await super().create_server(*args, **options)


class WebServer:
    """Serves an application on ``config.listen``; ``port`` is the one bound, also when 0 was asked for."""

    def __init__(self, app: ASGIApp, config: WebConfig) -> None:
        self._config = config
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._settings = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            ssl_certfile=None if config.tls is None else str(config.tls.cert_file),
            ssl_keyfile=None if config.tls is None else str(config.tls.key_file),
        )
        self._server = uvicorn.Server(self._settings)

    @property
    def port(self) -> int:
        """The bound port. Raises ``DriftwatchError`` before ``start``."""
        if self._socket is None:
            raise DriftwatchError("the web server has no port yet: call start() first.")
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The address people can open: ``external_url``, else what was bound."""
        host = self._config.host
        host = f"[{host}]" if ":" in host else host
        scheme = "http" if self._config.tls is None else "https"
        return self._config.external_url or f"{scheme}://{host}:{self.port}/"

    @property
    def alive(self) -> bool:
        """True while the serving thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind now and serve from a thread. Raises ``ConfigError`` when the address cannot be had."""
        self._load_certificate()
        self._socket = _bind(self._config)
        self._thread = threading.Thread(target=self._run, name="driftwatch-web", daemon=True)
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(_START_SECONDS / 0.01)):
            if self._server.started or not self._thread.is_alive():
                break
            waited.wait(0.01)
        if not self._server.started:
            self.stop(1)
            raise DriftwatchError(f"the web server did not start: {self._failure or 'no answer in 10 s'}.")

    def stop(self, seconds: float = 5.0) -> None:
        """Finish running requests within ``seconds``, then close every connection."""
        if self._thread is not None:
            self._settings.timeout_graceful_shutdown = max(1, round(seconds))
            self._server.should_exit = True
            self._thread.join(seconds)
            if self._thread.is_alive():
                self._server.force_exit = True
                self._thread.join(1.0)
            self._thread = None
        if self._socket is not None:
            self._socket.close()

    def reload_certificate(self) -> None:
        """Read certificate and key again; connections from now on get the new ones."""
        tls = self._config.tls
        if tls is not None and self._settings.ssl is not None:
            try:
                self._settings.ssl.load_cert_chain(tls.cert_file, tls.key_file)
            except OSError as error:
                raise _bad_certificate(self._config, error) from error

    def _load_certificate(self) -> None:
        try:
            self._settings.load()
        except OSError as error:
            raise _bad_certificate(self._config, error) from error

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(self._server.serve(sockets=[self._socket] if self._socket else None))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the thread's supervisor: start() reports it
            self._failure = error


def _bind(config: WebConfig) -> socket.socket:
    """A listening socket, so that a taken port is known before anything else starts."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((config.host, config.port))
        bound.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        raise ConfigError(
            f"web.listen: expected a free address of this machine. Got {config.listen}: "
            f"{getattr(error, 'strerror', None) or error}. "
            "Is another driftwatch running? Port 0 picks a free one."
        ) from error
    bound.setblocking(False)
    return bound


def _bad_certificate(config: WebConfig, error: OSError) -> ConfigError:
    files = "" if config.tls is None else f"{config.tls.cert_file} and {config.tls.key_file}"
    return ConfigError(f"web.tls: expected a PEM certificate and its key. Got {files}: {error}.")
