"""Pearson's chi-square test of homogeneity."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors._support import column_pair, effect_text, p_values
from driftwatch.detectors.base import ColumnPair, Detector, LevelDetector
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.results.streams import StreamList

#: Levels with a share stream and levels with a score, most frequent first: they bound the streams per column.
MAX_SHARE_LEVELS, MAX_SCORE_LEVELS = 20, 8
#: A score that moved by less is never evidence: .02 of the rows for a share of a half, .01 for one of 5 %.
FLOOR = 0.04


class ChiSquare(LevelDetector):
    """Test whether the levels are as frequent in the window as in the reference.

    Null hypothesis: reference and window rows come from one distribution over levels.
    Formula: ``sum (O - E)^2 / E`` over the table of sides and levels, ``bins - 1`` degrees of freedom. Levels
    expected in fewer than 5 rows of the smaller side are pooled with the unseen levels. Which levels the
    reference lacks is chance too: a cell of them alone would make every window of a long-tailed column
    suspicious (``unseen`` tests them). A pooled cell that is still rare joins the least frequent level.
    Source: Pearson 1900; Cochran 1954 for the pooling.
    False alarms: nominal after pooling (.050-.058 measured for 5 %; without pooling ten times too many at
    .1 %). Assumes independent rows.
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

    def measure(self, pair: ColumnPair) -> Statistic:
        if pair.empty_side:
            return self.undefined(pair, pair.empty_side)
        reference_counts, window_counts = column_pair.pool_rare_levels(pair)
        if len(reference_counts) < 2:
            return self.undefined(pair, "only one level is frequent enough to compare")
        pooled_share = (reference_counts + window_counts) / (pair.n + pair.m)
        value = sum(
            float(((counts - rows * pooled_share) ** 2 / (rows * pooled_share)).sum())
            for counts, rows in ((reference_counts, pair.n), (window_counts, pair.m))
        )
        return self.gauge(
            pair,
            value,
            p_value=float(p_values.chi_square(value, len(reference_counts) - 1)),
            effect=effect_text.level_change(pair),
        )

    def streams(self, pair: ColumnPair) -> StreamList:
        """Return shares and scores of the most frequent levels; ``level0`` is the plan's most frequent.

        A score is ``2 asin sqrt(share)`` less the reference's: its scale over windows is the same for rare
        and frequent levels (Anscombe 1948).
        """
        count = min(len(pair.levels), MAX_SHARE_LEVELS)
        if pair.empty_side or not count:
            return ()
        shares = Shares(
            detector=self.name,
            column=pair.column.name,
            labels=tuple(f"level{level}" for level in range(count)),
            successes=pair.window_counts[:count].copy(),
            trials=np.full(count, pair.m, dtype=np.int64),
            reference=pair.reference_counts[:count] / pair.n,
            reference_trials=pair.n,
        )
        levels = zip(
            shares.labels[:MAX_SCORE_LEVELS],
            pair.window_counts.tolist(),
            pair.reference_counts.tolist(),
            strict=False,
        )
        return (
            shares,
            *(
                Score(
                    detector=self.name,
                    column=pair.column.name,
                    label=label,
                    value=column_pair.arcsine(window_count, pair.m)
                    - column_pair.arcsine(reference_count, pair.n),
                    floor=FLOOR,
                    signed=True,
                )
                for label, window_count, reference_count in levels
            ),
        )


DETECTOR: Detector = ChiSquare()
