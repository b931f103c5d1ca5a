"""The verdict on one window and segment, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.core.schema import NANOSECONDS, TypeChange, Unwatched, iso
from driftwatch.decide.decision import Decision
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.outcomes.burn_in import BurnIn
from driftwatch.decide.resolution import Resolution
from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.monitor.column_labels import column_labels
from driftwatch.monitor.evaluation.column_moves import MAX_NAMES, MAX_UNWATCHED_NAMES, column_moves
from driftwatch.monitor.reading import Reading
from driftwatch.results.results import Reason, Verdict
from driftwatch.results.text_format import (
    format_coarse_duration,
    format_count,
    format_time,
    listing,
    unwatched_text,
)
from driftwatch.summary.summary import Summary

#: Columns named in the detail of a verdict.
_MAX_DETAIL_NAMES = 5
#: Rows stamped outside the history, per row of the window, above which a verdict says so.
_MIN_NOTED_SHARE = 0.01

NO_READING = Reading()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The verdict on one window and segment, and the incidents that it begins and ends."""

    verdict: Verdict
    opened: tuple[Incident, ...] = ()
    #: Open incidents that changed, as they are now, also those of another segment that something joined.
    updated: tuple[Incident, ...] = ()
    resolved: tuple[Incident, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Evaluation):
    """An evaluation that changes the segment's state."""

    #: After the window.
    segment_state: SegmentState


def verdict_of(
    measurement: Measurement,
    decision: Decision,
    *,
    window: Summary,
    resolution: Resolution,
    policy: Policy,
    calibrating_until: int | None = None,
    gauges: bool = True,
    reading: Reading = NO_READING,
    changed_types: tuple[TypeChange, ...] = (),
    memo: Memo = NO_MEMO,
) -> Verdict:
    # Rows without an event time, and messages, belong to no segment.
    outside = reading if policy.segment is None else NO_READING
    outcomes, reasons = measurement.outcomes, {item.reason for item in measurement.breakages}
    # The values of such a column may be in another one.
    has_lost_values = bool(
        reasons & {Reason.COLUMN_MISSING, Reason.COLUMN_ALL_NULL, Reason.COLUMN_WRONG_TYPE}
    )
    incidents = decision.opened or decision.segment_state.incidents
    detail = _full_detail(measurement, decision, resolution, window.span.start, calibrating_until)
    moves = column_moves(measurement, decision, incidents, policy, memo)
    return Verdict(
        monitor=policy.monitor,
        segment=policy.segment,
        window=window.span,
        rows=window.rows,
        judged_from=None if measurement.window.start == window.span.start else measurement.window.start,
        judged_rows=measurement.rows,
        state=decision.state,
        reason=decision.reason,
        detail=add_notes(detail, outside, window.rows),
        statistics=measurement.statistics if gauges or decision.page else (),
        breakages=tuple(measurement.breakages),
        rejected_files=reading.rejected,
        evidence_before=decision.evidence_before,
        evidence=decision.evidence,
        **_incident_fields(decision, incidents),
        other_pages=measurement.other_pages,
        watched=outcomes.watched,
        unwatched=outcomes.unwatched[:MAX_UNWATCHED_NAMES],
        missing_share_columns=outcomes.missing_share_columns[:MAX_NAMES],
        **{item.name: getattr(moves, item.name) for item in fields(moves)},
        new_levels=tuple(measurement.new_levels),
        **{item.name: getattr(resolution, item.name) for item in fields(resolution)},
        calibrating_until=calibrating_until,
        reference=decision.segment_state.reference,
        configuration=decision.segment_state.configuration,
        untimed_rows=outside.untimed_rows or 0,
        before_history_rows=outside.before_history_rows,
        future_rows=outside.future_rows,
        undecodable=outside.undecodable_counts,
        other_columns=reading.other_columns if has_lost_values else (),
        type_changes=changed_types,
        tiles=reading.tile_versions(policy.segment),
        newest_row=reading.newest_row,
    )


def _incident_fields(decision: Decision, incidents: Sequence[Incident]) -> dict[str, Any]:
    shown = next((item for item in incidents if item.key == decision.paged), None)
    if shown is None and incidents:
        shown = incidents[-1]
    return {
        "page": decision.page,
        "again": decision.again,
        "incident": None if shown is None else shown.key,
        "onset": None if shown is None else shown.onset,
        "named": decision.named,
        "updates": decision.updates,
        "endings": decision.endings,
    }


def add_notes(detail: str, reading: Reading, rows: int) -> str:
    """Add what was read and is in no window of ``rows`` rows."""
    notes, undecodable = [], reading.undecodable_counts
    if reading.untimed_rows:
        notes.append(
            f"{reading.untimed_rows:,} rows that were read have no usable event time and are in no window"
        )
    strays = {"before the history": reading.before_history_rows, "in the future": reading.future_rows}
    if sum(strays.values()) > _MIN_NOTED_SHARE * max(rows, reading.rows_read):
        times = " and ".join(f"{count:,} {place}" for place, count in strays.items() if count)
        notes.append(f"rows that were read are stamped {times}; they are in no window")
    if undecodable:
        reasons = ", ".join(f"{messages:,} {reason}" for reason, messages in undecodable)
        total_messages = sum(messages for _, messages in undecodable)
        notes.append(f"{total_messages:,} messages could not be decoded and are in no window ({reasons})")
    return "; ".join(part for part in (detail, *notes) if part)


def with_note(verdict: Verdict, note: str) -> Verdict:
    return replace(verdict, detail="; ".join(filter(None, (note, verdict.detail)))) if note else verdict


def mark_verdict(verdict: Verdict, overdue: int, *, owed: bool = False, late: bool = False) -> Verdict:
    """Mark a verdict of a window that could have been judged ``overdue`` nanoseconds ago."""
    if late:
        delay = format_coarse_duration(overdue / NANOSECONDS)
        text = f"its rows came late: judged {delay} after its time"
        verdict = replace(verdict, detail="; ".join(part for part in (text, verdict.detail) if part))
    return replace(verdict, owed=owed, late=late)


def burn_in_text(burn_in: BurnIn, until: int) -> str:
    """Say until when the monitor learns, what pages already, and what draws no evidence yet."""
    text = (
        f"learning until {format_time(until)} (window {burn_in.number:,} of {burn_in.of:,}): breakage pages "
        "already"
    )
    if burn_in.guarded:
        text += f", and so do shares of rows beyond the tolerance ({_owner_names(burn_in.guarded)})"
    if burn_in.learned_scores:
        scores = format_count(burn_in.learned_scores, "score")
        verb = "is" if burn_in.learned_scores == 1 else "are"
        text += f"; {scores} {verb} only learned ({_owner_names(burn_in.learned)})"
    return text


def _owner_names(owners: Sequence[str]) -> str:
    return listing(column_labels(owners), _MAX_DETAIL_NAMES)


def render_gauges(verdict: Verdict) -> Verdict:
    """Compute the verdict's gauges, so that it no longer refers to the window's arrays."""
    return replace(verdict, statistics=tuple(verdict.statistics))


def _full_detail(
    measurement: Measurement, decision: Decision, resolution: Resolution, start: int, until: int | None
) -> str:
    parts = [_detail(measurement, decision, resolution, start)]
    if decision.burn_in is not None and until is not None:
        parts.append(burn_in_text(decision.burn_in, until))
    return "; ".join(filter(None, parts))


def _detail(measurement: Measurement, decision: Decision, resolution: Resolution, start: int) -> str:
    if measurement.breakages:
        return "; ".join(f"{item.column}: {item.detail}" for item in measurement.breakages)
    if decision.reason is Reason.TOO_FEW_ROWS:
        text = f"{measurement.rows} rows are fewer than window.min_rows; they are held until there are enough"
        if resolution.smallest_effect is not None:
            text += f". So few could show a move of {resolution.smallest_effect:.0%} of the rows"
        if resolution.smallest_joint_effect is not None:
            text += f"; of all numbers at once, by {resolution.smallest_joint_effect:.2g} standard deviations"
        return text
    if decision.reason is Reason.EXCLUDED:
        return "the window touches an excluded day"
    parts = [_unwatched_text(measurement), *measurement.resting]
    if measurement.window.start < start:
        parts.append(
            f"judged together with the windows since {iso(measurement.window.start)}, "
            f"{measurement.rows} rows in all"
        )
    return "; ".join(part for part in parts if part)


def _unwatched_text(measurement: Measurement) -> str:
    outcomes, parts = measurement.outcomes, []
    unwatched = [item for item in outcomes.unwatched if item.reason is not Unwatched.INCIDENT_OPEN]
    if unwatched:
        names = listing([unwatched_text(item) for item in unwatched], _MAX_DETAIL_NAMES)
        parts.append(f"could not look at {len(unwatched)} of {outcomes.watched.of} columns: {names}")
    for name, rows in outcomes.wrong_types[:_MAX_DETAIL_NAMES]:
        parts.append(
            f"{name}: {rows:,} of {measurement.rows:,} values are of another type, and its other statistics "
            f"speak for the other {measurement.rows - rows:,} rows"
        )
    if outcomes.missing_share_columns:
        parts.append(
            "few or no values, as in the reference, so the missing share speaks for "
            + listing(outcomes.missing_share_columns, _MAX_DETAIL_NAMES)
        )
    return "; ".join(parts)
