"""Share of rows without a value."""

from __future__ import annotations

from driftwatch.core.arrays import Int64Array
from driftwatch.detectors._support import column_pair
from driftwatch.detectors.base import Detector, RowShareDetector, WindowContext


class Missing(RowShareDetector):
    """Share of the window's rows that are null or NaN, or whose data lacks the column.

    Null hypothesis: values are missing as often as in the reference.
    Formula: ``missing / rows``; the p-value is Pearson's chi-square with one degree of freedom, Fisher's
    exact test (two-sided) where fewer than 5 are expected.
    Source: Pearson 1900; Fisher 1934.
    False alarms: nominal or below for independent rows. Missing values come in bursts, so the p-value is
    only shown; evidence comes from the streams.
    Cost: O(1), O(rows) at worst for the exact test.
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
    display_rank = 60
    label_text = "missing"

    def row_counts(self, context: WindowContext, names: tuple[str, ...]) -> tuple[Int64Array, Int64Array]:
        return column_pair.row_counts(context, names)


DETECTOR: Detector = Missing()
