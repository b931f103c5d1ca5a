"""The working behind one verdict, for people."""

from __future__ import annotations

from driftwatch.charts.bars import bars_of
from driftwatch.cli.output.plots import before_and_after
from driftwatch.cli.output.screen import facts, row, said, show, table, width
from driftwatch.cli.output.verdicts import show_verdict, size
from driftwatch.monitor.explain import Explanation
from driftwatch.results import words
from driftwatch.results.evidence_trail import Trail

#: Columns that are drawn, and design effects that are listed.
_DRAWN, _EFFECTS = 3, 8


def show_explanation(item: Explanation, trail: Trail) -> None:
    """The verdict, its columns before and after, and the numbers it rests on."""
    verdict = item.recomputed
    show_verdict(verdict, trail)
    _show_columns(item)
    made = facts()
    row(made, "  reference", f"{verdict.reference[:12]}, {item.reference.summary.rows:,} rows")
    row(made, "  configuration", verdict.configuration[:12])
    row(made, "  learned from", words.plural(item.healthy_windows, "healthy window"))
    show("", said("what it rests on", "bold"), made)
    _show_effects(item)
    if item.equal:
        show("", said("recomputed from the store: every number is the same", "green"))
    else:
        told = "recomputed from the store: NOT the same; the configuration has changed since"
        show("", said(told, "bold yellow"))


def _show_columns(item: Explanation) -> None:
    if item.window is None:
        return
    for name, effect in _told(item)[:_DRAWN]:
        column, grid = item.reference.plan.column(name), item.reference.plan.grids[name]
        before = item.reference.at(item.recomputed.segment).summary.counts[name]
        bars = bars_of(grid, before, item.window.counts[name], column.kind)
        if bars:
            show("", *before_and_after(name, effect, bars, width()))


def _told(item: Explanation) -> list[tuple[str, str]]:
    """The columns to draw, each with its effect: the named ones, else those with the largest differences."""
    known = {column.name for column in item.reference.plan.columns}
    named = [(each.column, each.effect) for each in item.recomputed.named if each.column in known]
    broken = {each.column for each in item.recomputed.breakages}
    largest: dict[str, str] = {}
    for each in sorted(item.recomputed.statistics, key=lambda each: -size(each)):
        if each.column is not None and each.detector in ("ks", "tv") and each.column not in broken:
            largest.setdefault(each.column, each.effect)
    return named or list(largest.items())


def _show_effects(item: Explanation) -> None:
    """How many rows count as one, each column once: at its largest."""
    largest: dict[str, float] = {}
    for name, value in item.design_effects.items():
        column = name.rpartition(" ")[0]
        if value is not None:
            largest[column] = max(value, largest.get(column, 0.0))
    order = sorted(largest.items(), key=lambda pair: -pair[1])
    if order:
        made = table("column", ">rows")
        for name, value in order[:_EFFECTS]:
            row(made, name, f"{value:,.1f}")
        title = f"rows that count as one, {min(len(order), _EFFECTS)} of {len(order)} columns"
        show("", said(title, "bold"), made)
