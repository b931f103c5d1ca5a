"""Convert what a verdict says of open incidents to JSON for scripts."""

from __future__ import annotations

from typing_extensions import TypedDict

from driftwatch.results.results import ColumnEnding, IncidentEnding, IncidentUpdate, Verdict
from driftwatch.results.streams import JOINT_PREFIX


class UpdateJson(TypedDict):
    """What joined an open incident, or moved further in it, without a page."""

    incident: str
    columns: list[str]


class ColumnEndingJson(TypedDict):
    """A column of an open incident, or a joint ``detector`` with a null ``column``, and how far it is back.

    ``quiet`` are windows in a row in which it was back, ``needed`` those that it needs.
    """

    column: str | None
    detector: str | None
    quiet: int
    needed: int
    broken: bool


class IncidentEndingJson(TypedDict):
    """When an open incident ends by itself, and why not yet."""

    incident: str
    kind: str
    recurring: bool
    columns: list[ColumnEndingJson]


def ending_json(item: IncidentEnding) -> IncidentEndingJson:
    return {
        "incident": item.key,
        "kind": item.kind,
        "recurring": item.recurring,
        "columns": [_column_ending_json(part) for part in item.columns],
    }


def _column_ending_json(part: ColumnEnding) -> ColumnEndingJson:
    is_joint = part.column.startswith(JOINT_PREFIX)
    return {
        "column": None if is_joint else part.column,
        "detector": part.column.removeprefix(JOINT_PREFIX) if is_joint else None,
        "quiet": part.quiet,
        "needed": part.needed,
        "broken": part.broken,
    }


def update_json(update: IncidentUpdate, verdict: Verdict) -> UpdateJson:
    return {"incident": update.key, "columns": updated_columns(update, verdict)}


def updated_columns(update: IncidentUpdate, verdict: Verdict) -> list[str]:
    """Return the columns of an update; of a joint detector those that it points to."""
    pointed = {item.column: item.columns for item in verdict.named}
    names = [
        name
        for column in update.columns
        for name in (pointed.get(column, ()) if column.startswith(JOINT_PREFIX) else (column,))
    ]
    return list(dict.fromkeys(names))
