"""Rows in memory, as the typed columns that a summary counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Float32Array, Float64Array, Int64Array, UInt64Array
from driftwatch.core.memo import Memo
from driftwatch.core.spellings import Form

#: Row positions.
Rows = Int64Array | slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Values of an ordered column; NaN in neither ``nulls`` nor ``wrong_type`` is a NaN of the data."""

    #: ``values[rows]``; float32 where the data was.
    values: Float64Array | Float32Array
    #: Ascending positions of rows without a value. ``values`` is undefined there, which saves a copy of the
    #: column.
    nulls: Int64Array | None = None
    #: Mask of rows whose value is not a number; ``values`` is NaN there.
    wrong_type: BoolArray | None = None
    #: The data was float16; ``values`` is float32.
    half: bool = False

    @property
    def precision(self) -> str:
        """The numpy character of the data's type: ``e``, ``f`` or ``d``."""
        return "e" if self.half else self.values.dtype.char

    def values_with_nan(self) -> Float64Array | Float32Array:
        """Return values with NaN at ``nulls``, copied only if there are any."""
        if self.nulls is None:
            return self.values
        values = self.values.copy()
        values[self.nulls] = np.nan
        return values

    def take(self, rows: Rows) -> Numbers:
        # A slice copies no value.
        return Numbers(
            values=self.values[rows],
            nulls=None if self.nulls is None else _positions_among(self.nulls, rows, len(self.values)),
            wrong_type=None if self.wrong_type is None else self.wrong_type[rows],
            half=self.half,
        )


def _positions_among(positions: Int64Array, rows: Rows, size: int) -> Int64Array:
    """Return the indices i for which ``rows[i]`` is one of ``positions``."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(size)
        first, last = positions.searchsorted([start, stop])
        return positions[first:last] - start
    mask = np.zeros(size, dtype=bool)
    mask[positions] = True
    return np.flatnonzero(mask[rows])


@dataclass(slots=True, kw_only=True)
class Levels:
    """Values of a categorical column, dictionary-encoded; batches with one dictionary share a memo."""

    #: Indices into ``levels``; -1 is missing, -2 a value of the wrong type.
    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]
    #: The type that the data had.
    form: Form = Form.TEXT
    #: Arrays by code.
    memo: Memo = field(default_factory=Memo, compare=False, repr=False)

    def table(self, owner: object, build: Callable[[tuple[str, ...]], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return ``build(levels)``, an array by code, computed once per ``owner``."""
        # The memo keeps the owner alive, so that no other object gets its id.
        return self.memo.last(id(owner), (owner,), lambda: build(self.levels))

    def take(self, rows: Rows) -> Levels:
        return replace(self, codes=self.codes[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    rows: int
    columns: Mapping[str, Numbers | Levels]
    #: Row hashes over all columns read, times and ids included; None if no row sample is needed.
    content_hashes: UInt64Array | None = None
    #: Event time in nanoseconds since 1970 UTC.
    time: Int64Array | None = None
    segment: Levels | None = None
    #: Requested columns that the data does not have; their rows count as missing.
    absent_columns: frozenset[str] = frozenset()
    #: Number of rows left out because they had no usable time.
    untimed_rows: int = 0

    def take(self, rows: Rows) -> Batch:
        return Batch(
            rows=len(range(self.rows)[rows] if isinstance(rows, slice) else rows),
            columns={name: column.take(rows) for name, column in self.columns.items()},
            content_hashes=None if self.content_hashes is None else self.content_hashes[rows],
            time=None if self.time is None else self.time[rows],
            segment=None if self.segment is None else self.segment.take(rows),
            absent_columns=self.absent_columns,
        )
