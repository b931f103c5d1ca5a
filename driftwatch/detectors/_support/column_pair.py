"""Cell counts of one column in the reference and in the window.

The ordered cells of a grid with ``k`` edges alternate gap, point, gap, ..., gap. In their cumulative sum an
even index ``2i`` holds the rows below edge ``i``, an odd index ``2i + 1`` those at or below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.summary.column_counts import ColumnCounts, special_counts
from driftwatch.summary.counts import MISSING_ENTRIES, WRONG_TYPE_ENTRY
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.summary import Summary

#: Cells that are expected to hold fewer rows of the smaller sample are pooled (Cochran 1954).
MIN_EXPECTED_ROWS = 5.0


@dataclass(slots=True, kw_only=True, eq=False)
class ColumnPair:
    """One column in reference and window: its cells, with ``n`` reference and ``m`` window rows.

    Only rows with a value are counted. An ordered column is row ``row`` of ``context.cells``; a column of
    levels has row -1.
    """

    context: WindowContext
    column: Column
    grid: Grid
    reference_counts: Int64Array
    window_counts: Int64Array
    n: int
    m: int
    row: int

    @property
    def empty_side(self) -> str:
        """Why nothing can be compared; empty if the sides can be compared."""
        return empty_side(self.n, self.m)

    @property
    def edges(self) -> Float64Array:
        if not isinstance(self.grid, NumericGrid):
            raise TypeError(f"column {self.column.name!r} has levels, not edges.")
        return self.grid.edges

    @property
    def levels(self) -> tuple[str, ...]:
        if not isinstance(self.grid, LevelGrid):
            raise TypeError(f"column {self.column.name!r} has edges, not levels.")
        return self.grid.levels


def empty_side(n: int, m: int) -> str:
    if not n:
        return "the reference has no row with a value"
    return "" if m else "the window has no row with a value"


def pair_of(context: WindowContext, column: str) -> ColumnPair:
    """Return one column's counts. Raises ``KeyError`` for an unwatched column."""
    described = context.reference.plan.column(column)
    return ColumnPair(
        context=context,
        column=described,
        grid=context.reference.plan.grids[column],
        **context.memo.get(("pair", column), lambda: _counts(context, described)),
    )


def row_counts(context: WindowContext, names: tuple[str, ...]) -> tuple[Int64Array, Int64Array]:
    """Return missing and all rows of each column, in reference and window."""
    # Both results are ``[2, column]``.
    cells, rows = context.cells, context.reference_context.rows_of(names)
    reference_counts = context.reference_context.memo.last(
        "row counts", (names,), lambda: _row_counts(context.reference.summary, names, rows, cells.n)
    )
    return reference_counts, _row_counts(context.window, names, rows, cells.m)


def wrong_type_counts(context: WindowContext, names: tuple[str, ...]) -> tuple[Int64Array, Int64Array]:
    """Return values of a wrong type and all values of each column, in reference and window."""
    reference_counts = context.reference_context.memo.last(
        "wrong types", (names,), lambda: _wrong_type_counts(context.reference.summary, names)
    )
    return reference_counts, _wrong_type_counts(context.window, names)


def _wrong_type_counts(summary: Summary, names: tuple[str, ...]) -> Int64Array:
    counts = ColumnCounts.from_mapping(summary.counts)
    positions = counts.positions(names)
    wrong_type = counts.special[positions, WRONG_TYPE_ENTRY]
    return np.stack([wrong_type, counts.present_rows()[positions] + wrong_type])


def _row_counts(
    summary: Summary, names: tuple[str, ...], rows: Int64Array, ordered_counts: Int64Array
) -> Int64Array:
    special = special_counts(summary.counts, names)
    if rows.min(initial=0) >= 0:
        n_present = ordered_counts[rows]
    else:
        row_by_name = zip(names, rows.tolist(), strict=True)
        n_present = np.array(
            [ordered_counts[row] if row >= 0 else summary.counts[name].present for name, row in row_by_name]
        )
    n_missing = special[:, MISSING_ENTRIES].sum(axis=1)
    return np.stack([n_missing, n_present + n_missing + special[:, WRONG_TYPE_ENTRY]])


def _counts(context: WindowContext, column: Column) -> dict[str, Any]:
    # Without the context, which owns the memo: a cycle would keep the window until it is collected.
    reference_counts, window_counts = (
        summary.counts[column.name].cells for summary in (context.reference.summary, context.window)
    )
    cells = context.cells
    row = cells.reference.row_by_name.get(column.name, -1)
    return {
        "reference_counts": reference_counts,
        "window_counts": window_counts,
        "n": int(reference_counts.sum() if row < 0 else cells.n[row]),
        "m": int(window_counts.sum() if row < 0 else cells.m[row]),
        "row": row,
    }


def pool_rare_levels(pair: ColumnPair) -> tuple[Int64Array, Int64Array]:
    """Return counts with rare levels pooled; both sides decide which, so neither is favoured."""
    counts = pair.reference_counts + pair.window_counts
    share = min(pair.n, pair.m) / (pair.n + pair.m)
    # Rare and unseen levels share one cell: which levels are unseen depends on the reference's rows, and only
    # together with the rare ones is their share the same on both sides when nothing changed.
    frequent = counts * share >= MIN_EXPECTED_ROWS
    frequent[-1] = False
    reference_counts = np.append(pair.reference_counts[frequent], pair.reference_counts[~frequent].sum())
    window_counts = np.append(pair.window_counts[frequent], pair.window_counts[~frequent].sum())
    # When even that cell is rare, it joins the least frequent level.
    rare_rows = int(reference_counts[-1] + window_counts[-1])
    if rare_rows * share < MIN_EXPECTED_ROWS and len(reference_counts) > 1:
        rarest = int(np.argmin(reference_counts[:-1] + window_counts[:-1]))
        reference_counts[rarest] += reference_counts[-1]
        window_counts[rarest] += window_counts[-1]
        reference_counts, window_counts = reference_counts[:-1], window_counts[:-1]
    return reference_counts, window_counts


def arcsine(count: int, rows: int) -> float:
    """Return ``2 asin sqrt(count / rows)``: its standard error is ``1 / sqrt(rows)`` for every share.

    Source: Anscombe 1948, with his constant 3/8.

    >>> round(arcsine(10, 100) - arcsine(5, 100), 2)
    0.19
    """
    return 2 * math.asin(math.sqrt((count + 0.375) / (rows + 0.75)))


def rare_arcsine(count: int, rows: int) -> float:
    """Return ``arcsine``, but exactly 0 for a count of 0, whatever ``rows``.

    >>> rare_arcsine(0, 100), round(rare_arcsine(1, 1000), 3)
    (0.0, 0.074)
    """
    return arcsine(count, rows) if count else 0.0
