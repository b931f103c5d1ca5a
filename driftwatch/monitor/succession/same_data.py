"""Decides whether a new reference was built of the same data as an older one.

Files that did not change are the same data. Others are told by content: equally many rows in the same span of
time that agree on every column of one name and kind, that is, on missing values, the smallest and largest
value, the rows up to every common edge and of every common level. So a value corrected in place makes other
data, and another version of the program, which may cut other cells, does not.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Int64Array
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.reference import Reference


def same_data(old: Reference, new: Reference) -> bool:
    """Return whether two built references, not rebased ones, are of the same data."""
    # A time zone alone can leave out other rows at the edges.
    if old.provenance.data_version and old.provenance.data_version == new.provenance.data_version:
        return True
    old_span, new_span = old.provenance.time_range, new.provenance.time_range
    if old.summary.rows != new.summary.rows:
        return False
    # A reference gains or loses its span when its time column is set.
    if old_span is not None and new_span is not None and old_span != new_span:
        return False
    new_kinds = {column.name: column.kind for column in new.plan.columns}
    # Other kinds, and columns of one side alone, come from settings.
    names = [column.name for column in old.plan.columns if new_kinds.get(column.name) is column.kind]
    return bool(names) and all(_agree(old, new, name) for name in names)


def _agree(old: Reference, new: Reference, name: str) -> bool:
    old_grid, new_grid = old.plan.grids[name], new.plan.grids[name]
    old_counts, new_counts = old.summary.counts[name], new.summary.counts[name]
    if not np.array_equal(old_counts.special, new_counts.special):
        return False
    if isinstance(old_grid, NumericGrid) and isinstance(new_grid, NumericGrid):
        return _agree_on_numbers(old_grid, old_counts.cells, new_grid, new_counts.cells)
    if isinstance(old_grid, LevelGrid) and isinstance(new_grid, LevelGrid):
        new_rows = dict(zip(new_grid.levels, new_counts.cells.tolist(), strict=False))
        old_rows = dict(zip(old_grid.levels, old_counts.cells.tolist(), strict=False))
        levels = old_rows.keys() & new_rows.keys()
        is_empty = not old_rows and not new_rows
        return (bool(levels) or is_empty) and all(old_rows[level] == new_rows[level] for level in levels)
    return False


def _agree_on_numbers(
    old: NumericGrid, old_cells: Int64Array, new: NumericGrid, new_cells: Int64Array
) -> bool:
    if not len(old.edges) or not len(new.edges):
        return len(old.edges) == len(new.edges)
    if (old.edges[old.first], old.edges[old.last]) != (new.edges[new.first], new.edges[new.last]):
        return False
    _, old_positions, new_positions = np.intersect1d(old.edges, new.edges, return_indices=True)
    old_sums, new_sums = np.cumsum(old_cells), np.cumsum(new_cells)
    # Rows below an edge, and up to it.
    return all(
        np.array_equal(old_sums[2 * old_positions + cell], new_sums[2 * new_positions + cell])
        for cell in (0, 1)
    )


def same_grid(old: Grid, new: Grid) -> bool:
    if isinstance(old, NumericGrid) and isinstance(new, NumericGrid):
        return (
            np.array_equal(old.edges, new.edges)
            and (old.first, old.last, old.exact) == (new.first, new.last, new.exact)
            and old.precision == new.precision
        )
    return isinstance(old, LevelGrid) and old == new
