"""Some rows in memory, column by column, in the few forms the summary can count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Float32Array, Float64Array, Int64Array, UInt64Array

Rows = Int64Array | slice
Tables = dict[int, tuple[object, npt.NDArray[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """An ordered column: ``values[n]`` float64; float32 where it was stored so.

    ``nulls`` are the places, ascending, of rows with no value at all: what ``values`` hold there means
    nothing, so that a column is not copied only to be marked. ``wrong`` marks rows whose value is not a
    number; they are NaN. A NaN in neither was delivered as NaN.
    """

    values: Float64Array | Float32Array
    nulls: Int64Array | None = None
    wrong: BoolArray | None = None

    def marked(self) -> Float64Array | Float32Array:
        """The values, NaN where there is none; copied only if some are null."""
        if self.nulls is None:
            return self.values
        values = self.values.copy()
        values[self.nulls] = np.nan
        return values

    def take(self, rows: Rows) -> Numbers:
        """The same column at the given row positions; of a slice no value is copied."""
        return Numbers(
            values=self.values[rows],
            nulls=None if self.nulls is None else _among(self.nulls, rows, len(self.values)),
            wrong=None if self.wrong is None else self.wrong[rows],
        )


def _among(places: Int64Array, rows: Rows, size: int) -> Int64Array:
    """Where those places come to lie among the rows taken of ``size``."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(size)
        first, last = places.searchsorted([start, stop])
        return places[first:last] - start
    marked = np.zeros(size, dtype=bool)
    marked[places] = True
    return np.flatnonzero(marked[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """A categorical column: ``codes[n]`` int32 into ``levels``; -1 is missing, -2 a wrong type.

    ``tables`` are arrays by code that were worked out for these levels; batches of one dictionary share them.
    """

    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]
    tables: Tables = field(default_factory=dict, compare=False, repr=False)

    def table(self, of: object, make: Callable[[tuple[str, ...]], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """The array by code that ``make`` gives for the levels, made once for each ``of``."""
        found = self.tables.get(id(of))
        if found is None:
            found = self.tables[id(of)] = of, make(self.levels)
        return found[1]

    def take(self, rows: Rows) -> Levels:
        """The same column at the given row positions."""
        return replace(self, codes=self.codes[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows in memory. ``content[n]`` hashes each row over all columns read, times and ids included.

    Without it rows are not told apart, and there is no sample of them. ``absent`` names the columns that were
    asked for and that the data does not have; their rows count as missing. ``time[n]`` is event time in
    nanoseconds since 1970 UTC, or None. ``untimed`` rows had no usable time and were left out.
    """

    rows: int
    columns: Mapping[str, Numbers | Levels]
    content: UInt64Array | None = None
    time: Int64Array | None = None
    segment: Levels | None = None
    absent: frozenset[str] = frozenset()
    untimed: int = 0

    def take(self, rows: Rows) -> Batch:
        """The batch of the given row positions."""
        return Batch(
            rows=len(range(self.rows)[rows] if isinstance(rows, slice) else rows),
            columns={name: column.take(rows) for name, column in self.columns.items()},
            content=None if self.content is None else self.content[rows],
            time=None if self.time is None else self.time[rows],
            segment=None if self.segment is None else self.segment.take(rows),
            absent=self.absent,
        )
