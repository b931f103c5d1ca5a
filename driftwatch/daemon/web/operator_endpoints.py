"""What operators and their tools ask: ``/metrics``, ``/-/healthy``, ``/-/ready`` and ``/-/reload``."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from driftwatch.daemon.metrics.exporter import MetricsPage
from driftwatch.daemon.status.ports import RunningDaemon
from driftwatch.daemon.web.http.responses import printable
from driftwatch.errors import DriftwatchError


class OperatorEndpoints:
    def __init__(self, daemon: RunningDaemon, metrics_page: MetricsPage, *, enable_reload: bool) -> None:
        self._daemon = daemon
        self._metrics_page = metrics_page
        self._enable_reload = enable_reload

    def routes(self) -> list[Route]:
        routes = [
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/-/healthy", self.healthy, methods=["GET"]),
            Route("/-/ready", self.ready, methods=["GET"]),
        ]
        if self._enable_reload:
            routes.append(Route("/-/reload", self.reload, methods=["POST", "PUT"]))
        return routes

    def metrics(self, request: Request) -> Response:
        page = self._metrics_page.render(
            self._daemon.snapshot(),
            self._daemon.now(),
            request.headers.get("accept", ""),
            request.headers.get("accept-encoding", ""),
        )
        headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
        if page.encoding is not None:
            headers["Content-Encoding"] = page.encoding
        return Response(page.body, headers=headers)

    async def healthy(self, request: Request) -> Response:
        if self._daemon.snapshot().scheduler_alive:
            return PlainTextResponse("driftwatch is healthy.\n")
        return PlainTextResponse("The scheduler is dead: nothing is being checked.\n", status_code=503)

    async def ready(self, request: Request) -> Response:
        if self._daemon.snapshot().ready:
            return PlainTextResponse("driftwatch is ready.\n")
        return PlainTextResponse("Configuration, references and state are being loaded.\n", status_code=503)

    def reload(self, request: Request) -> Response:
        if "origin" in request.headers:
            raise HTTPException(403, "Web pages may not reload the configuration.")
        try:
            notes = self._daemon.reload()
        except DriftwatchError as error:
            return PlainTextResponse(f"{printable(str(error))}\n", status_code=500)
        return PlainTextResponse("".join(f"{line}\n" for line in ("The configuration was reloaded.", *notes)))
