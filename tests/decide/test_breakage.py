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


@pytest.mark.parametrize(
    ("other_columns", "text"),
    [
        ((), ""),
        (("CITY", "x", "y", "z"), "; it has 'CITY', which the reference does not have"),
        (("x", "city_name", "y", "z"), "; it has 'city_name', which the reference does not have"),
        (("town",), "; it has 'town', which the reference does not have"),
        (("v", "w", "x", "y"), ""),
        (("age", "town"), "; it has 'town', which the reference does not have"),
    ],
)
def test_a_missing_column_is_told_with_the_new_name_beside_it(
    other_columns: tuple[str, ...], text: str
) -> None:
    rng = np.random.default_rng(1)
    columns = {"city": rng.choice(["north", "south", "east"], 400), "age": rng.normal(size=400)}
    reference = reference_of(columns)
    window = window_of(reference, {"age": rng.normal(size=100)})
    (fault,) = breakages(reference, window, frozenset(), other_columns)
    assert (fault.column, str(fault.reason)) == ("city", "column_missing")
    assert fault.detail == f"the data no longer has this column{text}"


def test_a_number_that_became_an_object_is_called_nested() -> None:
    rng = np.random.default_rng(1)
    reference = reference_of({"load": rng.normal(size=400), "age": rng.normal(size=400)})
    window = window_of(reference, {"load": np.full(100, np.nan), "age": rng.normal(size=100)})
    (fault,) = breakages(reference, window, frozenset(), ("load.v", "loads"))
    assert (fault.column, str(fault.reason)) == ("load", "column_all_null")
    assert fault.detail.endswith("; the column is now nested: there is 'load.v'")
    (fault,) = breakages(reference, window, frozenset(), ("loads",))
    assert "nested" not in fault.detail
