"""Counts of all columns in one array are the same as column by column."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.errors import SummaryMismatch
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import SPECIAL, Counts


def counts(seed: int, sizes: dict[str, int]) -> dict[str, Counts]:
    rng = np.random.default_rng(seed)
    return {
        name: Counts(cells=rng.integers(0, 9, size), special=rng.integers(0, 9, len(SPECIAL)))
        for name, size in sizes.items()
    }


@pytest.mark.parametrize("sizes", [{}, {"a": 3}, {"a": 3, "b": 0, "c": 7}])
def test_sums_and_differences_are_those_of_the_columns(sizes: dict[str, int]) -> None:
    parts = [counts(seed, sizes) for seed in range(3)]
    column_counts = [ColumnCounts.from_mapping(part) for part in parts]
    assert dict(column_counts[0]) == parts[0]
    assert list(column_counts[0]) == list(sizes)
    assert ColumnCounts.total(column_counts) == {
        name: parts[0][name] + parts[1][name] + parts[2][name] for name in sizes
    }
    assert column_counts[0] + column_counts[1] - column_counts[0] == parts[1]
    assert column_counts[0] == parts[0], "a sum leaves what it adds alone"


@pytest.mark.parametrize("other_sizes", [{"a": 3}, {"a": 4, "b": 6}, {"b": 7, "a": 3}, {"a": 3, "c": 7}])
def test_other_columns_or_cells_are_refused(other_sizes: dict[str, int]) -> None:
    left, right = (
        ColumnCounts.from_mapping(counts(1, {"a": 3, "b": 7})),
        ColumnCounts.from_mapping(counts(2, other_sizes)),
    )
    for combine in (lambda: left + right, lambda: left - right, lambda: ColumnCounts.total([left, right])):
        with pytest.raises(SummaryMismatch, match="the same columns and cells"):
            combine()
    with pytest.raises(KeyError):
        left["z"]
