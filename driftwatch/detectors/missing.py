"""Share of rows without a value."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors import _cells, _pvalues, _words
from driftwatch.detectors._common import Univariate
from driftwatch.detectors.base import Detector, Streams
from driftwatch.summary.reference import Reference
from driftwatch.summary.result import Score, Shares, Statistic
from driftwatch.summary.summary import Summary

#: A score that moved by less than this share of rows is never evidence.
FLOOR = 0.02


class Missing(Univariate):
    """Share of the window's rows that are null or NaN, or whose data lacks the column.

    Null hypothesis: a row lacks its value as often as in the reference.
    Formula: ``missing / rows``; the p-value is Pearson's chi-square with one degree of freedom, Fisher's
    exact test (two-sided) where fewer than 5 are expected.
    Source: Pearson 1900; Fisher 1934.
    False alarms: nominal or below for independent rows. Gaps come in bursts, so the p-value is only
    shown; evidence comes from the streams.
    Cost: O(1), O(rows) at worst where the exact test is needed.
    """

    name = "missing"
    unit = "share of rows"

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Share in [0, 1]."""
        both = _cells.pair(reference, window, column)
        before, after = _counted(reference, window, both)
        if not after[1]:
            return self.undefined(both, "the window has no rows")
        share = after[0] / after[1]
        return Statistic(
            detector=self.name,
            column=column,
            value=share,
            unit=self.unit,
            p_value=_pvalues.two_shares((before[0], after[0]), (before[1], after[1])),
            effect="missing " + _words.shares(before[0] / before[1], share) if before[1] else "",
            n_reference=before[1],
            n_window=after[1],
        )

    def streams(self, reference: Reference, window: Summary, column: str | None) -> Streams:
        """The share itself, and how far it is above (``up``) or below (``down``) the reference's."""
        before, after = _counted(reference, window, _cells.pair(reference, window, column))
        if not before[1] or not after[1]:
            return ()
        usual, now = before[0] / before[1], after[0] / after[1]
        shares = Shares(
            detector=self.name,
            column=column,
            labels=("missing",),
            successes=np.array([after[0]], dtype=np.int64),
            trials=np.array([after[1]], dtype=np.int64),
            reference=np.array([usual]),
            reference_trials=before[1],
        )
        return (
            shares,
            Score(
                detector=self.name,
                column=column,
                label="missing",
                value=now - usual,
                floor=FLOOR,
                signed=True,
            ),
        )


def _counted(
    reference: Reference, window: Summary, both: _cells.Pair
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Missing and all rows of reference and window."""
    before, after = (side.counts[both.column.name] for side in (reference.summary, window))
    missing = before.missing, after.missing
    return (
        (missing[0], both.n + missing[0] + before.wrong_type),
        (missing[1], both.m + missing[1] + after.wrong_type),
    )


DETECTOR: Detector = Missing()
