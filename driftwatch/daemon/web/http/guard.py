"""Protects every response: authentication, allowed Host names, security headers."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftwatch.config.models import WebConfig
from driftwatch.daemon.web.http.login_attempts import DELAY_SECONDS, LoginAttempts
from driftwatch.daemon.web.http.request_bounds import MAX_BODY_BYTES, Body, header_problem
from driftwatch.daemon.web.http.token_file import Token, TokenFile
from driftwatch.results.text_format import escape_invisible, truncate

#: An orchestrator's probes send no token and any Host name; the answers say nothing about data.
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})

#: Key in a request's scope of the name that came with the password.
USER_SCOPE_KEY = "driftwatch.visitor"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Other hosts get no Referer. With no-referrer, browsers would hide the Origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: With TLS: a browser that was here once asks by https only, for a year.
_HSTS = "max-age=31536000"


class Guard:
    """ASGI middleware that reads the token file for each request, so that the token can be rotated.

    DNS rebinding lets a web page point its domain name at this machine and read the answers. Beyond loopback
    a token or a certificate prevents that; on loopback the Host name is checked.
    """

    def __init__(self, app: ASGIApp, web: WebConfig) -> None:
        self._app = app
        self._token_file = None if web.auth is None else TokenFile(web.auth.token_file)
        self._allowed_hosts = _allowed_hosts(web) if web.loopback or web.allowed_hosts else None
        self._attempts = LoginAttempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 431 and 413 for too many bytes, 421 for an unknown Host name, 401 or 429 for a wrong token.

        503 is the answer while the token file cannot be used.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        body = Body(scope, receive)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = _HSTS
                if not body.is_complete:
                    # The rest of the body would be read, for as long as it comes.
                    headers["Connection"] = "close"
            await send(message)

        refusal = await self._bounded(scope, body)
        await (refusal or self._app)(scope, body.receive, send_with_headers)

    async def _bounded(self, scope: Scope, body: Body) -> Response | None:
        problem = header_problem(scope)
        if problem:
            return _error_response(scope, 431, problem)
        refusal = None if scope["path"] in OPEN_PATHS else await self._refusal(scope)
        if refusal is not None and refusal.status_code == 429:
            await asyncio.sleep(DELAY_SECONDS)
        if refusal is None:
            await body.read()
            if body.is_too_large:
                return _error_response(scope, 413, f"Expected a body of at most {MAX_BODY_BYTES} bytes.")
        return refusal

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host_header = headers.get("host")
        if (
            self._allowed_hosts is not None
            and host_header is not None
            and not _is_allowed(host_header, self._allowed_hosts)
        ):
            expected = (
                "Host: expected an IP address, localhost, the host of web.listen or web.external_url, or"
            )
            host = truncate(escape_invisible(host_header), 80)
            return _error_response(scope, 421, f'{expected} one of web.allowed_hosts. Got "{host}".')
        if self._token_file is None:
            return None
        return _authentication_error(scope, headers, await self._token_file.token(), self._attempts)


def _error_response(scope: Scope, status: int, message: str) -> Response:
    if scope["path"].startswith("/api/"):
        return Response(json.dumps({"error": message}), status, media_type="application/json")
    return PlainTextResponse(f"{message}\n", status)


def _allowed_hosts(web: WebConfig) -> frozenset[str]:
    configured_hosts = (web.host, urlsplit(web.external_url or "").hostname or "", *web.allowed_hosts)
    return frozenset({"localhost", *(host.lower().rstrip(".") for host in configured_hosts)} - {""})


def _is_allowed(host: str, allowed_hosts: frozenset[str]) -> bool:
    """Return whether a Host header, without its port, is an allowed name or an IP address."""
    is_bracketed = host.startswith("[")
    name = host[1:].partition("]")[0] if is_bracketed else host.partition(":")[0]
    try:
        ip_address(name)
    except ValueError:
        return name.lower().rstrip(".") in allowed_hosts
    return True


def _authentication_error(
    scope: Scope, headers: Headers, token: Token, attempts: LoginAttempts
) -> Response | None:
    if token.problem:
        return _error_response(scope, 503, f"web.auth.token_file {token.problem}")
    name, credential = _credentials(headers.get("authorization", ""))
    if hmac.compare_digest(credential, token.text.encode("utf-8", "surrogateescape")):
        scope[USER_SCOPE_KEY] = name
        return None
    client = scope.get("client") or ("",)
    wait = attempts.wrong(client[0]) if credential else 0
    if wait:
        response = _error_response(scope, 429, f"Too many wrong tokens. Try again in {wait} s.")
        response.headers["Retry-After"] = str(wait)
        response.headers["Connection"] = "close"
        return response
    message = (
        "The token is needed: Authorization: Bearer TOKEN, or any name of yours with the token as password."
    )
    response = _error_response(scope, 401, message)
    # Two headers: browsers do not split one header that holds two challenges.
    response.headers.append("WWW-Authenticate", 'Bearer realm="driftwatch"')
    response.headers.append("WWW-Authenticate", 'Basic realm="driftwatch", charset="UTF-8"')
    return response


def _credentials(header: str) -> tuple[str, bytes]:
    """Parse user name and token; a browser sends the token as password, with any name."""
    scheme, _, credential = header.partition(" ")
    if scheme.lower() == "bearer":
        return "somebody with the token", credential.strip().encode("latin-1")
    if scheme.lower() != "basic":
        return "", b""
    try:
        name, _, password = base64.b64decode(credential.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", b""
    return name.decode("utf-8", "replace").strip() or "somebody with the token", password
