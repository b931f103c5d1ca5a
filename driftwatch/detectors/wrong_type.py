"""Share of values that are of another type than the reference's."""

from __future__ import annotations

from driftwatch.core.arrays import Int64Array
from driftwatch.detectors._support import column_pair
from driftwatch.detectors.base import Detector, RowShareDetector, WindowContext


class WrongType(RowShareDetector):
    """Share of the window's values that cannot be counted as the reference's are.

    All other statistics speak for the other rows alone. Above a half the column is broken.

    Null hypothesis: values are of a wrong type as often as in the reference.
    Formula: ``values of a wrong type / values``; the p-value is Pearson's chi-square with one degree of
    freedom, Fisher's exact test (two-sided) where fewer than 5 are expected.
    Source: Pearson 1900; Fisher 1934.
    False alarms: nominal or below for independent rows. Such values come in bursts, so the p-value is only
    shown; evidence comes from the streams.
    Cost: O(1), O(rows) at worst for the exact test.
    Example: of the four values "apple", "1.0", "2", -3 one is no number (documentation of pandas, 2022, page
    ``to_numeric``).

    >>> import driftwatch
    >>> reference = {"s": [1.0, 2.0, -3.0, 0.5]}
    >>> result = driftwatch.compare(reference, {"s": ["apple", "1.0", "2", "-3"]}, detectors=["wrong_type"])
    >>> result.columns[0].statistics[0].value
    0.25
    """

    name = "wrong_type"
    display_rank = 55
    label_text = "of another type"
    empty_text = "the window has no row with a value"

    def row_counts(self, context: WindowContext, names: tuple[str, ...]) -> tuple[Int64Array, Int64Array]:
        return column_pair.wrong_type_counts(context, names)


DETECTOR: Detector = WrongType()
