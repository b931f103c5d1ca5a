"""Distinct values with exact counts, bounded: all of them, or those with the smallest hashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Int64Array, UInt64Array
from driftwatch.core.hashing import groups

_END = 1 << 64


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of the ``limit`` distinct values with the smallest hashes.

    A value kept at the end was kept by every part that held it, so its count is exact and any split and
    order of the rows gives the same. With no more than ``limit`` distinct values it holds all; else the
    number of distinct values is estimated from the smallest hash left out (Bar-Yossef et al. 2002; relative
    error about ``1 / sqrt(limit)``).
    """

    limit: int
    hashes: UInt64Array = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    counts: Int64Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    values: npt.NDArray[Any] | None = None
    cut: np.uint64 | None = None
    _waiting: list[tuple[UInt64Array, Int64Array, npt.NDArray[Any]]] = field(default_factory=list)
    _rows: int = 0

    def wanted(self, hashes: UInt64Array) -> BoolArray | None:
        """Which rows can still matter (None: all of them)."""
        return None if self.cut is None else hashes < self.cut

    def add(self, hashes: UInt64Array, counts: Int64Array, values: npt.NDArray[Any]) -> None:
        """Add wanted values that are distinct among themselves."""
        if not len(hashes):
            return
        self._waiting.append((hashes, counts, values))
        self._rows += len(hashes)
        if self._rows > self.limit:
            self.settle()

    def settle(self) -> None:
        """Merge what is waiting."""
        if not self._waiting:
            return
        parts = self._waiting
        if self.values is not None:
            parts = [(self.hashes, self.counts, self.values), *parts]
        hashes = np.concatenate([part[0] for part in parts])
        order, starts = groups(hashes)
        counts = np.add.reduceat(np.concatenate([part[1] for part in parts])[order], starts)
        first = order[starts[: self.limit]]
        if len(starts) > self.limit:
            self.cut = hashes[order[starts[self.limit]]]
        # Copies: a view would keep all that was merged alive.
        self.hashes, self.counts = hashes[first], counts[: self.limit].copy()
        self.values = np.concatenate([part[2] for part in parts])[first]
        self._waiting, self._rows = [], 0

    @property
    def exact(self) -> bool:
        """True when every distinct value is here."""
        return self.cut is None

    def distinct(self) -> int:
        """Number of distinct values, estimated when not exact."""
        if self.cut is None:
            return len(self.hashes)
        return round(len(self.hashes) * _END / int(self.cut))
