"""Orders columns: first those that an alert names, then those furthest from the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftwatch.results.names import COMPARABLE_DETECTORS
from driftwatch.results.results import Statistic, Verdict
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

#: Detectors in the order in which their effects are easy to read.
_READABILITY = ("unseen", "out_of_range", "ks", "wasserstein", "tv", "missing")
#: Detectors of a share, and the smallest change of it that is shown.
_SHARE_DETECTORS, _MIN_SHARE_CHANGE = ("missing", "unseen", "out_of_range"), 0.005


def by_contribution(verdict: Verdict) -> list[str]:
    """Order a verdict's columns: broken ones, named ones by share of the evidence, the others by distance."""
    # The largest statistic among those comparable between columns; columns without one follow in plan order.
    distances: dict[str, float] = {}
    for item in verdict.statistics:
        if item.column is not None:
            distances[item.column] = max(distances.get(item.column, -1.0), _distance(item))
    named = sorted(verdict.named, key=lambda item: -item.share)
    first = [item.column for item in verdict.breakages] + [item.column for item in named]
    return list(dict.fromkeys([*first, *sorted(distances, key=lambda column: -distances[column])]))


def _distance(item: Statistic) -> float:
    if item.detector not in COMPARABLE_DETECTORS or item.value is None:
        return -1.0
    return abs(item.value)


def effects_of(statistics: Sequence[Statistic]) -> list[str]:
    """Return a column's effects in words, the most readable first: medians and levels before distances.

    An unchanged share, of missing values for instance, is left out.
    """

    def rank(item: Statistic) -> int:
        return _READABILITY.index(item.detector) if item.detector in _READABILITY else len(_READABILITY)

    changed = [item for item in statistics if item.effect and not _is_unchanged_share(item)]
    return list(dict.fromkeys(item.effect for item in sorted(changed, key=rank)))


def _is_unchanged_share(item: Statistic) -> bool:
    return item.detector in _SHARE_DETECTORS and (item.value is None or abs(item.value) < _MIN_SHARE_CHANGE)


def by_distance(plan: Plan, first: Summary, second: Summary) -> list[str]:
    distances = {
        column.name: distance(
            first.counts[column.name],
            second.counts[column.name],
            levels=isinstance(plan.grids[column.name], LevelGrid),
        )
        for column in plan.columns
    }
    return sorted(distances, key=lambda name: -distances[name])


def distance(first: Counts, second: Counts, *, levels: bool) -> float:
    """Return the distance in [0, 1] between the counts of two sides.

    It is Kolmogorov-Smirnov for ordered cells and total variation for levels, or the change of the missing
    share if that is larger.
    """
    missing_change = abs(_share(first.missing, first.rows) - _share(second.missing, second.rows))
    if not first.present or not second.present:
        return missing_change
    difference = first.cells / first.present - second.cells / second.present
    statistic = np.abs(difference).sum() / 2 if levels else np.abs(np.cumsum(difference)).max()
    return max(float(statistic), missing_change)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
