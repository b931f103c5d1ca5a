"""What operators and their tools ask: ``/metrics``, ``/-/healthy``, ``/-/ready`` and ``/-/reload``."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from driftwatch.daemon.metrics.exporter import MetricsPage
from driftwatch.daemon.status.ports import RunningDaemon
from driftwatch.daemon.web.http.answer_threads import memory_threads
from driftwatch.daemon.web.http.responses import printable
from driftwatch.errors import DriftwatchError


class OperatorEndpoints:
    def __init__(self, daemon: RunningDaemon, metrics_page: MetricsPage, *, enable_reload: bool) -> None:
        self._daemon = daemon
        self._metrics_page = metrics_page
        self._enable_reload = enable_reload
        self._threads = memory_threads()

    def routes(self) -> list[Route]:
        routes = [
            Route("/metrics", self._threads.endpoint(self.metrics), methods=["GET"]),
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
        snapshot = self._daemon.snapshot()
        reasons = snapshot.own_health.unhealthy_reasons()
        if not snapshot.scheduler_alive:
            reasons = ("The scheduler is dead: nothing is being checked.", *reasons)
        if reasons:
            return PlainTextResponse(_lines(reasons), status_code=503)
        return PlainTextResponse("driftwatch is healthy.\n")

    async def ready(self, request: Request) -> Response:
        snapshot = self._daemon.snapshot()
        reasons = snapshot.own_health.not_ready_reasons()
        if not snapshot.ready:
            reasons = ("Configuration, references and state are being loaded.", *reasons)
        if reasons:
            return PlainTextResponse(_lines(reasons), status_code=503)
        return PlainTextResponse("driftwatch is ready.\n")

    def reload(self, request: Request) -> Response:
        # Browsers send one of them, also with the password that they remember; "none" is no page's request.
        if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
            raise HTTPException(403, "Web pages may not reload the configuration.")
        try:
            notes = self._daemon.reload()
        except DriftwatchError as error:
            return PlainTextResponse(_lines([str(error)]), status_code=500)
        return PlainTextResponse(_lines(("The configuration was reloaded.", *notes)))


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{printable(text)}\n" for text in texts)
