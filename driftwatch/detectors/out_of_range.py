"""Share of rows outside the reference's range."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors import _cells, _pvalues, _words
from driftwatch.detectors._common import Ordered
from driftwatch.detectors.base import Detector, Streams
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.result import Shares, Statistic
from driftwatch.summary.summary import Summary


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
        before, (below, above) = _outside(both, both.reference), _outside(both, both.window)
        now = below + above
        side = "below" if below > above else "above"
        where = f"{side} the reference's range " if now else "outside the reference's range "
        return self.gauge(
            both,
            now / both.m,
            p_value=_pvalues.more_often(2 + sum(before), both.n, now, both.m),
            effect=where + _words.shares(sum(before) / both.n, now / both.m),
        )

    def streams(self, reference: Reference, window: Summary, column: str | None) -> Streams:
        """The shares of rows below and above."""
        both = _cells.pair(reference, window, column)
        if both.empty:
            return ()
        return (
            Shares(
                detector=self.name,
                column=column,
                labels=("below", "above"),
                successes=np.array(_outside(both, both.window), dtype=np.int64),
                trials=np.full(2, both.m, dtype=np.int64),
                reference=np.array(_outside(both, both.reference)) / both.n,
                reference_trials=both.n,
            ),
        )


def _outside(both: _cells.Pair, cells: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[int, int]:
    """Rows below the first and above the last edge of the reference's range."""
    grid = both.grid
    if not isinstance(grid, NumericGrid) or grid.last < 0:
        return 0, int(cells.sum())
    return int(cells[: 2 * grid.first + 1].sum()), int(cells[2 * grid.last + 2 :].sum())


DETECTOR: Detector = OutOfRange()
