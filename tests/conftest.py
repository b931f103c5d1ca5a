"""Fixtures every test may use. Real services live in ``peers``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from damaged_stores import RowsOfAllKinds
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


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> RowsOfAllKinds:
    """A history with a row in every table."""
    return RowsOfAllKinds(tmp_path_factory.mktemp("story"))


@pytest.fixture
def store(story: RowsOfAllKinds, tmp_path: Path) -> Path:
    """The folder of a history with a row in every table, for one test to damage."""
    return story.copy(tmp_path)
