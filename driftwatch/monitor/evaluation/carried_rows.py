"""Rows of windows with too few each, carried over until there are enough."""

from __future__ import annotations

from dataclasses import replace

from driftwatch.core.schema import Span
from driftwatch.decide.decision import Decision
from driftwatch.decide.segment_state import SegmentState
from driftwatch.results.results import Reason
from driftwatch.summary.summary import Summary, total


def carry_over(segment_state: SegmentState, decision: Decision, window: Summary) -> Decision:
    """Add a window with too few rows to the carried-over rows, or drop these after a judged window."""
    carried_rows = segment_state.carried_over
    if decision.reason is Reason.TOO_FEW_ROWS:
        carried_rows = (window if carried_rows is None else total([carried_rows, window])).drop_sample()
        silence = silence_within(carried_rows, segment_state, window)
        spans, silent_spans = _carried_spans(segment_state, window) if silence else (None, ())
    elif decision.reason is not Reason.EXCLUDED:
        carried_rows, silence, spans, silent_spans = None, 0.0, None, ()
    if carried_rows is decision.segment_state.carried_over:
        return decision
    next_state = replace(
        decision.segment_state,
        carried_over=carried_rows,
        carried_silence=silence,
        carried_spans=spans,
        silent_spans=silent_spans,
    )
    return replace(decision, segment_state=next_state)


def _carried_spans(
    segment_state: SegmentState, window: Summary
) -> tuple[tuple[Span, ...] | None, tuple[Span, ...]]:
    spans, silent = segment_state.carried_spans, segment_state.silent_spans
    if spans is None:
        spans = () if segment_state.carried_over is None else (segment_state.carried_over.span,)
    silent = tuple(span for span in silent if span != window.span)
    if not window.rows:
        return spans, (*silent, window.span)
    return spans if segment_state.carries(window.span) else (*spans, window.span), silent


def silence_within(pooled: Summary, segment_state: SegmentState, window: Summary) -> float:
    """Return the seconds within ``pooled`` that are those of other windows, or of windows without rows."""
    # Late rows of a window that is carried over add no seconds; others were judged before, out of order.
    carried_rows = segment_state.carried_over
    seconds = window.span.seconds if window.rows and not segment_state.carries(window.span) else 0.0
    if carried_rows is not None:
        seconds += carried_rows.span.seconds - segment_state.carried_silence
    return max(pooled.span.seconds - seconds, 0.0)
