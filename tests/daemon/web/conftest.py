"""The served example for all web tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from web_site import Serve, Site, serving


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Serves daemons of the test's choice until the module is done."""
    with serving() as start:
        yield start


@pytest.fixture(scope="module")
def site(serve: Serve) -> Site:
    """The example, served."""
    return serve()
