"""Some rows in memory, column by column, in the few forms the summary can count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.summary.hashing import UInt64Array

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Rows = Int64Array | slice
Tables = dict[int, tuple[object, npt.NDArray[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """An ordered column: ``values[n]`` float64, NaN where there is none; float32 where it was stored so.

    ``nulls`` marks rows with no value at all and ``wrong`` rows whose value is not a number; a NaN marked
    in neither was delivered as NaN. ``gaps`` are places of NaNs, likely of all, where somebody found them.
    """

    values: Float64Array | Float32Array
    nulls: npt.NDArray[np.bool_] | None = None
    wrong: npt.NDArray[np.bool_] | None = None
    gaps: Int64Array | None = field(default=None, compare=False, repr=False)

    def take(self, rows: Rows) -> Numbers:
        """The same column at the given row positions; of a slice nothing is copied."""
        return Numbers(
            values=self.values[rows],
            nulls=None if self.nulls is None else self.nulls[rows],
            wrong=None if self.wrong is None else self.wrong[rows],
        )


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

    ``absent`` names the columns that were asked for and that the data does not have; their rows count
    as missing. ``time[n]`` is event time in nanoseconds since 1970 UTC, or None. ``untimed`` rows had no
    usable time and were left out.
    """

    rows: int
    columns: Mapping[str, Numbers | Levels]
    content: UInt64Array
    time: Int64Array | None = None
    segment: Levels | None = None
    absent: frozenset[str] = frozenset()
    untimed: int = 0

    def take(self, rows: Rows) -> Batch:
        """The batch of the given row positions."""
        content = self.content[rows]
        return Batch(
            rows=len(content),
            columns={name: column.take(rows) for name, column in self.columns.items()},
            content=content,
            time=None if self.time is None else self.time[rows],
            segment=None if self.segment is None else self.segment.take(rows),
            absent=self.absent,
        )
