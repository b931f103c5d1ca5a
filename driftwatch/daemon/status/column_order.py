"""Which columns come first: those a page names, then those furthest from the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftwatch.results.results import Statistic, Verdict
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

#: Detectors by how plainly their effects read, and those that tell a share; below such a change
#: nothing is said.
_PLAINEST = ("unseen", "out_of_range", "ks", "wasserstein", "tv", "missing")
_SHARES, _STILL = ("missing", "unseen", "out_of_range"), 0.005
#: Statistics in [0, 1] that compare across columns: distance of distribution functions, total variation.
COMPARABLE = ("ks", "tv", "missing", "unseen", "out_of_range")


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
    if item.detector not in COMPARABLE or item.value is None:
        return -1.0
    return abs(item.value)


def effects_of(statistics: Sequence[Statistic]) -> list[str]:
    """What happened to one column in words, the plainest first: medians and levels before bins of a distance.

    A share that stayed where it was, of missing values for one, is not said.
    """

    def place(item: Statistic) -> int:
        return _PLAINEST.index(item.detector) if item.detector in _PLAINEST else len(_PLAINEST)

    told = [item for item in statistics if item.effect and not _still(item)]
    return list(dict.fromkeys(item.effect for item in sorted(told, key=place)))


def _still(item: Statistic) -> bool:
    return item.detector in _SHARES and (item.value is None or abs(item.value) < _STILL)


def by_distance(plan: Plan, before: Summary, after: Summary) -> list[str]:
    """Columns by how far two summaries lie apart: KS, total variation or the change of the missing share."""
    size = {
        column.name: distance(
            before.counts[column.name],
            after.counts[column.name],
            levels=isinstance(plan.grids[column.name], LevelGrid),
        )
        for column in plan.columns
    }
    return sorted(size, key=lambda name: -size[name])


def distance(before: Counts, after: Counts, *, levels: bool) -> float:
    """In [0, 1]: KS on ordered cells, total variation of levels; the missing share where it changed more."""
    gone = abs(_share(before.missing, before.rows) - _share(after.missing, after.rows))
    if not before.present or not after.present:
        return gone
    difference = before.cells / before.present - after.cells / after.present
    apart = np.abs(difference).sum() / 2 if levels else np.abs(np.cumsum(difference)).max()
    return max(float(apart), gone)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
