"""Convert verdicts to JSON for the store, and back."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

from driftwatch.core.schema import Span, TypeChange, Unwatched
from driftwatch.core.stored_format import StoredFormat
from driftwatch.errors import StoreDamaged
from driftwatch.results.results import (
    Breakage,
    ColumnEnding,
    FileProblem,
    IncidentEnding,
    IncidentUpdate,
    MoveLimit,
    NamedColumn,
    NewLevel,
    OtherPage,
    Reason,
    RejectedFile,
    Representativeness,
    State,
    Statistic,
    UnwatchedColumn,
    Verdict,
    WatchedColumns,
)

#: A verdict of version 1 may lack fields that have a default.
VERDICT = StoredFormat(name="verdict", version=1)
_STATISTIC_FIELDS = tuple(item.name for item in fields(Statistic))


#: Fields younger than 0.1.0.
_YOUNGER_FIELDS = (
    "undecodable",
    "watched",
    "unwatched",
    "missing_share_columns",
    "could_not_tell",
    "move_limits",
    "new_levels",
    "before_history_rows",
    "future_rows",
    "other_columns",
    "type_changes",
    "owed",
    "late",
    "part",
    "earlier_tiles",
    "earlier_rows",
    "calibrating_until",
    "again",
    "updates",
    "endings",
    "other_pages",
)


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Return all fields of a verdict as a JSON object for the store."""
    # A verdict has hundreds of statistics, all immutable: ``asdict`` would copy every number.
    statistics = tuple(
        {name: getattr(item, name) for name in _STATISTIC_FIELDS} for item in verdict.statistics
    )
    data = asdict(replace(verdict, statistics=())) | {"statistics": statistics}
    for name in _YOUNGER_FIELDS:
        # Verdicts without any are stored as before there were such fields.
        if not data[name]:
            del data[name]
    for item in data["named"]:
        for name in ("columns", "place"):
            if not item[name]:
                del item[name]
    return VERDICT.numbered(data)


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    """Decode what ``verdict_to_json`` encoded. Raises ``StoreDamaged`` for other objects."""
    content, _ = VERDICT.migrated(data, {})
    try:
        return _verdict(content)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise StoreDamaged(
            f"stored verdict: expected the fields of version {VERDICT.version}. Got {error!r}. The "
            "store is damaged."
        ) from error


def _verdict(data: dict[str, Any]) -> Verdict:
    return Verdict(
        **{
            **data,
            "window": Span(**data["window"]),
            "state": State(data["state"]),
            "reason": Reason(data["reason"]),
            "statistics": tuple(Statistic(**item) for item in data["statistics"]),
            "breakages": tuple(
                Breakage(**{**item, "reason": Reason(item["reason"])}) for item in data["breakages"]
            ),
            "rejected_files": tuple(
                RejectedFile(**{**item, "problem": FileProblem(item["problem"])})
                for item in data["rejected_files"]
            ),
            "named": tuple(
                NamedColumn(**{**item, "columns": tuple(item.get("columns", ()))}) for item in data["named"]
            ),
            "updates": tuple(
                IncidentUpdate(key=item["key"], columns=tuple(item["columns"]))
                for item in data.get("updates", ())
            ),
            "endings": tuple(
                IncidentEnding(**{**item, "columns": tuple(ColumnEnding(**part) for part in item["columns"])})
                for item in data.get("endings", ())
            ),
            "other_pages": tuple(OtherPage(**item) for item in data.get("other_pages", ())),
            "watched": None if data.get("watched") is None else WatchedColumns(**data["watched"]),
            "unwatched": tuple(
                UnwatchedColumn(column=item["column"], reason=Unwatched(item["reason"]))
                for item in data.get("unwatched", ())
            ),
            "missing_share_columns": tuple(data.get("missing_share_columns", ())),
            "new_levels": tuple(NewLevel(**item) for item in data.get("new_levels", ())),
            "unchanged": tuple(data["unchanged"]),
            "could_not_tell": tuple(data.get("could_not_tell", ())),
            "move_limits": tuple(MoveLimit(**item) for item in data.get("move_limits", ())),
            "smallest_effects": tuple((name, size) for name, size in data.get("smallest_effects", ())),
            "represented": tuple(Representativeness(**item) for item in data.get("represented", ())),
            "type_changes": tuple(TypeChange(**item) for item in data.get("type_changes", ())),
            "undecodable": tuple((reason, messages) for reason, messages in data.get("undecodable", ())),
            "other_columns": tuple(data.get("other_columns", ())),
            "tiles": tuple((start, version) for start, version in data["tiles"]),
            "earlier_tiles": tuple((start, version) for start, version in data.get("earlier_tiles", ())),
        }
    )
