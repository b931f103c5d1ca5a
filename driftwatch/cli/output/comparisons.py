"""A one-off comparison for people: the columns that differ most come first, and are drawn."""

from __future__ import annotations

from driftwatch.cli.output.plots import before_and_after
from driftwatch.cli.output.screen import clean, row, said, show, table, width
from driftwatch.cli.output.verdicts import size
from driftwatch.comparison import ColumnComparison, Comparison
from driftwatch.results import words
from driftwatch.results.results import Statistic

_DRAWN = 3


def show_comparison(result: Comparison, alpha: float) -> None:
    """The outcome in one line, a line per column, the columns that moved drawn, then what was set aside."""
    tests = [item.p_value for item in result.statistics() if item.p_value is not None]
    show(_outcome(result, alpha, len(tests)))
    ordered = sorted(result.columns, key=lambda item: -_largest(item))
    made = table("column", "kind", ">p", "largest difference", "statistics but 0")
    for item in ordered:
        p_values = [each.p_value for each in item.statistics if each.p_value is not None]
        p_value, effect = words.p_value(min(p_values, default=None)), _effect(item.statistics)
        row(made, item.column.name, item.column.kind.value, p_value, effect, _numbers(item.statistics))
    for each in result.joint:
        row(
            made,
            "(jointly)",
            "",
            words.p_value(each.p_value),
            each.effect or each.undefined,
            _numbers([each]),
        )
    show("", made)
    moved = [item for item in ordered if _moved(item, alpha / max(len(tests), 1))]
    for item in moved[:_DRAWN]:
        if item.bars:
            show("", *before_and_after(item.column.name, _effect(item.statistics), item.bars, width()))
    if result.set_aside or result.only_current:
        show("")
    for aside in result.set_aside:
        show(f"set aside: {clean(aside.name)}: {aside.reason}")
    if result.only_current:
        show(f"only in the current sample: {', '.join(map(clean, result.only_current))}")


def _outcome(result: Comparison, alpha: float, count: int) -> object:
    sides = f"{result.reference_rows:,} reference rows against {result.current_rows:,}: "
    level = f" at {alpha:g} over {words.plural(count, 'p-value')} (rows taken as independent)"
    moved = result.drifted(alpha)
    told = said("they differ" if moved else "no difference", "bold red" if moved else "green")
    return said(sides).append_text(told).append(level, "dim")


def _largest(item: ColumnComparison) -> float:
    return max(map(size, item.statistics), default=-1.0)


def _effect(statistics: tuple[Statistic, ...]) -> str:
    """The effect of the largest difference; one column's detectors mostly say the same."""
    return next((item.effect for item in sorted(statistics, key=lambda item: -size(item)) if item.effect), "")


def _numbers(statistics: tuple[Statistic, ...] | list[Statistic]) -> str:
    return ", ".join(f"{item.detector} {words.number(item.value)}" for item in statistics if item.value != 0)


def _moved(item: ColumnComparison, level: float) -> bool:
    return any(each.p_value is not None and each.p_value <= level for each in item.statistics)
