"""Orders columns: first those that an alert names, then those furthest from the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftwatch.detectors.base import traits_of
from driftwatch.monitor.column_labels import comparable_size
from driftwatch.results.results import Statistic, Verdict
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

#: Smallest change of a share of rows that is shown.
_MIN_SHARE_CHANGE = 0.005


def by_contribution(verdict: Verdict) -> list[str]:
    """Order a verdict's columns: broken ones, named ones by share of the evidence, the others by distance."""
    # The largest statistic among those comparable between columns; columns without one follow in plan order.
    distances: dict[str, float] = {}
    for item in verdict.statistics:
        if item.column is not None:
            distances[item.column] = max(distances.get(item.column, -1.0), comparable_size(item))
    named = sorted(verdict.named, key=lambda item: -item.share)
    first = [item.column for item in verdict.breakages] + [item.column for item in named]
    return list(dict.fromkeys([*first, *sorted(distances, key=lambda column: -distances[column])]))


def effects_of(statistics: Sequence[Statistic]) -> list[str]:
    """Return a column's effects in words, the most readable first: medians and levels before distances.

    An unchanged share, of missing values for instance, is left out.
    """
    changed = [item for item in statistics if item.effect and not _is_unchanged_share(item)]
    return list(dict.fromkeys(item.effect for item in sorted(changed, key=_rank)))


def _rank(item: Statistic) -> int:
    return traits_of(item.detector).display_rank


def _is_unchanged_share(item: Statistic) -> bool:
    return traits_of(item.detector).is_share and (item.value is None or abs(item.value) < _MIN_SHARE_CHANGE)


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
