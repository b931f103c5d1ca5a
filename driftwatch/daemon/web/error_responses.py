"""Answers errors: JSON to the API, plain text to operators, a page to everyone else."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from driftwatch.daemon.web.api import payloads
from driftwatch.daemon.web.http.responses import html_response, printable
from driftwatch.daemon.web.pages.page_renderer import PageRenderer


class ErrorResponses:
    def __init__(self, pages: PageRenderer) -> None:
        self._pages = pages

    async def http_error(self, request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        headers = getattr(error, "headers", None)
        return self._respond(request, status, str(getattr(error, "detail", "")), headers)

    async def driftwatch_error(self, request: Request, error: Exception) -> Response:
        return self._respond(request, 500, printable(str(error)))

    async def disk_fault(self, request: Request, error: Exception) -> Response:
        return self._respond(request, 503, printable(str(error)), {"Retry-After": "10"})

    async def internal_error(self, request: Request, error: Exception) -> Response:
        return self._respond(request, 500, "A fault inside driftwatch. The log says more.")

    def _respond(
        self, request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        path = request.scope["path"]
        if path.startswith("/api/"):
            return Response(payloads.dumps({"error": detail}), status, headers, "application/json")
        if path == "/metrics" or path.startswith("/-/"):
            return PlainTextResponse(f"{detail}\n", status, headers)
        return html_response(self._pages.error(status, detail), status, headers)
