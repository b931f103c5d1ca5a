"""Cell counts of one column in the reference and in the window.

The ordered cells of a grid with ``k`` edges alternate gap, point, gap, ..., gap. In their cumulative sum an
even index ``2i`` holds the rows below edge ``i``, an odd index ``2i + 1`` those at or below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column
from driftwatch.detectors._support.cell_arrays import ReferenceCells, WindowCells
from driftwatch.summary.column_counts import special_counts
from driftwatch.summary.counts import MISSING_ENTRIES, WRONG_TYPE_ENTRY
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

T = TypeVar("T")

#: Cells that are expected to hold fewer rows of the smaller sample are pooled (Cochran 1954).
MIN_EXPECTED_ROWS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Cell counts of one column, from ``n`` reference and ``m`` window rows with a value.

    An ordered column is row ``row`` of ``ordered_cells``.
    """

    column: Column
    grid: Grid
    reference_counts: Int64Array
    window_counts: Int64Array
    n: int
    m: int
    ordered_cells: WindowCells | None = None
    row: int = 0

    @property
    def empty_side(self) -> str:
        """Why nothing can be compared; empty if the sides can be compared."""
        return empty_side(self.n, self.m)

    @property
    def cells(self) -> WindowCells:
        if self.ordered_cells is None:
            raise TypeError(f"column {self.column.name!r} has levels, not edges.")
        return self.ordered_cells

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


def pair_of(reference: Reference, window: Summary, column: str | None) -> Pair:
    """Return one column's counts. Raises ``KeyError`` for an unwatched column."""
    if column is None:
        raise KeyError("this detector looks at one column, got None")
    # If the window has a memo, all columns are paired at once.
    if window.memo is None:
        return _pairs(reference, window, [reference.plan.column(column)])[column]
    pair: Pair = _memoize(
        window, "pairs", reference, lambda: _pairs(reference, window, reference.plan.columns)
    )[column]
    return pair


def _memoize(summary: Summary, key: str, reference: Reference, compute: Callable[[], T]) -> T:
    memo = {} if summary.memo is None else summary.memo
    counts = reference.summary.counts, summary.counts
    entry = memo.get(key)
    # The counts are stored too: a copy with other counts may share the memo.
    if entry is None or entry[0] is not counts[0] or entry[1] is not counts[1]:
        entry = memo[key] = (*counts, compute())
    value: T = entry[2]
    return value


def window_cells_of(reference: Reference, window: Summary, names: Sequence[str]) -> WindowCells:
    """Return the cells of all ordered columns if the window has a memo, else of ``names``."""
    if window.memo is None:
        return WindowCells.from_window(
            ReferenceCells.from_reference(reference, _ordered_names(reference, names)), window
        )
    return _memoize(
        window,
        "window cells",
        reference,
        lambda: WindowCells.from_window(_reference_cells(reference), window),
    )


def _reference_cells(reference: Reference) -> ReferenceCells:
    names = [column.name for column in reference.plan.columns]
    return _memoize(
        reference.summary,
        "reference cells",
        reference,
        lambda: ReferenceCells.from_reference(reference, _ordered_names(reference, names)),
    )


def _ordered_names(reference: Reference, names: Sequence[str]) -> list[str]:
    return [name for name in names if isinstance(reference.plan.grids[name], NumericGrid)]


def row_counts(
    reference: Reference, window: Summary, names: tuple[str, ...], cells: WindowCells
) -> tuple[Int64Array, Int64Array]:
    """Return missing and all rows of each column, in reference and window."""
    # Both results are ``[2, column]``.
    rows = cells.reference.rows_of(names)
    reference_counts = cells.reference.memoize_last(
        "row counts", names, lambda: _row_counts(reference.summary, names, rows, cells.n)
    )
    return reference_counts, _row_counts(window, names, rows, cells.m)


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


def comparable_columns(cells: WindowCells, names: Sequence[str]) -> tuple[tuple[str, ...], Int64Array]:
    return cells.memoize(
        ("comparable", tuple(names)), lambda window_cells: _comparable_columns(window_cells, names)
    )


def _comparable_columns(cells: WindowCells, names: Sequence[str]) -> tuple[tuple[str, ...], Int64Array]:
    row_by_name, is_comparable = cells.reference.row_by_name, ((cells.n > 0) & (cells.m > 0)).tolist()
    columns = tuple(name for name in names if is_comparable[row_by_name[name]])
    return columns, np.array([row_by_name[name] for name in columns], dtype=np.int64)


def _pairs(reference: Reference, window: Summary, columns: Sequence[Column]) -> dict[str, Pair]:
    cells = window_cells_of(reference, window, [column.name for column in columns])
    return {column.name: build_pair(reference, window, column, cells) for column in columns}


def build_pair(reference: Reference, window: Summary, column: Column, cells: WindowCells) -> Pair:
    reference_counts, window_counts = (
        summary.counts[column.name].cells for summary in (reference.summary, window)
    )
    row = cells.reference.row_by_name.get(column.name)
    return Pair(
        column=column,
        grid=reference.plan.grids[column.name],
        reference_counts=reference_counts,
        window_counts=window_counts,
        n=int(reference_counts.sum() if row is None else cells.n[row]),
        m=int(window_counts.sum() if row is None else cells.m[row]),
        ordered_cells=None if row is None else cells,
        row=row or 0,
    )


def pool_rare_levels(pair: Pair) -> tuple[Int64Array, Int64Array]:
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
