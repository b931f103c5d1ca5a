"""Tables of sequences, and of null worlds in which nobody acknowledges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from alarms.report import group_by, per_quarter, quantile, upper95
from alarms.sequence_worlds import SEQUENCES, VOLUME_WITHIN, WITHIN, Wanted
from alarms.sequences import OPEN_WORLDS

Result = dict[str, Any]


def is_as_wanted(item: Result, wanted: Wanted, within: int = WITHIN) -> bool:
    """Whether a run gave what it should, its second cause found in time and as what it is."""
    limits = (
        (wanted.pages, item["first"]),
        (wanted.again, item["again"]),
        (wanted.keys, item["keys"]),
        (wanted.updates, item["updates"]),
        (wanted.ends, item["ends"]),
    )
    is_found = not wanted.found or (
        item["how"] == wanted.found and item["found"] is not None and item["found"] <= within
    )
    return is_found and all(low <= count <= high for (low, high), count in limits)


def sequences(results: Sequence[Result]) -> list[str]:
    """What every sequence gave per run, when its second cause was found, and what is wanted."""
    lines = [
        "\nsequences without acknowledgement, means per run; open: share of windows with an open incident;\n"
        "found: median window of the second cause (1 is its first), share found in time (by window "
        f"{WITHIN}; {VOLUME_WITHIN} for the volume), as what;\n"
        "right: runs with what is wanted",
        f"{'sequence':<24}{'runs':>5}{'first':>7}{'again':>7}{'keys':>6}{'updates':>8}{'ends':>6}{'open':>6}"
        f"{'found':>7}{'time':>6} {'as':<16}{'right':>7}  wanted",
    ]
    runs = group_by(results, "sequence")
    for name, sequence in SEQUENCES.items():
        items = runs.get((name,), [])
        if not items:
            continue
        first, again, keys, updates, ends = (
            np.mean([item[key] for item in items]) for key in ("first", "again", "keys", "updates", "ends")
        )
        right = sum(is_as_wanted(item, sequence.wanted, sequence.within) for item in items)
        lines.append(
            f"{name:<24}{len(items):>5}{first:>7.1f}{again:>7.1f}{keys:>6.1f}{updates:>8.1f}{ends:>6.1f}"
            f"{_open_share(items):>6.0%}{_found_text(items, sequence.within) if sequence.second else '':<30}"
            f"{f'{right}/{len(items)}':>7}  {sequence.wanted.text()}"
        )
    return lines if len(lines) > 2 else []


def _found_text(items: Sequence[Result], within: int) -> str:
    windows = [item["found"] for item in items]
    share = sum(window is not None and window <= within for window in windows) / len(windows)
    ways = Counter(item["how"] for item in items if item["how"]).most_common()
    ways_text = ", ".join(f"{way} {count}" for way, count in ways)
    return f"{quantile(windows, 0.5):>7g}{share:>6.0%} {ways_text:<16}"


def _open_share(items: Sequence[Result]) -> float:
    return sum(item["open"] for item in items) / sum(item["windows"] for item in items)


def open_nulls(results: Sequence[Result], budget: str) -> list[str]:
    """Pages per quarter of null worlds whose incidents stay open, and of those with one true cause.

    The page of that cause is no false one, whether it came as one page or not at all.
    """
    budget_pages, groups = per_quarter(budget), group_by(results, "world", "moved")
    lines = [
        f"\nfalse pages per quarter where nobody acknowledges, at {budget} ({budget_pages:.2g} allowed);\n"
        "moved: the first column moves once, for good, and one page is right",
        f"{'world':<30}{'quarters':>9}{'first':>7}{'again':>7}{'keys':>6}{'updates':>8}{'open':>6}{'false':>7}"
        f"{'upper95':>9}  verdict",
    ]
    for name in OPEN_WORLDS:
        for is_moved in (False, True):
            items = groups.get((name, is_moved), [])
            if items:
                lines.append(
                    _open_line(f"{name}, moved" if is_moved else name, items, is_moved, budget_pages)
                )
    return lines if len(lines) > 2 else []


def _open_line(name: str, items: Sequence[Result], is_moved: bool, budget_pages: float) -> str:
    first, again, keys, updates = (
        np.mean([item[key] for item in items]) for key in ("first", "again", "keys", "updates")
    )
    false_pages = sum(max(item["first"] + item["again"] - is_moved, 0) for item in items)
    mean, upper = false_pages / len(items), upper95(false_pages, len(items))
    verdict = "kept" if upper <= budget_pages else "OVER"
    verdict = "too few quarters to say" if mean <= budget_pages < upper else verdict
    return (
        f"{name:<30}{len(items):>9}{first:>7.2f}{again:>7.2f}{keys:>6.2f}{updates:>8.2f}"
        f"{_open_share(items):>6.0%}{mean:>7.2f}{upper:>9.2f}  {verdict}"
    )
