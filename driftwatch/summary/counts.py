"""Exact counts of one column on its frozen cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.errors import SummaryMismatch
from driftwatch.summary.batch import Levels, Numbers
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid

#: What the entries of ``Counts.special`` count. Infinities also stand in the ordered cells.
SPECIAL = ("null", "nan", "wrong_type", "negative_infinity", "positive_infinity", "absent")
_NULL, _NAN, _WRONG, _NEGATIVE, _POSITIVE, _ABSENT = range(len(SPECIAL))
#: Where those stand that say a row has no value, and that it has one of another type.
MISSING, WRONG_TYPE = (_NULL, _NAN, _ABSENT), _WRONG
#: Where the finite values of sorted ones begin, and the infinite.
_ENDS = {kind: np.array([np.finfo(kind).min, np.inf], dtype=kind) for kind in ("f", "d")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """``cells`` int64 per grid cell and ``special`` int64 per entry of ``SPECIAL``.

    Addition is exact, commutative and associative and has a zero; subtraction undoes it.
    """

    cells: Int64Array
    special: Int64Array

    @classmethod
    def zero(cls, grid: Grid) -> Counts:
        """Counts of no rows."""
        return cls(cells=np.zeros(grid.cells, dtype=np.int64), special=np.zeros(len(SPECIAL), dtype=np.int64))

    @classmethod
    def of(cls, grid: Grid, column: Numbers | Levels, room: Float64Array | None = None) -> Counts:
        """Count one column's rows on its grid. Numeric: one sort, O(n log n), in ``room`` if it is given."""
        if isinstance(grid, NumericGrid) and isinstance(column, Numbers):
            return _count_numbers(grid, column, room)
        if isinstance(grid, LevelGrid) and isinstance(column, Levels):
            special = np.zeros(len(SPECIAL), dtype=np.int64)
            codes = np.empty(len(column.codes), np.int64) if room is None else room.view(np.int64)
            by_code = np.bincount(
                np.add(column.codes, 2, out=codes[: len(column.codes)], dtype=np.int64), minlength=2
            )
            special[_WRONG], special[_NULL] = by_code[:2]
            return cls(cells=grid.gather(column, by_code[2:]), special=special)
        raise SummaryMismatch(
            f"a {type(column).__name__} column cannot be counted on a {type(grid).__name__}."
        )

    @classmethod
    def of_absent(cls, grid: Grid, rows: int) -> Counts:
        """Counts of ``rows`` rows whose column the data does not have."""
        zero = cls.zero(grid)
        zero.special[_ABSENT] = rows
        return zero

    def __add__(self, other: Counts) -> Counts:
        self._check(other)
        return Counts(cells=self.cells + other.cells, special=self.special + other.special)

    def __sub__(self, other: Counts) -> Counts:
        self._check(other)
        return Counts(cells=self.cells - other.cells, special=self.special - other.special)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Counts)
            and np.array_equal(self.cells, other.cells)
            and np.array_equal(self.special, other.special)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def present(self) -> int:
        """Rows with a usable value."""
        return int(self.cells.sum())

    @property
    def missing(self) -> int:
        """Rows without a value: null, NaN, or no such column."""
        return int(self.special[_NULL] + self.special[_NAN] + self.special[_ABSENT])

    @property
    def absent(self) -> int:
        """Rows whose data did not have the column at all."""
        return int(self.special[_ABSENT])

    @property
    def wrong_type(self) -> int:
        """Rows whose value could not be read as the column's kind."""
        return int(self.special[_WRONG])

    @property
    def rows(self) -> int:
        """All rows."""
        return self.present + self.missing + self.wrong_type

    def _check(self, other: Counts) -> None:
        if len(self.cells) != len(other.cells):
            raise SummaryMismatch(
                f"counts on {len(self.cells)} cells cannot be combined with counts on {len(other.cells)}."
            )


def _count_numbers(grid: NumericGrid, column: Numbers, room: Float64Array | None) -> Counts:
    values = column.values
    special = np.zeros(len(SPECIAL), dtype=np.int64)
    if column.wrong is not None:
        special[_WRONG] = np.count_nonzero(column.wrong)
    ordered = np.empty_like(values) if room is None else room.view(values.dtype)[: len(values)]
    np.copyto(ordered, values)
    if column.nulls is not None:
        special[_NULL] = len(column.nulls)
        ordered[column.nulls] = np.nan
    ordered.sort()
    bounds = grid.bounds(ordered)
    present = int(bounds[-1])
    special[_NAN] = len(values) - present - special[_NULL] - special[_WRONG]
    if present and (ordered[0] == -np.inf or ordered[present - 1] == np.inf):
        # In the values' own precision: another would have all of them converted first.
        finite, infinite = ordered.searchsorted(_ENDS[ordered.dtype.char]).tolist()
        special[_NEGATIVE], special[_POSITIVE] = finite, present - infinite
    return Counts(cells=bounds[1:] - bounds[:-1], special=special)
