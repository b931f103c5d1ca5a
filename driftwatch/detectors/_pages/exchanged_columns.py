"""Two columns whose values changed places."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from driftwatch.detectors._support.cdf_distance import cdf_distance, changed_scale_distance
from driftwatch.detectors._support.column_pair import ColumnPair, pair_of
from driftwatch.detectors._support.new_values import common_value
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.summary.grid import LevelGrid

#: Least distance of both columns from their own references, as a share of rows.
_MIN_DISTANCE = 0.1
#: Largest part of it that may be left from the other column's reference, and what chance gives.
_MAX_REST_PART, _KOLMOGOROV_LIMIT = 0.25, 1.36
#: A real day's distance from its own reference, as a share of rows.
_MAX_REST = 0.02
#: Largest share of rows in one gap of a grid, more could be anywhere in it; but for columns so far away.
_MAX_GAP_SHARE, _MIN_FAR_DISTANCE = 0.5, 0.9
#: Candidates that are compared: where more columns moved that far, their exchange explains nothing.
_MAX_CANDIDATES = 40


def exchanged_with(context: WindowContext, column: str) -> str:
    """Return the one column of the same kind that this one looks exchanged with; empty if there is none.

    Both moved, and each is as near to the other's reference as chance allows, at least four times nearer than
    to its own. False names: none in 400 worlds in which both columns moved without an exchange
    (``test_exchanged_columns.py``).
    """
    distances = context.once("own distances", _own_distances)
    if column not in distances or len(distances) > _MAX_CANDIDATES:
        return ""
    pair = pair_of(context, column)
    partners = [
        name
        for name in distances
        if name != column
        and context.reference.plan.column(name).kind is pair.column.kind
        and _is_exchange(pair, pair_of(context, name), distances)
    ]
    return partners[0] if len(partners) == 1 else ""


def _own_distances(context: WindowContext) -> Mapping[str, float]:
    # Of the columns that moved far enough.
    cells, distance = context.cells, cdf_distance(context)
    sizes = np.where(cells.m > 0, distance.numerator / distance.n_pairs, 0.0).tolist()
    distances = dict(zip(cells.reference.row_by_name, sizes, strict=True))
    for name, grid in context.reference.plan.grids.items():
        if isinstance(grid, LevelGrid):
            pair = pair_of(context, name)
            distances[name] = 0.0 if pair.empty_side else _level_distance(pair, pair)
    return {name: size for name, size in distances.items() if size >= _MIN_DISTANCE}


def _is_exchange(left: ColumnPair, right: ColumnPair, distances: Mapping[str, float]) -> bool:
    for window, reference in ((left, right), (right, left)):
        noise = _KOLMOGOROV_LIMIT * math.sqrt(1 / max(reference.n, 1) + 1 / max(window.m, 1))
        limit = min(noise + _MAX_REST, _MAX_REST_PART * distances[window.column.name])
        is_levels = isinstance(window.grid, LevelGrid)
        if not is_levels and not _is_placed(window, distances[window.column.name]):
            return False
        measure = _level_distance if is_levels else _ordered_distance
        if not window.m or not reference.n or measure(window, reference) > limit:
            return False
    return True


def _is_placed(window: ColumnPair, distance: float) -> bool:
    # Values far outside a grid lie in one wide gap: enough if nearly all do, and they are many values.
    gap_share = float(window.window_counts[::2].max(initial=0)) / max(window.m, 1)
    if gap_share <= _MAX_GAP_SHARE:
        return True
    common = common_value(window)
    return distance >= _MIN_FAR_DISTANCE and (common is None or common.share < _MAX_GAP_SHARE)


def _ordered_distance(window: ColumnPair, reference: ColumnPair) -> float:
    return changed_scale_distance(
        window.edges, window.window_counts.cumsum(), reference.edges, reference.reference_counts.cumsum()
    )


def _level_distance(window: ColumnPair, reference: ColumnPair) -> float:
    """Return the total variation of one column's window levels from another's reference levels."""
    shares = dict(zip(window.levels, (window.window_counts[:-1] / max(window.m, 1)).tolist(), strict=True))
    named = window.context.window.named.get(window.column.name)
    if named is not None:
        shares |= dict(zip(named.names, (named.rows / max(window.m, 1)).tolist(), strict=False))
    reference_shares = dict(
        zip(reference.levels, (reference.reference_counts[:-1] / max(reference.n, 1)).tolist(), strict=True)
    )
    overlap = [min(share, reference_shares.get(level, 0.0)) for level, share in shares.items()]
    return 1.0 - float(sum(overlap))
