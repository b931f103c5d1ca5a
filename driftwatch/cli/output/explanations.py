"""Shows the computation behind one verdict as text."""

from __future__ import annotations

from driftwatch.charts.bars import column_bars
from driftwatch.cli.output.plots import column_plot
from driftwatch.cli.output.screen import add_row, fact_table, literal, show, show_line, table, width
from driftwatch.cli.output.verdicts import show_late_verdicts, show_verdict
from driftwatch.detectors.base import traits_of
from driftwatch.monitor.column_labels import comparable_size
from driftwatch.monitor.explain import Explanation, Origin
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.results import Verdict
from driftwatch.store.acknowledgements import UndoneAcceptance
from driftwatch.summary.reference import Reference

#: Columns that are drawn, and design effects that are listed.
_MAX_PLOTS, _MAX_EFFECTS = 3, 8


def show_explanation(item: Explanation, trail: Trail) -> None:
    verdict = item.recomputed or item.stored
    show_verdict(verdict, trail)
    _show_columns(item)
    facts = fact_table()
    rows = "" if item.reference is None else f", {item.reference.summary.rows:,} rows"
    add_row(facts, "  reference", f"{verdict.reference[:12]}{rows}")
    add_row(facts, "  configuration", verdict.configuration[:12])
    if item.healthy_windows is not None:
        add_row(facts, "  learned from", text_format.format_count(item.healthy_windows, "healthy window"))
    show("", literal("what it rests on", "bold"), facts)
    _show_effects(item)
    show_late_verdicts(item.late_parts, "rows of it that came late; explain them with --part")
    if item.undone is not None:
        show_line("", _undone_text(item.undone), "bold yellow")
    if item.origin is Origin.REPLAY:
        if item.gone is not None:
            show_line("", str(item.gone), "bold yellow")
        text = "the window is not stored: replayed from the source's rows, as `backtest` shows it"
        show("", literal(text, "bold"))
    elif item.gone is not None:
        show_line("", f"NOT recomputed: {item.gone}", "bold yellow")
    elif item.equal:
        show("", literal("recomputed from the store: every number is the same", "green"))
    else:
        warning = "recomputed from the store: NOT the same; the configuration has changed since"
        show("", literal(warning, "bold yellow"))


def _undone_text(undone: UndoneAcceptance) -> str:
    return (
        f"decided while an acceptance was in force that was undone: {undone.incident}, accepted "
        f"{text_format.format_time(undone.start)}, undone {text_format.format_time(undone.end)}"
    )


def _show_columns(item: Explanation) -> None:
    if item.window is None or item.reference is None:
        return
    for name, effect in _column_effects(item.reference, item.recomputed or item.stored)[:_MAX_PLOTS]:
        column, grid = item.reference.plan.column(name), item.reference.plan.grids[name]
        reference_counts = item.reference.for_segment(item.stored.segment).summary.counts[name]
        bars = column_bars(grid, reference_counts, item.window.counts[name], column.kind)
        if bars:
            show("", *column_plot(name, effect, bars, width()))


def _column_effects(reference: Reference, verdict: Verdict) -> list[tuple[str, str]]:
    columns = {column.name for column in reference.plan.columns}
    named_effects = [(entry.column, entry.words) for entry in verdict.named if entry.column in columns]
    broken_columns = {breakage.column for breakage in verdict.breakages}
    largest_effects: dict[str, str] = {}
    for statistic in sorted(verdict.statistics, key=lambda statistic: -comparable_size(statistic)):
        traits = traits_of(statistic.detector)
        if (
            statistic.column is not None
            and traits.comparable
            and not traits.is_share
            and statistic.column not in broken_columns
        ):
            largest_effects.setdefault(statistic.column, statistic.effect)
    # Named columns, else those that differ most.
    return named_effects or list(largest_effects.items())


def _show_effects(item: Explanation) -> None:
    largest: dict[str, float] = {}
    for name, value in item.design_effects.items():
        column = name.rpartition(" ")[0]
        if value is not None:
            largest[column] = max(value, largest.get(column, 0.0))
    effects = sorted(largest.items(), key=lambda pair: -pair[1])
    if effects:
        rows = table("column", ">rows")
        for name, value in effects[:_MAX_EFFECTS]:
            add_row(rows, name, f"{value:,.1f}")
        title = f"rows that count as one, {min(len(effects), _MAX_EFFECTS)} of {len(effects)} columns"
        show("", literal(title, "bold"), rows)
