"""Around every answer: who may ask under which name, and the headers browsers are held to."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftwatch.config.models import WebConfig
from driftwatch.core.settings import read_secret
from driftwatch.results.words import shortened, visible

#: Probes of an orchestrator carry no token and ask by any name; the answers say nothing about data.
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})

#: Where a request's scope holds the name that came with the password.
VISITOR = "driftwatch.visitor"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Other hosts learn nothing; with no-referrer a browser hides the Origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware. The token file is read anew for each request, so that it can be rotated.

    A page in a browser may point a name of its own at this machine and then read what it is answered (DNS
    rebinding). Who listens beyond loopback has a token or a certificate against that; on loopback the name
    is looked at.
    """

    def __init__(self, app: ASGIApp, web: WebConfig) -> None:
        self._app = app
        self._token_file = None if web.auth is None else web.auth.token_file
        self._names = _names(web) if web.loopback or web.allowed_hosts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 to a foreign name, 401 without the token, 503 when none can be read; else pass on."""
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

        refusal = None if scope["path"] in OPEN_PATHS else self._refusal(scope)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        asked = headers.get("host")
        if self._names is not None and asked is not None and not _known(asked, self._names):
            expected = (
                "Host: expected an IP address, localhost, the host of web.listen or web.external_url, or"
            )
            got = shortened(visible(asked), 80)
            return _refused(scope, 421, f'{expected} one of web.allowed_hosts. Got "{got}".')
        return None if self._token_file is None else _unauthorised(scope, headers, self._token_file)


def _refused(scope: Scope, status: int, why: str) -> Response:
    if scope["path"].startswith("/api/"):
        return Response(json.dumps({"error": why}), status, media_type="application/json")
    return PlainTextResponse(f"{why}\n", status)


def _names(web: WebConfig) -> frozenset[str]:
    own = (web.host, urlsplit(web.external_url or "").hostname or "", *web.allowed_hosts)
    return frozenset({"localhost", *(name.lower().rstrip(".") for name in own)} - {""})


def _known(host: str, names: frozenset[str]) -> bool:
    """True when a Host header, its port left out, is one of the names or an IP address."""
    bracketed = host.startswith("[")
    name = host[1:].partition("]")[0] if bracketed else host.partition(":")[0]
    try:
        ip_address(name)
    except ValueError:
        return name.lower().rstrip(".") in names
    return True


def _unauthorised(scope: Scope, headers: Headers, token_file: Path) -> Response | None:
    try:
        token = read_secret(None, token_file)
    except (OSError, UnicodeDecodeError):
        token = None
    if not token:
        return _refused(scope, 503, "web.auth.token_file cannot be read or is empty.")
    name, given = _credentials(headers.get("authorization", ""))
    if hmac.compare_digest(given, token.encode("utf-8", "surrogateescape")):
        scope[VISITOR] = name
        return None
    why = "The token is needed: Authorization: Bearer TOKEN, or any name of yours with the token as password."
    refused = _refused(scope, 401, why)
    # Two lines: browsers do not split one that holds two challenges.
    refused.headers.append("WWW-Authenticate", 'Bearer realm="driftwatch"')
    refused.headers.append("WWW-Authenticate", 'Basic realm="driftwatch", charset="UTF-8"')
    return refused


def _credentials(header: str) -> tuple[str, bytes]:
    """The name and the token of an Authorization header. A browser's password is the token, its name free."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "bearer":
        return "somebody with the token", given.strip().encode("latin-1")
    if scheme.lower() != "basic":
        return "", b""
    try:
        name, _, password = base64.b64decode(given.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", b""
    return name.decode("utf-8", "replace").strip() or "somebody with the token", password
