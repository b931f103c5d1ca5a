"""Options that the texts of a table ask for."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from driftwatch.columns.found_options import found_options


def found(hint: dict[str, Any] | None = None, **columns: list[str]) -> dict[str, Any]:
    return found_options(pa.RecordBatch.from_pydict(columns), hint)


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"x": ["1,234.50", "7"]}, {"thousands": ","}),
        ({"x": ["1.234,50"]}, {"decimal": ",", "thousands": "."}),
        ({"x": ["1,5", "2,25"]}, {"decimal": ","}), ({"x": ["1,234", "5,678"]}, {}),
        ({"x": ["1,234", "5,678"], "y": ["1,234.5", "2"]}, {"thousands": ","}),
        ({"x": ["1,5"], "y": ["1,234.5"]}, {}), ({"x": ["a", "b"]}, {}), ({"x": ["12", "13"]}, {}),
        ({"x": ["€ 1", "€ 2"]}, {"units": {"x": "€"}}), ({"x": ["20 %", "40 %"] * 50}, {}),
        ({"at": ["13/01/2026", "02/01/2026"]}, {"time_format": "%d/%m/%Y", "time_column": "at"}),
        ({"at": ["03/04/2026"]}, {}), ({"at": ["2026-03-04"]}, {}),
        ({"ts": ["13.01.2026 10:00"], "birth": ["01.02.1980"]},
         {"time_format": "%d.%m.%Y %H:%M", "time_column": "ts"}),
        ({"line": ["10/Oct/2000:13:55:36 -0700"]},
         {"time_format": "%d/%b/%Y:%H:%M:%S %z", "time_column": "line"}),
    ],
)  # fmt: skip
def test_only_what_the_texts_leave_no_doubt_of(
    columns: dict[str, list[str]], options: dict[str, Any]
) -> None:
    assert found(**columns) == options


def test_what_one_side_leaves_open_the_other_settles() -> None:
    assert found({"time_format": "%d/%m/%Y"}, at=["03/04/2026"])["time_format"] == "%d/%m/%Y"
    assert found({"thousands": ","}, x=["1,234", "5,678"]) == {"thousands": ","}
    assert found({"decimal": ","}, x=["1,234", "5,678"]) == {"decimal": ","}
    assert found({"decimal": ","}, x=["1,234.5"]) == {"thousands": ","}


def test_a_unit_is_left_out_where_the_signs_of_its_numbers_are_not_those_of_all() -> None:
    columns = {"price": ["$1,234.50", "$7.25"], "area": ["1\u202f234.50", "9\u202f000.25"]}
    assert found(**columns) == {}
    assert found(price=columns["price"]) == {"thousands": ",", "units": {"price": "$"}}
