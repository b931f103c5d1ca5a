"""One monitor: what it says, which columns, since when, and whether it could look at all."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import common
from parts import (
    choice,
    dashboard,
    history,
    lines,
    listing,
    moment,
    number,
    state_number,
    states,
    steps,
    timeline,
    while_true,
)

_ONE = 'instance=~"$instance", monitor="$monitor"'
_WHOLE = f'{_ONE}, segment=""'
_SEGMENT = f'{_ONE}, segment=~"$segment"'
_COLUMN = f'{_SEGMENT}, column=~"$column"'


def _named(query: str) -> str:
    """All rows have no segment, and an empty legend says nothing."""
    return f'label_replace({query}, "segment", "(all rows)", "segment", "")'


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard(
        "driftwatch: monitor",
        "driftwatch-monitor",
        "One monitor: its state, its evidence, its columns. Without a segment: all rows.",
    )
    made.with_variable(choice("instance", "label_values(driftwatch_build_info, instance)", several=True))
    monitors = 'label_values(driftwatch_monitor_info{instance=~"$instance"}, monitor)'
    made.with_variable(choice("monitor", monitors, several=False))
    made.with_variable(choice("segment", f"label_values(driftwatch_state{{{_ONE}}}, segment)", several=True))
    columns = f"label_values(driftwatch_column_statistic{{{_ONE}}}, column)"
    made.with_variable(choice("column", columns, several=True))
    open_ = f'driftwatch_incident_open{{{_SEGMENT}, kind=~"drift|broken"}}'
    since = f"driftwatch_drift_since_timestamp_seconds{{{_SEGMENT}}}"
    loaded = f"driftwatch_reference_loaded_timestamp_seconds{{{_ONE}}}"
    for mark in (
        while_true("Page", "red", f"max by (monitor, segment, kind) ({open_}) > 0", "{{kind}}"),
        moment("Onset", "orange", f"max by (monitor, segment) ({since})", "the first bad window"),
        moment("Reference", "blue", f"max by (monitor) ({loaded})", "another reference was loaded"),
    ):
        made.annotation(mark)
    _now(made)
    _evidence(made)
    _columns(made)
    _looking(made)
    return made


def _now(made: Dashboard) -> None:
    made.with_row(Row("Now"))
    state = number("State", "All rows, of the newest check.", "none", state_number(_WHOLE, "monitor"))
    made.with_panel(state.mappings(states()))
    numbers = (
        (
            "Evidence",
            "A page at 1.",
            "short",
            f"max(driftwatch_evidence_ratio{{{_WHOLE}}})",
            steps((None, "green"), (0.5, "orange"), (1, "red")),
        ),
        (
            "Open incidents",
            "Drift and broken, in the segments chosen.",
            "short",
            f'sum(driftwatch_incident_open{{{_SEGMENT}, kind=~"drift|broken"}})',
            steps((None, "green"), (1, "red")),
        ),
        (
            "Drifting since",
            "First bad window of the oldest open incident. Empty: none is open.",
            "dateTimeFromNow",
            f"min(driftwatch_drift_since_timestamp_seconds{{{_SEGMENT}}}) * 1000",
            None,
        ),
        (
            "Last look",
            "When a check could look last.",
            "dateTimeFromNow",
            f"max(driftwatch_check_last_success_timestamp_seconds{{{_ONE}}}) * 1000",
            None,
        ),
        ("Rows", "In the newest window.", "short", f"max(driftwatch_window_rows{{{_WHOLE}}})", None),
    )
    for title, about, unit, query, colors in numbers:
        made.with_panel(number(title, about, unit, query, colors=colors))


def _evidence(made: Dashboard) -> None:
    made.with_row(Row("Evidence"))
    made.with_panel(
        timeline(
            "State",
            "A row for each segment. A gap: driftwatch was not there.",
            _named(state_number(_SEGMENT, "monitor, segment")),
            "{{segment}}",
        )
    )
    made.with_panel(
        lines(
            "Evidence",
            "Evidence that the inputs moved, over all columns and windows; a page at 1.",
            "short",
            (_named(f"max by (segment) (driftwatch_evidence_ratio{{{_SEGMENT}}})"), "{{segment}}"),
            limit=1,
        )
    )
    made.with_panel(
        lines(
            "Jointly",
            "Over all columns together: a correlation that broke shows here and in no column alone.",
            "short",
            (
                _named(f"max by (segment, detector) (driftwatch_joint_statistic{{{_SEGMENT}}})"),
                "{{detector}} {{segment}}",
            ),
        )
    )


def _columns(made: Dashboard) -> None:
    made.with_row(Row("Columns"))
    far = f'driftwatch_column_statistic{{{_COLUMN}, detector=~"ks|tv"}}'
    made.with_panel(
        history(
            "Distance from the reference",
            "How far the distribution of each column sits from the reference's, 0 to 1.",
            f"max by (column) ({far})",
            "{{column}}",
        )
    )
    panels = (
        (
            "Distance from the reference",
            "Kolmogorov-Smirnov for numbers, total variation for categories; 0 to 1.",
            f"max by (column, segment) ({far})",
        ),
        (
            "Missing",
            "Share of rows without a value.",
            f"max by (column, segment) (driftwatch_column_missing_ratio{{{_COLUMN}}})",
        ),
        (
            "Unseen and out of range",
            "Share of rows with a value the reference never held.",
            "max by (column, segment) "
            f'(driftwatch_column_statistic{{{_COLUMN}, detector=~"unseen|out_of_range"}})',
        ),
    )
    for title, about, query in panels:
        made.with_panel(lines(title, about, "percentunit", (_named(query), "{{column}} {{segment}}")))
    values = lines(
        "Textbook p-values",
        "Of one window and one test each, on a logarithmic axis. Pages are not drawn from these: over many "
        "columns and checks small ones are certain.",
        "short",
        (
            _named(f"min by (column, detector, segment) (driftwatch_column_p_value{{{_COLUMN}}})"),
            "{{column}} {{detector}} {{segment}}",
        ),
    )
    logarithmic = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
    made.with_panel(values.scale_distribution(logarithmic))


def _looking(made: Dashboard) -> None:
    made.with_row(Row("Could it look?"))
    newest = f"max(driftwatch_window_newest_row_timestamp_seconds{{{_ONE}}})"
    success = f"max(driftwatch_check_last_success_timestamp_seconds{{{_ONE}}})"
    failures = f"increase(driftwatch_check_failures_total{{{_ONE}}}[$__rate_interval])"
    trials = f"max by (outcome) (driftwatch_selftest_trials_total{{{_ONE}}})"
    panels = (
        (
            "Rows in the window",
            "A fall in traffic shows here first.",
            "short",
            (_named(f"max by (segment) (driftwatch_window_rows{{{_SEGMENT}}})"), "{{segment}}"),
        ),
        (
            "Age",
            "Of the newest row the source has, and of the last check that could look.",
            "s",
            (f"time() - {newest}", "newest row"),
            (f"time() - {success}", "last look"),
            (f"max(driftwatch_check_interval_seconds{{{_ONE}}})", "interval"),
        ),
        (
            "Failed checks, windows owed",
            "By reason. Owed windows wait for their rows and are judged when these come.",
            "short",
            (f"sum by (reason) ({failures})", "{{reason}}"),
            (f"max(driftwatch_windows_owed{{{_ONE}}})", "owed"),
        ),
        (
            "Rows read, late and without a time",
            "Late rows came after their window was decided, and are judged as parts of their own; rows "
            "without a usable time are in no window.",
            "short",
            (f"sum(increase(driftwatch_rows_read_total{{{_ONE}}}[$__rate_interval]))", "read"),
            (f"sum(increase(driftwatch_late_rows_total{{{_ONE}}}[$__rate_interval]))", "late"),
            (f"sum(driftwatch_untimed_rows{{{_ONE}}})", "without a time"),
            (
                f"sum(increase(driftwatch_corrected_slices_total{{{_ONE}}}[$__rate_interval]))",
                "slices corrected",
            ),
        ),
        (
            "Duration of a check",
            "Reading, and deciding.",
            "s",
            (f"max by (stage) (driftwatch_check_stage_duration_seconds{{{_ONE}}})", "{{stage}}"),
        ),
        (
            "Self-test",
            "Injected faults found and missed, ever. Empty while the self-test is off.",
            "short",
            (trials, "{{outcome}}"),
        ),
    )
    for title, about, unit, *queries in panels:
        made.with_panel(lines(title, about, unit, *queries))
    made.with_panel(
        listing(
            "What is watched",
            "The model, its source and the beginning of its reference's fingerprint.",
            "none",
            f"driftwatch_monitor_info{{{_ONE}}}",
            hide=("Value",),
        ).height(5)
    )
