"""A served example daemon and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import urllib3
from example import ExampleDaemon

from driftwatch.config.models import ExportConfig, WebConfig
from driftwatch.daemon.web.http.server import WebServer
from driftwatch.daemon.web.site import create_app


class Site:
    """A served daemon and a client for it."""

    def __init__(self, daemon: ExampleDaemon, server: WebServer, client: urllib3.PoolManager) -> None:
        self.daemon = daemon
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
    """Serve daemons with web settings on free ports; every server is stopped at the end."""
    with ExitStack() as stack:
        # For a server that hangs; a page of endless names takes seconds, and longer beside other tests.
        client = stack.enter_context(urllib3.PoolManager(timeout=60.0))

        def start(daemon: ExampleDaemon | None = None, **settings: object) -> Site:
            web = WebConfig(**{"listen": "127.0.0.1:0", **settings})
            example_daemon = daemon or ExampleDaemon()
            stack.callback(example_daemon.close)
            server = WebServer(create_app(example_daemon, web, ExportConfig()), web)
            server.start()
            stack.callback(server.stop, 2)
            return Site(example_daemon, server, client)

        yield start
