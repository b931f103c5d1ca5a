"""Names, labels and help texts of every metric: the contract with Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    #: The full sample name, with ``_total`` or ``_info``.
    name: str
    kind: Literal["gauge", "counter", "info"]
    help: str
    labels: tuple[str, ...] = ()


_MONITOR = ("monitor",)
_SEGMENT = ("monitor", "segment")
_COLUMN = ("monitor", "segment", "column")
_CELL = ("monitor", "segment", "column", "detector")
_JOINT = ("monitor", "segment", "detector")


def _gauge(name: str, labels: tuple[str, ...], text: str) -> Family:
    return Family(name=f"driftwatch_{name}", kind="gauge", labels=labels, help=text)


def _counter(name: str, labels: tuple[str, ...], text: str) -> Family:
    return Family(name=f"driftwatch_{name}_total", kind="counter", labels=labels, help=text)


def _info(name: str, labels: tuple[str, ...], text: str) -> Family:
    return Family(name=f"driftwatch_{name}_info", kind="info", labels=labels, help=text)


_NEWEST = "in the newest check that had data; absent when older than three intervals."

PROCESS = (
    _info("build", ("version", "python_version"), "Version of driftwatch and of Python."),
    _gauge("config_last_reload_successful", (), "1 when the newest load of the configuration succeeded."),
    _gauge(
        "config_last_reload_success_timestamp_seconds",
        (),
        "When the configuration was last loaded successfully.",
    ),
    _counter("store_errors", (), "Errors while reading or writing the history since the process started."),
    _gauge("scheduler_last_tick_timestamp_seconds", (), "When the scheduler last started due checks."),
    _counter(
        "scheduler_ticks_lost",
        (),
        "Scheduler ticks that were missed, overlapped or failed, since the process started.",
    ),
    _gauge("checks_running", (), "Checks running now."),
    _gauge("check_oldest_seconds", (), "Age of the check that runs longest; absent when none runs."),
    _gauge(
        "loop_last_progress_timestamp_seconds",
        ("loop",),
        "When one of the daemon's loops last went on: scheduler, web, checks, readers, one per notifier.",
    ),
    _gauge(
        "loop_limit_seconds",
        ("loop",),
        "Time within which a healthy loop goes on: its longest allowed step plus two ticks.",
    ),
    _counter(
        "loop_restarts",
        ("loop",),
        "Loops started again because their thread had ended, since the process started.",
    ),
    _gauge("store_state", ("state",), "1 for the state of the history's file, 0 for every other state."),
    _counter(
        "store_damaged_rows",
        ("table",),
        "Damaged rows of the history that were skipped since the process started, by table.",
    ),
    _counter(
        "clock_jumps",
        (),
        "Jumps of the wall clock against the monotonic clock since the process started.",
    ),
    _counter("notifications", ("sink",), "Notifications delivered since the process started."),
    _counter(
        "notifications_failed",
        ("sink", "reason"),
        "Failed attempts to deliver a notification, by reason, since the process started.",
    ),
    _gauge("notifications_pending", ("sink",), "Notifications waiting in the outbox."),
    _gauge(
        "series_dropped",
        (),
        "Column and joint series that are not exported because export.max_series is reached.",
    ),
)

HEALTH = (
    _info(
        "monitor",
        ("monitor", "model", "model_version", "source", "reference"),
        "The monitor's model, source and reference (the first characters of its fingerprint).",
    ),
    _gauge("reference_rows", _MONITOR, "Rows of the reference test distribution."),
    _gauge("reference_loaded_timestamp_seconds", _MONITOR, "When the reference in use was loaded."),
    _gauge("columns_watched", _MONITOR, "Columns that the detectors watch."),
    _gauge(
        "columns_unwatched",
        (*_SEGMENT, "reason"),
        "Features that the newest completed check could not look at, by reason.",
    ),
    _gauge(
        "state",
        (*_SEGMENT, "state"),
        "1 for the state of the newest completed check, 0 for every other state. Segment empty: all rows.",
    ),
    _gauge("incident_open", (*_SEGMENT, "kind"), "Open incidents: neither resolved nor acknowledged."),
    _gauge(
        "incident_muted_until_timestamp_seconds",
        (*_SEGMENT, "kind"),
        "When the first mute ends, if every open incident is muted; absent if one is not.",
    ),
    _gauge(
        "drift_since_timestamp_seconds",
        _SEGMENT,
        "First bad window of the oldest open drift or broken incident; absent without one.",
    ),
    _gauge("check_success", _MONITOR, "1 when the newest check could look at its data, 0 when it could not."),
    _gauge("check_last_run_timestamp_seconds", _MONITOR, "When the newest check ended, successful or not."),
    _gauge("check_last_success_timestamp_seconds", _MONITOR, "When the newest successful check ended."),
    _gauge("check_interval_seconds", _MONITOR, "Time between checks."),
    _gauge("check_next_run_timestamp_seconds", _MONITOR, "When the next check is due."),
    _gauge("check_duration_seconds", _MONITOR, "Duration of the newest check."),
    _gauge(
        "check_stage_duration_seconds",
        ("monitor", "stage"),
        "Duration of one stage of the newest check.",
    ),
    _counter("checks", _MONITOR, "Checks completed since the process started."),
    _counter(
        "check_failures",
        ("monitor", "reason"),
        "Checks that could not look at their data, by reason, since the process started.",
    ),
    _counter(
        "checks_skipped",
        ("monitor", "reason"),
        "Due checks that were skipped, by reason, since the process started.",
    ),
    _gauge("window_newest_row_timestamp_seconds", _MONITOR, "Event time of the newest row in the source."),
    _counter("rows_read", _MONITOR, "Rows read since the process started."),
    _counter(
        "files_rejected",
        ("monitor", "reason"),
        "Files that were not read, by reason, since the process started.",
    ),
    _counter(
        "late_rows", _MONITOR, "Rows that arrived after their window was decided, since the process started."
    ),
    _counter(
        "corrected_slices",
        _MONITOR,
        "Time slices of decided windows whose rows were changed or removed, since the process started.",
    ),
    _gauge("windows_owed", _MONITOR, "Windows that nobody could look at yet, and that wait for their rows."),
    _counter(
        "selftest_trials",
        ("monitor", "outcome"),
        "Ended self-test trials, by outcome, ever; false_alarm: the real windows paged during the trial.",
    ),
    _counter(
        "selftest_delay_windows",
        _MONITOR,
        "Windows from the injected fault to its page, summed over detected trials, ever.",
    ),
    _gauge(
        "selftest_last_end_timestamp_seconds",
        _MONITOR,
        "End of the window in which the newest completed trial ended.",
    ),
    _gauge(
        "untimed_rows",
        _MONITOR,
        "Rows without a usable event time in the newest read; they are in no window.",
    ),
    _gauge(
        "outside_rows",
        ("monitor", "reason"),
        "Rows of the newest read that are in no window, by reason: untimed, before_history or future.",
    ),
    _gauge(
        "window_start_timestamp_seconds",
        _SEGMENT,
        "Start of the window of the newest check that had data.",
    ),
    _gauge(
        "window_end_timestamp_seconds",
        _SEGMENT,
        "End of the window of the newest check that had data.",
    ),
    _gauge("window_rows", _SEGMENT, f"Rows of the window {_NEWEST}"),
    _gauge("evidence_ratio", _SEGMENT, f"Evidence that the inputs moved (1 is a page) {_NEWEST}"),
    _gauge(
        "represented_ratio",
        _SEGMENT,
        f"Share of usual traffic that a test set without times represents in its worst column, {_NEWEST}",
    ),
)

#: Families that ``export`` and ``max_series`` may omit.
COLUMNS = (
    _gauge("column_statistic", _CELL, f"The detector's statistic {_NEWEST}"),
    _gauge("column_p_value", _CELL, f"Textbook p-value, which does not decide pages, {_NEWEST}"),
    _gauge("column_missing_ratio", _COLUMN, f"Share of rows without a value {_NEWEST}"),
    _gauge("joint_statistic", _JOINT, f"Statistic over all columns together {_NEWEST}"),
    _gauge("joint_p_value", _JOINT, f"Textbook p-value, which does not decide pages, {_NEWEST}"),
)

#: Every family in the order of the page.
FAMILIES = (*PROCESS, *HEALTH, *COLUMNS)
BY_NAME: Mapping[str, Family] = MappingProxyType({family.name: family for family in FAMILIES})
