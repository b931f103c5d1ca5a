"""Tables of the results: false pages, delays, and other rules."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.special import chdtri

from alarms import oracle
from alarms.healthy import SETTINGS
from alarms.rare_worlds import NULL_WORLDS
from alarms.rivals import SHIPPED, TUNED
from alarms.shifts import LINES, NOTHING
from driftwatch.core.settings import Budget, parse_budget

Result = dict[str, Any]
#: Budgets in the tables, as multiples of that of the runs: evidence is proportional to it until a page.
MULTIPLES = (1, 3, 9)
#: Largest share of calibrating windows after the 60th; smallest share of runs that detect a reachable line.
MAX_CALIBRATING_SHARE, MIN_FOUND_SHARE = 0.2, 0.9


def upper95(pages: int, quarters: float) -> float:
    """One-sided 95 % limit of the mean of a Poisson count (Garwood 1936), per quarter.

    >>> round(upper95(0, 1), 3)
    2.996
    """
    return float(chdtri(2 * (pages + 1), 0.05)) / 2 / quarters


def per_quarter(budget: str) -> float:
    """Pages in 90 days that a budget such as ``1 per 90d`` allows."""
    parsed_budget: Budget = parse_budget(budget)
    return parsed_budget.per_second() * 90 * 86400


def group_by(results: Iterable[Result], *keys: str) -> dict[tuple[Any, ...], list[Result]]:
    """Results by their values of these keys."""
    groups: dict[tuple[Any, ...], list[Result]] = defaultdict(list)
    for item in results:
        groups[tuple(item[key] for key in keys)].append(item)
    return groups


def quarters_of(item: Result) -> int:
    """Quarters in one piece of a null world; results of older benches are of one each."""
    return int(item.get("quarters", 1))


def nulls(results: Sequence[Result], budget: str) -> list[str]:
    """False pages of every null world against the budget."""
    budget_pages, worlds = per_quarter(budget), group_by(results, "world")
    lines = [
        f"\nfalse pages per quarter at {budget} ({budget_pages:.2g} allowed)",
        f"{'world':<24}{'quarters':>9}{'mean':>7}{'upper95':>9}{'calibrating':>12}{'after 60':>9}  verdict",
    ]
    for name in NULL_WORLDS:
        items = worlds.get((name,), [])
        if not items:
            continue
        pages, quarters = sum(item["pages"] for item in items), sum(quarters_of(item) for item in items)
        mean, upper = pages / quarters, upper95(pages, quarters)
        share = sum(item["calibrating"] for item in items) / sum(item["windows"] for item in items)
        settled_share = sum(item["calibrating_settled"] for item in items) / sum(
            item["settled"] for item in items
        )
        names = Counter[str]()
        for item in items:
            names.update(item["named"])
        verdict = _verdict(name, mean, upper, budget_pages, settled_share)
        top_names = ", ".join(f"{stream} {count}" for stream, count in names.most_common(3))
        lines.append(
            f"{name:<24}{quarters:>9}{mean:>7.2f}{upper:>9.2f}{share:>12.0%}"
            f"{settled_share:>9.0%}  {verdict}" + (f"; named {top_names}" if top_names else "")
        )
    return lines


def _verdict(name: str, mean: float, upper: float, budget_pages: float, settled_share: float) -> str:
    if upper <= budget_pages:
        verdict = "kept"
    elif mean <= budget_pages:
        verdict = "too few quarters to say"
    elif NULL_WORLDS[name].remedy:
        verdict = f"OVER, outside the proof; would hold with {NULL_WORLDS[name].remedy}"
    else:
        verdict = "OVER"
    return verdict if settled_share <= MAX_CALIBRATING_SHARE else f"{verdict}; CALIBRATING TOO LONG"


def quantile(delays: Sequence[int | None], share: float) -> float:
    """The delay that ``share`` of the runs do not exceed; infinite when too few of them page."""
    sorted_delays = sorted(math.inf if item is None else item for item in delays)
    return sorted_delays[max(0, math.ceil(share * len(sorted_delays)) - 1)]


def _text(value: float, max_windows: int) -> str:
    return f">{max_windows}" if math.isinf(value) else f"{value:.0f}"


def shifts(results: Sequence[Result], budget: str, max_windows: int) -> list[str]:
    """Delay, named columns and onset of every line, and whether the oracle detects it."""
    lines = [
        f"\ndelay in windows (1 is the first) at {budget}; "
        f"reachable: 90 % of oracles page within {max_windows}; "
        "learned: an oracle that knows the change, and of what is usual only the monitor's healthy windows",
        f"{'setting':<20}{'line':<14}{'runs':>5}{'median':>7}{'p90':>5}{'found':>7}{'right':>7}{'wrong':>7}"
        f"{'onset':>7}{'moved':>7}{'oracle':>8}{'p90':>5}{'learned':>8}{'p90':>5}{'needed':>8}  verdict",
    ]
    cells = group_by(results, "setting", "line")
    for setting in SETTINGS:
        for line in LINES:
            items = cells.get((setting, line), [])
            if items:
                lines.append(_line(setting, line, items, max_windows))
    return lines


def _line(setting: str, line: str, items: Sequence[Result], max_windows: int) -> str:
    delays, oracle_delays = [item["delay"] for item in items], [item["oracle"] for item in items]
    learned_delays = [item["learned"] for item in items]
    pages = [item for item in items if item["delay"] is not None]
    found_share, reachable = len(pages) / len(items), oracle.reachable(oracle_delays, max_windows)
    verdict = "ok" if found_share >= MIN_FOUND_SHARE else ("MISSED" if reachable else "not reachable")
    if line == NOTHING:
        verdict = "FALSE PAGES" if pages else "quiet"
    if verdict == "MISSED" and not oracle.reachable(learned_delays, max_windows):
        verdict += ", as would be by who learned what is usual from the same windows"
    if LINES[line].gross and quantile(delays, MIN_FOUND_SHARE) > 1:
        in_first_window = quantile(oracle_delays, MIN_FOUND_SHARE) <= 1
        verdict += ", GROSS BUT NOT IN THE FIRST WINDOW" if in_first_window else ", no first window tells it"
    right = f"{np.mean([item['right'] for item in pages]):.0%}" if pages else "-"
    wrong = f"{np.mean([item['wrong'] for item in pages]):.2f}" if pages else "-"
    onset = f"{np.median([abs(item['onset_error']) for item in pages]):.0f}" if pages else "-"
    median, p90 = (_text(quantile(delays, share), max_windows) for share in (0.5, MIN_FOUND_SHARE))
    oracle_median, oracle_p90 = (
        _text(quantile(oracle_delays, share), max_windows) for share in (0.5, MIN_FOUND_SHARE)
    )
    learned_median, learned_p90 = (
        _text(quantile(learned_delays, share), max_windows) for share in (0.5, MIN_FOUND_SHARE)
    )
    return (
        f"{setting:<20}{line:<14}{len(items):>5}{median:>7}{p90:>5}{found_share:>7.0%}{right:>7}{wrong:>7}{onset:>7}"
        f"{LINES[line].moved_share:>7.3f}{oracle_median:>8}{oracle_p90:>5}{learned_median:>8}{learned_p90:>5}"
        f"{np.median([item['needed'] for item in items]):>8.1f}  {verdict}"
    )


def false_pages(
    results: Sequence[Result], rule: str, threshold: float | None = None
) -> dict[str, tuple[int, int]]:
    """Pages and quarters of a rule by null world inside the proof, at its shipped threshold or another."""
    totals: dict[str, tuple[int, int]] = {}
    for item in results:
        if NULL_WORLDS[item["world"]].remedy:
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
        total = totals.get(item["world"], (0, 0))
        totals[item["world"]] = (total[0] + pages, total[1] + quarters_of(item))
    return totals


def worst_bound(pages: dict[str, tuple[int, int]]) -> float:
    """The largest upper bound over the worlds; NaN without any."""
    return max((upper95(*total) for total in pages.values()), default=math.nan)


def tune_threshold(results: Sequence[Result], rule: str, budget_pages: float) -> float | None:
    """The smallest threshold that keeps the rule's upper bound within the budget in every world, or None."""
    proof_results = [item for item in results if not NULL_WORLDS[item["world"]].remedy]
    values = sorted(
        {value for item in proof_results for value in item["rivals"].get("top", {}).get(rule, ())}
    )
    if not values or worst_bound(false_pages(results, rule, math.inf)) > budget_pages:
        return None
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        is_within = worst_bound(false_pages(results, rule, values[middle])) <= budget_pages
        low, high = (low, middle) if is_within else (middle + 1, high)
    # Just above the score that would be one page too many.
    return values[0] if not low else math.nextafter(values[low - 1], math.inf)


def delay_of(item: Result, rule: str, threshold: float) -> int | None:
    """Windows until a rule pages in one run, or None."""
    if rule in ("always", "never"):
        return 1 if rule == "always" else None
    return next((int(t) for t, score in item["rivals"].get(rule, ()) if score >= threshold), None)


def our_delay_at(item: Result, multiple: float) -> int | None:
    """Windows until we page at ``multiple`` times the budget of the run."""
    return next(
        (t for t, evidence in enumerate(item["evidence"], 1) if evidence * multiple >= 1), item["delay"]
    )


def compare_rules(
    null_results: Sequence[Result], shift_results: Sequence[Result], budget: str, max_windows: int
) -> list[str]:
    """Other rules on the same windows: false pages, delays, and which of those within budget page sooner."""
    null_results = [item for item in null_results if item["rivals"]]
    shift_results = [item for item in shift_results if item.get("rivals")]
    lines = _mean_pages(null_results)
    for multiple in MULTIPLES:
        budget_pages = per_quarter(budget) * multiple
        rules = _rules(null_results, budget_pages)
        rules_in_budget = {name: rule for name, rule in rules.items() if rule[2] <= budget_pages}
        lines.append(
            f"\nat {budget_pages:g} pages a quarter these keep the budget in every world inside the proof: "
            + (", ".join(f"{name} ({rule[2]:.2f})" for name, rule in rules_in_budget.items()) or "none")
            + "; compared in the settings whose healthy windows they do not page"
        )
        lines += _sooner_lines(shift_results, rules_in_budget, multiple, max_windows)
    lines += _medians(shift_results, max_windows)
    return lines


def _rules(null_results: Sequence[Result], budget_pages: float) -> dict[str, tuple[str, float, float]]:
    """Name to (rule, threshold, largest upper bound over worlds), as shipped and tuned."""
    rules = {name: (name, 0.0, worst_bound(false_pages(null_results, name))) for name in ("always", "never")}
    for rule, threshold in SHIPPED.items():
        rules[rule] = (rule, threshold, worst_bound(false_pages(null_results, rule)))
    for rule in TUNED:
        tuned_threshold = tune_threshold(null_results, rule, budget_pages)
        if tuned_threshold is not None:
            rules[f"{rule} tuned to {tuned_threshold:.3g}"] = (
                rule,
                tuned_threshold,
                worst_bound(false_pages(null_results, rule, tuned_threshold)),
            )
    return rules


def _mean_pages(null_results: Sequence[Result]) -> list[str]:
    rules = ("ours", "always", "never", *SHIPPED)
    lines = [
        "\nfalse pages per quarter, side by side",
        f"{'world':<24}" + "".join(f"{rule:>15}" for rule in rules),
    ]
    for (name,), items in group_by(null_results, "world").items():
        cells = [false_pages(items, rule).get(name) for rule in rules]
        texts = ["-" if cell is None else f"{cell[0] / cell[1]:.2f}" for cell in cells]
        if not NULL_WORLDS[name].remedy:
            lines.append(f"{name:<24}" + "".join(f"{item:>15}" for item in texts))
    return lines


def _sooner_lines(
    shift_results: Sequence[Result],
    rules: dict[str, tuple[str, float, float]],
    multiple: float,
    max_windows: int,
) -> list[str]:
    cells, lines = group_by(shift_results, "setting", "line"), list[str]()
    for (setting, line), items in cells.items():
        if line == NOTHING:
            continue
        our_delay = quantile([our_delay_at(item, multiple) for item in items], 0.5)
        sooner_rules = []
        for name, (rule, threshold, _) in rules.items():
            healthy = cells.get((setting, NOTHING), [])
            if any(delay_of(item, rule, threshold) is not None for item in healthy):
                # A page in these few healthy windows is far above the budget.
                continue
            rule_delay = quantile([delay_of(item, rule, threshold) for item in items], 0.5)
            if rule_delay < our_delay:
                sooner_rules.append(f"{name} {_text(rule_delay, max_windows)}")
        if sooner_rules:
            lines.append(
                f"  {setting:<20}{line:<14} ours {_text(our_delay, max_windows):>4}  "
                f"SOONER: {', '.join(sooner_rules)}"
            )
    return lines or ["  none of them has a shorter median delay than ours on any line"]


def _medians(shift_results: Sequence[Result], max_windows: int) -> list[str]:
    rules = ("ours", *SHIPPED)
    lines = [
        "\nmedian delay, side by side",
        f"{'setting':<20}{'line':<14}" + "".join(f"{r:>15}" for r in rules),
    ]
    for (setting, line), items in group_by(shift_results, "setting", "line").items():
        delays = [[item["delay"] for item in items]]
        delays += [[delay_of(item, rule, threshold) for item in items] for rule, threshold in SHIPPED.items()]
        cells = "".join(f"{_text(quantile(values, 0.5), max_windows):>15}" for values in delays)
        lines.append(f"{setting:<20}{line:<14}{cells}")
    return lines
