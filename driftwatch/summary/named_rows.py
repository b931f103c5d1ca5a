"""Rows of values that have no cell, so that texts can name them; no detector measures them.

These are new levels, counted exactly, and frequent numbers inside gaps, estimated from the row sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array, UInt64Array
from driftwatch.core.hashing import level_table
from driftwatch.core.spellings import rounded
from driftwatch.summary.batch import Levels
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.sample import RowSample

#: Levels of a column while its tile is counted: those with the smallest hashes.
OPEN_LEVELS = 1024
#: Levels of a column in a complete tile: those with the most rows, three times what a page names.
SEALED_LEVELS = 16
#: Characters of a level's name; a longer one ends in an ellipsis.
MAX_NAME_CHARS = 80
#: Numbers of a column in a complete tile.
SEALED_NUMBERS = 3
#: A number is named from this many rows of a tile on, and from one row in ``NUMBER_RATIO``. Every value that
#: the reference had so often is an edge of the grid.
MIN_NUMBER_ROWS = 5
NUMBER_RATIO = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NamedRows:
    """Row counts of some values of one column.

    With a ``limit`` it holds the levels with the smallest hashes (bottom-k), so that
    addition is exact for any split and order. Without one it belongs to complete tiles, and addition keeps
    every value: a level that was not among the largest of one of the tiles has more rows.
    """

    #: Ascending: hashes of levels, or bits of float64 numbers.
    keys: UInt64Array
    rows: Int64Array
    #: Levels by key; none for numbers.
    names: tuple[str, ...] = ()
    limit: int | None = None

    def __eq__(self, right: object) -> bool:
        return (
            isinstance(right, NamedRows)
            and np.array_equal(self.keys, right.keys)
            and np.array_equal(self.rows, right.rows)
            and (self.names, self.limit) == (right.names, right.limit)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def numbers(self) -> Float64Array:
        return self.keys.view(np.float64)

    def largest(self, count: int) -> NamedRows:
        """Return the values with the most rows, without limit; ties by the smaller key."""
        return self._take(np.sort(np.lexsort((self.keys, -self.rows))[:count]))

    def _take(self, positions: Int64Array) -> NamedRows:
        names = tuple(self.names[position] for position in positions.tolist()) if self.names else ()
        return NamedRows(keys=self.keys[positions], rows=self.rows[positions], names=names)

    @classmethod
    def total(cls, parts: Sequence[NamedRows]) -> NamedRows:
        if len(parts) == 1:
            return parts[0]
        limits = [part.limit for part in parts if part.limit is not None]
        return _combined(
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.rows for part in parts]),
            [name for part in parts for name in part.names],
            min(limits) if len(limits) == len(parts) else None,
        )


#: By column; a column without such values is left out.
NamedColumns = Mapping[str, NamedRows]


def _combined(keys: UInt64Array, rows: Int64Array, names: Sequence[str], limit: int | None) -> NamedRows:
    distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(sums, inverse, rows)
    return NamedRows(
        keys=distinct[:limit].copy(),
        rows=sums[:limit].copy(),
        names=tuple(names[position] for position in first[:limit].tolist()) if names else (),
        limit=limit,
    )


def add_named(parts: Iterable[NamedColumns]) -> NamedColumns:
    by_column: dict[str, list[NamedRows]] = {}
    for part in parts:
        for column, named in part.items():
            by_column.setdefault(column, []).append(named)
    return {column: NamedRows.total(items) for column, items in by_column.items()}


def unseen_levels(grid: LevelGrid, column: Levels) -> NamedRows:
    """Count the levels without a cell, in O(rows)."""
    codes = np.arange(len(column.levels), dtype=np.int32)
    is_unseen = grid.index(replace(column, codes=codes)) == len(grid.levels)
    # Codes from -2 on: no level.
    rows_by_code = np.bincount(column.codes + np.int32(2), minlength=len(codes) + 2)[2:]
    distinct_codes = np.flatnonzero(is_unseen & (rows_by_code > 0))
    hashes: UInt64Array = column.table(level_table, level_table)[distinct_codes]
    if len(hashes) > OPEN_LEVELS:
        # One dictionary may hold a level twice, under two codes.
        smallest = np.flatnonzero(hashes <= np.unique(hashes)[:OPEN_LEVELS][-1])
        distinct_codes, hashes = distinct_codes[smallest], hashes[smallest]
    names = [name_of(column.levels[code]) for code in distinct_codes.tolist()]
    return _combined(hashes, rows_by_code[distinct_codes].astype(np.int64), names, OPEN_LEVELS)


def name_of(level: str) -> str:
    return level if len(level) <= MAX_NAME_CHARS else f"{level[: MAX_NAME_CHARS - 1]}…"


def sealed(
    named: NamedColumns, grids: Mapping[str, Grid], counts: ColumnCounts, sample: RowSample | None
) -> NamedColumns:
    """Return the largest levels of a complete tile and, given a sample, frequent numbers."""
    levels = {column: rows.largest(SEALED_LEVELS) for column, rows in named.items() if rows.names}
    return levels if sample is None else levels | _frequent_numbers(grids, counts, sample)


def _frequent_numbers(
    grids: Mapping[str, Grid], counts: ColumnCounts, sample: RowSample
) -> dict[str, NamedRows]:
    # A gap that holds few rows holds no frequent number: healthy tiles end at this test.
    layout, present = counts.layout, counts.present_rows()
    least = np.repeat(np.maximum(present, MIN_NUMBER_ROWS * NUMBER_RATIO), layout.sizes)
    gaps: dict[str, list[int]] = {}
    for cell in np.flatnonzero(counts.cells * NUMBER_RATIO >= least).tolist():
        row = int(np.searchsorted(layout.starts, cell, side="right")) - 1
        offset, name = cell - int(layout.starts[row]), layout.names[row]
        if offset % 2 == 0:
            gaps.setdefault(name, []).append(offset)
    numbers = {}
    for name, offsets in gaps.items():
        grid = grids[name]
        if not isinstance(grid, NumericGrid):
            continue
        row, _, _ = layout.spans[name]
        rows = _numbers_in_gaps(grid, counts[name].cells, offsets, sample.rows[:, row], sample.weights)
        if len(rows.keys):
            numbers[name] = rows.largest(SEALED_NUMBERS)
    return numbers


def _numbers_in_gaps(
    grid: NumericGrid, cells: Int64Array, gaps: Sequence[int], values: Float64Array, weights: Int64Array
) -> NamedRows:
    """Estimate the rows of the numbers inside ``gaps`` by their share of the sampled rows."""
    is_wanted = np.zeros(len(cells), dtype=np.bool_)
    is_wanted[list(gaps)] = True
    # NaN would be in the last gap.
    is_inside = is_wanted[grid.cells_of(values)] & ~np.isnan(values)
    named = _combined(values[is_inside].view(np.uint64), weights[is_inside], (), None)
    named = named._take(np.flatnonzero(~_at_edges(grid, cells, named)))
    gap = grid.cells_of(named.numbers)
    sampled = np.bincount(gap, weights=named.rows, minlength=len(cells)).astype(np.int64)
    # In whole numbers, so that every engine rounds alike.
    rows = (2 * cells[gap] * named.rows + sampled[gap]) // (2 * sampled[gap])
    frequent = (rows >= MIN_NUMBER_ROWS) & (rows * NUMBER_RATIO >= cells.sum())
    return NamedRows(keys=named.keys[frequent], rows=rows[frequent])


def _at_edges(grid: NumericGrid, cells: Int64Array, named: NamedRows) -> BoolArray:
    """Return which sampled values of a gap were counted at an edge, in a narrower type.

    The sample does not tell the type that a value came in. One that a narrower type holds was counted at the
    edge that it is in that type, if that edge's cell has its rows.
    """
    is_counted = np.zeros(len(named.keys), dtype=np.bool_)
    for precision in "fe":
        cell = grid.cells_of(named.numbers, precision)
        is_held = rounded(named.numbers, precision) == named.numbers
        is_counted |= is_held & (cell % 2 == 1) & (cells[cell] >= named.rows)
    return is_counted
