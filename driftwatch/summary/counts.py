"""Exact counts of one column in its frozen cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.errors import SummaryMismatch
from driftwatch.summary.batch import Levels, Numbers
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid

#: Entries of ``Counts.special``. Infinities are also counted in the cells.
SPECIAL = ("null", "nan", "wrong_type", "negative_infinity", "positive_infinity", "absent")
_NULL, _NAN, _WRONG, _NEGATIVE, _POSITIVE, _ABSENT = range(len(SPECIAL))
#: Indices of the entries for rows without a value, and for values of the wrong type.
MISSING_ENTRIES, WRONG_TYPE_ENTRY = (_NULL, _NAN, _ABSENT), _WRONG
#: Search keys in sorted values, by dtype: the smallest finite value, and infinity.
_FINITE_BOUNDS = {kind: np.array([np.finfo(kind).min, np.inf], dtype=kind) for kind in ("f", "d")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Row counts of one column, by cell and by special value (``SPECIAL``).

    Addition is exact, commutative and associative and has a zero; subtraction undoes it.
    """

    cells: Int64Array
    special: Int64Array

    @classmethod
    def zero(cls, grid: Grid) -> Counts:
        return cls(
            cells=np.zeros(grid.n_cells, dtype=np.int64), special=np.zeros(len(SPECIAL), dtype=np.int64)
        )

    @classmethod
    def from_column(cls, grid: Grid, column: Numbers | Levels, buffer: Float64Array | None = None) -> Counts:
        """Count a column; a numeric one costs one sort, O(n log n), in ``buffer`` if given."""
        if isinstance(grid, NumericGrid) and isinstance(column, Numbers):
            return _count_numbers(grid, column, buffer)
        if isinstance(grid, LevelGrid) and isinstance(column, Levels):
            special = np.zeros(len(SPECIAL), dtype=np.int64)
            codes = np.empty(len(column.codes), np.int64) if buffer is None else buffer.view(np.int64)
            by_code = np.bincount(
                np.add(column.codes, 2, out=codes[: len(column.codes)], dtype=np.int64), minlength=2
            )
            special[_WRONG], special[_NULL] = by_code[:2]
            return cls(cells=grid.sum_by_cell(column, by_code[2:]), special=special)
        raise SummaryMismatch(
            f"a {type(column).__name__} column cannot be counted on a {type(grid).__name__}."
        )

    @classmethod
    def from_absent(cls, grid: Grid, rows: int) -> Counts:
        """Count ``rows`` rows of data without the column."""
        counts = cls.zero(grid)
        counts.special[_ABSENT] = rows
        return counts

    def __add__(self, right: Counts) -> Counts:
        self._check(right)
        return Counts(cells=self.cells + right.cells, special=self.special + right.special)

    def __sub__(self, right: Counts) -> Counts:
        self._check(right)
        return Counts(cells=self.cells - right.cells, special=self.special - right.special)

    def __eq__(self, right: object) -> bool:
        return (
            isinstance(right, Counts)
            and np.array_equal(self.cells, right.cells)
            and np.array_equal(self.special, right.special)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def present(self) -> int:
        """Number of rows with a usable value."""
        return int(self.cells.sum())

    @property
    def missing(self) -> int:
        """Number of rows that are null, NaN, or absent."""
        return int(self.special[_NULL] + self.special[_NAN] + self.special[_ABSENT])

    @property
    def absent(self) -> int:
        return int(self.special[_ABSENT])

    @property
    def wrong_type(self) -> int:
        return int(self.special[_WRONG])

    @property
    def rows(self) -> int:
        return self.present + self.missing + self.wrong_type

    def _check(self, right: Counts) -> None:
        if len(self.cells) != len(right.cells):
            raise SummaryMismatch(
                f"counts on {len(self.cells)} cells cannot be combined with counts on {len(right.cells)}."
            )


def _count_numbers(grid: NumericGrid, column: Numbers, buffer: Float64Array | None) -> Counts:
    values = column.values
    special = np.zeros(len(SPECIAL), dtype=np.int64)
    if column.wrong_type is not None:
        special[_WRONG] = np.count_nonzero(column.wrong_type)
    ordered = np.empty_like(values) if buffer is None else buffer.view(values.dtype)[: len(values)]
    np.copyto(ordered, values)
    if column.nulls is not None:
        special[_NULL] = len(column.nulls)
        ordered[column.nulls] = np.nan
    ordered.sort()
    bounds = grid.bounds(ordered, column.precision)
    present = int(bounds[-1])
    special[_NAN] = len(values) - present - special[_NULL] - special[_WRONG]
    if present and (ordered[0] == -np.inf or ordered[present - 1] == np.inf):
        # In the dtype of the values: with another, numpy converts all of them first.
        finite, infinite = ordered.searchsorted(_FINITE_BOUNDS[ordered.dtype.char]).tolist()
        special[_NEGATIVE], special[_POSITIVE] = finite, present - infinite
    return Counts(cells=bounds[1:] - bounds[:-1], special=special)
