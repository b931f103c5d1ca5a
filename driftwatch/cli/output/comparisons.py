"""Shows a one-off comparison as text; the columns that differ most come first."""

from __future__ import annotations

from driftwatch.cli.output.plots import column_plot
from driftwatch.cli.output.screen import add_row, clean, literal, show, table, width
from driftwatch.comparison import ColumnComparison, Comparison
from driftwatch.monitor.column_labels import comparable_size
from driftwatch.results import text_format
from driftwatch.results.results import Statistic

#: Plots, and columns of another type that are named.
_MAX_PLOTS, _MAX_TYPE_CHANGES = 3, 20


def show_comparison(result: Comparison, alpha: float) -> None:
    tests = [item.p_value for item in result.statistics() if item.p_value is not None]
    show(_outcome(result, alpha, len(tests)))
    columns = sorted(result.columns, key=lambda item: -_largest_size(item))
    rows = table("column", "kind", ">p", "largest difference", "statistics but 0")
    for item in columns:
        p_values = [statistic.p_value for statistic in item.statistics if statistic.p_value is not None]
        p_value, effect = text_format.format_p_value(min(p_values, default=None)), _effect(item.statistics)
        add_row(rows, item.column.name, item.column.kind.value, p_value, effect, _numbers(item.statistics))
    for statistic in result.joint:
        add_row(
            rows,
            "(jointly)",
            "",
            text_format.format_p_value(statistic.p_value),
            statistic.effect or statistic.undefined,
            _numbers([statistic]),
        )
    show("", rows)
    moved_columns = [item for item in columns if _moved(item, alpha / max(len(tests), 1))]
    for item in moved_columns[:_MAX_PLOTS]:
        if item.bars:
            show("", *column_plot(item.column.name, _effect(item.statistics), item.bars, width()))
    if result.set_aside or result.only_current or result.type_changes:
        show("")
    for change in result.type_changes[:_MAX_TYPE_CHANGES]:
        show(f"another type: {clean(change.column)}: {change.reference} became {change.window}")
    if len(result.type_changes) > _MAX_TYPE_CHANGES:
        show(f"another type: {len(result.type_changes) - _MAX_TYPE_CHANGES:,} more")
    for column in result.set_aside:
        title = "set aside" if column.unwatched is None else "cannot be compared"
        show(f"{title}: {clean(column.name)}: {column.reason}")
    if result.only_current:
        show(f"only in the current sample: {', '.join(map(clean, result.only_current))}")


def _outcome(result: Comparison, alpha: float, n_tests: int) -> object:
    sizes = f"{result.reference_rows:,} reference rows against {result.current_rows:,}: "
    level = f" at {alpha:g} over {text_format.format_count(n_tests, 'p-value')} (rows taken as independent)"
    moved = result.drifted(alpha)
    outcome = literal(
        "they differ" if moved else "no difference worth knowing", "bold red" if moved else "green"
    )
    return literal(sizes).append_text(outcome).append(level, "dim")


def _largest_size(item: ColumnComparison) -> float:
    return max(map(comparable_size, item.statistics), default=-1.0)


def _effect(statistics: tuple[Statistic, ...]) -> str:
    # Only the largest difference: one column's detectors mostly say the same.
    return next(
        (item.effect for item in sorted(statistics, key=lambda item: -comparable_size(item)) if item.effect),
        "",
    )


def _numbers(statistics: tuple[Statistic, ...] | list[Statistic]) -> str:
    return ", ".join(
        f"{item.detector} {text_format.format_number(item.value)}" for item in statistics if item.value != 0
    )


def _moved(item: ColumnComparison, level: float) -> bool:
    return any(statistic.p_value is not None and statistic.p_value <= level for statistic in item.statistics)
