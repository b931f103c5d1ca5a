"""Fixtures every test may use. Real services live in ``peers``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A local receiver of webhooks that answers 200."""
    with Receiver().serving() as serving:
        yield serving
