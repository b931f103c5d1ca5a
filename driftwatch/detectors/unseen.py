"""Share of rows with a level the reference never had."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors._support import column_pair, effect_text, p_values
from driftwatch.detectors._support.new_values import new_rows
from driftwatch.detectors.base import ColumnPair, Detector, LevelDetector
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.results.streams import StreamList

#: Tolerated share of rows with new levels at the default ``tolerance``: fewer do not justify a page.
TOLERANCE = 0.0007
#: A score below this is never evidence: one row in four hundred.
FLOOR = 0.1
#: Increase of the share from which on a page tells it beside another detector's effect.
_MIN_PAGE_INCREASE = 0.01


class Unseen(LevelDetector):
    """Share of the rows with a value whose level has no cell of its own in the reference.

    Null hypothesis: unseen levels are as frequent as the reference itself predicts.
    Formula: ``unseen / rows with a value``. The expected share is that of reference rows whose level
    occurs once (Good, Turing) or has no cell; the p-value is the one-sided conditional test of two
    Poisson rates, with one event added to the reference's.
    Source: Good 1953; Przyborowski, Wilenski 1940.
    False alarms: below nominal while each new level brings few rows; a long-tailed column whose new
    levels come in bursts can exceed it, so the p-value is only shown.
    Cost: O(levels).
    Example: one of the 1,313 passengers of a Titanic file has the class "*", none of the three that are
    expected: a share of 0.0007616146230007616 (documentation of Great Expectations 0.6.1, 2019, page
    Expectations).

    >>> import numpy as np
    >>> import driftwatch
    >>> expected = {"PClass": np.repeat(["1st", "2nd", "3rd"], [322, 279, 711])}
    >>> titanic = {"PClass": np.repeat(["1st", "2nd", "3rd", "*"], [322, 279, 711, 1])}
    >>> result = driftwatch.compare(expected, titanic, detectors=["unseen"]).columns[0].statistics[0]
    >>> result.value
    0.0007616146230007616
    """

    name = "unseen"
    unit = "share of rows"
    comparable = True
    is_share = True
    display_rank = 10

    def measure(self, pair: ColumnPair) -> Statistic:
        if pair.empty_side:
            return self.undefined(pair, pair.empty_side)
        expected_rows = _expected_rows(pair)
        unseen_rows = new_rows(pair)
        return self.gauge(
            pair,
            unseen_rows / pair.m,
            p_value=float(p_values.rate_increase(expected_rows, pair.n, unseen_rows, pair.m)[0]),
            effect=effect_text.new_levels_text(pair),
        )

    def page_fact(self, pair: ColumnPair) -> str:
        if pair.empty_side or new_rows(pair) / pair.m - _expected_rows(pair) / pair.n < _MIN_PAGE_INCREASE:
            return ""
        return effect_text.new_levels_text(pair)

    def streams(self, pair: ColumnPair) -> StreamList:
        """Return the share of unseen rows, against the Good-Turing estimate of unseen mass, and a score.

        The share has a tolerance of its own, because it is told from 0 much sooner than a share that varies.
        The score compares with earlier windows: even a few rows with a new level every other day are
        exceptional in a column that never had one. A block of the reference is compared with the levels of
        the other blocks.
        """
        if pair.empty_side:
            return ()
        return (
            Shares(
                detector=self.name,
                column=pair.column.name,
                labels=("unseen",),
                successes=pair.window_counts[-1:].copy(),
                trials=np.array([pair.m], dtype=np.int64),
                reference=np.array([_expected_rows(pair) / pair.n]),
                reference_trials=pair.n,
                tolerance=TOLERANCE,
            ),
            Score(
                detector=self.name,
                column=pair.column.name,
                label="unseen",
                value=column_pair.rare_arcsine(new_rows(pair), pair.m),
                floor=FLOOR,
            ),
        )


def _expected_rows(pair: ColumnPair) -> int:
    # Good, Turing 1953: rows with a level that the rest of the reference never had.
    return int(pair.reference_counts[-1]) + int(np.count_nonzero(pair.reference_counts[:-1] == 1))


DETECTOR: Detector = Unseen()
