"""JSON answers of the API. Times are ISO 8601 in UTC; an unknown value is null, never 0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any, Literal, cast

import numpy as np

from driftwatch.charts import bars
from driftwatch.core.schema import NANOSECONDS, Column, iso
from driftwatch.daemon.status.column_order import by_distance, distance
from driftwatch.daemon.status.headline import headline_of
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, SegmentView
from driftwatch.daemon.status.trends import Trend
from driftwatch.daemon.status.verdict_reader import VerdictData, VerdictReader
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
    OwedJson,
    QuantileJson,
    ReferenceJson,
    SegmentJson,
    TrendsJson,
    WorkingJson,
)
from driftwatch.daemon.web.http.query import Side
from driftwatch.daemon.web.pages.correlations import correlation_changes
from driftwatch.daemon.web.pages.side_by_side import SummaryPair
from driftwatch.daemon.web.pages.view_models import newest_evidence
from driftwatch.results.results import Verdict
from driftwatch.results.verdict_json import JudgedWindowJson, judged_window_json, statistic_json
from driftwatch.store.acknowledgements import Acknowledgement
from driftwatch.store.browsing import Browsing
from driftwatch.store.records import OwedWindow, StoredIncident
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.reference import Reference

_QUANTILE_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


def dumps(value: Any) -> bytes:
    """Encode as JSON; NaN and infinity become null."""
    # ASCII, so that any text from data can be sent, lone surrogates too.
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
    return {
        "monitor": view.name,
        "source": view.source_type,
        "model": {"name": view.model_name, "version": view.model_version},
        "interval_seconds": view.interval_seconds,
        "budget": view.budget,
        "segments": [_segment_json(view, item, now) for item in view.segments],
        "incidents": [_incident_json(item) for item in view.incidents],
        "last_run": _time(view.last_run_at),
        "last_success": _time(view.last_success_at),
        "last_failure": view.last_failure or None,
        "next_run": _time(view.next_run_at),
        "newest_row": _time(view.newest_row_at),
        "owed_windows": view.owed_windows,
    }


def detail_json(view: MonitorView, now: int, verdicts: VerdictReader) -> DetailJson:
    segments = [view.current(item) for item in view.segments]
    return {
        **monitor_json(view, now),
        "reference": None if view.reference is None else _reference_json(view.reference),
        "windows": [verdict_json(item.verdict, verdicts) for item in segments if item.verdict is not None],
        "looked": [
            verdict_json(item.usable_verdict, verdicts)
            for item in segments
            if item.usable_verdict is not None
        ],
    }


def verdict_data_json(view: MonitorView, verdict_data: VerdictData, browsing: Browsing) -> WorkingJson:
    verdict = verdict_data.verdict
    return {
        "monitor": verdict.monitor,
        "window": judged_window_json(verdict, [item.verdict for item in verdict_data.late_parts]),
        "owed": _owed_json(verdict_data.owed, view.patience_seconds),
        "decided_at": _time(verdict_data.decided_at),
        "configuration": browsing.configuration(verdict.monitor, verdict.configuration),
        "log": [{"at": _time(item.at), "what": item.what} for item in worklog(verdict_data, browsing)],
    }


def verdict_json(verdict: Verdict, verdicts: VerdictReader) -> JudgedWindowJson:
    parts = verdicts.late_parts(verdict.monitor, verdict.segment, verdict.window.end)
    return judged_window_json(verdict, [item.verdict for item in parts])


def _owed_json(owed: OwedWindow | None, patience: int) -> OwedJson | None:
    if owed is None:
        return None
    return {
        "since": iso(owed.window.end),
        "waited_seconds": owed.waited // NANOSECONDS,
        "patience_seconds": patience,
    }


def comparison_json(
    view: MonitorView,
    segment: str | None,
    sides: tuple[Side, Side],
    pair: SummaryPair,
    offset: int,
    limit: int,
) -> ComparisonJson:
    plan = pair.reference.plan
    names = by_distance(plan, pair.first, pair.second)
    page_names = names[offset : offset + limit]
    return {
        "monitor": view.name,
        "segment": segment,
        "a": _time(sides[0].end),
        "b": _time(sides[1].end),
        "rows_a": pair.first.rows,
        "rows_b": pair.second.rows,
        "columns": [
            _compared_column_json(
                plan.column(name), plan.grids[name], pair.first.counts[name], pair.second.counts[name]
            )
            for name in page_names
        ],
        "total": len(names),
        "next_offset": next_offset(offset, len(page_names), len(names)),
        "correlations": [
            {"left": item.left, "right": item.right, "before": item.first_r, "after": item.second_r}
            for item in correlation_changes(plan, pair.first, pair.second)
        ],
    }


def _compared_column_json(column: Column, grid: Grid, first: Counts, second: Counts) -> ComparedColumnJson:
    return {
        "column": column.name,
        "kind": str(column.kind),
        "distance": distance(first, second, levels=isinstance(grid, LevelGrid)),
        "missing_before": first.missing / first.rows if first.rows else None,
        "missing_after": second.missing / second.rows if second.rows else None,
        "quantiles": _quantiles_json(grid, first, second) if isinstance(grid, NumericGrid) else [],
    }


def _quantiles_json(grid: NumericGrid, first: Counts, second: Counts) -> list[QuantileJson]:
    shares = np.array(_QUANTILE_SHARES)
    sides = [
        bars.counted_quantiles(grid, side, shares).tolist() if side.present else [None] * len(shares)
        for side in (first, second)
    ]
    return [
        {"share": share, "before": first_value, "after": second_value}
        for share, first_value, second_value in zip(_QUANTILE_SHARES, *sides, strict=True)
    ]


def trends_json(
    view: MonitorView, segment: SegmentView, column: str, trends: dict[tuple[str, str], Trend]
) -> TrendsJson:
    ends = next(iter(trends.values())).ends if trends else ()
    usable_verdict = segment.usable_verdict
    return {
        "monitor": view.name,
        "segment": segment.segment,
        "column": column,
        "ends": [iso(end) for end in ends],
        "trends": [
            {
                "detector": detector,
                "values": list(trend.values),
                "usual": None if trend.usual is None else list(trend.usual),
            }
            for (_, detector), trend in trends.items()
        ],
        "newest": []
        if usable_verdict is None
        else [statistic_json(item) for item in usable_verdict.statistics if item.column == column],
    }


def next_offset(offset: int, n_items: int, total: int) -> int | None:
    return offset + n_items if n_items and offset + n_items < total else None


def stored_incident_json(incident: StoredIncident) -> IncidentJson:
    return {
        **_incident_json(incident),
        "resolved": _time(incident.resolved_at),
        "resolution": incident.resolution,
    }


def acknowledgements_json(acknowledgements: Sequence[Acknowledgement]) -> list[AcknowledgementJson]:
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
        for item in acknowledgements
    ]


def _segment_json(view: MonitorView, segment: SegmentView, now: int) -> SegmentJson:
    segment, status = view.current(segment), headline_of(view, segment, now)
    verdict = segment.verdict
    return {
        "segment": segment.segment,
        "state": None if verdict is None else verdict.state,
        "reason": None if verdict is None else verdict.reason,
        "detail": None if verdict is None else verdict.detail,
        "evidence": newest_evidence(segment),
        "window_end": None if verdict is None else iso(verdict.window.end),
        "rows": None if segment.usable_verdict is None else segment.usable_verdict.rows,
        "last_look": _time(segment.usable_at),
        "kind": cast("Literal['moved', 'same', 'blind']", status.kind),
        "headline": status.headline,
    }


def _incident_json(incident: OpenIncident | StoredIncident) -> OpenIncidentJson:
    return {
        "key": incident.key,
        "kind": incident.kind,
        "segment": None if len(incident.all_segments) > 1 else incident.all_segments[0],
        "segments": list(incident.all_segments),
        "columns": list(incident.columns),
        "opened": iso(incident.opened_at),
        "onset": _time(incident.onset),
        "muted_until": _time(incident.muted_until),
    }


def _reference_json(reference: Reference) -> ReferenceJson:
    provenance = reference.provenance
    return {
        "fingerprint": reference.fingerprint,
        "rows": reference.summary.rows,
        "source": provenance.source,
        "files": provenance.files,
        "built": iso(provenance.built_at),
        "from": None if provenance.time_range is None else iso(provenance.time_range.start),
        "to": None if provenance.time_range is None else iso(provenance.time_range.end),
        "columns": [_column_json(column) for column in reference.plan.columns],
        "set_aside": [_column_json(column) for column in provenance.set_aside],
        "notes": list(provenance.notes),
    }


def _column_json(column: Column) -> ColumnJson:
    return {
        "column": column.name,
        "kind": str(column.kind),
        "role": str(column.role),
        "reason": column.reason,
        "unwatched": column.unwatched,
    }


def _time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else iso(nanoseconds)
