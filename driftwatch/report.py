"""Verdicts as the JSON objects that scripts rely on, and back. Times are ISO 8601; undefined is null."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from driftwatch.summary.result import (
    Breakage,
    FileProblem,
    NamedColumn,
    Reason,
    RejectedFile,
    Represented,
    State,
    Statistic,
    Verdict,
)
from driftwatch.summary.schema import Span, iso


def _time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else iso(nanoseconds)


def window_json(verdict: Verdict) -> dict[str, Any]:
    """One window object, as ``backtest`` lists them and ``check`` prints one."""
    return {
        "start": iso(verdict.window.start),
        "end": iso(verdict.window.end),
        "segment": verdict.segment,
        "rows": verdict.rows,
        "judged_from": _time(verdict.judged_from),
        "judged_rows": verdict.judged_rows,
        "state": str(verdict.state),
        "reason": str(verdict.reason),
        "detail": verdict.detail,
        "evidence": verdict.evidence,
        "evidence_before": verdict.evidence_before,
        "page": verdict.page,
        "incident": verdict.incident,
        "onset": _time(verdict.onset),
        "columns": [statistic_json(item) for item in verdict.statistics if item.column is not None],
        "joint": [statistic_json(item) for item in verdict.statistics if item.column is None],
        "broken": [asdict(item) for item in verdict.breakages],
        "named": [named_json(item) for item in verdict.named],
        "unchanged": list(verdict.unchanged),
        "rejected_files": [asdict(item) for item in verdict.rejected_files],
        "smallest_effect": verdict.smallest_effect,
        "smallest_effects": dict(verdict.smallest_effects),
        "smallest_joint_effect": verdict.smallest_joint_effect,
        "represented": [asdict(item) for item in verdict.represented],
        "design_effect": verdict.design_effect,
        "late_rows": verdict.late_rows,
        "untimed_rows": verdict.untimed_rows,
        "newest_row": _time(verdict.newest_row),
        "reference": verdict.reference,
        "configuration": verdict.configuration,
    }


def statistic_json(item: Statistic) -> dict[str, Any]:
    """One gauge."""
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


def named_json(item: NamedColumn) -> dict[str, Any]:
    """One column that a page names."""
    return {
        "column": item.column,
        "detector": item.detector,
        "share": item.share,
        "effect": item.effect,
        "onset": _time(item.onset),
    }


def page_json(verdict: Verdict) -> dict[str, Any]:
    """One page object, as ``backtest`` lists them."""
    broken = [
        {"column": item.column, "detector": str(item.reason), "effect": item.detail, "share": None}
        for item in verdict.breakages
    ]
    return {
        "window_start": iso(verdict.window.start),
        "window_end": iso(verdict.window.end),
        "segment": verdict.segment,
        "incident": verdict.incident,
        "kind": "broken" if verdict.state is State.BROKEN else "drift",
        "onset": _time(verdict.onset),
        "columns": [named_json(item) for item in verdict.named] or broken,
        "unchanged": list(verdict.unchanged),
    }


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Everything in a verdict, for the store."""
    return asdict(verdict)


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    """The verdict that ``verdict_to_json`` was given."""
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
            "named": tuple(NamedColumn(**item) for item in data["named"]),
            "unchanged": tuple(data["unchanged"]),
            "smallest_effects": tuple((name, size) for name, size in data.get("smallest_effects", ())),
            "represented": tuple(Represented(**item) for item in data.get("represented", ())),
            "tiles": tuple((start, version) for start, version in data["tiles"]),
        }
    )
