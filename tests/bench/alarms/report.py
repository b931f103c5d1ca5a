"""The tables: what the pieces of work say about the promise, the delay, and other rules."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.special import chdtri

from alarms import oracle
from alarms.healthy import SETTINGS
from alarms.rivals import SHIPPED, TUNED
from alarms.shifts import LINES, NOTHING
from alarms.worlds import WORLDS
from driftwatch.core.settings import Budget, parse_budget

Result = dict[str, Any]
#: Budgets shown are these multiples of the one that was run: until a page, evidence is proportional to it.
MULTIPLES = (1, 3, 9)
#: What a monitor may spend calibrating after 60 windows, and what a reachable line has to keep.
CALIBRATING, FOUND = 0.2, 0.9


def upper95(pages: int, quarters: float) -> float:
    """One-sided 95 % limit of the mean of a Poisson count (Garwood 1936), per quarter.

    >>> round(upper95(0, 1), 3)
    2.996
    """
    return float(chdtri(2 * (pages + 1), 0.05)) / 2 / quarters


def per_quarter(budget: str) -> float:
    """Pages in 90 days that a budget such as ``1 per 90d`` allows."""
    found: Budget = parse_budget(budget)
    return found.per_second() * 90 * 86400


def grouped(results: Iterable[Result], *keys: str) -> dict[tuple[Any, ...], list[Result]]:
    """Results by the values of these keys."""
    found: dict[tuple[Any, ...], list[Result]] = defaultdict(list)
    for item in results:
        found[tuple(item[key] for key in keys)].append(item)
    return found


def nulls(results: Sequence[Result], budget: str) -> list[str]:
    """False pages of every null world against the budget."""
    allowed, worlds = per_quarter(budget), grouped(results, "world")
    lines = [
        f"\nfalse pages per quarter at {budget} ({allowed:.2g} allowed)",
        f"{'world':<24}{'quarters':>9}{'mean':>7}{'upper95':>9}{'calibrating':>12}{'after 60':>9}  verdict",
    ]
    for name in WORLDS:
        items = worlds.get((name,), [])
        if not items:
            continue
        pages = sum(item["pages"] for item in items)
        mean, upper = pages / len(items), upper95(pages, len(items))
        share = sum(item["calibrating"] for item in items) / sum(item["windows"] for item in items)
        settled = sum(item["calibrating_settled"] for item in items) / sum(item["settled"] for item in items)
        named = Counter[str]()
        for item in items:
            named.update(item["named"])
        said = _verdict(name, mean, upper, allowed, settled)
        blamed = ", ".join(f"{what} {count}" for what, count in named.most_common(3))
        lines.append(
            f"{name:<24}{len(items):>9}{mean:>7.2f}{upper:>9.2f}{share:>12.0%}{settled:>9.0%}  {said}"
            + (f"; named {blamed}" if blamed else "")
        )
    return lines


def _verdict(name: str, mean: float, upper: float, allowed: float, settled: float) -> str:
    if upper <= allowed:
        said = "kept"
    elif mean <= allowed:
        said = "too few quarters to say"
    elif WORLDS[name].remedy:
        said = f"OVER, outside the proof; would hold with {WORLDS[name].remedy}"
    else:
        said = "OVER"
    return said if settled <= CALIBRATING else f"{said}; CALIBRATING TOO LONG"


def quantile(delays: Sequence[int | None], share: float) -> float:
    """The delay that this share of runs kept; infinite when they did not page."""
    ordered = sorted(math.inf if item is None else item for item in delays)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _text(value: float, within: int) -> str:
    return f">{within}" if math.isinf(value) else f"{value:.0f}"


def shifts(results: Sequence[Result], budget: str, within: int) -> list[str]:
    """Delay, naming and onset of every line, and whether the oracle could have found it."""
    lines = [
        f"\ndelay in windows (1 is the first) at {budget}; reachable: 90 % of oracles page within {within}; "
        "learned: an oracle that knows the change, and of what is usual only the monitor's healthy windows",
        f"{'setting':<20}{'line':<14}{'runs':>5}{'median':>7}{'p90':>5}{'found':>7}{'right':>7}{'wrong':>7}"
        f"{'onset':>7}{'moved':>7}{'oracle':>8}{'p90':>5}{'learned':>8}{'p90':>5}{'needed':>8}  verdict",
    ]
    cells = grouped(results, "setting", "line")
    for setting in SETTINGS:
        for line in LINES:
            items = cells.get((setting, line), [])
            if items:
                lines.append(_line(setting, line, items, within))
    return lines


def _line(setting: str, line: str, items: Sequence[Result], within: int) -> str:
    delays, best = [item["delay"] for item in items], [item["oracle"] for item in items]
    learned = [item["learned"] for item in items]
    paged = [item for item in items if item["delay"] is not None]
    found, reachable = len(paged) / len(items), oracle.reachable(best, within)
    verdict = "ok" if found >= FOUND else ("MISSED" if reachable else "not reachable")
    if line == NOTHING:
        verdict = "FALSE PAGES" if paged else "quiet"
    if verdict == "MISSED" and not oracle.reachable(learned, within):
        verdict += ", as would be by who learned what is usual from the same windows"
    if LINES[line].gross and quantile(delays, FOUND) > 1:
        told = quantile(best, FOUND) <= 1
        verdict += ", GROSS BUT NOT IN THE FIRST WINDOW" if told else ", no first window tells it"
    right = f"{np.mean([item['right'] for item in paged]):.0%}" if paged else "-"
    wrong = f"{np.mean([item['wrong'] for item in paged]):.2f}" if paged else "-"
    onset = f"{np.median([abs(item['onset_error']) for item in paged]):.0f}" if paged else "-"
    middle, late = (_text(quantile(delays, share), within) for share in (0.5, FOUND))
    best_middle, best_late = (_text(quantile(best, share), within) for share in (0.5, FOUND))
    told_middle, told_late = (_text(quantile(learned, share), within) for share in (0.5, FOUND))
    return (
        f"{setting:<20}{line:<14}{len(items):>5}{middle:>7}{late:>5}{found:>7.0%}{right:>7}{wrong:>7}{onset:>7}"
        f"{LINES[line].moved:>7.3f}{best_middle:>8}{best_late:>5}{told_middle:>8}{told_late:>5}"
        f"{np.median([item['needed'] for item in items]):>8.1f}  {verdict}"
    )


def false_pages(
    results: Sequence[Result], rule: str, threshold: float | None = None
) -> dict[str, tuple[int, int]]:
    """Pages and quarters of a rule per null world inside the proof; at a ``threshold`` other than shipped."""
    found: dict[str, tuple[int, int]] = {}
    for item in results:
        if WORLDS[item["world"]].remedy:
            continue
        if rule == "ours":
            pages = item["pages"]
        elif rule in ("always", "never"):
            pages = item["windows"] if rule == "always" else 0
        elif threshold is not None:
            if rule not in item["rivals"].get("top", {}):
                continue
            pages = sum(value >= threshold for value in item["rivals"]["top"][rule])
        elif rule not in item["rivals"].get("alarms", {}):
            continue
        else:
            pages = item["rivals"]["alarms"][rule]
        known = found.get(item["world"], (0, 0))
        found[item["world"]] = (known[0] + pages, known[1] + 1)
    return found


def worst(pages: dict[str, tuple[int, int]]) -> float:
    """The largest upper bound over the worlds; NaN without any."""
    return max((upper95(*each) for each in pages.values()), default=math.nan)


def tuned(results: Sequence[Result], rule: str, allowed: float) -> float | None:
    """The smallest threshold that keeps the rule's upper bound within budget in every world, if one does."""
    inside = [item for item in results if not WORLDS[item["world"]].remedy]
    values = sorted({value for item in inside for value in item["rivals"].get("top", {}).get(rule, ())})
    if not values or worst(false_pages(results, rule, math.inf)) > allowed:
        return None
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        kept = worst(false_pages(results, rule, values[middle])) <= allowed
        low, high = (low, middle) if kept else (middle + 1, high)
    # Just above the score that is one page too many.
    return values[0] if not low else math.nextafter(values[low - 1], math.inf)


def delay_of(item: Result, rule: str, threshold: float) -> int | None:
    """When a rule paged in one run."""
    if rule in ("always", "never"):
        return 1 if rule == "always" else None
    return next((int(t) for t, score in item["rivals"].get(rule, ()) if score >= threshold), None)


def ours_at(item: Result, multiple: float) -> int | None:
    """When we would have paged at a budget so many times the one that was run."""
    return next((t for t, seen in enumerate(item["evidence"], 1) if seen * multiple >= 1), item["delay"])


def side_by_side(null: Sequence[Result], moved: Sequence[Result], budget: str, within: int) -> list[str]:
    """Other rules on the same windows: false pages, delays, and whether one within budget pages sooner."""
    null = [item for item in null if item["rivals"]]
    moved = [item for item in moved if item.get("rivals")]
    lines = _mean_pages(null)
    for multiple in MULTIPLES:
        allowed = per_quarter(budget) * multiple
        rules = _rules(null, allowed)
        kept = {name: rule for name, rule in rules.items() if rule[2] <= allowed}
        lines.append(
            f"\nat {allowed:g} pages a quarter these keep the budget in every world inside the proof: "
            + (", ".join(f"{name} ({rule[2]:.2f})" for name, rule in kept.items()) or "none")
            + "; compared in the settings whose healthy windows they do not page"
        )
        lines += _compared(moved, kept, multiple, within)
    lines += _medians(moved, within)
    return lines


def _rules(null: Sequence[Result], allowed: float) -> dict[str, tuple[str, float, float]]:
    """Name to (rule, threshold, largest upper bound over worlds), as shipped and tuned."""
    found = {name: (name, 0.0, worst(false_pages(null, name))) for name in ("always", "never")}
    for rule, threshold in SHIPPED.items():
        found[rule] = (rule, threshold, worst(false_pages(null, rule)))
    for rule in TUNED:
        best = tuned(null, rule, allowed)
        if best is not None:
            found[f"{rule} tuned to {best:.3g}"] = (rule, best, worst(false_pages(null, rule, best)))
    return found


def _mean_pages(null: Sequence[Result]) -> list[str]:
    rules = ("ours", "always", "never", *SHIPPED)
    lines = [
        "\nfalse pages per quarter, side by side",
        f"{'world':<24}" + "".join(f"{rule:>15}" for rule in rules),
    ]
    for (name,), items in grouped(null, "world").items():
        cells = [false_pages(items, rule).get(name) for rule in rules]
        shown = ["-" if cell is None else f"{cell[0] / cell[1]:.2f}" for cell in cells]
        if not WORLDS[name].remedy:
            lines.append(f"{name:<24}" + "".join(f"{item:>15}" for item in shown))
    return lines


def _compared(
    moved: Sequence[Result], kept: dict[str, tuple[str, float, float]], multiple: float, within: int
) -> list[str]:
    cells, lines = grouped(moved, "setting", "line"), list[str]()
    for (setting, line), items in cells.items():
        if line == NOTHING:
            continue
        ours = quantile([ours_at(item, multiple) for item in items], 0.5)
        sooner = []
        for name, (rule, threshold, _) in kept.items():
            healthy = cells.get((setting, NOTHING), [])
            if any(delay_of(item, rule, threshold) is not None for item in healthy):
                # A page in these few healthy windows is far more than the budget.
                continue
            theirs = quantile([delay_of(item, rule, threshold) for item in items], 0.5)
            if theirs < ours:
                sooner.append(f"{name} {_text(theirs, within)}")
        if sooner:
            lines.append(
                f"  {setting:<20}{line:<14} ours {_text(ours, within):>4}  SOONER: {', '.join(sooner)}"
            )  # fmt: skip
    return lines or ["  none of them has a shorter median delay than ours on any line"]


def _medians(moved: Sequence[Result], within: int) -> list[str]:
    rules = ("ours", *SHIPPED)
    lines = [
        "\nmedian delay, side by side",
        f"{'setting':<20}{'line':<14}" + "".join(f"{r:>15}" for r in rules),
    ]
    for (setting, line), items in grouped(moved, "setting", "line").items():
        delays = [[item["delay"] for item in items]]
        delays += [[delay_of(item, rule, threshold) for item in items] for rule, threshold in SHIPPED.items()]
        cells = "".join(f"{_text(quantile(each, 0.5), within):>15}" for each in delays)
        lines.append(f"{setting:<20}{line:<14}{cells}")
    return lines
