"""Pairs of runs say how much dearer one code is than the other, within which interval, and so which it is.

A ratio is the median of the pairs' ratios; its interval inverts the sign test and runs between two of the
sorted ratios (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 3.6). Of nine
pairs these are the second smallest and the second largest, and hold the median in 96.1 % of all cases.

It needs no law of the noise, and one pair at each end may be anything, as on a shared machine something runs
into one pair of ten. With noise of 2 % and one such pair of ten, of 15 %, nine pairs show 6 % in 67 % of all
cases by a t interval, in 70 % by Wilcoxon's and in 78 % by this one (without such pairs in 98, 96 and 89 %).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

#: A line is worse when it is so much dearer, for certain.
WORSE = 1.03
#: The chance that an interval lies above the truth at most, and below it.
TAIL = 0.025
#: With fewer pairs all of them on one side happen by chance too often.
FEWEST = 6


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One figure of both codes: medians, the ratio with its interval, and what follows.

    ``beside`` has median ratios of wall seconds and MiB, where a line has them.
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


def outside(pairs: int) -> int:
    """The number of sorted ratios outside the interval at each end follows from the binomial law.

    It is the largest ``k`` with ``P(B < k) <= TAIL``, where ``B`` counts heads of ``pairs`` fair coins.
    """
    totals = accumulate(math.comb(pairs, heads) for heads in range(pairs + 1))
    cut = sum(total <= TAIL * 2**pairs for total in totals)
    if not cut:
        raise ValueError(f"expected at least {FEWEST} pairs. Got {pairs}.")
    return cut - 1


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """The median of some ratios lies between two of them."""
    ordered = sorted(ratios)
    cut = outside(len(ordered))
    return statistics.median(ordered), ordered[cut], ordered[-1 - cut]


def verdict(low: float, high: float) -> str:
    """An interval beyond the margin decides, one inside it says the same, any other says nothing."""
    if low > WORSE:
        return "worse"
    if high < 1 / WORSE:
        return "better"
    return "same" if low >= 1 / WORSE and high <= WORSE else "unclear"


def compared(name: str, items: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Comparison:
    """The same item of both codes is compared by its CPU seconds if both have them, else by its value."""
    cpu = all("cpu" in item for pair in items for item in pair)
    this, that = ([pair[side]["cpu" if cpu else "value"] for pair in items] for side in (0, 1))
    medians: dict[str, Any] = {
        "name": name,
        "unit": "s CPU" if cpu else items[0][0]["unit"],
        "pairs": len(items),
        "this": statistics.median(this),
        "that": statistics.median(that),
    }
    if min(*this, *that) <= 0 or len(items) < FEWEST:
        return Comparison(verdict="unclear", **medians)
    ratio, low, high = interval([a / b for a, b in zip(this, that, strict=True)])
    beside = {}
    for key in ("wall", "mib"):
        both = [(a[key], b[key]) for a, b in items if a.get(key) and b.get(key)]
        if both:
            beside[key] = statistics.median(a / b for a, b in both)
    return Comparison(verdict=verdict(low, high), ratio=ratio, low=low, high=high, beside=beside, **medians)


def comparisons(pairs: Iterable[dict[str, Any]]) -> list[Comparison]:
    """Every item of a line's pairs is compared, in the order that the line says them."""
    items: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    single: dict[str, None] = {}
    for pair in pairs:
        this, that = ({item["name"]: item for item in pair["items"][side]} for side in ("this", "that"))
        single |= dict.fromkeys(this.keys() ^ that.keys())
        for name in this:
            if name in that:
                items[name].append((this[name], that[name]))
    results = [compared(name, values) for name, values in items.items()]
    return results + [Comparison(name=name, verdict="not in both") for name in single]
