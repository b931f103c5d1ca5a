"""Share of rows with the reference's most frequent level."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors.base import ColumnPair, Detector, LevelDetector, effect_text, p_values
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.results.streams import StreamList

#: A share that moved by less than this is never evidence.
FLOOR = 0.02


class ModeShare(LevelDetector):
    """How far the share of the reference's most frequent level moved.

    Null hypothesis: the level is as frequent as in the reference.
    Formula: ``|q - p|``, the level's shares of the rows with a value; the p-value is Pearson's chi-square
    with one degree of freedom, Fisher's exact test where fewer than 5 rows are expected.
    Source: Berger, Parker 1970 for the share of the most frequent; Pearson 1900; Fisher 1934.
    False alarms: nominal or below for independent rows, because the level is chosen by the reference alone.
    Cost: O(1).
    Example: heart attacks of physicians who took placebo, 189 of 11,034, and aspirin, 104 of 11,037: the
    shares differ by .0077 (Agresti 2007, section 2.2.1). Most had none.

    >>> import numpy as np
    >>> import driftwatch
    >>> placebo = {"attack": np.repeat(["no", "yes"], [10_845, 189])}
    >>> aspirin = {"attack": np.repeat(["no", "yes"], [10_933, 104])}
    >>> result = driftwatch.compare(placebo, aspirin, detectors=["mode_share"]).columns[0].statistics[0]
    >>> round(result.value, 4)
    0.0077
    """

    name = "mode_share"
    unit = "share of rows"
    comparable = True
    is_share = True
    display_rank = 5

    def measure(self, pair: ColumnPair) -> Statistic:
        if pair.empty_side:
            return self.undefined(pair, pair.empty_side)
        if not pair.levels:
            return self.undefined(pair, "the reference has no frequent level")
        # The levels of a plan are listed from the most frequent.
        count, reference_count = int(pair.window_counts[0]), int(pair.reference_counts[0])
        share, reference_share = count / pair.m, reference_count / pair.n
        return self.gauge(
            pair,
            abs(share - reference_share),
            p_value=float(p_values.two_shares((reference_count, count), (pair.n, pair.m))[0]),
            effect=f"{effect_text.quote(pair.levels[0])} {effect_text.share_change(reference_share, share)}",
        )

    def streams(self, pair: ColumnPair) -> StreamList:
        """Return the share, and its difference from the reference's as a score."""
        if pair.empty_side or not pair.levels:
            return ()
        reference_share = float(pair.reference_counts[0]) / pair.n
        shares = Shares(
            detector=self.name,
            column=pair.column.name,
            labels=("mode",),
            successes=pair.window_counts[:1].copy(),
            trials=np.array([pair.m], dtype=np.int64),
            reference=np.array([reference_share]),
            reference_trials=pair.n,
        )
        score = Score(
            detector=self.name,
            column=pair.column.name,
            label="mode",
            value=float(pair.window_counts[0]) / pair.m - reference_share,
            floor=FLOOR,
            signed=True,
        )
        return shares, score


DETECTOR: Detector = ModeShare()
