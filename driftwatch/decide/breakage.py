"""Breakage is not statistics: deterministic, named, at once, outside the page budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftwatch.core.schema import Column
from driftwatch.results.results import Breakage, Reason
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import WRONG_TYPE, Counts
from driftwatch.summary.grid import Grid, LevelGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: A reference column this often missing may be wholly missing in a window without being broken.
_OFTEN_MISSING = 0.9
#: More rows of a wrong type than this is a changed type, not a few bad rows.
_WRONG_TYPE = 0.5
#: One value in more than this share of the reference may be the only one in a window.
_OFTEN_ONE_VALUE = 0.5
_ENOUGH_ROWS = 50


def breakages(
    reference: Reference, window: Summary, ordinary: frozenset[tuple[str, str]]
) -> tuple[Breakage, ...]:
    """The columns of the window that are broken: missing, all null, of a wrong type, suddenly constant.

    ``ordinary`` holds (column, reason) that healthy windows show as well. Null hypothesis: none, these
    are facts about the window; the only way to be wrong is a reference that never showed the case.
    """
    found = []
    for place in _suspicious(window, reference.plan.columns):
        column = reference.plan.columns[place]
        grid = reference.plan.grids[column.name]
        fault = _fault(grid, reference.summary.counts[column.name], window.counts[column.name])
        if fault is not None and (column.name, str(fault[0])) not in ordinary:
            found.append(Breakage(column=column.name, reason=fault[0], detail=fault[1]))
    return tuple(found)


def _suspicious(window: Summary, columns: Sequence[Column]) -> list[int]:
    """Where the columns stand that may be broken: no value, some of a wrong type, or all in one cell."""
    if not columns:
        return []
    counts = ColumnCounts.of(window.counts)
    one_cell = counts.fullest() == counts.present()
    suspicious = one_cell | (counts.special[:, WRONG_TYPE] > 0)
    if not suspicious.any():
        return []
    places: list[int] = np.flatnonzero(
        suspicious[counts.places(tuple(item.name for item in columns))]
    ).tolist()
    return places


def _fault(grid: Grid, reference: Counts, window: Counts) -> tuple[Reason, str] | None:
    present = window.present
    if present and not window.wrong_type:
        return _constant(grid, reference, window, present)
    rows, before = window.rows, reference.rows
    if rows == 0 or before == 0:
        return None
    missing = reference.missing / before
    if window.absent == rows and missing < _OFTEN_MISSING:
        return Reason.COLUMN_MISSING, "the data no longer has this column"
    if window.wrong_type / rows > _WRONG_TYPE > reference.wrong_type / before:
        return Reason.COLUMN_WRONG_TYPE, f"{window.wrong_type} of {rows} values have another type"
    if present == 0 and missing < _OFTEN_MISSING:
        return Reason.COLUMN_ALL_NULL, f"all {rows} values are null; in the reference {missing:.1%} were"
    return _constant(grid, reference, window, present)


def _constant(grid: Grid, reference: Counts, window: Counts, present: int) -> tuple[Reason, str] | None:
    if present >= _ENOUGH_ROWS and _one_value(grid, window, present):
        usual = float(reference.cells.max()) / max(reference.present, 1)
        if usual < _OFTEN_ONE_VALUE and np.count_nonzero(reference.cells) > 2:
            return Reason.COLUMN_CONSTANT, f"all {present} values are the same"
    return None


def _one_value(grid: Grid, window: Counts, present: int) -> bool:
    """True when all values are the same: one point cell, one level, or one narrow gap of a quantile grid.

    A gap beyond the reference's range, or between few distinct values, may hold many values; so may the cell
    of unseen levels.
    """
    cell = int(window.cells.argmax())
    if int(window.cells[cell]) != present:
        return False
    if isinstance(grid, LevelGrid):
        return cell < len(grid.levels)
    if cell % 2 == 1:
        return True
    return not grid.exact and 2 * grid.first < cell < 2 * grid.last + 2
