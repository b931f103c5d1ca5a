"""The names, labels and help texts of everything under ``/metrics``: the contract with Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric family. ``name`` is the full sample name, ``_total`` and ``_info`` included."""

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


_LOOKED = "of the newest completed check that could look; absent when older than three intervals."

PROCESS = (
    _info("build", ("version", "python_version"), "Version of driftwatch and of Python."),
    _gauge("config_last_reload_successful", (), "1 when the newest load of the configuration succeeded."),
    _gauge(
        "config_last_reload_success_timestamp_seconds",
        (),
        "When the configuration was last loaded successfully.",
    ),
    _counter("store_errors", (), "Errors while reading or writing the history since the process started."),
    _gauge(
        "scheduler_last_tick_timestamp_seconds", (), "When the scheduler last looked for checks that are due."
    ),
    _counter(
        "scheduler_ticks_lost",
        (),
        "Ticks of the scheduler that were missed, overlapped or failed since the process started.",
    ),
    _gauge("checks_running", (), "Checks running now."),
    _counter("notifications", ("sink",), "Notifications delivered since the process started."),
    _counter(
        "notifications_failed",
        ("sink", "reason"),
        "Attempts to notify that failed since the process started.",
    ),
    _gauge("notifications_pending", ("sink",), "Notifications waiting in the outbox."),
    _gauge("series_dropped", (), "Column and joint series left out because export.max_series was reached."),
)

HEALTH = (
    _info(
        "monitor",
        ("monitor", "model", "model_version", "source", "reference"),
        "What the monitor watches; reference is the beginning of its fingerprint.",
    ),
    _gauge("reference_rows", _MONITOR, "Rows of the reference test distribution."),
    _gauge("reference_loaded_timestamp_seconds", _MONITOR, "When the reference in use was loaded."),
    _gauge("columns_watched", _MONITOR, "Columns the detectors look at."),
    _gauge(
        "state",
        (*_SEGMENT, "state"),
        "1 for the state of the newest completed check, 0 for every other state. Segment empty: all rows.",
    ),
    _gauge("incident_open", (*_SEGMENT, "kind"), "Incidents nobody has resolved or acknowledged yet."),
    _gauge(
        "incident_muted_until_timestamp_seconds",
        (*_SEGMENT, "kind"),
        "When the first mute ends, where every open incident was muted; absent where one was not.",
    ),
    _gauge(
        "drift_since_timestamp_seconds",
        _SEGMENT,
        "First bad window of the oldest open drift or broken incident; absent when there is none.",
    ),
    _gauge("check_success", _MONITOR, "1 when the newest completed check could look."),
    _gauge("check_last_run_timestamp_seconds", _MONITOR, "When the newest check ended, whatever came of it."),
    _gauge("check_last_success_timestamp_seconds", _MONITOR, "When the newest check that could look ended."),
    _gauge("check_interval_seconds", _MONITOR, "Time between checks."),
    _gauge("check_next_run_timestamp_seconds", _MONITOR, "When the next check is due."),
    _gauge("check_duration_seconds", _MONITOR, "Duration of the newest completed check."),
    _gauge(
        "check_stage_duration_seconds",
        ("monitor", "stage"),
        "Duration of one stage of the newest completed check.",
    ),
    _counter("checks", _MONITOR, "Checks completed since the process started."),
    _counter(
        "check_failures", ("monitor", "reason"), "Checks that could not look since the process started."
    ),
    _counter("checks_skipped", ("monitor", "reason"), "Checks not started since the process started."),
    _gauge("window_newest_row_timestamp_seconds", _MONITOR, "Event time of the newest row the source has."),
    _counter("rows_read", _MONITOR, "Rows read since the process started."),
    _counter("files_rejected", ("monitor", "reason"), "Files left out since the process started."),
    _counter(
        "late_rows", _MONITOR, "Rows that came after their window was decided, since the process started."
    ),
    _counter(
        "selftest_trials",
        ("monitor", "outcome"),
        "Trials of the self-test that ended, ever; false_alarm: the real windows paged during the trial.",
    ),
    _counter(
        "selftest_delay_windows",
        _MONITOR,
        "Windows from the injected fault to its page, summed over detected trials, ever.",
    ),
    _gauge(
        "selftest_last_end_timestamp_seconds",
        _MONITOR,
        "End of the window that ended the newest trial that was not abandoned.",
    ),
    _gauge("untimed_rows", _MONITOR, "Rows of the newest read without a usable event time, so in no window."),
    _gauge(
        "window_start_timestamp_seconds",
        _SEGMENT,
        "Start of the window of the newest completed check that could look.",
    ),
    _gauge(
        "window_end_timestamp_seconds",
        _SEGMENT,
        "End of the window of the newest completed check that could look.",
    ),
    _gauge("window_rows", _SEGMENT, f"Rows in the window {_LOOKED}"),
    _gauge("evidence_ratio", _SEGMENT, f"Evidence that the inputs moved, 1 is a page, {_LOOKED}"),
    _gauge(
        "represented_ratio",
        _SEGMENT,
        f"Share of usual traffic that a test set without times stands for in its worst column, {_LOOKED}",
    ),
)

#: The families that ``export`` and ``max_series`` may leave out.
COLUMNS = (
    _gauge("column_statistic", _CELL, f"The detector's statistic {_LOOKED}"),
    _gauge("column_p_value", _CELL, f"Textbook p-value, not what pages are drawn from, {_LOOKED}"),
    _gauge("column_missing_ratio", _COLUMN, f"Share of rows without a value {_LOOKED}"),
    _gauge("joint_statistic", _JOINT, f"Statistic over all columns together {_LOOKED}"),
    _gauge("joint_p_value", _JOINT, f"Textbook p-value, not what pages are drawn from, {_LOOKED}"),
)

#: Every family in the order of the page.
FAMILIES = (*PROCESS, *HEALTH, *COLUMNS)
BY_NAME: Mapping[str, Family] = MappingProxyType({family.name: family for family in FAMILIES})
