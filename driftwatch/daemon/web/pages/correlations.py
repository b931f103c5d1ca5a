"""Finds the pairs of columns whose Pearson correlation changed most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

MAX_PAIRS = 5
#: Smaller changes of r are not worth a line; fewer sampled rows say nothing about r.
MIN_CHANGE, MIN_ROWS = 0.1, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationChange:
    """Pearson's r of two columns on both sides."""

    left: str
    right: str
    first_r: float
    second_r: float


def correlation_changes(plan: Plan, first: Summary, second: Summary | None) -> list[CorrelationChange]:
    """Return the pairs with the largest changes first; none when a side has no sums. Costs O(d^2)."""
    projection, first_sums, second_sums = plan.projection, first.sums, None if second is None else second.sums
    if (
        projection is None
        or first_sums is None
        or second_sums is None
        or min(first_sums.rows, second_sums.rows) < MIN_ROWS
    ):
        return []
    numeric = np.flatnonzero(projection.inputs[:, 1] < 0)
    left_position, right_position = np.triu_indices(len(numeric), 1)
    left_position, right_position = numeric[left_position], numeric[right_position]
    first_r, second_r = (
        first_sums.correlation()[left_position, right_position],
        second_sums.correlation()[left_position, right_position],
    )
    change = np.abs(second_r - first_r)
    change[~np.isfinite(change)] = -1.0
    largest = np.argsort(-change, kind="stable")[:MAX_PAIRS]
    names = [plan.columns[int(position)].name for position in projection.inputs[:, 0]]
    return [
        CorrelationChange(
            left=names[int(left_position[pair])],
            right=names[int(right_position[pair])],
            first_r=float(first_r[pair]),
            second_r=float(second_r[pair]),
        )
        for pair in largest
        if change[pair] >= MIN_CHANGE
    ]
