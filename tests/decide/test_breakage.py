"""Breakages are facts about the window."""

from __future__ import annotations

import numpy as np
import pytest
from detector_worlds import reference_of, window_of

from driftwatch.decide.breakage import breakages


@pytest.mark.parametrize(
    ("levels", "broken"),
    [
        ([f"new-{number}" for number in range(200)], []),
        (["new"] * 200, []),
        (["north"] * 200, [("city", "column_constant")]),
        (["north", "south"] * 100, []),
    ],
)
def test_only_one_known_level_is_called_one_value(levels: list[str], broken: list[tuple[str, str]]) -> None:
    rng = np.random.default_rng(1)
    reference = reference_of({"city": rng.choice(["north", "south", "east", "west"], 4000)})
    faults = breakages(reference, window_of(reference, {"city": levels}), frozenset())
    assert [(item.column, str(item.reason)) for item in faults] == broken
