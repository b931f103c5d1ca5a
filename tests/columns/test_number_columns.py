"""Columns of numbers written as texts."""

from __future__ import annotations

import hashlib
import uuid

import pyarrow as pa
import pytest

from driftwatch.columns.arrow.numbers import numbers
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


VALUES = [1000 + place * 7.37 for place in range(400)]
WRITINGS = {
    "accounts": [f"({value:,.2f})" if place % 2 else f"{value:,.2f}" for place, value in enumerate(VALUES)],
    "trailing minus": [f"{value:.2f}-".replace(".", ",") for value in VALUES],
    "glued unit": [f"{value:.1f}ms" for value in VALUES],
    "whole numbers with a glued unit": [f"{int(value)}ms" for value in VALUES],
    "two units": [f"{value:.1f} s" if place % 2 else f"{value:.0f} ms" for place, value in enumerate(VALUES)],
    "duration": [f"PT{value:.3f}S" for value in VALUES],
    "clock": [f"{place // 60:02}:{place % 60:02}:07.5" for place in range(400)],
    "pair": [f"{value:.4f},{value * 2:.4f}" for value in VALUES],
    "list": [f"[{value:.4f}, 1.0]" for value in VALUES],
    "a few that are none": [*(f"${value:,.2f}" for value in VALUES), "n/a", "ERR"],
    "rupees": [f"Rs. {value:,.2f}" for value in VALUES],
}
NAMES = {
    "id": [f"id-{place}" for place in range(400)],
    "uuid": [str(uuid.uuid5(uuid.NAMESPACE_DNS, str(place))) for place in range(400)],
    "hex": [hashlib.sha256(str(place).encode()).hexdigest()[:12] for place in range(400)],
    "code": [f"A-{place:04}" for place in range(400)],
    "order": [f"{place + 1000}B{place % 7}" for place in range(400)],
    "suffix": [f"{place + 1000}B" for place in range(400)],
    "address": [f"10.{place % 7}.{place // 7 + 100}.{place % 200}" for place in range(400)],
    "long address": [f"192.168.{place // 100 + 100}.{place % 100}" for place in range(400)],
    "parts": [f"{place + 100}-{place % 13}" for place in range(400)],
    "invoice": [f"2026/{place}" for place in range(400)],
    "padded": [f"{place:06}-" for place in range(400)],
}


@pytest.mark.parametrize("texts", WRITINGS.values(), ids=WRITINGS)
def test_numbers_in_any_writing_are_no_identifiers(texts: list[str]) -> None:
    column = inferred(texts)
    assert (column.role, column.unwatched) == (Role.FEATURE, Unwatched.TYPE), column.reason
    assert column.reason.startswith("numbers written as texts")


@pytest.mark.parametrize("texts", NAMES.values(), ids=NAMES)
def test_names_of_digits_and_letters_are_identifiers(texts: list[str]) -> None:
    column = inferred(texts)
    assert (column.role, column.unwatched) == (Role.ID, None), column.reason


def test_one_odd_value_does_not_turn_times_of_day_into_another_type() -> None:
    spelled = ["00:00:12", "01:30:00", "12:34", "23:59:59.5", "2 days 00:00:01", "PT1M12.25S"]
    encoded = numbers(pa.array([*spelled, "ERR", "12:60:00", "P"]))
    assert encoded.values[:6].tolist() == [12.0, 5400.0, 45_240.0, 86_399.5, 172_801.0, 72.25]
    assert encoded.wrong_type is not None
    assert encoded.wrong_type.tolist() == [False] * 6 + [True] * 3
    typed = pa.array([12_000, 5_400_000], pa.time32("ms"))
    assert numbers(typed).values.tolist() == encoded.values[:2].tolist()
