"""The fleet: every monitor on one page, what could not look apart from what moved, and the daemon itself."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from parts import choice, dashboard, lines, listing, moment, number, state_number, steps, timeline, while_true

_DAEMON = 'instance=~"$instance"'
_MINE = f'{_DAEMON}, monitor=~"$monitor"'
_WHOLE = f'{_MINE}, segment=""'
_OPEN = f'driftwatch_incident_open{{{_MINE}, kind=~"drift|broken"}}'
_PURPLE, _RED = steps((None, "green"), (1, "purple")), steps((None, "green"), (1, "red"))


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard(
        "driftwatch: fleet",
        "driftwatch-fleet",
        "Every monitor: which moved, which could not look, and how the daemon is.",
    )
    made.with_variable(choice("instance", "label_values(driftwatch_build_info, instance)", several=True))
    monitors = f"label_values(driftwatch_monitor_info{{{_DAEMON}}}, monitor)"
    made.with_variable(choice("monitor", monitors, several=True))
    made.annotation(
        while_true(
            "Page",
            "red",
            f"max by (monitor, segment, kind) ({_OPEN}) > 0",
            "{{kind}}",
        )
    )
    made.annotation(
        moment(
            "Reference",
            "blue",
            f"max by (monitor) (driftwatch_reference_loaded_timestamp_seconds{{{_MINE}}})",
            "another reference was loaded",
        )
    )
    _now(made)
    _monitors(made)
    _daemon(made)
    return made


def _counted(states: str) -> str:
    return f'sum(max by (instance, monitor, state) (driftwatch_state{{{_WHOLE}, state=~"{states}"}}))'


def _now(made: Dashboard) -> None:
    made.with_row(Row("Now"))
    numbers = (
        ("Moved", "Monitors whose inputs drifted or broke.", _counted("drifting|broken"), _RED),
        (
            "Could not look",
            "Monitors whose newest check could not look. Whether their inputs drifted is not known.",
            _counted("no_data|stale|source_error"),
            _PURPLE,
        ),
        ("Nothing moved", "Monitors that looked and found nothing.", _counted("ok"), None),
        (
            "Cannot see yet",
            "Monitors that are calibrating, or have too few rows to see an effect worth knowing.",
            _counted("calibrating|insufficient"),
            None,
        ),
        (
            "Open incidents",
            "Drift and broken incidents nobody has resolved or acknowledged, segments included.",
            f"sum({_OPEN})",
            _RED,
        ),
        (
            "Daemons that answer",
            "Scrapes of driftwatch that succeed. When it is less than you run, somebody is not looking.",
            f'sum(up{{{_DAEMON}, job="driftwatch"}})',
            steps((None, "red"), (1, "green")),
        ),
    )
    for title, about, query, colors in numbers:
        made.with_panel(number(title, about, "short", query, colors=colors))


def _monitors(made: Dashboard) -> None:
    made.with_row(Row("Monitors"))
    made.with_panel(
        timeline(
            "State",
            "The state of all rows of each monitor. A gap: driftwatch was not there.",
            state_number(_WHOLE, "instance, monitor"),
            "{{monitor}}",
        )
    )
    made.with_panel(
        lines(
            "Evidence",
            "Evidence that the inputs moved; a page at 1. Absent while it could not look.",
            "short",
            (f"max by (instance, monitor) (driftwatch_evidence_ratio{{{_WHOLE}}})", "{{monitor}}"),
            limit=1,
        )
    )
    since = "driftwatch_check_last_success_timestamp_seconds"
    made.with_panel(
        lines(
            "Intervals since the last success",
            "Beyond 2 it is stale, at 3 the gauges of its columns are dropped.",
            "short",
            (
                f"(time() - max by (instance, monitor) ({since}{{{_MINE}}}))"
                f" / max by (instance, monitor) (driftwatch_check_interval_seconds{{{_MINE}}})",
                "{{monitor}}",
            ),
            limit=2,
        )
    )
    made.with_panel(
        listing(
            "Columns furthest from their reference",
            "The 20 largest statistics that mean the same for every column: distances of distributions, "
            "shares of missing and of unseen values. Far is not a page: the page budget decides about that.",
            "percentunit",
            "topk(20, max by (instance, monitor, segment, column, detector) "
            f'(driftwatch_column_statistic{{{_MINE}, detector=~"ks|tv|missing|unseen|out_of_range"}}))',
            hide=("instance",),
        )
    )
    made.with_panel(
        lines(
            "Failed checks",
            "Checks that could not look, by reason.",
            "short",
            (
                "sum by (monitor, reason) "
                f"(increase(driftwatch_check_failures_total{{{_MINE}}}[$__rate_interval]))",
                "{{monitor}} {{reason}}",
            ),
        )
    )
    made.with_panel(
        lines(
            "Rows in the window",
            "Rows of the newest window of each monitor.",
            "short",
            (f"max by (instance, monitor) (driftwatch_window_rows{{{_WHOLE}}})", "{{monitor}}"),
        )
    )


def _daemon(made: Dashboard) -> None:
    made.with_row(Row("The daemon"))
    panels = (
        (
            "Notifications",
            "Messages delivered, and attempts that failed.",
            "short",
            (
                f"sum by (sink) (increase(driftwatch_notifications_total{{{_DAEMON}}}[$__rate_interval]))",
                "{{sink}} delivered",
            ),
            (
                "sum by (sink, reason) "
                f"(increase(driftwatch_notifications_failed_total{{{_DAEMON}}}[$__rate_interval]))",
                "{{sink}} failed: {{reason}}",
            ),
            (f"sum by (sink) (driftwatch_notifications_pending{{{_DAEMON}}})", "{{sink}} waiting"),
        ),
        (
            "Since the last step of each loop",
            "Beyond two minutes without a tick of the scheduler nothing is checked any more.",
            "s",
            (
                f"time() - driftwatch_loop_last_progress_timestamp_seconds{{{_DAEMON}}}",
                "{{instance}} {{loop}}",
            ),
            (f"time() - driftwatch_scheduler_last_tick_timestamp_seconds{{{_DAEMON}}}", "{{instance}}"),
        ),
        (
            "Duration of checks",
            "The newest check of each monitor.",
            "s",
            (f"max by (monitor) (driftwatch_check_duration_seconds{{{_MINE}}})", "{{monitor}}"),
        ),
        (
            "Errors",
            "Errors and state of the history, lost ticks, clock jumps, series left out for max_series.",
            "short",
            (f'max by (state) (driftwatch_store_state{{{_DAEMON}, state!="ok"}})', "store: {{state}}"),
            (f"increase(driftwatch_clock_jumps_total{{{_DAEMON}}}[$__rate_interval])", "clock jumps"),
            (f"increase(driftwatch_store_errors_total{{{_DAEMON}}}[$__rate_interval])", "history"),
            (f"increase(driftwatch_scheduler_ticks_lost_total{{{_DAEMON}}}[$__rate_interval])", "lost ticks"),
            (f"driftwatch_series_dropped{{{_DAEMON}}}", "series left out"),
            (f"1 - driftwatch_config_last_reload_successful{{{_DAEMON}}}", "reload refused"),
        ),
        (
            "Memory",
            "Resident memory of the daemon; its readers are processes of their own.",
            "bytes",
            (f'process_resident_memory_bytes{{{_DAEMON}, job="driftwatch"}}', "{{instance}}"),
        ),
        (
            "Processor",
            "Cores in use by the daemon, without its readers.",
            "short",
            (
                f'rate(process_cpu_seconds_total{{{_DAEMON}, job="driftwatch"}}[$__rate_interval])',
                "{{instance}}",
            ),
        ),
    )
    for title, about, unit, *queries in panels:
        made.with_panel(lines(title, about, unit, *queries))
