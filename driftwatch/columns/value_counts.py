"""Counts distinct values in bounded memory: all, or those with the smallest hashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Int64Array, UInt64Array
from driftwatch.core.hashing import group_starts

_HASH_RANGE = 1 << 64


@dataclass(slots=True, kw_only=True)
class ValueCounts:
    """Exact counts of the ``limit`` distinct values with the smallest hashes (bottom-k, k minimum values).

    No part ever drops a value of the result, so its count is exact, and any split and order of the rows gives
    the same. Beyond ``limit`` distinct values their number is estimated from ``threshold``, the smallest hash
    left out (Bar-Yossef et al. 2002; relative error about ``1 / sqrt(limit)``).
    """

    limit: int
    hashes: UInt64Array = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    counts: Int64Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    values: npt.NDArray[Any] | None = None
    threshold: np.uint64 | None = None
    _pending: list[tuple[UInt64Array, Int64Array, npt.NDArray[Any]]] = field(default_factory=list)
    _pending_values: int = 0

    def below_threshold(self, hashes: UInt64Array) -> BoolArray | None:
        """Return the mask of hashes that can still enter the result; None if all can."""
        return None if self.threshold is None else hashes < self.threshold

    def add(self, hashes: UInt64Array, counts: Int64Array, values: npt.NDArray[Any]) -> None:
        """Add distinct values, whose hashes must be below the threshold."""
        if not len(hashes):
            return
        self._pending.append((hashes, counts, values))
        self._pending_values += len(hashes)
        if self._pending_values > self.limit:
            self.merge()

    def merge(self) -> None:
        if not self._pending:
            return
        parts = self._pending
        if self.values is not None:
            parts = [(self.hashes, self.counts, self.values), *parts]
        hashes = np.concatenate([part[0] for part in parts])
        order, starts = group_starts(hashes)
        counts = np.add.reduceat(np.concatenate([part[1] for part in parts])[order], starts)
        first_positions = order[starts[: self.limit]]
        if len(starts) > self.limit:
            self.threshold = hashes[order[starts[self.limit]]]
        # Copies: a view would keep every merged array alive.
        self.hashes, self.counts = hashes[first_positions], counts[: self.limit].copy()
        self.values = np.concatenate([part[2] for part in parts])[first_positions]
        self._pending, self._pending_values = [], 0

    @property
    def is_exact(self) -> bool:
        return self.threshold is None

    def n_distinct(self) -> int:
        """Number of distinct values, estimated when not ``is_exact``."""
        if self.threshold is None:
            return len(self.hashes)
        return round(len(self.hashes) * _HASH_RANGE / int(self.threshold))
