"""Number of rows in the window."""

from __future__ import annotations

import math

from driftwatch.detectors.base import Detector, JointDetector, WindowContext, effect_text
from driftwatch.results.results import Score, Statistic
from driftwatch.results.streams import StreamList
from driftwatch.summary.reference import Reference

#: A change by less than this, as a logarithm of the ratio (about 20 %), is never evidence.
FLOOR = 0.2


class Volume(JointDetector):
    """Number of rows in the window: a dead upstream is the commonest incident, and no distribution shows it.

    Null hypothesis: this window's row count is exchangeable with that of healthy production windows. The
    reference teaches nothing: a test set is a labelled sample, and its rows a day say nothing of traffic.
    Formula: ``rows``; as a signed score ``log(rows / block_rows)``, with the rows of a reference block of
    window length, or 1 if unknown (a constant shift that the comparison with healthy windows cancels).
    Source: own; counts of arrivals are too overdispersed for a Poisson test, so there is no p-value.
    False alarms: judged against healthy windows only; a change under 20 % is never evidence. A window
    without rows yields no score but has a state of its own.
    Cost: O(1).
    Example: deaths by horse kick in 200 corps-years of the Prussian army (Bortkiewicz 1898): none in 109 of
    them, one in 65, two in 22, three in 3, four in 1. These are 122 deaths, .61 a corps-year; each is a row.

    >>> import numpy as np
    >>> import driftwatch
    >>> deaths = {"corps_year": np.repeat(np.arange(200), np.repeat([0, 1, 2, 3, 4], [109, 65, 22, 3, 1]))}
    >>> result = driftwatch.compare(deaths, deaths, detectors=["volume"]).joint[0]
    >>> result.value, result.value / 200
    (122.0, 0.61)
    """

    name = "volume"
    unit = "rows"
    pools = False
    sums = False
    label = "row count"
    display_rank = 70
    in_comparison = False
    suspended_in_incident = False
    learns_from_reference = False

    def measure(self, window: WindowContext) -> Statistic:
        reference, rows = window.reference, window.window.rows
        return self.gauge((reference.summary.rows, rows), float(rows), effect=f"{rows:,} rows")

    def change_text(self, reference: Reference, usual: float, value: float) -> str:
        usual_rows, rows = (math.exp(ratio) * (reference.block_rows or 1.0) for ratio in (usual, value))
        usual_text = effect_text.format_number(round(usual_rows))
        return f"rows {usual_text} → {round(rows):,} ({rows / usual_rows - 1:+.0%})"

    def streams(self, window: WindowContext) -> StreamList:
        """Return one signed score: the log ratio to a reference block's rows."""
        rows = window.window.rows
        if not rows:
            return ()
        ratio = math.log(rows / (window.reference.block_rows or 1.0))
        return (
            Score(detector=self.name, column=None, label="volume", value=ratio, floor=FLOOR, signed=True),
        )


DETECTOR: Detector = Volume()
