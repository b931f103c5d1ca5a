"""Pearson's chi-square test of homogeneity."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors._support import column_pair, effects, p_values
from driftwatch.detectors._support.bases import Levelled
from driftwatch.detectors.base import Detector
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.results.streams import StreamList
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Levels, most frequent first, that have a share stream of their own, and those that have a score too.
MOST, SCORED = 20, 8
#: A score that moved by less is never evidence: .02 of the rows for a share of a half, .01 for one of 5 %.
FLOOR = 0.04


class ChiSquare(Levelled):
    """Are the levels as frequent in the window as in the reference?

    Null hypothesis: reference and window rows come from one distribution over levels.
    Formula: ``sum (O - E)^2 / E`` over the table of sides and levels, ``bins - 1`` degrees of freedom. Levels
    expected in fewer than 5 rows of the smaller side share one cell with the unseen ones: which levels the
    reference lacks is chance too, and alone they would make every window of a long-tailed column
    suspicious (``unseen`` looks at them). A cell still rare joins the least frequent level.
    Source: Pearson 1900; Cochran 1954 for the pooling.
    False alarms: nominal after pooling (.050-.058 measured for 5 %; unpooled ten times too many at
    .1 %). Independent rows assumed.
    Cost: O(levels).
    Example: party identification of women and men (Agresti 2007, page 39). R prints for this table, the
    example of ``chisq.test``, X-squared = 30.07 and p = 2.954e-07.

    >>> import numpy as np
    >>> import driftwatch
    >>> parties = ["democrat", "independent", "republican"]
    >>> women = {"party": np.repeat(parties, [762, 327, 468])}
    >>> men = {"party": np.repeat(parties, [484, 239, 477])}
    >>> result = driftwatch.compare(women, men, detectors=["chi2"]).columns[0].statistics[0]
    >>> round(result.value, 2), f"{result.p_value:.3e}"
    (30.07, '2.954e-07')
    """

    name = "chi2"
    unit = "chi-square"

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Chi-square, 0 or more; it grows with the number of rows."""
        both = column_pair.pair(reference, window, column)
        if both.empty:
            return self.undefined(both, both.empty)
        before, after = column_pair.pooled(both)
        if len(before) < 2:
            return self.undefined(both, "only one level is frequent enough to compare")
        together = (before + after) / (both.n + both.m)
        value = sum(
            float(((cells - rows * together) ** 2 / (rows * together)).sum())
            for cells, rows in ((before, both.n), (after, both.m))
        )
        return self.gauge(
            both,
            value,
            p_value=float(p_values.chi_square(value, len(before) - 1)),
            effect=effects.levels(both),
        )

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """Shares of the most frequent levels, and how far each moved; ``level0`` is the plan's most frequent.

        A score is ``2 asin sqrt(share)`` less the reference's: its spread over windows is the same for rare
        and frequent levels (Anscombe 1948).
        """
        both = column_pair.pair(reference, window, column)
        count = min(len(both.levels), MOST)
        if both.empty or not count:
            return ()
        shares = Shares(
            detector=self.name,
            column=column,
            labels=tuple(f"level{level}" for level in range(count)),
            successes=both.window[:count].copy(),
            trials=np.full(count, both.m, dtype=np.int64),
            reference=both.reference[:count] / both.n,
            reference_trials=both.n,
        )
        levels = zip(shares.labels[:SCORED], both.window.tolist(), both.reference.tolist(), strict=False)
        return (
            shares,
            *(
                Score(
                    detector=self.name,
                    column=column,
                    label=label,
                    value=column_pair.angle(now, both.m) - column_pair.angle(before, both.n),
                    floor=FLOOR,
                    signed=True,
                )
                for label, now, before in levels
            ),
        )


DETECTOR: Detector = ChiSquare()
