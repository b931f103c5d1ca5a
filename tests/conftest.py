"""Fixtures every test may use. Real services live in ``peers``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from peers import Receiver

#: The matrices of tests are small: more threads of BLAS spin while they wait, and took four times the CPU.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers begin with files of few tests: these hold the long ones, and many short ones fill the end."""
    if hasattr(config, "workerinput"):
        sizes = Counter(item.path for item in items)
        items.sort(key=lambda item: sizes[item.path])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A local receiver of webhooks that answers 200."""
    with Receiver().serving() as serving:
        yield serving
