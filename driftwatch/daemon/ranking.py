"""Which columns come first: those a page names, then those furthest from the reference."""

from __future__ import annotations

from driftwatch.summary.result import Statistic, Verdict

#: Statistics in [0, 1] that compare across columns: distance of distribution functions, total variation.
_COMPARABLE = ("ks", "tv", "missing", "unseen", "out_of_range")


def by_contribution(verdict: Verdict) -> list[str]:
    """Columns of a verdict: broken, then named by their share of the evidence, then by distance.

    The distance is the largest of the statistics that mean the same for every column; columns without
    any follow in the order of the plan.
    """
    distance: dict[str, float] = {}
    for item in verdict.statistics:
        if item.column is not None:
            distance[item.column] = max(distance.get(item.column, -1.0), _distance(item))
    named = sorted(verdict.named, key=lambda item: -item.share)
    first = [item.column for item in verdict.breakages] + [item.column for item in named]
    return list(dict.fromkeys([*first, *sorted(distance, key=lambda column: -distance[column])]))


def _distance(item: Statistic) -> float:
    if item.detector not in _COMPARABLE or item.value is None:
        return -1.0
    return abs(item.value)
