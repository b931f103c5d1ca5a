"""The HTTP surface: pages for people, ``/metrics``, JSON for scripts, ``/-/`` for operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from driftwatch.config.schema import ExportConfig, WebConfig
from driftwatch.daemon import api
from driftwatch.daemon.exporter import MetricsPage
from driftwatch.daemon.guard import Guard
from driftwatch.daemon.pages import Links
from driftwatch.daemon.rendering import Pages
from driftwatch.daemon.snapshot import MonitorView, SegmentView, Snapshot
from driftwatch.errors import DriftwatchError
from driftwatch.report import window_json
from driftwatch.summary.result import Verdict
from driftwatch.windows import parse_time

_JSON = "application/json"
_WINDOWS, _MOST_WINDOWS = 100, 1000


class State(Protocol):
    """What the web needs of the running daemon. Every method may be called from several threads."""

    def snapshot(self) -> Snapshot:
        """The newest snapshot."""

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""

    def reload(self) -> tuple[str, ...]:
        """Read the configuration again; what takes effect only later is returned.

        Raises ``DriftwatchError`` and keeps the old one.
        """

    def verdicts(self, monitor: str, segment: str | None, limit: int) -> list[Verdict]:
        """The newest verdicts, newest first."""

    def verdict(self, monitor: str, segment: str | None, window_end: int) -> Verdict | None:
        """One stored verdict."""


def create_app(state: State, web: WebConfig, export: ExportConfig) -> Starlette:
    """The application. ``metrics`` of its ``state`` is the page cache, to be warmed after a check."""
    site = _Site(state, web, export)
    app = _Guarded(
        routes=site.routes(),
        exception_handlers={
            HTTPException: site.http_error,
            DriftwatchError: site.driftwatch_error,
            Exception: site.fault,
        },
    )
    app.state.metrics = site.metrics_page
    app.web = web
    return app


class _Guarded(Starlette):
    """The guard stands around everything, answers to faults included; plain middleware would not."""

    web: WebConfig

    def build_middleware_stack(self) -> ASGIApp:
        return Guard(super().build_middleware_stack(), self.web)


class _Site:
    def __init__(self, state: State, web: WebConfig, export: ExportConfig) -> None:
        self._state = state
        self._reloads = web.enable_reload
        self._css = files("driftwatch.daemon").joinpath("static/driftwatch.css").read_bytes()
        self._pages = Pages(Links(urlsplit(web.external_url or "").path), self._css)
        self.metrics_page = MetricsPage(export)

    def routes(self) -> list[Route]:
        get: list[tuple[str, Callable[[Request], Any]]] = [
            ("/", self.index),
            ("/monitors/{name}", self.monitor),
            ("/monitors/{name}/windows/{end}", self.window),
            ("/metrics", self.metrics),
            ("/api/v1/monitors", self.api_monitors),
            ("/api/v1/monitors/{name}", self.api_monitor),
            ("/api/v1/monitors/{name}/windows", self.api_windows),
            ("/-/healthy", self.healthy),
            ("/-/ready", self.ready),
            ("/static/driftwatch.css", self.css),
        ]
        reload = [Route("/-/reload", self.reload, methods=["POST", "PUT"])] if self._reloads else []
        return [Route(path, endpoint, methods=["GET"]) for path, endpoint in get] + reload

    def index(self, request: Request) -> Response:
        return _html(self._pages.index(self._state.snapshot(), self._state.now()))

    def monitor(self, request: Request) -> Response:
        snapshot = self._state.snapshot()
        view, segment = _found(snapshot, request)
        return _html(self._pages.monitor(snapshot, view, segment, self._state.now()))

    def window(self, request: Request) -> Response:
        snapshot = self._state.snapshot()
        view, segment = _found(snapshot, request)
        verdict = self._state.verdict(view.name, segment.segment, _moment(request.path_params["end"]))
        if verdict is None:
            raise HTTPException(404, "No verdict is stored for a window that ends then.")
        return _html(self._pages.window(snapshot, view, segment, verdict, self._state.now()))

    def metrics(self, request: Request) -> Response:
        page = self.metrics_page.render(
            self._state.snapshot(),
            self._state.now(),
            request.headers.get("accept", ""),
            request.headers.get("accept-encoding", ""),
        )
        headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
        if page.encoding is not None:
            headers["Content-Encoding"] = page.encoding
        return Response(page.body, headers=headers)

    def api_monitors(self, request: Request) -> Response:
        return _json({"monitors": [api.monitor_json(view) for view in self._state.snapshot().monitors]})

    def api_monitor(self, request: Request) -> Response:
        return _json(api.detail_json(_monitor(self._state.snapshot(), request)))

    def api_windows(self, request: Request) -> Response:
        view, segment = _found(self._state.snapshot(), request)
        verdicts = self._state.verdicts(view.name, segment.segment, _limit(request))
        windows = [window_json(verdict) for verdict in verdicts]
        return _json({"monitor": view.name, "segment": segment.segment, "windows": windows})

    async def healthy(self, request: Request) -> Response:
        if self._state.snapshot().scheduler_alive:
            return PlainTextResponse("driftwatch is healthy.\n")
        return PlainTextResponse("The scheduler is dead: nothing is being checked.\n", status_code=503)

    async def ready(self, request: Request) -> Response:
        if self._state.snapshot().ready:
            return PlainTextResponse("driftwatch is ready.\n")
        return PlainTextResponse("Configuration, references and state are being loaded.\n", status_code=503)

    def reload(self, request: Request) -> Response:
        if "origin" in request.headers:
            raise HTTPException(403, "Web pages may not reload the configuration.")
        try:
            notes = self._state.reload()
        except DriftwatchError as error:
            return PlainTextResponse(f"{_plain(error)}\n", status_code=500)
        return PlainTextResponse("".join(f"{line}\n" for line in ("The configuration was reloaded.", *notes)))

    async def css(self, request: Request) -> Response:
        return Response(self._css, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    async def http_error(self, request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        headers = getattr(error, "headers", None)
        return self._error(request, status, str(getattr(error, "detail", "")), headers)

    async def driftwatch_error(self, request: Request, error: Exception) -> Response:
        return self._error(request, 500, _plain(error))

    async def fault(self, request: Request, error: Exception) -> Response:
        return self._error(request, 500, "A fault inside driftwatch. The log says more.")

    def _error(
        self, request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        path = request.scope["path"]
        if path.startswith("/api/"):
            return Response(api.dumps({"error": detail}), status, headers, _JSON)
        if path == "/metrics" or path.startswith("/-/"):
            return PlainTextResponse(f"{detail}\n", status, headers)
        return _html(self._pages.error(status, detail), status, headers)


def _monitor(snapshot: Snapshot, request: Request) -> MonitorView:
    view = snapshot.monitor(request.path_params["name"])
    if view is None:
        raise HTTPException(404, "There is no monitor of that name.")
    return view


def _found(snapshot: Snapshot, request: Request) -> tuple[MonitorView, SegmentView]:
    view = _monitor(snapshot, request)
    asked = request.query_params.get("segment")
    segment = view.segment(asked)
    if segment is None and not asked:
        segment = view.segment(None) or SegmentView(
            segment=None, verdict=None, looked=None, looked_at=None, trail=(), window=None
        )
    if segment is None:
        raise HTTPException(404, "The monitor has no segment of that name.")
    return view, segment


def _moment(text: str) -> int:
    wrong = HTTPException(404, "Expected the end of a window as ISO 8601 or nanoseconds.")
    try:
        moment = int(text) if text.isascii() and text.isdigit() else parse_time(text)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if not 0 <= moment < 1 << 63:
        raise wrong
    return moment


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(_WINDOWS))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= _MOST_WINDOWS):
        raise HTTPException(400, f"limit: expected a number from 1 to {_MOST_WINDOWS}.")
    return int(text)


def _plain(error: Exception) -> str:
    return str(error).encode("utf-8", "backslashreplace").decode()


def _html(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        text.encode("utf-8", "backslashreplace"), status, headers, media_type="text/html; charset=utf-8"
    )


def _json(value: Any) -> Response:
    return Response(api.dumps(value), media_type=_JSON)
