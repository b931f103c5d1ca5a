"""Evaluates rows that came after their window was decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from driftwatch.core.schema import Span
from driftwatch.decide.late_part import decide_late_part
from driftwatch.decide.resolution import Resolution
from driftwatch.decide.segment_state import SegmentState
from driftwatch.monitor.evaluation.blind_incidents import with_incidents, without_blind
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.monitor.evaluation.window_verdict import NO_READING, Decided, verdict_of
from driftwatch.monitor.reading import Parts, Reading, is_growth
from driftwatch.results.results import OtherPage, Reason, State
from driftwatch.summary.summary import Summary, total

_NO_RESOLUTION = Resolution(
    smallest_effect=None,
    smallest_effects=(),
    smallest_joint_effect=None,
    design_effect=None,
    represented=(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A slice that has as many rows as before or more, by segment, before and after; no cell has fewer."""

    start: int
    versions: tuple[int, int]
    before: Mapping[str | None, Summary]
    after: Mapping[str | None, Summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRows:
    """The late rows of a window."""

    window: Span
    part: int
    growths: tuple[Growth, ...]
    #: Rows of the window that were judged before, by segment.
    earlier_rows: Mapping[str | None, int]

    def whole(self, segment: str | None) -> Summary:
        """Sum the segment's newest slices."""
        newest = {item.start: item.after for item in sorted(self.growths, key=lambda item: item.versions[1])}
        parts = [after[segment] for after in newest.values() if segment in after]
        return replace(total(parts), span=self.window)

    @property
    def rows(self) -> int:
        summary = self.summary(None)
        return 0 if summary is None else summary.rows

    def summary(self, segment: str | None) -> Summary | None:
        """Count the segment's late rows: counts subtract, what needs the rows themselves is left out."""
        parts = [
            _difference(item.before.get(segment), item.after[segment])
            for item in self.growths
            if segment in item.after
        ]
        return replace(total(parts), span=self.window) if parts else None


def evaluate_late_rows(
    evaluator: Evaluator,
    late_rows: LateRows,
    segment_state: SegmentState,
    segment: str | None,
    reading: Reading = NO_READING,
    *,
    gauges: bool = True,
    other_pages: tuple[OtherPage, ...] = (),
) -> Decided | None:
    """Judge a segment's late rows; None if it has none.

    Rows of a window that had too few to be judged are still carried over: with the late ones they are a
    window like any other, whose budget was not spent. Otherwise they are a part without a budget.
    """
    summary = late_rows.summary(segment)
    if summary is None or not summary.rows:
        return None
    marks: dict[str, Any] = {
        "late": True,
        "part": late_rows.part,
        "tiles": tuple((item.start, item.versions[1]) for item in late_rows.growths),
        "earlier_rows": late_rows.earlier_rows[segment],
        "earlier_tiles": tuple((item.start, item.versions[0]) for item in late_rows.growths),
    }
    if segment_state.carries(late_rows.window) or late_rows.window in segment_state.silent_spans:
        decided = evaluator.evaluate(
            summary,
            segment_state,
            segment=segment,
            reading=reading,
            gauges=gauges,
            is_blind=True,
            other_pages=other_pages,
        )
        note = decided.verdict.detail
    else:
        decided, note = _evaluate_part(
            evaluator, late_rows, summary, segment_state, segment, reading, gauges, other_pages
        )
    text = _late_text(summary.rows, late_rows.earlier_rows[segment])
    marks["detail"] = "; ".join(part for part in (text, note) if part)
    return replace(decided, verdict=replace(decided.verdict, **marks))


def _evaluate_part(
    evaluator: Evaluator,
    late_rows: LateRows,
    summary: Summary,
    segment_state: SegmentState,
    segment: str | None,
    reading: Reading,
    gauges: bool,
    other_pages: tuple[OtherPage, ...],
) -> tuple[Decided, str]:
    # Also returned is what the verdict says beside the number of rows.
    segment_state, blind_incidents = without_blind(segment_state)
    policy = policy_for(evaluator.config, segment, len(evaluator.reference.plan.segments))
    pooled, segment_state = segment_state, segment_state.without_carried()
    measurement = evaluator.measure(summary, segment_state, segment, shares_only=True)
    part = decide_late_part(
        segment_state,
        replace(measurement, part=late_rows.part, other_pages=other_pages),
        evaluator.measure(late_rows.whole(segment), segment_state, segment),
        policy,
    )
    decision = evaluator.with_page_words(part.decision, part.measurement)
    verdict = verdict_of(
        part.measurement,
        decision,
        window=summary,
        resolution=_NO_RESOLUTION,
        policy=policy,
        gauges=gauges,
        reading=reading,
    )
    note = verdict.detail
    if decision.reason is Reason.TOO_FEW_ROWS:
        note = "so few cannot move the window's traffic by more than the tolerance"
    elif decision.state is State.INSUFFICIENT and not segment_state.has_evidence:
        note = "a page took the evidence that they could add to, so that nothing could be seen in them"
    return Decided(
        verdict=verdict,
        segment_state=with_incidents(decision.segment_state.with_carried_of(pooled), blind_incidents),
        opened=decision.opened,
        updated=decision.updated,
        resolved=decision.resolved,
    ), note


def growths_of(start: int, versions: Iterable[tuple[int, Parts]]) -> Iterator[Growth]:
    """Yield the steps between versions of a slice, the judged one first, that only added rows."""
    # Rows that were removed and come back were judged.
    basis: tuple[int, Parts] | None = None
    for number, parts in versions:
        if None not in parts:
            continue
        if basis is not None and is_growth(basis[1], parts):
            yield Growth(start=start, versions=(basis[0], number), before=basis[1], after=parts)
        elif basis is not None and parts[None].rows < basis[1][None].rows:
            continue
        basis = (number, parts)


def earlier_rows_of(
    tiles: Sequence[Mapping[str | None, Summary]], growths: Sequence[Growth]
) -> dict[str | None, int]:
    """Return a window's rows by segment, from its newest slices, without those that came late."""
    rows: dict[str | None, int] = {}
    for parts in tiles:
        for segment, summary in parts.items():
            rows[segment] = rows.get(segment, 0) + summary.rows
    for item in growths:
        for segment, summary in item.after.items():
            before = item.before.get(segment)
            rows[segment] = rows.get(segment, 0) - summary.rows + (0 if before is None else before.rows)
    return rows


def _late_text(rows: int, earlier_rows: int) -> str:
    return f"{rows:,} rows that came after the window was decided on {earlier_rows:,}"


def _difference(before: Summary | None, after: Summary) -> Summary:
    # The sums are over a sample of the rows, of which another one was drawn.
    late = after if before is None else after - before
    return replace(late, sums=None, sample=None)
