"""The JSON below ``/api/v1``. Times are ISO 8601 in UTC; what is not known is null, never 0."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from driftwatch.daemon.pages import newest_evidence
from driftwatch.daemon.snapshot import MonitorView, OpenIncident, SegmentView
from driftwatch.report import window_json
from driftwatch.summary.reference import Reference
from driftwatch.summary.schema import Column, iso


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


def monitor_json(view: MonitorView) -> dict[str, Any]:
    """One monitor as ``/api/v1/monitors`` lists it."""
    return {
        "monitor": view.name,
        "source": view.source_type,
        "model": {"name": view.model_name, "version": view.model_version},
        "interval_seconds": view.interval_seconds,
        "budget": view.budget,
        "segments": [_segment(item) for item in view.segments],
        "incidents": [_incident(item) for item in view.incidents],
        "last_run": _time(view.last_run_at),
        "last_success": _time(view.last_success_at),
        "last_failure": view.last_failure or None,
        "next_run": _time(view.next_run_at),
        "newest_row": _time(view.newest_row_at),
    }


def detail_json(view: MonitorView) -> dict[str, Any]:
    """One monitor with its reference and the newest window of every segment."""
    return {
        **monitor_json(view),
        "reference": None if view.reference is None else _reference(view.reference),
        "windows": [window_json(item.verdict) for item in view.segments if item.verdict is not None],
        "looked": [window_json(item.looked) for item in view.segments if item.looked is not None],
    }


def _segment(item: SegmentView) -> dict[str, Any]:
    verdict = item.verdict
    return {
        "segment": item.segment,
        "state": None if verdict is None else str(verdict.state),
        "reason": None if verdict is None else str(verdict.reason),
        "detail": None if verdict is None else verdict.detail,
        "evidence": newest_evidence(item),
        "window_end": None if verdict is None else iso(verdict.window.end),
        "rows": None if item.looked is None else item.looked.rows,
        "last_look": _time(item.looked_at),
    }


def _incident(item: OpenIncident) -> dict[str, Any]:
    return {
        "key": item.key,
        "kind": item.kind,
        "segment": item.segment,
        "columns": list(item.columns),
        "opened": iso(item.opened_at),
        "onset": _time(item.onset),
        "muted_until": _time(item.muted_until),
    }


def _reference(item: Reference) -> dict[str, Any]:
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


def _column(item: Column) -> dict[str, Any]:
    return {"column": item.name, "kind": str(item.kind), "role": str(item.role), "reason": item.reason}


def _time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else iso(nanoseconds)
