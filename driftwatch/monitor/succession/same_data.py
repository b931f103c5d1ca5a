"""Decides whether a new reference was built of the same data as an older one.

Files that did not change are the same data, whatever the program and the settings made of them. Others are
told by content: equally many rows in the same span of time, and the same counts in the same cells of every
column of one name and kind. Cells follow from the values, so a value corrected in place makes other data; so
do other cells that a newer program cut, if the files were written again as well.
"""

from __future__ import annotations

import numpy as np

from driftwatch.summary.counts import Counts
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
        # Versions differ in what a grid says of its values' type.
        return np.array_equal(old_grid.edges, new_grid.edges) and old_counts == new_counts
    if isinstance(old_grid, LevelGrid) and isinstance(new_grid, LevelGrid):
        return _rows_by_level(old_grid, old_counts) == _rows_by_level(new_grid, new_counts)
    return False


def _rows_by_level(grid: LevelGrid, counts: Counts) -> dict[str, int]:
    # The last cell is that of unseen levels.
    return dict(zip(grid.levels, counts.cells[:-1].tolist(), strict=True))


def same_grid(old: Grid, new: Grid) -> bool:
    if isinstance(old, NumericGrid) and isinstance(new, NumericGrid):
        return (
            np.array_equal(old.edges, new.edges)
            and (old.first, old.last, old.exact) == (new.first, new.last, new.exact)
            and old.precision == new.precision
        )
    return isinstance(old, LevelGrid) and old == new
