"""Columns of numbers written as texts."""

from __future__ import annotations

import pyarrow as pa
import pytest

from driftwatch.columns.infer import infer
from driftwatch.columns.profile import profile
from driftwatch.core.schema import Column, Role, Unwatched


def inferred(texts: list[str]) -> Column:
    (column,) = infer(profile([pa.RecordBatch.from_pydict({"amount": texts})]))
    return column


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([f"{place * 137 + 1000:,}.50" for place in range(400)], "numbers written as texts: set thousands"),
        ([f"{place},5" for place in range(400)], "numbers written as texts: set decimal"),
        ([f"€ {place}.5" for place in range(400)], "numbers written as texts with '€': set units"),
        (
            [f"{place}.25" for place in range(400)],
            "numbers written as texts: set kind: numeric, or write them as numbers",
        ),
    ],
)
def test_numbers_written_as_texts_are_features_that_are_not_watched(texts: list[str], reason: str) -> None:
    column = inferred(texts)
    assert (column.role, column.unwatched, column.reason) == (Role.FEATURE, Unwatched.TYPE, reason)


@pytest.mark.parametrize(
    "texts",
    [[f"INV {place}" for place in range(400)], [f"{place:06}" for place in range(400)],
     ["1,000.00", "2,500.00"] * 200],
)  # fmt: skip
def test_names_digits_and_few_prices_are_watched_or_set_aside_as_ever(texts: list[str]) -> None:
    assert inferred(texts).unwatched is None
