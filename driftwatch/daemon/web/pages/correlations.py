"""The pairs of columns whose correlation changed most, from the sums of both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

MOST = 5
#: Changes of r below this are not worth a line, and fewer sampled rows say nothing about r.
LEAST, FEWEST = 0.1, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedPair:
    """Two numeric columns and Pearson's r between them on either side."""

    left: str
    right: str
    before: float
    after: float


def moved_pairs(plan: Plan, before: Summary, after: Summary | None) -> list[MovedPair]:
    """At most ``MOST`` pairs, the largest change first. Empty when either side has no sums. O(d^2)."""
    projection, old, new = plan.projection, before.sums, None if after is None else after.sums
    if projection is None or old is None or new is None or min(old.rows, new.rows) < FEWEST:
        return []
    numeric = np.flatnonzero(projection.inputs[:, 1] < 0)
    first, second = np.triu_indices(len(numeric), 1)
    first, second = numeric[first], numeric[second]
    was, now = old.correlation()[first, second], new.correlation()[first, second]
    change = np.abs(now - was)
    change[~np.isfinite(change)] = -1.0
    largest = np.argsort(-change, kind="stable")[:MOST]
    names = [plan.columns[int(position)].name for position in projection.inputs[:, 0]]
    return [
        MovedPair(
            left=names[int(first[pair])],
            right=names[int(second[pair])],
            before=float(was[pair]),
            after=float(now[pair]),
        )
        for pair in largest
        if change[pair] >= LEAST
    ]
