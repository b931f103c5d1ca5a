"""Bounds of what a request may bring: headers and body."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

#: Browsers send some twenty headers, with cookies of a few kilobytes.
MAX_HEADERS, MAX_HEADER_BYTES = 100, 32_768
#: More than any form here has.
MAX_BODY_BYTES = 65_536


def header_problem(scope: Scope) -> str:
    """Return what is wrong with a request's headers; empty when nothing is."""
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS:
        return f"Expected at most {MAX_HEADERS} headers. Got {len(headers)}."
    size = sum(len(name) + len(value) + 4 for name, value in headers)
    return (
        f"Expected headers of at most {MAX_HEADER_BYTES} bytes. Got {size}."
        if size > MAX_HEADER_BYTES
        else ""
    )


class Body:
    """A request's body, read before the request is answered, so that no route leaves one unread.

    Whoever answers while it is not complete must close the connection.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0").strip()
        self._receive = receive
        self._content = b""
        self._is_passed_on = False
        self.is_complete = length == "0" and "transfer-encoding" not in headers
        # A length is digits, which the HTTP parser has seen to.
        self.is_too_large = len(length) > 9 or int(length) > MAX_BODY_BYTES

    async def read(self) -> None:
        """Read the body to its end, or until it is larger than allowed."""
        while not self.is_complete and not self.is_too_large:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            self._content += message.get("body", b"")
            self.is_too_large = len(self._content) > MAX_BODY_BYTES
            self.is_complete = not message.get("more_body", False)

    async def receive(self) -> Message:
        if self._is_passed_on or not self.is_complete:
            return await self._receive()
        self._is_passed_on = True
        return {"type": "http.request", "body": self._content, "more_body": False}
