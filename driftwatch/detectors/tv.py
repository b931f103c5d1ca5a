"""Total variation distance between level shares."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors.base import ColumnPair, Detector, LevelDetector, effect_text
from driftwatch.results.results import Score, Statistic
from driftwatch.results.streams import StreamList

#: A score that moved by less than this share of rows is never evidence.
FLOOR = 0.02


class TotalVariation(LevelDetector):
    """Share of rows that would have to change level to turn one side into the other.

    Null hypothesis: none is tested; there is no p-value. As a score: this window's distance is
    exchangeable with that of healthy windows.
    Formula: ``sum |q - p| / 2`` over all levels and the unseen one.
    Source: standard; Levin, Peres 2017, chapter 4.
    False alarms: without drift the distance is about ``sum sqrt(p (1/n + 1/m)) / 2.5``: it grows
    with the number of levels and shrinks with rows. The score is therefore judged against healthy windows
    only, and an excess under ``FLOOR`` is never evidence.
    Cost: O(levels).
    Example: 52 cards after seven riffle shuffles are .334 away from a random order (Bayer, Diaconis 1992,
    table 1). Orders with equally many rising sequences are equally likely, so these are the levels:
    ``orders[r - 1]`` of the 52! orders have r of them (Euler's numbers), and C(2^7 + 52 - r, 52) of the ways
    to shuffle lead to each of these orders.

    >>> from math import comb
    >>> import numpy as np
    >>> import driftwatch
    >>> orders = [1]
    >>> for n in range(2, 53):
    ...     orders = [r * a + (n - r + 1) * b for r, a, b in zip(range(1, n + 1), orders + [0], [0] + orders)]
    >>> seven = [count * comb(2**7 + 52 - r, 52) for r, count in enumerate(orders, 1)]
    >>> decks = [[round(100_000 * count / sum(ways)) for count in ways] for ways in (orders, seven)]
    >>> before, after = ({"rising": np.repeat([str(r) for r in range(1, 53)], rows)} for rows in decks)
    >>> result = driftwatch.compare(before, after, detectors=["tv"]).columns[0].statistics[0]
    >>> round(result.value, 3)
    0.334
    """

    name = "tv"
    unit = "share of rows"
    comparable = True
    display_rank = 50

    def measure(self, pair: ColumnPair) -> Statistic:
        if pair.empty_side:
            return self.undefined(pair, pair.empty_side)
        return self.gauge(pair, _distance(pair), effect=effect_text.level_change(pair))

    def page_fact(self, pair: ColumnPair) -> str:
        return "" if pair.empty_side else effect_text.common_level_change(pair)

    def streams(self, pair: ColumnPair) -> StreamList:
        if pair.empty_side:
            return ()
        return (
            Score(
                detector=self.name, column=pair.column.name, label="tv", value=_distance(pair), floor=FLOOR
            ),
        )


def _distance(pair: ColumnPair) -> float:
    return float(np.abs(pair.window_counts / pair.m - pair.reference_counts / pair.n).sum()) / 2


DETECTOR: Detector = TotalVariation()
