"""Many columns beside their reference at once: what a detector that gauges all of them looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.detectors._support.cell_arrays import Bins, WindowCells, quantile_bins
from driftwatch.detectors._support.column_pair import Pair, nothing_in, pair, paired, pooled, sides_of
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

ONE_BIN = "the reference fills only one bin"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binned:
    """Bins of some columns with the rows ``n[k, 1]`` and ``m[k, 1]`` of both sides."""

    bins: Bins
    n: Float64Array
    m: Float64Array


def binned(sides: WindowCells) -> Binned:
    """At most ``BINS`` bins of every ordered column."""
    return sides.once("binned", lambda _: Binned(bins=quantile_bins(sides), n=sides.rows[0], m=sides.rows[1]))


def alone(both: Pair) -> Binned:
    """The levels of one column, rare ones pooled."""
    before, after = pooled(both)
    used, count = np.ones((1, len(before)), dtype=np.bool_), np.array([len(before)])
    return Binned(
        bins=Bins(before=before[None], after=after[None], used=used, count=count),
        n=np.array([[float(both.n)]]),
        m=np.array([[float(both.m)]]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnBatch:
    """Columns ``names[k]`` on both sides, of ``n[k]`` and ``m[k]`` rows with a value.

    Ordered ones are rows ``row[k]`` of ``sides``. The others, -1 there, are paired in ``levelled``.
    """

    reference: Reference
    window: Summary
    names: tuple[str, ...]
    sides: WindowCells
    row: Int64Array
    n: Int64Array
    m: Int64Array
    levelled: Mapping[int, Pair]

    @classmethod
    def of(cls, reference: Reference, window: Summary, columns: Sequence[str]) -> ColumnBatch:
        """These columns. Raises ``KeyError`` for one the plan does not watch."""
        names, sides = tuple(columns), sides_of(reference, window, columns)
        row = sides.before.places(names)
        if row.min(initial=0) >= 0:
            n, m, levelled = sides.n[row], sides.m[row], {}
        else:
            levelled = {k: pair(reference, window, names[k]) for k in np.flatnonzero(row < 0).tolist()}
            n, m = np.zeros(len(names), dtype=np.int64), np.zeros(len(names), dtype=np.int64)
            known = row >= 0
            n[known], m[known] = sides.n[row[known]], sides.m[row[known]]
            for k, both in levelled.items():
                n[k], m[k] = both.n, both.m
        return cls(
            reference=reference, window=window, names=names, sides=sides, row=row, n=n, m=m, levelled=levelled
        )

    def pair(self, k: int) -> Pair:
        """One of them."""
        if k in self.levelled:
            return self.levelled[k]
        return paired(self.reference, self.window, self.reference.plan.column(self.names[k]), self.sides)

    def empty(self) -> dict[int, str]:
        """Where nothing can be compared, and why."""
        none = np.flatnonzero((self.n == 0) | (self.m == 0)).tolist()
        return {k: nothing_in(int(self.n[k]), int(self.m[k])) for k in none}

    def binned(self, key: str, make: Callable[[Binned], Float64Array]) -> tuple[Float64Array, Int64Array]:
        """What ``make[f, k]`` gives for bins of both sides, and how many there are: 0 where a side is empty.

        At most ``BINS`` bins of an ordered column, worked out for all of them at once, else pooled levels.
        """
        whole = self.sides.once(key, lambda sides: make(binned(sides)))
        count = binned(self.sides).bins.count
        if not self.levelled:
            return whole[:, self.row], np.where((self.n > 0) & (self.m > 0), count[self.row], 0)
        values, counts = np.zeros((len(whole), len(self.names))), np.zeros(len(self.names), dtype=np.int64)
        known = (self.row >= 0) & (self.n > 0) & (self.m > 0)
        values[:, known], counts[known] = whole[:, self.row[known]], count[self.row[known]]
        for k, both in self.levelled.items():
            if not both.empty:
                one = alone(both)
                values[:, k], counts[k] = make(one)[:, 0], one.bins.count[0]
        return values, counts
