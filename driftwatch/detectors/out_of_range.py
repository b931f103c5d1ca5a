"""Share of rows outside the reference's range."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors import _cells, _pvalues, _words
from driftwatch.detectors._common import Ordered
from driftwatch.detectors.base import Detector, Streams
from driftwatch.summary.batch import Int64Array
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.result import Score, Shares, Statistic
from driftwatch.summary.summary import Summary

#: Share of rows at either end that is nothing to wake somebody for, at the usual ``tolerance``.
TOLERANCE = 0.005
#: An excess of the score by less is never evidence: one row in a thousand where there were none.
FLOOR = 0.06
#: Rows expected near the ends in a usual window from which on their number has a law worth learning.
EXPECTED = 5.0
#: Edges within the range from which on its outermost gaps hold little.
_FEWEST = 64


class OutOfRange(Ordered):
    """Share of the rows with a value below the reference's smallest or above its largest.

    Null hypothesis: reference and window rows come from one distribution.
    Formula: ``outside / rows with a value``. Under the null the two extremes leave two rows in
    ``n + 1`` outside on average (ties: fewer); the p-value is the one-sided conditional test of two Poisson
    rates with these two and one more as the reference's.
    Source: order statistics, David, Nagaraja 2003; Przyborowski, Wilenski 1940.
    False alarms: below nominal for independent rows; trending columns leave the range by themselves.
    Cost: O(cells).
    """

    name = "out_of_range"
    unit = "share of rows"

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Share in [0, 1]."""
        both = _cells.pair(reference, window, column)
        if both.empty:
            return self.undefined(both, both.empty)
        before, (below, above) = _outside(both, both.reference_upto), _outside(both, both.window_upto)
        now = below + above
        return self.gauge(
            both,
            now / both.m,
            p_value=_pvalues.more_often(2 + sum(before), both.n, now, both.m),
            effect=_effect(both, sum(before), (below, above)),
        )

    def streams(self, reference: Reference, window: Summary, column: str | None) -> Streams:
        """The shares of rows below and above, and of those near the ends: within or beyond the outermost gap.

        Next to nothing is there in the reference, so their tolerance is their own. One score, *outside*, is
        how many are below or above: a few rows every other day are news to a column that never had any.
        Another, *ends*, is the sum of those near the ends, where enough are expected: single days far out are
        ordinary in some columns, and it learns of which.
        """
        both = _cells.pair(reference, window, column)
        if both.empty:
            return ()
        labels: tuple[str, ...] = ("below", "above")
        before: tuple[int, ...] = _outside(both, both.reference_upto)
        after: tuple[int, ...] = _outside(both, both.window_upto)
        ends = _near_ends(both)
        if ends is not None:
            labels, before, after = (*labels, "low", "high"), before + ends[0], after + ends[1]
        shares = Shares(
            detector=self.name,
            column=column,
            labels=labels,
            successes=np.array(after, dtype=np.int64),
            trials=np.full(len(labels), both.m, dtype=np.int64),
            reference=np.array(before) / both.n,
            reference_trials=both.n,
            tolerance=TOLERANCE,
            bursts=True,
        )
        outside = self._score(column, "outside", _cells.rare(_beyond(both), both.m))
        if ends is None or sum(ends[0]) / both.n * (reference.block_rows or 0.0) < EXPECTED:
            return shares, outside
        moved = _cells.angle(sum(ends[1]), both.m) - _cells.angle(sum(ends[0]), both.n)
        return shares, outside, self._score(column, "ends", moved)

    def _score(self, column: str | None, label: str, value: float) -> Score:
        return Score(detector=self.name, column=column, label=label, value=value, floor=FLOOR)


def _effect(both: _cells.Pair, before: int, outside: tuple[int, int]) -> str:
    """How many rows are outside the range, or near an end of it where that is most of what grew."""
    usual, now = before / both.n, sum(outside) / both.m
    ends = _near_ends(both)
    if ends is not None:
        shares = [(was / both.n, found / both.m) for was, found in zip(*ends, strict=True)]
        end = max((0, 1), key=lambda place: shares[place][1] - shares[place][0])
        if shares[end][1] - shares[end][0] > 2 * max(now - usual, 0.0):
            return f"among the reference's {('lowest', 'highest')[end]} " + _words.shares(*shares[end])
    side = "below" if outside[0] > outside[1] else "above"
    where = f"{side} the reference's range " if now else "outside the reference's range "
    return where + _words.shares(usual, now)


def _near_ends(both: _cells.Pair) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Rows of reference and of window up to the second edge of the range, and from the last but one.

    None where the edges are all of its few values: its ends are then as frequent as any.
    """
    grid = both.grid
    if not isinstance(grid, NumericGrid) or grid.exact or grid.last - grid.first < _FEWEST:
        return None
    low, high = 2 * (grid.first + 1) + 1, 2 * (grid.last - 1)
    before, after = (
        (int(upto[low]), int(upto[-1] - upto[high])) for upto in (both.reference_upto, both.window_upto)
    )
    return before, after


def _beyond(both: _cells.Pair) -> int:
    """Rows of the window in cells below the lowest or above the highest that hold rows of the reference.

    Those outside its range; a block of the reference itself is held against the range of the others.
    """
    lowest = int(np.searchsorted(both.reference_upto, 0, side="right"))
    highest = int(np.searchsorted(both.reference_upto, both.n))
    below = int(both.window_upto[lowest - 1]) if lowest else 0
    return below + both.m - int(both.window_upto[highest])


def _outside(both: _cells.Pair, upto: Int64Array) -> tuple[int, int]:
    """Rows below the first and above the last edge of the reference's range."""
    grid = both.grid
    if not isinstance(grid, NumericGrid) or grid.last < 0:
        return 0, int(upto[-1])
    return int(upto[2 * grid.first]), int(upto[-1] - upto[2 * grid.last + 1])


DETECTOR: Detector = OutOfRange()
