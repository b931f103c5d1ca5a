"""One factor of all rows: when it is named, and how often wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from detector_worlds import gauge, reference_of, window_of

Rows = Any
SHAPES: list[Callable[[np.random.Generator, int], Rows]] = [
    lambda rng, size: rng.lognormal(3, 0.7, size),
    lambda rng, size: rng.gamma(2, 10, size),
    lambda rng, size: rng.normal(41, 12, size),
    lambda rng, size: rng.poisson(20, size).astype(float),
    lambda rng, size: np.where(rng.random(size) < 0.3, 0, rng.lognormal(3, 0.7, size)),
]


def hint(before: Rows, after: Rows) -> str:
    """What the text of stored cells says the column looks like."""
    reference = reference_of({"x": before})
    window = window_of(reference, {"x": after}).seal(reference.plan)
    return str(gauge("ks", reference, window, "x").effect).partition("looks like ")[2]


def hints(change: Callable[[np.random.Generator, Rows], Rows], worlds: int, rows: int = 2000) -> list[str]:
    texts = []
    for seed in range(worlds):
        rng = np.random.default_rng([seed, rows])
        shape = SHAPES[seed % len(SHAPES)]
        texts.append(hint(shape(rng, 20_000), change(rng, shape(rng, rows))))
    return texts


@pytest.mark.parametrize("factor", [0.74, 1.35, 1.8])
def test_a_factor_is_named_and_near_the_true_one(factor: float) -> None:
    texts = [text for text in hints(lambda _, rows: rows * factor, 40) if text]
    assert len(texts) >= 28
    assert max(abs(float(text.removeprefix("x")) / factor - 1) for text in texts) < 0.06


def test_an_income_that_grew_by_a_third_looks_like_it() -> None:
    rng = np.random.default_rng(1)
    assert hint(rng.lognormal(10, 0.6, 40_000), 1.35 * rng.lognormal(10, 0.6, 8_000)) == "x1.35"


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        (lambda _, rows: rows, 0),
        (lambda rng, rows: rows + rng.uniform(0.3, 1.5) * rows.std(), 0),
        (lambda rng, rows: (rows - rows.mean()) * rng.uniform(1.3, 2) + rows.mean() + 0.3 * rows.std(), 1),
        (lambda rng, rows: np.where(rng.random(len(rows)) < 0.5, rows * 2, rows), 8),
        (lambda rng, rows: rng.uniform(0, rng.uniform(50, 100), len(rows)), 1),
    ],
    ids=["nothing", "a shift", "wider", "half of the rows", "another shape"],
)
def test_what_is_no_factor_is_called_none(change: Callable[..., Rows], limit: int) -> None:
    """Of 80 worlds each: at most one, but one in ten where a half doubled, which is nearly a factor."""
    assert len([text for text in hints(change, 80) if text]) <= limit


def test_dates_and_lengths_have_no_factor() -> None:
    rng = np.random.default_rng(2)
    few = rng.lognormal(3, 0.7, 40)
    assert hint(few, few * 1.35) == ""
    flag = rng.choice([0.0, 1.0], 5000)
    assert hint(flag, flag * 1.35) == ""


def test_where_a_shift_fits_as_well_no_factor_is_named() -> None:
    rng = np.random.default_rng(3)
    narrow, later = rng.normal(100, 5, 20_000), rng.normal(100, 5, 500)
    assert [hint(narrow, after) for after in (later + 10, later * 1.1)] == ["", ""]
