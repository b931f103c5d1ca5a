"""Columns that a joint detector's page names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from detector_worlds import reference_of, window_of

from driftwatch.detectors._pages.furthest_columns import changed_pair, furthest_columns, names_text
from driftwatch.detectors.base import JointDetector, LeftOut, ReferenceContext, WindowContext, get

RNG = np.random.default_rng(5)


def rows_of(count: int, r: float = 0.8) -> dict[str, Any]:
    amount, other = RNG.normal(size=(2, count))
    return {
        "amount": amount,
        "rate": r * amount + np.sqrt(1 - r * r) * other,
        "age": RNG.normal(size=count),
        "shop": RNG.choice(["a", "b"], count),
    }


REFERENCE = reference_of(rows_of(8000), joint=True)


def context(columns: dict[str, Any], left_out: tuple[str, ...] = ()) -> WindowContext:
    window = window_of(REFERENCE, columns).seal(REFERENCE.plan)
    absent = LeftOut(frozenset(left_out))
    return ReferenceContext(REFERENCE).window(window, absent)


def words(name: str, window: WindowContext) -> tuple[str, tuple[str, ...]]:
    detector = get(name)
    assert isinstance(detector, JointDetector)
    return detector.page_words(window, detector.measure(window).effect)


def test_the_furthest_column_comes_first_and_those_that_stayed_are_not_named() -> None:
    columns = rows_of(1500)
    columns["rate"] = columns["rate"] + 2
    columns["shop"] = np.where(np.arange(1500) < 900, "a", columns["shop"])
    columns["age"] = np.where(np.arange(1500) < 150, np.nan, columns["age"])
    window = context(columns)
    assert furthest_columns(window) == ("rate", "shop", "age")
    text, names = words("mmd", window)
    assert names == ("rate", "shop", "age")
    assert text.startswith("rate, shop and age moved together: ")
    assert text.endswith(" times the usual distance")


def test_without_a_change_no_column_is_named() -> None:
    """Four columns in 100 windows: at most 4 names in 400, and fewer by chance at about 1 % each."""
    n_named = sum(len(furthest_columns(context(rows_of(800)))) for _ in range(100))
    assert n_named <= 4
    text, names = words("mmd", context(rows_of(800)))
    assert names == ()
    assert text.startswith("all columns together: ")


def test_where_only_a_correlation_turned_the_page_names_its_two_columns() -> None:
    window = context(rows_of(1500, r=-0.8))
    assert furthest_columns(window) == ()
    assert changed_pair(window) == ("amount", "rate")
    text, names = words("mmd", window)
    assert names == ("amount", "rate")
    assert text.startswith("how amount and rate go together changed: ")
    text, names = words("correlation", window)
    assert names == ("amount", "rate")
    assert text.startswith("corr(amount, rate) 0.")


def test_columns_that_an_incident_leaves_out_are_not_named() -> None:
    columns = rows_of(1500, r=-0.8)
    columns["shop"] = np.repeat("a", 1500)
    window = context(columns, left_out=("shop", "rate"))
    assert furthest_columns(window) == ()
    assert changed_pair(window) == ()
    assert "rate" not in words("correlation", window)[1]


def test_a_window_without_row_sample_names_no_pair() -> None:
    window = context(rows_of(1500, r=-0.8))
    bare = ReferenceContext(REFERENCE).window(replace(window.window, sums=None, sample=None))
    assert changed_pair(bare) == ()
    assert words("correlation", bare)[1] == ()


def test_hostile_names_are_escaped_in_texts() -> None:
    assert names_text(["a\nb", "x" * 90]) == f"a\\nb and {'x' * 39}…"
