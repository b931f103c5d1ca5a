"""A served example and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import urllib3
from example import ExampleState

from driftwatch.config.models import ExportConfig, WebConfig
from driftwatch.daemon.web.http.server import WebServer
from driftwatch.daemon.web.site import create_app


class Site:
    """A served state and a client for it."""

    def __init__(self, state: ExampleState, server: WebServer, client: urllib3.PoolManager) -> None:
        self.state = state
        self.server = server
        self.client = client
        self.root = f"http://127.0.0.1:{server.port}"

    def request(self, method: str, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, self.root + path, headers=names, redirect=False, retries=False)

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return self.request("GET", path, **headers)


Serve = Callable[..., Site]


@contextmanager
def serving() -> Iterator[Serve]:
    """Serve states with web settings on free ports; every server is stopped at the end."""
    with ExitStack() as stack:
        client = stack.enter_context(urllib3.PoolManager(timeout=10.0))

        def start(state: ExampleState | None = None, **settings: object) -> Site:
            web = WebConfig(**{"listen": "127.0.0.1:0", **settings})
            shown = state or ExampleState()
            stack.callback(shown.close)
            server = WebServer(create_app(shown, web, ExportConfig()), web)
            server.start()
            stack.callback(server.stop, 2)
            return Site(shown, server, client)

        yield start
