"""The web server: uvicorn in a thread, with the deadlines that uvicorn lacks."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn
from h11 import IDLE, SEND_BODY
from uvicorn.protocols.http.h11_impl import H11Protocol

from driftwatch.config.models import WebConfig
from driftwatch.daemon.own_health.loops.heartbeat import Heartbeat, Moment
from driftwatch.daemon.own_health.loops.loop_supervisor import Revival
from driftwatch.daemon.own_health.own_health import LoopHealth
from driftwatch.errors import ConfigError, DriftwatchError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

#: Seconds from connecting, or from the first byte of a later request, until the request must be complete.
REQUEST_SECONDS = 10.0
#: Seconds a client may take to receive an answer.
ANSWER_SECONDS = 60.0
#: With more connections than this, the oldest one without a complete request is closed.
MAX_CONNECTIONS = 512
_BACKLOG = 512
_START_SECONDS = 10.0
#: The event loop answers within this even while checks want the interpreter; and how often it is asked.
_EVENT_LOOP_SECONDS, _BEAT_SECONDS = 10.0, 0.5


class _Protocol(H11Protocol):
    """Sets a deadline on every HTTP/1.1 request and answer, so that half-open connections are closed."""

    _deadline: asyncio.TimerHandle | None = None
    _request_incomplete = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline(REQUEST_SECONDS)
        if len(self.connections) > MAX_CONNECTIONS:
            _drop_oldest(self.connections)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        request_incomplete = self.conn.their_state in (IDLE, SEND_BODY)
        if request_incomplete != self._request_incomplete or self._deadline is None:
            self._request_incomplete = request_incomplete
            self._set_deadline(REQUEST_SECONDS if request_incomplete else ANSWER_SECONDS)

    def on_response_complete(self) -> None:
        self._clear_deadline()
        super().on_response_complete()
        # An answer can come before the request's body has ended, and a pipelined request may be next;
        # uvicorn closes idle connections.
        self._request_incomplete = self.conn.their_state in (IDLE, SEND_BODY)
        if self.conn.their_state is not IDLE and not self.transport.is_closing():
            self._set_deadline(REQUEST_SECONDS if self._request_incomplete else ANSWER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def _set_deadline(self, seconds: float) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def request_deadline(self) -> float | None:
        """Return the deadline in event-loop time, or None when the request is complete."""
        return self._deadline.when() if self._request_incomplete and self._deadline is not None else None


def _drop_oldest(connections: set[Any]) -> None:
    deadlines = {
        connection: deadline
        for connection in connections
        if (deadline := connection.request_deadline()) is not None
    }
    if deadlines:
        min(deadlines, key=lambda connection: deadlines[connection]).transport.abort()


class _EventLoop(asyncio.SelectorEventLoop):
    """An event loop that applies the request deadline to TLS handshakes."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = REQUEST_SECONDS
        return await super().create_server(*args, **options)


class WebServer:
    def __init__(self, app: ASGIApp, config: WebConfig) -> None:
        self._config = config
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._heartbeat = Heartbeat("web", _EVENT_LOOP_SECONDS)
        self._is_stopping = self._was_restarted = False
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
        host = self._config.host
        host = f"[{host}]" if ":" in host else host
        scheme = "http" if self._config.tls is None else "https"
        return self._config.external_url or f"{scheme}://{host}:{self.port}/"

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind now, then serve from a thread. Raises ``ConfigError`` when the address is not available."""
        self._load_certificate()
        self._socket = _bind(self._config)
        self._start_thread()
        if not self._server.started:
            self.stop(1)
            raise DriftwatchError(f"the web server did not start: {self._failure or 'no answer in 10 s'}.")

    def _start_thread(self) -> None:
        self._heartbeat.beat()
        self._thread = threading.Thread(target=self._run, name="driftwatch-web", daemon=True)
        self._thread.start()
        pause = threading.Event()
        for _ in range(int(_START_SECONDS / 0.01)):
            if self._server.started or not self._thread.is_alive():
                break
            pause.wait(0.01)

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]:
        return () if self._thread is None else (self._heartbeat.health(moment),)

    def revive(self) -> Revival:
        """Serve again on the same socket, once: a server that ends twice needs a new process."""
        if self._is_stopping or self._thread is None or self._thread.is_alive():
            return Revival()
        reason = f"{type(self._failure).__name__}: {self._failure}" if self._failure else "no reason known"
        if not self._was_restarted:
            self._was_restarted = True
            self._server = uvicorn.Server(self._settings)
            self._start_thread()
            if self._server.started:
                return Revival(restarted=("web",))
        return Revival(lost=f"The web server ended and cannot be started again ({reason}).")

    def stop(self, seconds: float = 5.0) -> None:
        """Let requests finish within ``seconds``, then close every connection."""
        self._is_stopping = True
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
        """Read certificate and key again for new connections."""
        tls = self._config.tls
        if tls is not None and self._settings.ssl is not None:
            try:
                self._settings.ssl.load_cert_chain(tls.cert_file, tls.key_file)
            except OSError as error:
                raise _certificate_error(self._config, error) from error

    def _load_certificate(self) -> None:
        try:
            self._settings.load()
        except OSError as error:
            raise _certificate_error(self._config, error) from error

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_EventLoop) as runner:
                runner.run(self._serve())
        except (OSError, SystemExit) as error:
            # ``start`` or ``revive`` reports it.
            self._failure = error

    async def _serve(self) -> None:
        beats = asyncio.create_task(self._beat())
        # uvicorn closes what it is given; the socket itself stays bound, and a restart goes on with it.
        listener = None if self._socket is None else self._socket.dup()
        try:
            await self._server.serve(sockets=None if listener is None else [listener])
        finally:
            # Of an event loop that was ended, nobody else closes them.
            for connection in tuple(self._server.server_state.connections):
                connection.transport.abort()
            beats.cancel()
            if listener is not None:
                listener.close()

    async def _beat(self) -> None:
        while True:
            self._heartbeat.beat()
            await asyncio.sleep(_BEAT_SECONDS)


def _bind(config: WebConfig) -> socket.socket:
    # Early, so that a taken port is reported before anything else starts.
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(
            f"web.listen: expected a free address of this machine. Got {config.listen}: "
            f"{getattr(error, 'strerror', None) or error}. "
            "Is another driftwatch running? Port 0 picks a free one."
        ) from error
    listener.setblocking(False)
    return listener


def _certificate_error(config: WebConfig, error: OSError) -> ConfigError:
    files = "" if config.tls is None else f"{config.tls.cert_file} and {config.tls.key_file}"
    return ConfigError(f"web.tls: expected a PEM certificate and its key. Got {files}: {error}.")
