"""Compares the cost of two codes by pairs of runs: ratio, confidence interval by the sign test, verdict.

A ratio is the median of the pairs' ratios; its interval inverts the sign test and runs between two of the
sorted ratios (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 3.6). Of nine
pairs these are the second smallest and the second largest, and hold the median in 96.1 % of all cases.

It assumes no distribution of the noise, and one pair at each end may be anything, as on a shared machine
something runs into one pair of ten. With noise of 2 % and one such pair of ten, of 15 %, nine pairs show 6 %
in 67 % of all cases by a t interval, in 70 % by Wilcoxon's and in 78 % by this one (without such pairs in 98,
96 and 89 %).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

#: A line is worse when the interval of its ratio lies above this.
WORSE_RATIO = 1.03
#: Largest probability that an interval lies above the true ratio; the same for below.
TAIL = 0.025
#: With fewer pairs no interval has ``TAIL``: all of them lie on one side too often by chance.
MIN_PAIRS = 6


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One figure of both codes: medians, the ratio with its interval, and the verdict.

    ``beside`` has median ratios of wall seconds and MiB, where a line has them; it is a JSON key.
    """

    name: str
    verdict: str
    unit: str = ""
    pairs: int = 0
    this: float | None = None
    that: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    beside: dict[str, float] = field(default_factory=dict)
    note: str = ""


def count_outside(pairs: int) -> int:
    """The number of sorted ratios outside the interval at each end, from the binomial distribution.

    It is the largest ``k`` with ``P(B < k) <= TAIL``, where ``B`` counts heads of ``pairs`` fair coins.
    """
    totals = accumulate(math.comb(pairs, heads) for heads in range(pairs + 1))
    cut = sum(total <= TAIL * 2**pairs for total in totals)
    if not cut:
        raise ValueError(f"expected at least {MIN_PAIRS} pairs. Got {pairs}.")
    return cut - 1


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """The median of ratios, and the two of them that are the ends of its interval."""
    sorted_ratios = sorted(ratios)
    cut = count_outside(len(sorted_ratios))
    return statistics.median(sorted_ratios), sorted_ratios[cut], sorted_ratios[-1 - cut]


def verdict(low: float, high: float) -> str:
    """Worse or better where the interval lies beyond the margin, same inside it, else unclear."""
    if low > WORSE_RATIO:
        return "worse"
    if high < 1 / WORSE_RATIO:
        return "better"
    return "same" if low >= 1 / WORSE_RATIO and high <= WORSE_RATIO else "unclear"


def compare_item(name: str, items: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Comparison:
    """Compare an item of both codes by its CPU seconds if both have them, else by its value."""
    cpu = all("cpu" in item for pair in items for item in pair)
    this, that = ([pair[side]["cpu" if cpu else "value"] for pair in items] for side in (0, 1))
    medians: dict[str, Any] = {
        "name": name,
        "unit": "s CPU" if cpu else items[0][0]["unit"],
        "pairs": len(items),
        "this": statistics.median(this),
        "that": statistics.median(that),
    }
    if min(*this, *that) <= 0 or len(items) < MIN_PAIRS:
        return Comparison(verdict="unclear", **medians)
    ratio, low, high = interval([a / b for a, b in zip(this, that, strict=True)])
    further_ratios = {}
    for key in ("wall", "mib"):
        figures = [(a[key], b[key]) for a, b in items if a.get(key) and b.get(key)]
        if figures:
            further_ratios[key] = statistics.median(a / b for a, b in figures)
    return Comparison(
        verdict=verdict(low, high), ratio=ratio, low=low, high=high, beside=further_ratios, **medians
    )


def comparisons(pairs: Iterable[dict[str, Any]]) -> list[Comparison]:
    """Compare every item of a line's pairs, in the order of the line."""
    items: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    unpaired_names: dict[str, None] = {}
    for pair in pairs:
        this, that = ({item["name"]: item for item in pair["items"][side]} for side in ("this", "that"))
        unpaired_names |= dict.fromkeys(this.keys() ^ that.keys())
        for name in this:
            if name in that:
                items[name].append((this[name], that[name]))
    results = [compare_item(name, values) for name, values in items.items()]
    return results + [Comparison(name=name, verdict="not in both") for name in unpaired_names]
