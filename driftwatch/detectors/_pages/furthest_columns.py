"""Columns that a statistic of all columns jointly points to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from driftwatch.detectors._support.cdf_distance import cdf_distance
from driftwatch.detectors._support.column_pair import pair_of, row_counts
from driftwatch.detectors._support.effect_format import escape
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.summary.grid import LevelGrid

#: Columns that an entry of a page names.
MAX_COLUMNS = 5
#: Columns in a text.
_MAX_TEXT_COLUMNS = 3
#: Least distance, in shares of rows and in 95 % limits of what chance gives a column.
_MIN_DISTANCE, _MIN_NOISE_RATIO = 0.02, 1.5
_KOLMOGOROV_LIMIT = 1.36
#: Standard errors from which on a correlation changed: it is the largest of many.
_MIN_STANDARD_ERRORS = 4.0


def furthest_columns(context: WindowContext) -> tuple[str, ...]:
    """Return the columns whose values or missing share moved beyond chance, the furthest first.

    The distance is KS of an ordered column, total variation of levels, or the difference of missing shares.
    False names: a share of at most about 1 % of the columns that did not move, for independent rows.
    """
    distances = _ordered_distances(context)
    names = tuple(column.name for column in context.reference.plan.columns)
    for name in names:
        if isinstance(context.reference.plan.grids[name], LevelGrid):
            distances[name] = _level_distance(context, name)
    reference_rows, window_rows = row_counts(context, names)
    missing = [rows[0] / np.maximum(rows[1], 1) for rows in (reference_rows, window_rows)]
    noise = (
        _MIN_NOISE_RATIO
        * 2
        * np.sqrt(
            np.maximum(missing[0] * (1 - missing[0]), 1e-3)
            * (1 / np.maximum(reference_rows[1], 1) + 1 / np.maximum(window_rows[1], 1))
        )
    )
    change = np.abs(missing[1] - missing[0])
    for name, size, limit in zip(names, change.tolist(), noise.tolist(), strict=True):
        if size > limit:
            distances[name] = max(distances.get(name, 0.0), size)
    ranked = sorted(
        (-distance, name)
        for name, distance in distances.items()
        if distance >= _MIN_DISTANCE and name not in context.left_out.columns
    )
    return tuple(name for _, name in ranked[:MAX_COLUMNS])


def _ordered_distances(context: WindowContext) -> dict[str, float]:
    cells, distance = context.cells, cdf_distance(context)
    noise = _KOLMOGOROV_LIMIT * np.sqrt((1 / cells.divisors[0] + 1 / cells.divisors[1])[:, 0])
    size = distance.numerator / distance.n_pairs
    size = np.where(size > _MIN_NOISE_RATIO * noise, size, 0.0)
    return dict(zip(cells.reference.row_by_name, size.tolist(), strict=True))


def _level_distance(context: WindowContext, name: str) -> float:
    pair = pair_of(context, name)
    if pair.empty_side:
        return 0.0
    pooled = (pair.reference_counts + pair.window_counts) / (pair.n + pair.m)
    variance = pooled * (1 - pooled) * (1 / pair.n + 1 / pair.m)
    # Total variation without a move is about .4 standard deviations of each share.
    noise = math.sqrt(2 / math.pi) * float(np.sqrt(variance).sum()) / 2 + 2 * float(np.sqrt(variance.max()))
    distance = float(np.abs(pair.window_counts / pair.m - pair.reference_counts / pair.n).sum()) / 2
    return distance if distance > _MIN_NOISE_RATIO * noise else 0.0


def changed_pair(context: WindowContext) -> tuple[str, ...]:
    """Return the two numeric columns whose correlation changed most, in standard errors; else none."""
    reference, projection = context.reference, context.reference.plan.projection
    sums, window_sums, null = reference.summary.sums, context.window.sums, reference.joint
    if projection is None or sums is None or window_sums is None or null is None:
        return ()
    numeric = np.flatnonzero(projection.inputs[:, 1] < 0)
    left, right = (numeric[index] for index in np.triu_indices(len(numeric), 1))
    change = np.abs(window_sums.correlation()[left, right] - sums.correlation()[left, right])
    error = np.sqrt(null.variance[left, right] * (1 / max(sums.rows, 1) + 1 / max(window_sums.rows, 1)))
    names = [reference.plan.columns[position].name for position in projection.inputs[:, 0].tolist()]
    is_watched = np.array([name not in context.left_out.columns for name in names], dtype=np.bool_)
    usable = np.isfinite(change) & (error > 0) & is_watched[left] & is_watched[right]
    ratio = np.where(usable, change / np.maximum(error, 1e-300), 0.0)
    if ratio.max(initial=0.0) < _MIN_STANDARD_ERRORS:
        return ()
    pair = int(ratio.argmax())
    return names[left[pair]], names[right[pair]]


def joint_words(context: WindowContext, amount: str) -> tuple[str, tuple[str, ...]]:
    """Word a joint distance of that ``amount`` by the columns that moved, and return these."""
    columns = furthest_columns(context)
    if columns:
        verb = "moved together" if len(columns) > 1 else "moved, the others hardly"
        return f"{names_text(columns)} {verb}: {amount}", columns
    pair = changed_pair(context)
    if pair:
        return f"how {names_text(pair)} go together changed: {amount}", pair
    return f"all columns together: {amount}", ()


def names_text(columns: Sequence[str]) -> str:
    """Return names for a text.

    >>> names_text(["a", "b"]), names_text(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    names = [escape(name) for name in columns[:_MAX_TEXT_COLUMNS]]
    n_more = len(columns) - len(names)
    last = f"{n_more} more" if n_more else names.pop() if len(names) > 1 else ""
    return ", ".join(names) + (f" and {last}" if last else "")
