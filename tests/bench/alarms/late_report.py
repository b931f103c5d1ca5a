"""Tables of the worlds whose rows come late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from alarms.late import SHIFTED
from alarms.late_worlds import LATE_WORLDS
from alarms.report import group_by, per_quarter, quantile, upper95

Result = dict[str, Any]


def late_nulls(results: Sequence[Result], budget: str) -> list[str]:
    """False pages of every world, those of late parts, and the states of parts."""
    budget_pages, worlds = per_quarter(budget), group_by(results, "world")
    lines = [
        f"\nfalse pages per quarter where rows come late, at {budget} ({budget_pages:.2g} allowed)",
        f"{'world':<24}{'quarters':>9}{'pages':>7}{'by parts':>9}{'mean':>7}{'upper95':>9}{'ok':>6}  verdict",
    ]
    for name in LATE_WORLDS:
        items = worlds.get((name,), [])
        if not items:
            continue
        pages, part_pages = (sum(item[key] for item in items) for key in ("pages", "part_pages"))
        states = Counter[str]()
        for item in items:
            states.update(item["states"])
        mean, upper = pages / len(items), upper95(pages, len(items))
        verdict = "kept" if upper <= budget_pages else "OVER"
        verdict = "too few quarters to say" if mean <= budget_pages < upper else verdict
        ok_share = f"{states['ok'] / states.total():.0%}" if states else ""
        lines.append(
            f"{name:<24}{len(items):>9}{pages:>7}{part_pages:>9}{mean:>7.2f}{upper:>9.2f}{ok_share:>6}"
            f"  {verdict}"
        )
    return lines


def late_shifts(results: Sequence[Result]) -> list[str]:
    """Days and parts until the page when late rows are at x3, and days with the same rows on time."""
    lines = [
        "\ndays until the page (1 is the first) when late rows are at x3; part of that day; all rows on time",
        f"{'rows':<24}{'runs':>5}{'median':>7}{'p90':>5}{'part':>6}{'on time':>9}{'p90':>5}",
    ]
    for name in SHIFTED:
        items = [item for item in results if item["world"] == name]
        if not items:
            continue
        days = [item["page"][0] if item["page"] else None for item in items]
        parts = [item["page"][1] if item["page"] else None for item in items]
        prompt = [item["prompt"] for item in items]
        texts = [f"{quantile(values, share):g}" for values, share in (
            (days, 0.5), (days, 0.9), (parts, 0.5), (prompt, 0.5), (prompt, 0.9)
        )]  # fmt: skip
        lines.append(
            f"{name:<24}{len(items):>5}{texts[0]:>7}{texts[1]:>5}{texts[2]:>6}{texts[3]:>9}{texts[4]:>5}"
        )
    return lines
