"""A uniform sample of distinct rows that comes out the same for any split and any order.

Bottom-k by a salted hash of the row's whole content, times and ids included, with the exact number of
rows that share that content. Any row kept at the end was among the k smallest of every part it was in,
so merging is exact and bounded. Numbering the copies of a row instead would need every row's count until
the tile is sealed, which is not bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array, UInt64Array

#: Distinct rows kept per tile.
SAMPLE_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowSample:
    """``hashes[k]`` ascending, ``weights[k]`` rows of that content, ``rows[k, d]`` float64 row values.

    Categorical values are cell numbers of the column's grid; NaN is missing.
    """

    hashes: UInt64Array
    weights: Int64Array
    rows: Float64Array
    limit: int = SAMPLE_ROWS

    @classmethod
    def of(cls, content: UInt64Array, rows: Float64Array, limit: int = SAMPLE_ROWS) -> RowSample:
        """Sample of ``rows[n, d]`` with their content hashes ``content[n]``. O(n log n)."""
        hashes, weights, first = smallest(content, limit)
        return cls(hashes=hashes, weights=weights, rows=np.ascontiguousarray(rows[first]), limit=limit)

    @classmethod
    def zero(cls, width: int, limit: int = SAMPLE_ROWS) -> RowSample:
        """Sample of no rows with ``width`` columns."""
        return cls(
            hashes=np.empty(0, dtype=np.uint64),
            weights=np.empty(0, dtype=np.int64),
            rows=np.empty((0, width)),
            limit=limit,
        )

    def __add__(self, other: RowSample) -> RowSample:
        limit = min(self.limit, other.limit)
        hashes, first, inverse = np.unique(
            np.concatenate([self.hashes, other.hashes]), return_index=True, return_inverse=True
        )
        weights = np.zeros(len(hashes), dtype=np.int64)
        np.add.at(weights, inverse, np.concatenate([self.weights, other.weights]))
        rows = np.concatenate([self.rows, other.rows])[first[:limit]]
        return RowSample(hashes=hashes[:limit], weights=weights[:limit], rows=rows, limit=limit)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RowSample)
            and np.array_equal(self.hashes, other.hashes)
            and np.array_equal(self.weights, other.weights)
            and np.array_equal(self.rows, other.rows, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def upto(self) -> np.uint64 | None:
        """Rows with a larger hash cannot come into the sample any more; None while any can."""
        return np.uint64(self.hashes[-1]) if 0 < self.limit <= len(self.hashes) else None

    @property
    def size(self) -> int:
        """Rows the sample stands on, copies counted."""
        return int(self.weights.sum())


def smallest(
    content: UInt64Array, limit: int, upto: np.uint64 | None = None
) -> tuple[UInt64Array, Int64Array, Int64Array]:
    """The ``limit`` smallest distinct hashes, how many rows have each, and the place of one such row.

    Those above ``upto`` are left out. Hashes are uniform, so nearly all of many rows are out of reach and
    need not be sorted.
    """
    near: Int64Array | None = None
    if upto is not None:
        near = np.flatnonzero(content <= upto)
    elif len(content) > 4 * limit:
        bound = np.uint64(2 * limit / len(content) * 2.0**64)
        near = np.flatnonzero(content <= bound)
    found = np.unique(content if near is None else content[near], return_index=True, return_counts=True)
    if near is not None and upto is None and len(found[0]) < limit:
        near, found = None, np.unique(content, return_index=True, return_counts=True)
    hashes, first, weights = found[0][:limit], found[1][:limit], found[2][:limit]
    return hashes, weights.astype(np.int64), first if near is None else near[first]
