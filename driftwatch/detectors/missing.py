"""Share of rows without a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from driftwatch.core.arrays import Int64Array
from driftwatch.detectors._support import column_pair, effects, p_values
from driftwatch.detectors._support.bases import Univariate
from driftwatch.detectors.base import BatchDetector, Detector
from driftwatch.results.gauges import Gauges
from driftwatch.results.streams import Streams
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: A score that moved by less than this share of rows is never evidence.
FLOOR = 0.02


class Missing(BatchDetector, Univariate):
    """Share of the window's rows that are null or NaN, or whose data lacks the column.

    Null hypothesis: a row lacks its value as often as in the reference.
    Formula: ``missing / rows``; the p-value is Pearson's chi-square with one degree of freedom, Fisher's
    exact test (two-sided) where fewer than 5 are expected.
    Source: Pearson 1900; Fisher 1934.
    False alarms: nominal or below for independent rows. Gaps come in bursts, so the p-value is only
    shown; evidence comes from the streams.
    Cost: O(1), O(rows) at worst where the exact test is needed.
    Example: ozone in New York, R's ``airquality`` (Chambers et al. 1983). The README of naniar (Tierney, Cook
    2023) prints that it is missing on 5 days of May, 16.1 %, and 21 of June, 70 %.

    >>> import driftwatch
    >>> may = [41, 36, 12, 18, None, 28, 23, 19, 8, None, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32]
    >>> may += [None, None, None, 23, 45, 115, 37]
    >>> june = [None] * 6 + [29, None, 71, 39, None, None, 23, None, None, 21, 37, 20, 12, 13] + [None] * 10
    >>> result = driftwatch.compare({"ozone": may}, {"ozone": june}, detectors=["missing"]).columns[0]
    >>> round(100 * result.missing_reference, 1), 100 * result.statistics[0].value
    (16.1, 70.0)
    """

    name = "missing"
    unit = "share of rows"

    def measured(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Gauges:
        """Shares in [0, 1]."""
        sides, names = column_pair.sides_of(reference, window, columns), tuple(columns)
        before, after = column_pair.tallies(reference, window, names, sides)
        known, share = before[1] > 0, after[0] / np.maximum(after[1], 1)
        usual = before[0] / np.maximum(before[1], 1)
        empty, none = after[1] == 0, np.full(len(names), np.nan)
        return Gauges(
            detector=self.name,
            unit=self.unit,
            columns=names,
            value=np.where(empty, np.nan, share),
            p_value=p_values.two_shares((before[0], after[0]), (before[1], after[1])),
            low=none,
            high=none,
            n_reference=before[1],
            n_window=after[1],
            effect=lambda k: (
                "missing " + effects.shares(float(usual[k]), float(share[k])) if known[k] else ""
            ),
            undefined=dict.fromkeys(np.flatnonzero(empty).tolist(), "the window has no rows"),
        )

    def drawn(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Streams:
        """The share itself, and how far it is above (``up``) or below (``down``) the reference's."""
        sides = column_pair.sides_of(reference, window, columns)
        before, after = column_pair.tallies(reference, window, tuple(columns), sides)
        told = (before[1] > 0) & (after[1] > 0)
        names = tuple(name for name, is_told in zip(columns, told.tolist(), strict=True) if is_told)
        usual = sides.before.kept(self.name, names, lambda: _usual(names, before[:, told]))
        after = after[:, told]
        return replace(
            usual, successes=after[0], trials=after[1], value=after[0] / after[1] - usual.reference
        )


def _usual(names: tuple[str, ...], before: Int64Array) -> Streams:
    """What the streams of these columns have in common in every window."""
    return Streams(
        looks=tuple((Missing.name, name) for name in names),
        share_keys=tuple((Missing.name, name, "") for name in names),
        labels=(("missing",),) * len(names),
        successes=before[0],
        trials=before[1],
        reference=before[0] / before[1],
        reference_trials=before[1],
        tolerance=np.full(len(names), np.nan),
        bursts=np.zeros(len(names), dtype=np.bool_),
        ordered=np.zeros(len(names), dtype=np.bool_),
        score_keys=tuple((Missing.name, name, "missing") for name in names),
        value=np.zeros(len(names)),
        floor=np.full(len(names), FLOOR),
        signed=np.ones(len(names), dtype=np.bool_),
    )


DETECTOR: Detector = Missing()
