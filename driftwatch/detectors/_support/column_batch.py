"""Columns that a batch detector measures at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.detectors._support.cell_arrays import WindowCells
from driftwatch.detectors._support.column_pair import ColumnPair, empty_side, pair_of, pool_rare_levels
from driftwatch.detectors._support.quantile_bins import Bins, quantile_bins
from driftwatch.detectors._support.window_context import WindowContext

ONE_BIN = "the reference fills only one bin"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BinTable:
    """Bins of columns, with the row counts of reference (``n``) and window (``m``)."""

    #: Both counts are ``[column, 1]``.
    bins: Bins
    n: Float64Array
    m: Float64Array


def ordered_table(context: WindowContext) -> BinTable:
    return context.once("bin table", _ordered_table)


def _ordered_table(context: WindowContext) -> BinTable:
    n, m = context.cells.divisors
    return BinTable(bins=quantile_bins(context), n=n, m=m)


def level_table(pair: ColumnPair) -> BinTable:
    reference_counts, window_counts = pool_rare_levels(pair)
    used, n_bins = np.ones((1, len(reference_counts)), dtype=np.bool_), np.array([len(reference_counts)])
    return BinTable(
        bins=Bins(
            reference_counts=reference_counts[None],
            window_counts=window_counts[None],
            used=used,
            n_bins=n_bins,
        ),
        n=np.array([[float(pair.n)]]),
        m=np.array([[float(pair.m)]]),
    )


@dataclass(slots=True, kw_only=True, eq=False)
class ColumnBatch:
    """The columns of one detector in one window, with ``n`` reference and ``m`` window values each.

    ``row`` is the index of an ordered column in ``cells``; it is -1 for a column of levels, which stands in
    ``level_pairs``.
    """

    context: WindowContext
    names: tuple[str, ...]
    row: Int64Array
    n: Int64Array
    m: Int64Array
    level_pairs: Mapping[int, ColumnPair]

    @property
    def cells(self) -> WindowCells:
        return self.context.cells

    def pair(self, k: int) -> ColumnPair:
        return pair_of(self.context, self.names[k])

    def empty_sides(self) -> dict[int, str]:
        """Return why columns cannot be compared, by position ``k``."""
        positions = np.flatnonzero((self.n == 0) | (self.m == 0)).tolist()
        return {k: empty_side(int(self.n[k]), int(self.m[k])) for k in positions}

    def statistics(
        self, key: str, compute: Callable[[BinTable], Float64Array]
    ) -> tuple[Float64Array, Int64Array]:
        """Apply ``compute`` to all bins, and return the number of bins too, 0 where a side is empty."""
        # ``values[i, k]`` is the i-th result of column k.
        table = ordered_table(self.context)
        ordered_values = self.context.memo.get(("bin statistics", key), lambda: compute(table))
        ordered_bins = table.bins.n_bins
        if not self.level_pairs:
            return (
                ordered_values[:, self.row],
                np.where((self.n > 0) & (self.m > 0), ordered_bins[self.row], 0),
            )
        values, n_bins = (
            np.zeros((len(ordered_values), len(self.names))),
            np.zeros(len(self.names), dtype=np.int64),
        )
        usable = (self.row >= 0) & (self.n > 0) & (self.m > 0)
        values[:, usable], n_bins[usable] = (
            ordered_values[:, self.row[usable]],
            ordered_bins[self.row[usable]],
        )
        for k, pair in self.level_pairs.items():
            if not pair.empty_side:
                levels = level_table(pair)
                values[:, k], n_bins[k] = compute(levels)[:, 0], levels.bins.n_bins[0]
        return values, n_bins


def batch_of(context: WindowContext, columns: Sequence[str]) -> ColumnBatch:
    """Return the columns as a batch. Raises ``KeyError`` for an unwatched column."""
    names = tuple(columns)
    # Most detectors measure the same columns.
    row, n, m, levels = context.memo.get(("batch rows", names), lambda: _batch_rows(context, names))
    level_pairs = {k: pair_of(context, names[k]) for k in levels}
    return ColumnBatch(context=context, names=names, row=row, n=n, m=m, level_pairs=level_pairs)


def _batch_rows(
    context: WindowContext, names: tuple[str, ...]
) -> tuple[Int64Array, Int64Array, Int64Array, list[int]]:
    # The last result is the positions of the columns of levels.
    cells, row = context.cells, context.reference_context.rows_of(names)
    levels = np.flatnonzero(row < 0).tolist()
    if not levels:
        return row, cells.n[row], cells.m[row], levels
    n, m = np.zeros(len(names), dtype=np.int64), np.zeros(len(names), dtype=np.int64)
    ordered = row >= 0
    n[ordered], m[ordered] = cells.n[row[ordered]], cells.m[row[ordered]]
    for k in levels:
        pair = pair_of(context, names[k])
        n[k], m[k] = pair.n, pair.m
    return row, n, m, levels
