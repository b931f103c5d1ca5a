"""What both dashboards are made of: one way to make a panel, a query, a variable, an annotation."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, statushistory, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "driftwatch"
Query = tuple[str, str]

#: State, the number drawn for it, its colour. Not looking is never drawn in the colour of "nothing moved".
STATES = (
    ("ok", 1, "green"),
    ("calibrating", 2, "blue"),
    ("insufficient", 3, "light-blue"),
    ("no_data", 4, "purple"),
    ("stale", 5, "purple"),
    ("source_error", 6, "dark-purple"),
    ("drifting", 7, "orange"),
    ("broken", 8, "red"),
)


def state_number(selector: str, by: str) -> str:
    """PromQL: the number of the state in force; nothing at all while nothing is known."""
    each = [
        f'max by ({by}) (driftwatch_state{{{selector}, state="{state}"}} == 1) * {number}'
        for state, number, _ in STATES
    ]
    return "\n  or ".join(each)


def states() -> list[ValueMap]:
    """The numbers of ``state_number`` as words and colours."""
    named = {
        str(number): ValueMappingResult(text=state.replace("_", " "), color=color, index=number)
        for state, number, color in STATES
    }
    return [ValueMap(options=named)]


def steps(*given: tuple[float | None, str]) -> dashboards.ThresholdsConfig:
    """Thresholds: from this value on, this colour."""
    made = [Threshold(value=value, color=color) for value, color in given]
    return dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def _filled(
    panel: Any, title: str, about: str, unit: str, size: tuple[int, int], queries: tuple[Query, ...]
) -> Any:
    panel.title(title).description(about).unit(unit).datasource(SOURCE).span(size[0]).height(size[1])
    for place, (expression, legend) in enumerate(queries):
        target = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + place))
        panel.with_target(target.datasource(SOURCE).range())
    return panel


def number(title: str, about: str, unit: str, query: str, *, width: int = 4, colors: Any = None) -> Any:
    """One large number: the newest value."""
    panel = _filled(stat.Panel(), title, about, unit, (width, 4), ((query, ""),))
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common.BigValueGraphMode.NONE).color_mode(common.BigValueColorMode.VALUE)
    return panel.thresholds(colors or steps((None, "text")))


def lines(
    title: str, about: str, unit: str, *queries: Query, width: int = 12, limit: float | None = None
) -> Any:
    """Lines over time, and one drawn across at ``limit``. Gaps stay gaps: they are what was not looked at."""
    panel = _filled(timeseries.Panel(), title, about, unit, (width, 8), queries)
    panel.legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.tooltip(
        common_builders.VizTooltipOptions()
        .mode(common.TooltipDisplayMode.MULTI)
        .sort(common.SortOrder.DESCENDING)
    )
    if limit is not None:
        panel.thresholds(steps((None, "transparent"), (limit, "red"))).axis_soft_max(limit * 1.1)
        dashed = common.GraphThresholdsStyleMode.DASHED
        panel.thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(dashed))
    return panel


def timeline(title: str, about: str, query: str, legend: str, *, width: int = 24) -> Any:
    """States over time, a row for each."""
    panel = _filled(statetimeline.Panel(), title, about, "none", (width, 8), ((query, legend),))
    return panel.mappings(states()).merge_values(True).show_value(common.VisibilityMode.NEVER)


def history(title: str, about: str, query: str, legend: str, *, width: int = 24) -> Any:
    """A share in [0, 1] over time, a row for each, darker is further."""
    panel = _filled(statushistory.Panel(), title, about, "percentunit", (width, 9), ((query, legend),))
    panel.thresholds(steps((None, "green"), (0.05, "yellow"), (0.1, "orange"), (0.2, "red")))
    return panel.show_value(common.VisibilityMode.NEVER)


def listing(title: str, about: str, unit: str, query: str, *, hide: tuple[str, ...], width: int = 24) -> Any:
    """A table of the newest values, one row a series."""
    panel = _filled(table.Panel(), title, about, unit, (width, 9), ())
    target = prometheus.Dataquery().expr(query).ref_id("A").instant().datasource(SOURCE)
    panel.with_target(target.format("table"))
    hidden = {"excludeByName": dict.fromkeys(("Time", "__name__", "job", *hide), True)}
    return panel.with_transformation(DataTransformerConfig(id_val="organize", options=hidden))


def choice(name: str, query: str, *, several: bool) -> dashboards.QueryVariable:
    """A variable of label values; ``several`` also offers all of them, the empty one included."""
    made = dashboards.QueryVariable(name).label(name.capitalize()).datasource(SOURCE)
    made.query({"query": query, "refId": name}).definition(query)
    made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.NATURAL_ASC)
    if not several:
        return made.multi(False)
    made.current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    return made.multi(True).include_all(True).all_value(".*")


def moment(name: str, color: str, query: str, title: str) -> dashboards.AnnotationQuery:
    """A mark at the time that the metric's value tells."""
    return _mark(name, color, f"{query} * 1000", title).use_value_for_time(True)


def while_true(name: str, color: str, query: str, title: str) -> dashboards.AnnotationQuery:
    """A region for as long as the query returns something."""
    return _mark(name, color, query, title).use_value_for_time(False)


def _mark(name: str, color: str, query: str, title: str) -> dashboards.AnnotationQuery:
    made = dashboards.AnnotationQuery().name(name).enable(True).icon_color(color).datasource(SOURCE)
    return made.expr(query).step("60s").title_format(name).text_format(title).tag_keys("monitor,segment")


def dashboard(title: str, uid: str, about: str) -> dashboards.Dashboard:
    """An empty dashboard with the variable every other one builds on, and links to its sisters."""
    made = dashboards.Dashboard(title).uid(uid).description(about).tags([TAG]).timezone("browser")
    made.time("now-7d", "now").refresh("1m").tooltip(DashboardCursorSync.CROSSHAIR)
    made.link(
        dashboards.DashboardLink("driftwatch")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(False)
        .keep_time(True)
    )
    return made.with_variable(
        dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    )
