"""Share of rows with a level the reference never had."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors._support import column_pair, effects, p_values
from driftwatch.detectors._support.bases import Levelled
from driftwatch.detectors.base import Detector
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.results.streams import StreamList
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Share of rows with new levels that is nothing to wake somebody for, at the usual ``tolerance``.
TOLERANCE = 0.0007
#: A score below this is never evidence: one row in four hundred.
FLOOR = 0.1


class Unseen(Levelled):
    """Share of the rows with a value whose level has no cell of its own in the reference.

    Null hypothesis: unseen levels are as frequent as the reference itself leads one to expect.
    Formula: ``unseen / rows with a value``. What is expected is the share of reference rows whose level
    occurs once (Good, Turing) or has no cell; the p-value is the one-sided conditional test of two
    Poisson rates, with one event added to the reference's.
    Source: Good 1953; Przyborowski, Wilenski 1940.
    False alarms: below nominal while a new level brings few rows each; a long-tailed column whose new
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

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Share in [0, 1]."""
        both = column_pair.pair(reference, window, column)
        if both.empty:
            return self.undefined(both, both.empty)
        expected = _expected(both)
        now = _new(both)
        return self.gauge(
            both,
            now / both.m,
            p_value=float(p_values.more_often(expected, both.n, now, both.m)[0]),
            effect="levels never seen " + effects.shares(both.reference[-1] / both.n, now / both.m),
        )

    def streams(self, reference: Reference, window: Summary, column: str | None) -> StreamList:
        """The share itself, held against Good and Turing's estimate of what the reference has not seen.

        It is told apart from 0 much sooner than a share that may wander: its tolerance is its own. As a score
        it is held against the windows before: one user's rows with a new level every other day are news to a
        column that never had one, however few they are. A block of the reference is held against the levels
        of the others.
        """
        both = column_pair.pair(reference, window, column)
        if both.empty:
            return ()
        return (
            Shares(
                detector=self.name,
                column=column,
                labels=("unseen",),
                successes=both.window[-1:].copy(),
                trials=np.array([both.m], dtype=np.int64),
                reference=np.array([_expected(both) / both.n]),
                reference_trials=both.n,
                tolerance=TOLERANCE,
            ),
            Score(
                detector=self.name,
                column=column,
                label="unseen",
                value=column_pair.rare(_new(both), both.m),
                floor=FLOOR,
            ),
        )


def _new(both: column_pair.Pair) -> int:
    """Rows of the window whose level has no cell, or one without a row of this reference (a segment's)."""
    return int(both.window[-1]) + int(both.window[:-1][both.reference[:-1] == 0].sum())


def _expected(both: column_pair.Pair) -> int:
    """Rows of the reference with a level that the rest of it never had (Good, Turing 1953)."""
    return int(both.reference[-1]) + int(np.count_nonzero(both.reference[:-1] == 1))


DETECTOR: Detector = Unseen()
