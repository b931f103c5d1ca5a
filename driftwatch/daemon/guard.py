"""Around every answer: the bearer token and the headers browsers are held to."""

from __future__ import annotations

import hmac
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftwatch.settings import read_secret

#: Probes of an orchestrator carry no token.
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware. The token file is read anew for each request, so that it can be rotated."""

    def __init__(self, app: ASGIApp, token_file: Path | None) -> None:
        self._app = app
        self._token_file = token_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without the token, 503 when no token can be read; else pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = None if scope["path"] in OPEN_PATHS else self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        if self._token_file is None:
            return None
        try:
            token = read_secret(None, self._token_file)
        except (OSError, UnicodeDecodeError):
            token = None
        if not token:
            return PlainTextResponse("web.auth.token_file cannot be read or is empty.\n", status_code=503)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        expected = token.encode("utf-8", "surrogateescape")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), expected):
            return None
        return PlainTextResponse(
            "A bearer token is needed: Authorization: Bearer TOKEN.\n",
            status_code=401,
            headers={"WWW-Authenticate": 'Bearer realm="driftwatch"'},
        )
