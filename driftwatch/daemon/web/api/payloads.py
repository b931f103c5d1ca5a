"""The JSON below ``/api/v1``. Times are ISO 8601 in UTC; what is not known is null, never 0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any, Literal, cast

import numpy as np

from driftwatch.charts import bars
from driftwatch.core.schema import Column, iso
from driftwatch.daemon.status.column_order import by_distance, distance
from driftwatch.daemon.status.headline import look_at
from driftwatch.daemon.status.history_view import Past, Trend, Working
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView
from driftwatch.daemon.status.worklog import worklog
from driftwatch.daemon.web.api.types import (
    AcknowledgementJson,
    ColumnJson,
    ComparedColumnJson,
    ComparisonJson,
    DetailJson,
    IncidentJson,
    MonitorJson,
    OpenIncidentJson,
    QuantileJson,
    ReferenceJson,
    SegmentJson,
    TrendsJson,
    WorkingJson,
)
from driftwatch.daemon.web.http.query import Side
from driftwatch.daemon.web.pages.correlations import moved_pairs
from driftwatch.daemon.web.pages.side_by_side import Pair
from driftwatch.daemon.web.pages.view_models import newest_evidence
from driftwatch.results.verdict_json import statistic_json, window_json
from driftwatch.store.acknowledgements import Acknowledgement
from driftwatch.store.records import StoredIncident
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.reference import Reference

_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


def dumps(value: Any) -> bytes:
    """JSON in ASCII, so that any text from data can be sent; what is not finite is null."""
    return json.dumps(_finite(value), allow_nan=False).encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def monitor_json(view: MonitorView, now: int) -> MonitorJson:
    """One monitor as ``/api/v1/monitors`` lists it."""
    return {
        "monitor": view.name,
        "source": view.source_type,
        "model": {"name": view.model_name, "version": view.model_version},
        "interval_seconds": view.interval_seconds,
        "budget": view.budget,
        "segments": [_segment(view, item, now) for item in view.segments],
        "incidents": [_incident(item) for item in view.incidents],
        "last_run": _time(view.last_run_at),
        "last_success": _time(view.last_success_at),
        "last_failure": view.last_failure or None,
        "next_run": _time(view.next_run_at),
        "newest_row": _time(view.newest_row_at),
    }


def detail_json(view: MonitorView, now: int) -> DetailJson:
    """One monitor with its reference and the newest window of every segment."""
    return {
        **monitor_json(view, now),
        "reference": None if view.reference is None else _reference(view.reference),
        "windows": [window_json(item.verdict) for item in view.segments if item.verdict is not None],
        "looked": [window_json(item.looked) for item in view.segments if item.looked is not None],
    }


def working_json(working: Working, past: Past) -> WorkingJson:
    """One verdict with its configuration and what happened around it."""
    return {
        "monitor": working.verdict.monitor,
        "window": window_json(working.verdict),
        "decided_at": _time(working.decided_at),
        "configuration": past.configuration(working.verdict),
        "log": [{"at": _time(item.at), "what": item.what} for item in worklog(working, past)],
    }


def comparison_json(
    view: MonitorView,
    segment: str | None,
    sides: tuple[Side, Side],
    pair: Pair,
    offset: int,
    limit: int,
) -> ComparisonJson:
    """Some columns of two sides, the furthest apart first."""
    plan = pair.reference.plan
    names = by_distance(plan, pair.before, pair.after)
    shown = names[offset : offset + limit]
    return {
        "monitor": view.name,
        "segment": segment,
        "a": _time(sides[0].end),
        "b": _time(sides[1].end),
        "rows_a": pair.before.rows,
        "rows_b": pair.after.rows,
        "columns": [
            _compared(plan.column(name), plan.grids[name], pair.before.counts[name], pair.after.counts[name])
            for name in shown
        ],
        "total": len(names),
        "next_offset": next_offset(offset, len(shown), len(names)),
        "correlations": [
            {"left": item.left, "right": item.right, "before": item.before, "after": item.after}
            for item in moved_pairs(plan, pair.before, pair.after)
        ],
    }


def _compared(column: Column, grid: Grid, before: Counts, after: Counts) -> ComparedColumnJson:
    return {
        "column": column.name,
        "kind": str(column.kind),
        "distance": distance(before, after, levels=isinstance(grid, LevelGrid)),
        "missing_before": before.missing / before.rows if before.rows else None,
        "missing_after": after.missing / after.rows if after.rows else None,
        "quantiles": _quantiles(grid, before, after) if isinstance(grid, NumericGrid) else [],
    }


def _quantiles(grid: NumericGrid, before: Counts, after: Counts) -> list[QuantileJson]:
    shares = np.array(_SHARES)
    sides = [
        bars.quantiles_of(grid, side, shares).tolist() if side.present else [None] * len(shares)
        for side in (before, after)
    ]
    return [
        {"share": share, "before": old, "after": new} for share, old, new in zip(_SHARES, *sides, strict=True)
    ]


def trends_json(
    view: MonitorView, segment: SegmentView, column: str, trends: dict[tuple[str, str], Trend]
) -> TrendsJson:
    """Every statistic of one column over time."""
    ends = next(iter(trends.values())).ends if trends else ()
    looked = segment.looked
    return {
        "monitor": view.name,
        "segment": segment.segment,
        "column": column,
        "ends": [iso(end) for end in ends],
        "trends": [
            {
                "detector": detector,
                "values": list(found.values),
                "usual": None if found.usual is None else list(found.usual),
            }
            for (_, detector), found in trends.items()
        ],
        "newest": []
        if looked is None
        else [statistic_json(item) for item in looked.statistics if item.column == column],
    }


def next_offset(offset: int, shown: int, total: int) -> int | None:
    """Where the next part begins; None after the last."""
    return offset + shown if shown and offset + shown < total else None


def stored_incident_json(item: StoredIncident) -> IncidentJson:
    """An incident from the store."""
    return {
        **_incident(item),
        "resolved": _time(item.resolved_at),
        "resolution": item.resolution,
    }


def acknowledgements_json(items: Sequence[Acknowledgement]) -> list[AcknowledgementJson]:
    """What people said."""
    return [
        {
            "number": item.id,
            "incident": item.incident,
            "verdict": item.verdict,
            "until": _time(item.until),
            "note": item.note,
            "who": item.who,
            "asked": iso(item.asked_at),
            "applied": _time(item.applied_at),
            "outcome": item.outcome,
        }
        for item in items
    ]


def _segment(view: MonitorView, item: SegmentView, now: int) -> SegmentJson:
    verdict, look = item.verdict, look_at(view, item, now)
    return {
        "segment": item.segment,
        "state": None if verdict is None else verdict.state,
        "reason": None if verdict is None else verdict.reason,
        "detail": None if verdict is None else verdict.detail,
        "evidence": newest_evidence(item),
        "window_end": None if verdict is None else iso(verdict.window.end),
        "rows": None if item.looked is None else item.looked.rows,
        "last_look": _time(item.looked_at),
        "kind": cast("Literal['moved', 'same', 'blind']", look.kind),
        "headline": look.headline,
    }


def _incident(item: OpenIncident | StoredIncident) -> OpenIncidentJson:
    return {
        "key": item.key,
        "kind": item.kind,
        "segment": item.segment,
        "columns": list(item.columns),
        "opened": iso(item.opened_at),
        "onset": _time(item.onset),
        "muted_until": _time(item.muted_until),
    }


def _reference(item: Reference) -> ReferenceJson:
    made = item.provenance
    return {
        "fingerprint": item.fingerprint,
        "rows": item.summary.rows,
        "source": made.source,
        "files": made.files,
        "built": iso(made.built_at),
        "from": None if made.time_range is None else iso(made.time_range.start),
        "to": None if made.time_range is None else iso(made.time_range.end),
        "columns": [_column(column) for column in item.plan.columns],
        "set_aside": [_column(column) for column in made.set_aside],
        "notes": list(made.notes),
    }


def _column(item: Column) -> ColumnJson:
    return {"column": item.name, "kind": str(item.kind), "role": str(item.role), "reason": item.reason}


def _time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else iso(nanoseconds)
