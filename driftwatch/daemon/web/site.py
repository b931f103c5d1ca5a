"""The HTTP surface: pages for people, ``/metrics``, JSON for scripts, ``/-/`` for operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from driftwatch.config.models import ExportConfig, WebConfig
from driftwatch.daemon.metrics.exporter import MetricsPage
from driftwatch.daemon.status.ports import State
from driftwatch.daemon.web.acknowledge_form import AcknowledgeForm
from driftwatch.daemon.web.api import payloads
from driftwatch.daemon.web.api.endpoints import Api
from driftwatch.daemon.web.http import query
from driftwatch.daemon.web.http.assets import assets
from driftwatch.daemon.web.http.guard import Guard
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.pages.routes import Pages
from driftwatch.daemon.web.pages.sections import Asked
from driftwatch.daemon.web.pages.side_by_side import compare
from driftwatch.daemon.web.pages.view_models import ORDER
from driftwatch.errors import DriftwatchError


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
    # Starlette would send people to the Host they asked by, without TLS and without our prefix.
    app.router.redirect_slashes = False
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
        self._assets = assets()
        outside = urlsplit(web.external_url or "")
        self._links = Links(outside.path)
        self._pages = Pages(self._links, self._assets, state)
        self._api = Api(state, secured=web.auth is not None)
        self._acting = AcknowledgeForm(state, self._links, outside.netloc)
        self.metrics_page = MetricsPage(export)

    def routes(self) -> list[Route]:
        get: list[tuple[str, Callable[[Request], Any]]] = [
            ("/", self.index),
            ("/monitors/{name}", self.monitor),
            ("/monitors/{name}/column", self.column),
            ("/monitors/{name}/compare", self.compare),
            ("/monitors/{name}/windows", self.windows),
            ("/monitors/{name}/windows/{end}", self.window),
            ("/metrics", self.metrics),
            *self._api.routes(),
            ("/-/healthy", self.healthy),
            ("/-/ready", self.ready),
            *((asset.path, asset.respond) for asset in self._assets.values()),
        ]
        post = [Route("/monitors/{name}/acknowledge", self._acting.acknowledge, methods=["POST"])]
        if self._reloads:
            post.append(Route("/-/reload", self.reload, methods=["POST", "PUT"]))
        return [Route(path, endpoint, methods=["GET"]) for path, endpoint in get] + post

    def index(self, request: Request) -> Response:
        search, kind = query.search(request), query.choice(request, "state", ORDER)
        snapshot = self._state.snapshot()
        return _html(self._pages.index(snapshot, self._state.now(), search, kind, query.page(request)))

    def monitor(self, request: Request) -> Response:
        snapshot = self._state.snapshot()
        view, segment = query.found(snapshot, request)
        said = request.query_params.get("said", "")
        return _html(
            self._pages.monitor(
                snapshot,
                view,
                segment,
                self._state.now(),
                _columns(request),
                self._acting.visitor(request),
                int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None,
            )
        )

    def column(self, request: Request) -> Response:
        snapshot = self._state.snapshot()
        view, segment = query.found(snapshot, request)
        name = request.query_params.get("name", "")
        page = self._pages.column(snapshot, view, segment, name, self._state.now())
        if page is None:
            raise HTTPException(404, "The monitor watches no column of that name.")
        return _html(page)

    def windows(self, request: Request) -> Response:
        snapshot = self._state.snapshot()
        view, segment = query.found(snapshot, request)
        before = query.before(request)
        return _html(self._pages.windows(snapshot, view, segment, self._state.now(), before))

    def window(self, request: Request) -> Response:
        snapshot = self._state.snapshot()
        view, segment = query.found(snapshot, request)
        end = query.moment(request.path_params["end"])
        working = self._state.past.working(view, segment.segment, end)
        if working is None:
            raise HTTPException(
                404,
                "No verdict is stored for a window that ends then: it was not decided yet, or it is older "
                "than retention.verdicts and did not page.",
            )
        shown = _columns(request)
        now, visitor = self._state.now(), self._acting.visitor(request)
        return _html(self._pages.window(snapshot, view, segment, working, now, shown, visitor))

    def compare(self, request: Request) -> Response:
        snapshot = self._state.snapshot()
        view, segment = query.found(snapshot, request)
        sides = (query.side(request, "a"), query.side(request, "b"))
        shown = _columns(request)
        url = partial(self._links.column, view.name, segment=segment.segment)
        compared = compare(self._state.past, view, segment.segment, sides, shown, url)
        now = self._state.now()
        return _html(self._pages.compare(snapshot, view, segment, sides, compared, now, shown))

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
            return Response(payloads.dumps({"error": detail}), status, headers, "application/json")
        if path == "/metrics" or path.startswith("/-/"):
            return PlainTextResponse(f"{detail}\n", status, headers)
        return _html(self._pages.error(status, detail), status, headers)


def _columns(request: Request) -> Asked:
    return Asked(search=query.search(request), page=query.page(request))


def _plain(error: Exception) -> str:
    return str(error).encode("utf-8", "backslashreplace").decode()


def _html(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        text.encode("utf-8", "backslashreplace"), status, headers, media_type="text/html; charset=utf-8"
    )
