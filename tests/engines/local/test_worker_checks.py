"""The reader process refuses what an engine leaves out: a window would be decided on less."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from driftwatch.engines.local.worker import _check_counted
from driftwatch.errors import ConfigError, DataError

RUN = [0, 10, 20]


def counted(*keys: tuple[int, str | None]) -> Any:
    return SimpleNamespace(tiles=dict.fromkeys(keys))


def rows(*, reads: bool = True, version: str | None = "v") -> Any:
    return SimpleNamespace(reading=object() if reads else None, source_version=version)


def header(decode: object = None) -> dict[str, Any]:
    return {"engine": {"type": "theirs"}, "decode": decode}


def test_a_tile_for_every_slice_is_accepted() -> None:
    _check_counted(header(), rows(), counted((0, None), (10, None), (10, "a")), RUN)
    _check_counted(header(), rows(reads=False), counted((0, None), (10, None)), RUN)
    _check_counted(header({"type": "x"}), rows(), counted((0, None), (10, None)), RUN)


@pytest.mark.parametrize(
    "keys",
    [[(0, None)], [], [(0, None), (10, "a")], [(0, None), (10, None), (20, None)], [(0, None), (5, None)]],
)
def test_a_missing_or_foreign_tile_is_an_error(keys: list[tuple[int, str | None]]) -> None:
    with pytest.raises(DataError, match=r"engine theirs: expected one tile for each of 2\. Got \d"):
        _check_counted(header(), rows(), counted(*keys), RUN)


def test_an_engine_that_does_not_read_must_ask_for_the_version_and_cannot_decode() -> None:
    tiles = counted((0, None), (10, None))
    with pytest.raises(DataError, match="expected it to ask for the version before it counts"):
        _check_counted(header(), rows(reads=False, version=None), tiles, RUN)
    with pytest.raises(ConfigError, match="expected one that reads rows, since decode is set"):
        _check_counted(header({"type": "x"}), rows(reads=False), tiles, RUN)
