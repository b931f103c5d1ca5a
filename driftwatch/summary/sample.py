"""A uniform sample of distinct rows, the same for any split and any order of the rows.

It holds the k rows with the smallest salted hash (bottom-k) of their whole content, times and ids included,
each with the exact number of its copies. A row of the final sample was among the k smallest of every part it
was in, so merging is exact and bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array, UInt64Array

#: Distinct rows per tile.
SAMPLE_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowSample:
    #: ``[k]``, ascending.
    hashes: UInt64Array
    # Numbering the copies of a row would need the count of every row until the tile is sealed: unbounded.
    #: ``[k]``: number of rows with this content.
    weights: Int64Array
    #: ``[k, columns]``; a level is the index of its cell in the column's grid, a missing value NaN.
    rows: Float64Array
    limit: int = SAMPLE_ROWS

    @classmethod
    def from_rows(
        cls, content_hashes: UInt64Array, rows: Float64Array, limit: int = SAMPLE_ROWS
    ) -> RowSample:
        """Sample ``rows`` by their ``content_hashes``, in O(n log n)."""
        hashes, weights, first = smallest_hashes(content_hashes, limit)
        return cls(hashes=hashes, weights=weights, rows=np.ascontiguousarray(rows[first]), limit=limit)

    @classmethod
    def zero(cls, width: int, limit: int = SAMPLE_ROWS) -> RowSample:
        return cls(
            hashes=np.empty(0, dtype=np.uint64),
            weights=np.empty(0, dtype=np.int64),
            rows=np.empty((0, width)),
            limit=limit,
        )

    def __add__(self, right: RowSample) -> RowSample:
        limit = min(self.limit, right.limit)
        hashes, first, inverse = np.unique(
            np.concatenate([self.hashes, right.hashes]), return_index=True, return_inverse=True
        )
        weights = np.zeros(len(hashes), dtype=np.int64)
        np.add.at(weights, inverse, np.concatenate([self.weights, right.weights]))
        rows = np.concatenate([self.rows, right.rows])[first[:limit]]
        return RowSample(hashes=hashes[:limit], weights=weights[:limit], rows=rows, limit=limit)

    def __eq__(self, right: object) -> bool:
        return (
            isinstance(right, RowSample)
            and np.array_equal(self.hashes, right.hashes)
            and np.array_equal(self.weights, right.weights)
            and np.array_equal(self.rows, right.rows, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def max_hash(self) -> np.uint64 | None:
        """Largest hash that can enter the sample; None while any row can."""
        return np.uint64(self.hashes[-1]) if 0 < self.limit <= len(self.hashes) else None

    @property
    def size(self) -> int:
        """Number of rows in the sample, copies included."""
        return int(self.weights.sum())


def smallest_hashes(
    content_hashes: UInt64Array, limit: int, max_hash: np.uint64 | None = None
) -> tuple[UInt64Array, Int64Array, Int64Array]:
    """Return the ``limit`` smallest distinct hashes up to ``max_hash``, each with a count and a position."""
    # Hashes are uniform, so of many rows nearly all are too large and need not be sorted.
    candidates: Int64Array | None = None
    if max_hash is not None:
        candidates = np.flatnonzero(content_hashes <= max_hash)
    elif len(content_hashes) > 4 * limit:
        bound = np.uint64(2 * limit / len(content_hashes) * 2.0**64)
        candidates = np.flatnonzero(content_hashes <= bound)
    distinct = np.unique(
        content_hashes if candidates is None else content_hashes[candidates],
        return_index=True,
        return_counts=True,
    )
    if candidates is not None and max_hash is None and len(distinct[0]) < limit:
        candidates, distinct = None, np.unique(content_hashes, return_index=True, return_counts=True)
    hashes, first, weights = distinct[0][:limit], distinct[1][:limit], distinct[2][:limit]
    return hashes, weights.astype(np.int64), first if candidates is None else candidates[first]
