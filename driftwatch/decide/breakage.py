"""Breakage: deterministic faults of a column, outside the page budget."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from driftwatch.core.schema import Column, plain_name
from driftwatch.results.results import Breakage, Reason
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import WRONG_TYPE_ENTRY, Counts
from driftwatch.summary.grid import Grid, LevelGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: A wholly missing window is not broken if the reference has at least this share of missing rows.
_MAX_MISSING_SHARE = 0.9
#: Share of rows of a wrong type above which the type has changed; below it there are just a few bad rows.
_MIN_WRONG_TYPE_SHARE = 0.5
#: A window with a single value is not broken if some value has at least this share of the reference.
_MAX_ONE_VALUE_SHARE = 0.5
#: Rows that a window needs before its only value is called constant.
_MIN_CONSTANT_ROWS = 50
#: Likeness of two names from which one may be the other's new name; else up to so many new columns are named.
_MIN_ALIKE, _MAX_NEW_COLUMNS = 0.6, 3
_MAX_NAME_CHARS = 60


def breakages(
    reference: Reference,
    window: Summary,
    healthy_breakages: frozenset[tuple[str, str]],
    other_columns: Sequence[str] = (),
) -> tuple[Breakage, ...]:
    """Return the broken columns of a window: missing, all null, of a wrong type, or suddenly constant.

    The (column, reason) pairs in ``healthy_breakages`` are ignored. One of the data's ``other_columns`` may
    be a missing one's new name. Null hypothesis: none, these are facts; they are wrong only if the reference
    never showed the case.
    """
    broken = []
    for position in _suspects(window, reference.plan.columns):
        column = reference.plan.columns[position]
        grid = reference.plan.grids[column.name]
        fault = _fault(grid, reference.summary.counts[column.name], window.counts[column.name])
        if fault is not None and (column.name, str(fault[0])) not in healthy_breakages:
            detail = fault[1]
            if fault[0] is Reason.COLUMN_MISSING:
                detail = _missing_text(column.name, _new_columns(reference, other_columns))
            elif fault[0] in (Reason.COLUMN_ALL_NULL, Reason.COLUMN_WRONG_TYPE):
                detail += _nested_text(column.name, _new_columns(reference, other_columns))
            broken.append(Breakage(column=column.name, reason=fault[0], detail=detail))
    return tuple(broken)


def _new_columns(reference: Reference, other_columns: Sequence[str]) -> list[str]:
    plan = reference.plan
    names = {column.name for column in (*plan.columns, *reference.provenance.set_aside)}
    names |= {*plan.identity_columns, plan.time_column or ""}
    return [name for name in other_columns if name not in names]


def _missing_text(name: str, new_columns: Sequence[str]) -> str:
    text = "the data no longer has this column"
    same_names = [item for item in new_columns if plain_name(item) == plain_name(name)]
    new_names = same_names[:1] or [item for item in new_columns if _is_alike(name, item)][:1]
    if not new_names and len(new_columns) <= _MAX_NEW_COLUMNS:
        new_names = list(new_columns)
    if not new_names:
        return text
    listing = ", ".join(repr(item[:_MAX_NAME_CHARS]) for item in new_names)
    return f"{text}; it has {listing}, which the reference does not have"


def _nested_text(name: str, new_columns: Sequence[str]) -> str:
    inner = [repr(item[:_MAX_NAME_CHARS]) for item in new_columns if item.startswith(f"{name}.")]
    return f"; the column is now nested: there is {', '.join(inner[:_MAX_NEW_COLUMNS])}" if inner else ""


def _is_alike(name: str, new_name: str) -> bool:
    return SequenceMatcher(None, plain_name(name), plain_name(new_name)).ratio() >= _MIN_ALIKE


def _suspects(window: Summary, columns: Sequence[Column]) -> list[int]:
    if not columns:
        return []
    counts = ColumnCounts.from_mapping(window.counts)
    has_one_cell = counts.max_cell_rows() == counts.present_rows()
    is_suspect = has_one_cell | (counts.special[:, WRONG_TYPE_ENTRY] > 0)
    if not is_suspect.any():
        return []
    positions: list[int] = np.flatnonzero(
        is_suspect[counts.positions(tuple(item.name for item in columns))]
    ).tolist()
    return positions


def _fault(grid: Grid, reference: Counts, window: Counts) -> tuple[Reason, str] | None:
    present = window.present
    if present and not window.wrong_type:
        return _constant(grid, reference, window, present)
    rows, reference_rows = window.rows, reference.rows
    if rows == 0 or reference_rows == 0:
        return None
    missing = reference.missing / reference_rows
    if window.absent == rows and missing < _MAX_MISSING_SHARE:
        return Reason.COLUMN_MISSING, "the data no longer has this column"
    if window.wrong_type / rows > _MIN_WRONG_TYPE_SHARE > reference.wrong_type / reference_rows:
        return Reason.COLUMN_WRONG_TYPE, f"{window.wrong_type} of {rows} values have another type"
    if present == 0 and missing < _MAX_MISSING_SHARE:
        return Reason.COLUMN_ALL_NULL, f"all {rows} values are null; in the reference {missing:.1%} were"
    return _constant(grid, reference, window, present)


def _constant(grid: Grid, reference: Counts, window: Counts, present: int) -> tuple[Reason, str] | None:
    if present >= _MIN_CONSTANT_ROWS and _has_one_value(grid, window, present):
        largest_share = float(reference.cells.max()) / max(reference.present, 1)
        if largest_share < _MAX_ONE_VALUE_SHARE and np.count_nonzero(reference.cells) > 2:
            return Reason.COLUMN_CONSTANT, f"all {present} values are the same"
    return None


def _has_one_value(grid: Grid, window: Counts, present: int) -> bool:
    """Return whether all rows have one value: a point cell, a level or a narrow gap of a quantile grid.

    It is False for unseen levels, gaps beyond the reference's range and gaps of a grid of few distinct
    values: they may stand for many values.
    """
    cell = int(window.cells.argmax())
    if int(window.cells[cell]) != present:
        return False
    if isinstance(grid, LevelGrid):
        return cell < len(grid.levels)
    if cell % 2 == 1:
        return True
    return not grid.exact and 2 * grid.first < cell < 2 * grid.last + 2
