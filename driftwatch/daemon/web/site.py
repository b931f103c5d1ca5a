"""The HTTP application: pages, ``/metrics``, the JSON API, and ``/-/`` for operators."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from driftwatch.config.models import ExportConfig, WebConfig
from driftwatch.daemon.metrics.exporter import MetricsPage
from driftwatch.daemon.status.ports import RunningDaemon
from driftwatch.daemon.web.acknowledge_form import AcknowledgeForm
from driftwatch.daemon.web.api.endpoints import Api
from driftwatch.daemon.web.error_responses import ErrorResponses
from driftwatch.daemon.web.http import query
from driftwatch.daemon.web.http.answer_threads import history_threads
from driftwatch.daemon.web.http.assets import assets
from driftwatch.daemon.web.http.guard import Guard
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.http.responses import html_response
from driftwatch.daemon.web.operator_endpoints import OperatorEndpoints
from driftwatch.daemon.web.pages.page_renderer import PageRenderer
from driftwatch.daemon.web.pages.sections import ColumnSelection
from driftwatch.daemon.web.pages.side_by_side import compare
from driftwatch.daemon.web.pages.view_models import KIND_ORDER
from driftwatch.errors import DiskFault, DriftwatchError


def create_app(daemon: RunningDaemon, web: WebConfig, export: ExportConfig) -> Starlette:
    """Create the application; ``state.metrics`` is the cached metrics page, to be refreshed after a check."""
    site = _Site(daemon, web, export)
    app = _GuardedApp(
        routes=site.routes(),
        exception_handlers={
            HTTPException: site.errors.http_error,
            DiskFault: site.errors.disk_fault,
            DriftwatchError: site.errors.driftwatch_error,
            Exception: site.errors.internal_error,
        },
    )
    # Starlette would redirect to the request's Host, without TLS and without the prefix of external_url.
    app.router.redirect_slashes = False
    app.state.metrics = site.metrics_page
    app.web = web
    return app


class _GuardedApp(Starlette):
    # Guards every response, error responses included, as plain middleware would not.
    web: WebConfig

    def build_middleware_stack(self) -> ASGIApp:
        return Guard(super().build_middleware_stack(), self.web)


class _Site:
    """The pages, and the parts that answer everything else."""

    def __init__(self, daemon: RunningDaemon, web: WebConfig, export: ExportConfig) -> None:
        self._daemon = daemon
        self._assets = assets()
        external_url = urlsplit(web.external_url or "")
        self._links = Links(external_url.path)
        self._pages = PageRenderer(self._links, self._assets, daemon)
        self._history = history_threads()
        self._api = Api(daemon, self._history, secured=web.auth is not None)
        self._acknowledge_form = AcknowledgeForm(daemon, self._links, external_url.netloc, self._history)
        self.metrics_page = MetricsPage(export)
        self._operators = OperatorEndpoints(daemon, self.metrics_page, enable_reload=web.enable_reload)
        self.errors = ErrorResponses(self._pages)

    def routes(self) -> list[Route]:
        history = self._history.endpoint
        get_routes: list[tuple[str, Callable[[Request], Any]]] = [
            ("/", self.index),
            ("/daemon", self.daemon),
            ("/monitors/{name}", history(self.monitor)),
            ("/monitors/{name}/column", history(self.column)),
            ("/monitors/{name}/compare", history(self.compare)),
            ("/monitors/{name}/windows", history(self.windows)),
            ("/monitors/{name}/windows/{end}", history(self.window)),
            *self._api.routes(),
            *((asset.path, asset.respond) for asset in self._assets.values()),
        ]
        return [
            *(Route(path, endpoint, methods=["GET"]) for path, endpoint in get_routes),
            Route("/monitors/{name}/acknowledge", self._acknowledge_form.acknowledge, methods=["POST"]),
            *self._operators.routes(),
        ]

    def index(self, request: Request) -> Response:
        search, kind = query.search(request), query.choice(request, "state", KIND_ORDER)
        snapshot = self._daemon.snapshot()
        return html_response(
            self._pages.index(snapshot, self._daemon.now(), search, kind, query.page(request))
        )

    def daemon(self, request: Request) -> Response:
        return html_response(self._pages.daemon(self._daemon.snapshot(), self._daemon.now()))

    def monitor(self, request: Request) -> Response:
        snapshot = self._daemon.snapshot()
        view, segment = query.monitor_and_segment(snapshot, request)
        acknowledgement_id = request.query_params.get("said", "")
        return html_response(
            self._pages.monitor(
                snapshot,
                view,
                segment,
                self._daemon.now(),
                _column_selection(request),
                self._acknowledge_form.user(request),
                int(acknowledgement_id)
                if acknowledgement_id.isascii()
                and acknowledgement_id.isdigit()
                and len(acknowledgement_id) < 16
                else None,
                is_repeat="repeat" in request.query_params,
            )
        )

    def column(self, request: Request) -> Response:
        snapshot = self._daemon.snapshot()
        view, segment = query.monitor_and_segment(snapshot, request)
        name = request.query_params.get("name", "")
        html = self._pages.column(snapshot, view, segment, name, self._daemon.now())
        if html is None:
            raise HTTPException(404, "The monitor watches no column of that name.")
        return html_response(html)

    def windows(self, request: Request) -> Response:
        snapshot = self._daemon.snapshot()
        view, segment = query.monitor_and_segment(snapshot, request)
        end_below = query.end_below(request)
        return html_response(self._pages.windows(snapshot, view, segment, self._daemon.now(), end_below))

    def window(self, request: Request) -> Response:
        snapshot = self._daemon.snapshot()
        view, segment = query.monitor_and_segment(snapshot, request)
        end = query.timestamp(request.path_params["end"])
        verdict_data = self._daemon.past.verdicts.data(view, segment.segment, end)
        if verdict_data is None:
            raise HTTPException(
                404,
                "No verdict is stored for a window that ends then: it was not decided yet, or it is older "
                "than retention.verdicts and did not page.",
            )
        selection = _column_selection(request)
        now, user = self._daemon.now(), self._acknowledge_form.user(request)
        return html_response(self._pages.window(snapshot, view, segment, verdict_data, now, selection, user))

    def compare(self, request: Request) -> Response:
        snapshot = self._daemon.snapshot()
        view, segment = query.monitor_and_segment(snapshot, request)
        sides = (query.side(request, "a"), query.side(request, "b"))
        selection = _column_selection(request)
        url = partial(self._links.column, view.name, segment=segment.segment)
        comparison = compare(self._daemon.past.verdicts, view, segment.segment, sides, selection, url)
        now = self._daemon.now()
        return html_response(self._pages.compare(snapshot, view, segment, sides, comparison, now, selection))


def _column_selection(request: Request) -> ColumnSelection:
    return ColumnSelection(search=query.search(request), page=query.page(request))
