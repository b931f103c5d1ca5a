"""Shows sampled rows to authenticated users, where ``storage.row_sample`` is on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.results import text_format
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

#: Rows and columns shown.
MAX_ROWS, MAX_COLUMNS = 20, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRows:
    """Sampled rows as text; a missing value is an empty cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    #: Number of rows in the sample.
    n_stored: int


def sample_rows(plan: Plan, window: Summary | None, leading_columns: Sequence[str]) -> SampleRows | None:
    """Return the sampled rows as text, or None when none are stored.

    A hash of the content selects the rows, so the sample is representative.
    """
    if window is None or window.sample is None or not len(window.sample.rows):
        return None
    positions = {column.name: position for position, column in enumerate(plan.columns)}
    names = [name for name in dict.fromkeys([*leading_columns, *positions]) if name in positions][
        :MAX_COLUMNS
    ]
    rows = window.sample.rows[:MAX_ROWS]
    return SampleRows(
        columns=tuple(names),
        rows=tuple(
            tuple(_cell_text(plan, name, float(row[positions[name]])) for name in names) for row in rows
        ),
        n_stored=len(window.sample.rows),
    )


def _cell_text(plan: Plan, name: str, value: float) -> str:
    if np.isnan(value):
        return ""
    grid, kind = plan.grids[name], plan.column(name).kind
    if isinstance(grid, LevelGrid):
        return grid.levels[int(value)] if int(value) < len(grid.levels) else "a level never seen before"
    return text_format.format_axis_value(value, kind, 0.0)
