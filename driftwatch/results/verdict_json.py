"""Convert verdicts to JSON for scripts; undefined values become null.

Class names and docstrings of the ``TypedDict``s are part of the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from driftwatch.core.schema import TypeChange, Unwatched, iso
from driftwatch.results.incident_json import IncidentEndingJson, UpdateJson, ending_json, update_json
from driftwatch.results.results import (
    FileProblem,
    NamedColumn,
    NewLevel,
    Reason,
    Representativeness,
    State,
    Statistic,
    Verdict,
    WatchedColumns,
)
from driftwatch.results.streams import JOINT_PREFIX

#: ISO 8601 in UTC, to the nanosecond where needed.
Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class StatisticJson(TypedDict):
    """One detector's gauge on one column; of all columns together ``column`` is null."""

    column: str | None
    detector: str
    statistic: float | None
    p_value: float | None
    low: float | None
    high: float | None
    unit: str
    effect: str
    n_reference: int
    n_window: int
    undefined: str


class NamedJson(TypedDict):
    """What a page names: a column, or ``columns`` that a joint detector points to, with a null ``column``.

    ``share`` is its part of the evidence.
    """

    column: str | None
    columns: list[str]
    detector: str
    share: float | None
    effect: str
    onset: Moment | None


class NewLevelJson(TypedDict):
    """A level that the reference never had. ``share`` is that of the rows with a value."""

    column: str
    level: str
    rows: int
    share: float


class TypeChangeJson(TypedDict):
    """A column whose values came in another type than the reference's; equal values count as equal."""

    column: str
    reference: str
    current: str


class BrokenJson(TypedDict):
    """A column that is broken, and how."""

    column: str
    reason: Reason
    detail: str


class RejectedFileJson(TypedDict):
    """A file that was left out."""

    name: str
    problem: FileProblem
    detail: str


class RepresentedJson(TypedDict):
    """The share of usual traffic the test set stands for in a column, with its 95 % interval."""

    column: str
    share: float | None
    low: float | None
    high: float | None
    windows: int


class WatchedJson(TypedDict):
    """From how many of the monitor's features evidence was drawn."""

    drawn: int
    of: int


class UnwatchedJson(TypedDict):
    """A feature that nobody could look at, and why."""

    column: str
    reason: Unwatched


class OutsideRowsJson(TypedDict):
    """Rows that were read and are in no window, by reason."""

    untimed: int
    before_history: int
    future: int


class WindowJson(TypedDict):
    """One verdict. Times are ISO 8601 in UTC; what is undefined is null, never 0."""

    start: Moment
    end: Moment
    segment: str | None
    rows: int
    judged_from: Moment | None
    judged_rows: int
    state: State
    reason: Reason
    detail: str
    evidence: float | None
    evidence_before: float | None
    page: bool
    again: bool
    incident: str | None
    onset: Moment | None
    updates: list[UpdateJson]
    endings: list[IncidentEndingJson]
    columns: list[StatisticJson]
    joint: list[StatisticJson]
    broken: list[BrokenJson]
    named: list[NamedJson]
    watched: WatchedJson | None
    unwatched: list[UnwatchedJson]
    missing_share_columns: list[str]
    new_levels: list[NewLevelJson]
    type_changes: list[TypeChangeJson]
    unchanged: list[str]
    could_not_tell: list[str]
    move_limits: dict[str, float]
    rejected_files: list[RejectedFileJson]
    smallest_effect: float | None
    smallest_effects: dict[str, float | None]
    smallest_joint_effect: float | None
    represented: list[RepresentedJson]
    design_effect: float | None
    owed: bool
    late: bool
    part: int
    calibrating_until: Moment | None
    late_rows: int
    untimed_rows: int
    outside_rows: OutsideRowsJson
    newest_row: Moment | None
    reference: str
    configuration: str


class JudgedWindowJson(WindowJson):
    """The verdict on a window, with those on its rows that came late."""

    late_parts: list[WindowJson]


def _iso_or_none(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else iso(nanoseconds)


def window_json(verdict: Verdict) -> WindowJson:
    """Return the JSON object that ``check`` prints and ``backtest`` lists."""
    return {
        "start": iso(verdict.window.start),
        "end": iso(verdict.window.end),
        "segment": verdict.segment,
        "rows": verdict.rows,
        "judged_from": _iso_or_none(verdict.judged_from),
        "judged_rows": verdict.judged_rows,
        "state": verdict.state,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "evidence": verdict.evidence,
        "evidence_before": verdict.evidence_before,
        "page": verdict.page,
        "again": verdict.again,
        "incident": verdict.incident,
        "onset": _iso_or_none(verdict.onset),
        "updates": [update_json(item, verdict) for item in verdict.updates],
        "endings": [ending_json(item) for item in verdict.endings],
        "columns": [statistic_json(item) for item in verdict.statistics if item.column is not None],
        "joint": [statistic_json(item) for item in verdict.statistics if item.column is None],
        "broken": [
            {"column": item.column, "reason": item.reason, "detail": item.detail}
            for item in verdict.breakages
        ],
        "named": [named_json(item) for item in verdict.named],
        "watched": _watched_json(verdict.watched),
        "unwatched": [{"column": item.column, "reason": item.reason} for item in verdict.unwatched],
        "missing_share_columns": list(verdict.missing_share_columns),
        "new_levels": [new_level_json(item) for item in verdict.new_levels],
        "type_changes": [type_change_json(item) for item in verdict.type_changes],
        "unchanged": list(verdict.unchanged),
        "could_not_tell": list(verdict.could_not_tell),
        "move_limits": {item.column: item.limit for item in verdict.move_limits},
        "rejected_files": [
            {"name": item.name, "problem": item.problem, "detail": item.detail}
            for item in verdict.rejected_files
        ],
        "smallest_effect": verdict.smallest_effect,
        "smallest_effects": dict(verdict.smallest_effects),
        "smallest_joint_effect": verdict.smallest_joint_effect,
        "represented": [_represented_json(item) for item in verdict.represented],
        "design_effect": verdict.design_effect,
        "owed": verdict.owed,
        "late": verdict.late,
        "part": verdict.part,
        "calibrating_until": _iso_or_none(verdict.calibrating_until),
        "late_rows": verdict.late_rows,
        "untimed_rows": verdict.untimed_rows,
        "outside_rows": _outside_rows_json(verdict),
        "newest_row": _iso_or_none(verdict.newest_row),
        "reference": verdict.reference,
        "configuration": verdict.configuration,
    }


def judged_window_json(verdict: Verdict, late_parts: Iterable[Verdict] = ()) -> JudgedWindowJson:
    return {**window_json(verdict), "late_parts": [window_json(item) for item in late_parts]}


def _outside_rows_json(verdict: Verdict) -> OutsideRowsJson:
    return {
        "untimed": verdict.untimed_rows,
        "before_history": verdict.before_history_rows,
        "future": verdict.future_rows,
    }


def _represented_json(item: Representativeness) -> RepresentedJson:
    return {
        "column": item.column,
        "share": item.share,
        "low": item.low,
        "high": item.high,
        "windows": item.windows,
    }


def _watched_json(watched: WatchedColumns | None) -> WatchedJson | None:
    return None if watched is None else {"drawn": watched.drawn, "of": watched.of}


def statistic_json(item: Statistic) -> StatisticJson:
    return {
        "column": item.column,
        "detector": item.detector,
        "statistic": item.value,
        "p_value": item.p_value,
        "low": item.low,
        "high": item.high,
        "unit": item.unit,
        "effect": item.effect,
        "n_reference": item.n_reference,
        "n_window": item.n_window,
        "undefined": item.undefined,
    }


def named_json(item: NamedColumn) -> NamedJson:
    is_joint = item.column.startswith(JOINT_PREFIX)
    return {
        "column": None if is_joint else item.column,
        "columns": list(item.columns) if is_joint else [item.column],
        "detector": item.detector,
        "share": item.share,
        "effect": item.words,
        "onset": _iso_or_none(item.onset),
    }


def new_level_json(item: NewLevel) -> NewLevelJson:
    return {"column": item.column, "level": item.level, "rows": item.rows, "share": item.share}


def type_change_json(item: TypeChange) -> TypeChangeJson:
    return {"column": item.column, "reference": item.reference, "current": item.window}
