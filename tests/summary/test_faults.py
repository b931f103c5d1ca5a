"""Injected faults: no row comes or goes, nothing happens at size 0, and what moves moves as rows would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Span
from driftwatch.summary.batch import Levels, Numbers
from driftwatch.summary.counts import SPECIAL, Counts
from driftwatch.summary.faults import Fault, Injection, injection, spread
from driftwatch.summary.grid import LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.summary import Summary

NULL = SPECIAL.index("null")
values = st.lists(st.floats(allow_nan=True), min_size=1, max_size=300) | st.lists(
    st.integers(-3, 12).map(float), min_size=1, max_size=300
)


def into(fault: Injection, counts: Counts) -> Counts:
    window = Summary(plan="p", span=Span(start=0, end=1), rows=counts.rows, counts={"c": counts, "d": counts})
    found = fault.into(window)
    assert found.rows == window.rows
    assert found.counts["d"] is counts
    return found.counts["c"]


def numbers(grid: NumericGrid, rows: Float64Array) -> Counts:
    return Counts.of(grid, Numbers(values=rows))


@settings(max_examples=300, deadline=None)
@given(values, values, st.sampled_from(Fault), st.floats(0, 1))
def test_every_row_is_kept_and_nothing_happens_at_size_0(
    reference: list[float], window: list[float], fault: Fault, size: float
) -> None:
    known = np.array(reference)
    grid = numeric_grid(known[~np.isnan(known)])
    usual, before = numbers(grid, known), numbers(grid, np.array(window))
    if fault is Fault.SHIFT and spread(grid, usual) is None:
        with pytest.raises(ValueError, match="no spread"):
            injection(grid, usual, "c", fault, size)
        return
    after = into(injection(grid, usual, "c", fault, size), before)
    assert after.rows == before.rows
    assert (after.cells >= 0).all()
    assert (after.special >= 0).all()
    assert after.cells.dtype == np.int64
    assert (after.missing - before.missing) == (before.present - after.present)
    if fault is not Fault.MISSING:
        assert after.present == before.present
    assert into(injection(grid, usual, "c", fault, 0.0), before) == before


@pytest.mark.parametrize("size", [0.05, 0.3, 1.0, 2.5])
def test_a_shift_of_the_counts_is_the_shift_of_the_rows(size: float) -> None:
    rng = np.random.default_rng(1)
    reference, rows = rng.gamma(3, 2, 50_000), rng.gamma(3, 2, 20_000)
    grid = numeric_grid(reference)
    usual = numbers(grid, reference)
    width = spread(grid, usual)
    assert width == pytest.approx(np.subtract(*np.quantile(reference, [0.75, 0.25])) / 1.349, rel=0.01)
    assert width is not None
    made = into(injection(grid, usual, "c", Fault.SHIFT, size), numbers(grid, rows))
    true = numbers(grid, rows + size * width)
    apart = np.abs(made.cells.cumsum() - true.cells.cumsum()).max() / len(rows)
    # Rows lie evenly in a gap only about: one gap holds 1/255 of them.
    assert apart < 1 / 255


def test_whole_numbers_stay_whole_and_their_mean_moves_by_just_the_size() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 24, 10_000).astype(np.float64)
    grid = numeric_grid(rows)
    before = numbers(grid, rows)
    width = spread(grid, before)
    assert width is not None
    # Rows on the largest value stay, so the window holds none that would get beyond it.
    low = numbers(grid, rows[rows < 12])
    for size in (0.01, 0.1, 0.5):
        after = into(injection(grid, before, "c", Fault.SHIFT, size), low)
        points = after.cells[1::2]
        assert points.sum() == low.present
        # Rounding of the cumulative counts puts each of 24 values off by half a row at most.
        moved = (points @ grid.edges - low.cells[1::2] @ grid.edges) / low.present
        assert moved == pytest.approx(size * width, abs=12 / low.present)
    top = into(injection(grid, before, "c", Fault.SHIFT, 1.0), numbers(grid, np.full(10, 23.0)))
    assert top == numbers(grid, np.full(10, 23.0))


def test_rows_without_end_stay() -> None:
    grid = numeric_grid(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    usual = numbers(grid, np.array([1.0, 2, 3, 4, 5, 6]))
    far = numbers(grid, np.array([-np.inf, np.inf, -1e300, 1e300]))
    assert into(injection(grid, usual, "c", Fault.SHIFT, 2.0), far) == far


def test_a_share_of_the_rows_takes_one_level_or_none() -> None:
    grid = LevelGrid(levels=("a", "b", "c"))
    codes = np.repeat(np.array([0, 1, 2, 3, -1], dtype=np.int32), [500, 300, 150, 50, 100])
    before = Counts.of(grid, Levels(codes=codes, levels=("a", "b", "c", "new")))
    after = into(injection(grid, before, "c", Fault.VALUE, 0.2), before)
    assert after.cells.tolist() == [400, 300 - 60 + 200, 120, 40]
    assert after.missing == 100
    gone = into(injection(grid, before, "c", Fault.MISSING, 0.2), before)
    assert gone.cells.tolist() == [400, 240, 120, 40]
    assert gone.special[NULL] == 300
    with pytest.raises(ValueError, match="between 0 and 1"):
        injection(grid, before, "c", Fault.MISSING, 1.5)


def test_a_column_of_one_value_has_no_spread() -> None:
    mostly = np.array([0.0] * 90 + [1.0, 2.0] * 5)
    grid = numeric_grid(mostly)
    assert spread(grid, numbers(grid, mostly)) is None
    after = into(injection(grid, numbers(grid, mostly), "c", Fault.VALUE, 0.5), numbers(grid, mostly))
    first = int(np.flatnonzero(grid.edges == 0)[0])
    assert after.cells[2 * first + 1] == 45
