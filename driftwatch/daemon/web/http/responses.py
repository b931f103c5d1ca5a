"""Responses that every part of the site gives."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response


def html_response(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(printable(text).encode(), status, headers, media_type="text/html; charset=utf-8")


def printable(text: str) -> str:
    """Escape halves of surrogate pairs, which no answer can hold."""
    return text.encode("utf-8", "backslashreplace").decode()
