"""Two columns that changed places: when a page says so, and how often wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detector_worlds import reference_of, window_of

from driftwatch.detectors.base import ReferenceContext, exchanged_with


def partners(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    reference = reference_of(before)
    window = window_of(reference, after).seal(reference.plan)
    context = ReferenceContext(reference).window(window)
    return {name: exchanged_with(context, name) for name in before}


def world(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    return {
        "width": rng.normal(40, 8, rows),
        "height": rng.lognormal(3, 0.5, rows),
        "count": rng.poisson(4, rows).astype(float),
        "shop": rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]),
        "city": rng.choice(["x", "y", "a"], rows, p=[0.5, 0.4, 0.1]),
    }


def exchanged(columns: dict[str, Any], left: str, right: str) -> dict[str, Any]:
    return {**columns, left: columns[right], right: columns[left]}


@pytest.mark.parametrize("rows", [300, 3000])
@pytest.mark.parametrize(("left", "right"), [("width", "height"), ("height", "count"), ("shop", "city")])
def test_columns_that_changed_places_name_each_other(left: str, right: str, rows: int) -> None:
    rng = np.random.default_rng(1)
    names = partners(world(rng, 20_000), exchanged(world(rng, rows), left, right))
    assert {name: partner for name, partner in names.items() if partner} == {left: right, right: left}


def test_latitude_and_longitude_whose_ranges_are_far_apart_are_found() -> None:
    rng = np.random.default_rng(2)

    def places(rows: int) -> dict[str, Any]:
        return {"lat": rng.normal(40.7, 0.05, rows), "lon": rng.normal(-73.9, 0.07, rows)}

    before, after = places(20_000), places(2000)
    assert partners(before, {"lat": after["lon"], "lon": after["lat"]}) == {"lat": "lon", "lon": "lat"}
    fillers = {"lat": np.full(2000, -74.0), "lon": np.full(2000, 41.0)}
    assert not any(partners(before, fillers).values()), "one value is named as such"


def test_both_have_to_move_and_to_the_places_of_each_other() -> None:
    """Of 400 worlds, of units, factors and a column copied over another, none is called an exchange."""
    n_false = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        before, after = world(rng, 5000), world(rng, 1000)
        left, right = rng.choice(["width", "height", "count"], 2, replace=False)
        after[left] = after[left] * rng.choice([0.001, 0.1, 0.5, 1.35, 3, 10, 1000])
        after[right] = (
            before[left][:1000] if seed % 2 else after[right] * rng.choice([-1, 0.01, 0.7, 2, 100]) + 5
        )
        n_false += any(partners(before, after).values())
    assert n_false == 0


def test_columns_of_one_law_that_changed_places_did_not_move() -> None:
    rng = np.random.default_rng(3)
    before, after = ({name: rng.normal(size=rows) for name in "abc"} for rows in (9000, 2000))
    assert not any(partners(before, exchanged(after, "a", "b")).values())


def test_with_two_columns_that_it_may_be_none_is_named() -> None:
    rng = np.random.default_rng(4)
    before, after = ({"a": rng.normal(0, 1, rows), "b": rng.normal(5, 2, rows)} for rows in (9000, 2000))
    before["c"], after["c"] = rng.normal(5, 2, 9000), rng.normal(0, 1, 2000)
    assert not partners(before, exchanged(after, "a", "b"))["a"]
