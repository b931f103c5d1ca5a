"""Some rows of a window as text, where the user turned their storage on; only for whoever has the token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.results import words
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

#: Rows and columns shown.
ROWS, COLUMNS = 20, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRows:
    """``rows`` of ``columns`` as text, empty where a value is missing; ``kept`` is how many are stored."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kept: int


def sample_rows(plan: Plan, window: Summary | None, first: Sequence[str]) -> SampleRows | None:
    """The first sampled rows in the columns ``first``; None when no rows are stored.

    Which rows are in the sample is decided by a hash of their content, so they are a fair picture.
    """
    if window is None or window.sample is None or not len(window.sample.rows):
        return None
    place = {column.name: position for position, column in enumerate(plan.columns)}
    shown = [name for name in dict.fromkeys([*first, *place]) if name in place][:COLUMNS]
    rows = window.sample.rows[:ROWS]
    return SampleRows(
        columns=tuple(shown),
        rows=tuple(tuple(_said(plan, name, float(row[place[name]])) for name in shown) for row in rows),
        kept=len(window.sample.rows),
    )


def _said(plan: Plan, name: str, value: float) -> str:
    if np.isnan(value):
        return ""
    grid, kind = plan.grids[name], plan.column(name).kind
    if isinstance(grid, LevelGrid):
        return grid.levels[int(value)] if int(value) < len(grid.levels) else "a level never seen before"
    return words.axis_value(value, kind, 0.0)
