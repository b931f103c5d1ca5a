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
from driftwatch.summary.faults import Fault, Injection, make_injection, robust_scale
from driftwatch.summary.grid import LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.summary import Summary

NULL = SPECIAL.index("null")
values = st.lists(st.floats(allow_nan=True), min_size=1, max_size=300) | st.lists(
    st.integers(-3, 12).map(float), min_size=1, max_size=300
)


def inject(fault: Injection, counts: Counts) -> Counts:
    window = Summary(plan="p", span=Span(start=0, end=1), rows=counts.rows, counts={"c": counts, "d": counts})
    faulty = fault.apply(window)
    assert faulty.rows == window.rows
    assert faulty.counts["d"] is counts
    return faulty.counts["c"]


def numbers(grid: NumericGrid, rows: Float64Array) -> Counts:
    return Counts.from_column(grid, Numbers(values=rows))


@settings(max_examples=300, deadline=None)
@given(values, values, st.sampled_from(Fault), st.floats(0, 1))
def test_every_row_is_kept_and_nothing_happens_at_size_0(
    reference: list[float], window: list[float], fault: Fault, size: float
) -> None:
    reference_values = np.array(reference)
    grid = numeric_grid(reference_values[~np.isnan(reference_values)])
    reference_counts, window_counts = numbers(grid, reference_values), numbers(grid, np.array(window))
    if fault is Fault.SHIFT and robust_scale(grid, reference_counts) is None:
        with pytest.raises(ValueError, match="no spread"):
            make_injection(grid, reference_counts, "c", fault, size)
        return
    faulty_counts = inject(make_injection(grid, reference_counts, "c", fault, size), window_counts)
    assert faulty_counts.rows == window_counts.rows
    assert (faulty_counts.cells >= 0).all()
    assert (faulty_counts.special >= 0).all()
    assert faulty_counts.cells.dtype == np.int64
    assert (faulty_counts.missing - window_counts.missing) == (window_counts.present - faulty_counts.present)
    if fault is not Fault.MISSING:
        assert faulty_counts.present == window_counts.present
    assert inject(make_injection(grid, reference_counts, "c", fault, 0.0), window_counts) == window_counts


@pytest.mark.parametrize("size", [0.05, 0.3, 1.0, 2.5])
def test_a_shift_of_the_counts_is_the_shift_of_the_rows(size: float) -> None:
    rng = np.random.default_rng(1)
    reference, rows = rng.gamma(3, 2, 50_000), rng.gamma(3, 2, 20_000)
    grid = numeric_grid(reference)
    reference_counts = numbers(grid, reference)
    scale = robust_scale(grid, reference_counts)
    assert scale == pytest.approx(np.subtract(*np.quantile(reference, [0.75, 0.25])) / 1.349, rel=0.01)
    assert scale is not None
    shifted = inject(make_injection(grid, reference_counts, "c", Fault.SHIFT, size), numbers(grid, rows))
    row_counts = numbers(grid, rows + size * scale)
    cdf_distance = np.abs(shifted.cells.cumsum() - row_counts.cells.cumsum()).max() / len(rows)
    # Rows lie evenly in a gap only about: one gap holds 1/255 of them.
    assert cdf_distance < 1 / 255


def test_whole_numbers_stay_whole_and_their_mean_moves_by_just_the_size() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 24, 10_000).astype(np.float64)
    grid = numeric_grid(rows)
    window_counts = numbers(grid, rows)
    scale = robust_scale(grid, window_counts)
    assert scale is not None
    # Rows on the largest value stay, so the window holds none that would get beyond it.
    low_counts = numbers(grid, rows[rows < 12])
    for size in (0.01, 0.1, 0.5):
        faulty_counts = inject(make_injection(grid, window_counts, "c", Fault.SHIFT, size), low_counts)
        points = faulty_counts.cells[1::2]
        assert points.sum() == low_counts.present
        # Rounding of the cumulative counts puts each of 24 values off by half a row at most.
        mean_shift = (points @ grid.edges - low_counts.cells[1::2] @ grid.edges) / low_counts.present
        assert mean_shift == pytest.approx(size * scale, abs=12 / low_counts.present)
    top_counts = inject(
        make_injection(grid, window_counts, "c", Fault.SHIFT, 1.0), numbers(grid, np.full(10, 23.0))
    )
    assert top_counts == numbers(grid, np.full(10, 23.0))


def test_rows_without_end_stay() -> None:
    grid = numeric_grid(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    reference_counts = numbers(grid, np.array([1.0, 2, 3, 4, 5, 6]))
    extreme_counts = numbers(grid, np.array([-np.inf, np.inf, -1e300, 1e300]))
    assert (
        inject(make_injection(grid, reference_counts, "c", Fault.SHIFT, 2.0), extreme_counts)
        == extreme_counts
    )


def test_a_share_of_the_rows_takes_one_level_or_none() -> None:
    grid = LevelGrid(levels=("a", "b", "c"))
    codes = np.repeat(np.array([0, 1, 2, 3, -1], dtype=np.int32), [500, 300, 150, 50, 100])
    window_counts = Counts.from_column(grid, Levels(codes=codes, levels=("a", "b", "c", "new")))
    faulty_counts = inject(make_injection(grid, window_counts, "c", Fault.VALUE, 0.2), window_counts)
    assert faulty_counts.cells.tolist() == [400, 300 - 60 + 200, 120, 40]
    assert faulty_counts.missing == 100
    nulled_counts = inject(make_injection(grid, window_counts, "c", Fault.MISSING, 0.2), window_counts)
    assert nulled_counts.cells.tolist() == [400, 240, 120, 40]
    assert nulled_counts.special[NULL] == 300
    with pytest.raises(ValueError, match="between 0 and 1"):
        make_injection(grid, window_counts, "c", Fault.MISSING, 1.5)


def test_a_column_of_one_value_has_no_spread() -> None:
    column_values = np.array([0.0] * 90 + [1.0, 2.0] * 5)
    grid = numeric_grid(column_values)
    assert robust_scale(grid, numbers(grid, column_values)) is None
    faulty_counts = inject(
        make_injection(grid, numbers(grid, column_values), "c", Fault.VALUE, 0.5),
        numbers(grid, column_values),
    )
    first = int(np.flatnonzero(grid.edges == 0)[0])
    assert faulty_counts.cells[2 * first + 1] == 45
