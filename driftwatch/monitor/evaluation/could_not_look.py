"""Verdicts on a window without rows to evaluate: they change neither baseline nor evidence."""

from __future__ import annotations

from dataclasses import replace

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span, Unwatched
from driftwatch.decide.incidents.incident_key import incident_key
from driftwatch.decide.outcomes.column_outcomes import nothing_watched
from driftwatch.decide.segment_state import BLIND, Incident, SegmentState
from driftwatch.monitor.evaluation.column_moves import MAX_UNWATCHED_NAMES
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.monitor.evaluation.window_verdict import Decided, Evaluation, add_notes
from driftwatch.monitor.reading import Failure, Reading
from driftwatch.results.results import Reason, State, Verdict


def explain_undecodable(reading: Reading) -> Reading:
    """Say that a window has no rows because no message of it could be decoded."""
    failure = Failure(
        state=State.SOURCE_ERROR,
        reason=Reason.UNDECODABLE,
        detail="no message of this window could be decoded",
    )
    return replace(reading, newest_row=None, failure=failure)


def explain_empty(reading: Reading, window: Span, newest_row: int | None, time_column: str | None) -> Reading:
    """Say why a window has no rows: the source's newest row tells a quiet window from a late source."""
    if newest_row is not None and newest_row >= window.end:
        detail = "the source has newer rows, but none in this window"
        failure = Failure(state=State.NO_DATA, reason=Reason.NO_ROWS, detail=detail)
    elif newest_row is not None:
        detail = "the source's newest row is older"
        failure = Failure(state=State.STALE, reason=Reason.SOURCE_BEHIND, detail=detail)
    elif reading.untimed_rows:
        detail = f"no row has a usable event time in {time_column!r}"
        failure = Failure(state=State.SOURCE_ERROR, reason=Reason.SCHEMA_MISMATCH, detail=detail)
    else:
        failure = Failure(state=State.NO_DATA, reason=Reason.NO_ROWS, detail="the source has no rows")
    return replace(reading, newest_row=newest_row, failure=failure)


def explain_rejected(reading: Reading) -> Reading:
    """Say which unreadable files may hold the rows of a window without any."""
    names = "; ".join(
        f"{item.name} ({item.problem}: {item.detail.rstrip('.')})" for item in reading.rejected[:5]
    )
    detail = f"no row of this window was found, and files could not be read: {names}"
    failure = Failure(state=State.SOURCE_ERROR, reason=Reason.ALL_FILES_UNREADABLE, detail=detail)
    return replace(reading, newest_row=None, failure=failure)


def opens_incident(window: Span, overdue: int, last_end: int | None, segment_state: SegmentState) -> bool:
    """Whether a window that nobody could look at opens an incident.

    It does once it is ``overdue`` (nanoseconds) by its length, if nobody could look at the next one either
    (the newest with a verdict ends at ``last_end``) and no newer one was judged: a quiet night opens none.
    """
    return (
        overdue >= window.end - window.start
        and last_end is not None
        and last_end > window.end
        and (segment_state.decided_until is None or window.end > segment_state.decided_until)
        and all(item.kind != BLIND for item in segment_state.incidents)
    )


def blind_key(config: MonitorConfig, window: Span) -> str:
    return incident_key(policy_for(config, None, 1), BLIND, window, ())


def could_not_look(
    reading: Reading,
    failure: Failure,
    window: Span,
    evaluator: Evaluator,
    configuration: str,
    overdue_state: SegmentState | None,
) -> dict[str | None, Evaluation]:
    """Return a verdict for each segment.

    ``overdue_state`` is the state of all rows together once the window is overdue, which opens an incident.
    """
    config, reference = evaluator.config, evaluator.reference
    is_unreadable = failure.state is State.SOURCE_ERROR
    outcomes = nothing_watched(
        evaluator.features, Unwatched.UNREADABLE if is_unreadable else Unwatched.TOO_FEW_VALUES
    )
    verdict = Verdict(
        monitor=config.name, segment=None, window=window, rows=0, state=failure.state,
        reason=failure.reason, detail=add_notes(failure.detail, reading, 0),
        untimed_rows=reading.untimed_rows or 0, before_history_rows=reading.before_history_rows,
        future_rows=reading.future_rows, undecodable=reading.undecodable_counts,
        rejected_files=reading.rejected, newest_row=reading.newest_row,
        watched=outcomes.watched, unwatched=outcomes.unwatched[:MAX_UNWATCHED_NAMES],
        reference=reference.fingerprint, configuration=configuration,
    )  # fmt: skip
    evaluations: dict[str | None, Evaluation] = {
        segment: Evaluation(verdict=replace(verdict, segment=segment)) for segment in reference.plan.segments
    }
    if overdue_state is not None:
        incident = Incident(
            key=blind_key(config, window),
            kind=BLIND,
            columns=(),
            opened_at=window.end,
            onset=window.start,
        )
        segment_state = replace(overdue_state, incidents=(*overdue_state.incidents, incident))
        evaluations[None] = Decided(verdict=verdict, segment_state=segment_state, opened=(incident,))
    return evaluations
