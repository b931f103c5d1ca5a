"""Evaluates the windows of a monitor, from the summary to the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from driftwatch.config.models import MonitorConfig
from driftwatch.core.memo import Memo
from driftwatch.core.schema import Unwatched
from driftwatch.core.windows import boundary_after
from driftwatch.decide.breakage import breakages
from driftwatch.decide.decision import Decision, decide
from driftwatch.decide.incidents.recentre import uncentred
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.outcomes.column_outcomes import ColumnOutcomes, column_outcomes, nothing_watched
from driftwatch.decide.resolution import resolution_of
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import (
    NOTHING_LEFT_OUT,
    LeftOut,
    ReferenceContext,
    Target,
    WindowContext,
    WindowGauges,
    built_in_detectors,
    new_levels_of,
    streams_of,
    targets_by_detector,
)
from driftwatch.monitor.evaluation.after_acceptance import with_learning_note
from driftwatch.monitor.evaluation.blind_incidents import with_incidents, without_blind
from driftwatch.monitor.evaluation.carried_rows import carry_over, silence_within
from driftwatch.monitor.evaluation.features import features_of, stream_owners
from driftwatch.monitor.evaluation.healthy_blocks import (
    left_out_of,
    no_blocks,
    resting_detectors,
    resting_texts,
    slot_of,
)
from driftwatch.monitor.evaluation.targets import policy_for, select_targets, touches_excluded_day
from driftwatch.monitor.evaluation.type_changes import type_changes
from driftwatch.monitor.evaluation.window_verdict import NO_READING, Decided, verdict_of
from driftwatch.monitor.page_texts.page_words import PageWords
from driftwatch.monitor.reading import Reading
from driftwatch.results.results import Breakage, OtherPage
from driftwatch.results.streams import Streams, joint_owner
from driftwatch.store.records import Blocks
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total


def streams(context: WindowContext, targets: Sequence[Target]) -> Streams:
    return Streams.concatenate(
        [
            streams_of(detector, context, columns)
            for detector, columns in targets_by_detector(context, targets)
            if detector.evidence
        ],
        context.reference_context.memo,
    )


def _part_min_rows(config: MonitorConfig, part: Summary) -> int:
    # A part below ``min_rows`` is judged if it is a tenth of its window.
    return min(config.window.min_rows, max(part.rows // 2, 1))


class Evaluator:
    """Evaluates the windows of one monitor, in the same way for a check, a backtest and a replay.

    It owns what is computed once for many windows; no result depends on which windows it evaluated before.
    """

    def __init__(
        self,
        context: ReferenceContext,
        targets: tuple[Target, ...],
        config: MonitorConfig,
        blocks: Blocks = no_blocks,
    ) -> None:
        self.context = context
        self.targets = targets
        self.config = config
        #: Those of the reference, read where columns are left out.
        self.blocks = blocks
        self.features = features_of(context.reference, config)
        self._memos: dict[str | None, Memo] = {}
        # Those of other packages only where they measure: one that nobody names can break nobody.
        detectors = dict.fromkeys([*built_in_detectors(), *(detector for detector, _ in targets)])
        self.joint_readers = frozenset(
            joint_owner(item.name) for item in detectors if item.joint and item.suspended_in_incident
        )
        #: Owners of the joint detectors that a rebased reference changes.
        self.referring_joint = frozenset(
            joint_owner(detector.name)
            for detector, column in targets
            if column is None and detector.learns_from_reference
        )
        # Whole distributions before shares, and of these first whether there is a value at all.
        ranked = sorted(
            detectors, key=lambda item: (item.is_share, item.reads_values, item.display_rank, item.name)
        )
        self.effect_order = tuple(item.name for item in ranked)

    @classmethod
    def from_config(
        cls, reference: Reference, config: MonitorConfig, blocks: Blocks = no_blocks
    ) -> Evaluator:
        """Return an evaluator with the configured detectors. Raises ``ConfigError`` as ``select_targets``."""
        targets = select_targets(reference, config.detectors, config.engine)
        return cls(ReferenceContext(reference), targets, config, blocks)

    @property
    def reference(self) -> Reference:
        return self.context.reference

    def segment_context(self, segment: str | None) -> ReferenceContext:
        """Return the context of a segment's reference; those of up to 200 segments are not stored."""
        reference = self.reference.for_segment(segment)
        return self.context if reference is self.reference else ReferenceContext(reference)

    def evaluate(
        self,
        window: Summary,
        segment_state: SegmentState,
        *,
        segment: str | None = None,
        reading: Reading = NO_READING,
        gauges: bool = True,
        is_blind: bool = False,
        other_pages: tuple[OtherPage, ...] = (),
    ) -> Decided:
        """Measure and decide one window; this resolves a could-not-look incident, unless ``is_blind``.

        ``gauges`` do not influence the decision; if false, only verdicts that page have them. They are
        computed when read; ``render_gauges`` does so before a verdict is stored.
        """
        segment_state, blind_incidents = without_blind(segment_state)
        memo = self._memos.setdefault(segment, Memo())
        policy = policy_for(self.config, segment, len(self.reference.plan.segments))
        measurement = self.measure(window, segment_state, segment, reading.other_columns)
        measurement = replace(measurement, other_pages=other_pages)
        decision = carry_over(segment_state, decide(segment_state, measurement, policy, memo), window)
        decision = self.with_page_words(decision, measurement)
        verdict = verdict_of(
            measurement,
            decision,
            window=window,
            resolution=resolution_of(segment_state, decision, measurement, policy, memo),
            policy=policy,
            calibrating_until=self._calibrating_until(decision, window),
            gauges=gauges,
            reading=reading,
            # Types are those of all rows, whatever segment they belong to.
            changed_types=()
            if segment is not None
            else type_changes(self.reference.provenance.types, reading.types),
            memo=memo,
        )
        verdict = with_learning_note(
            verdict, decision, measurement, self.reference, self.referring_joint, self.config
        )
        return Decided(
            verdict=verdict,
            segment_state=with_incidents(decision.segment_state, blind_incidents if is_blind else ()),
            opened=decision.opened,
            updated=decision.updated,
            resolved=(*decision.resolved, *(() if is_blind else blind_incidents)),
        )

    def _calibrating_until(self, decision: Decision, window: Summary) -> int | None:
        burn_in, config = decision.burn_in, self.config
        if burn_in is None:
            return None
        return boundary_after(
            window.span.end, burn_in.of - burn_in.number, config.window.length, config.timezone
        )

    def measure(
        self,
        window: Summary,
        segment_state: SegmentState,
        segment: str | None = None,
        other_columns: tuple[str, ...] = (),
        *,
        shares_only: bool = False,
    ) -> Measurement:
        """Measure gauges, streams and breakages of a window against the reference of its segment.

        Rows carried over from windows with too few rows are added, except on an excluded day. If there are
        any, detectors of whole windows (such as the number of rows) yield no streams.
        """
        is_excluded = touches_excluded_day(window.span, self.config)
        carried_rows = None if is_excluded else segment_state.carried_over
        pooled_window = window if carried_rows is None else total([carried_rows, window])
        segment_context = self.segment_context(segment)
        window_breakages = breakages(
            segment_context.reference, pooled_window, segment_state.healthy_breakages, other_columns
        )
        broken = frozenset(item.column for item in window_breakages)
        left_out = self.left_out(window, segment_state, segment, window_breakages)
        context = segment_context.window(pooled_window, left_out)
        pooling_targets = [target for target in self.targets if target[0].pools]
        stream_targets = self.targets if carried_rows is None else pooling_targets
        window_streams = streams(context, stream_targets)
        if shares_only:
            window_streams = window_streams.shares_only()
        silence = silence_within(pooled_window, replace(segment_state, carried_over=carried_rows), window)
        resting = resting_detectors(stream_targets, context, window_streams)
        return Measurement(
            window=pooled_window.span,
            rows=pooled_window.rows,
            silence=silence,
            # Days are 23 or 25 hours long when clocks change.
            windows=max(1, round((pooled_window.span.seconds - silence) / window.span.seconds)),
            statistics=WindowGauges(context, self.targets),
            streams=window_streams,
            breakages=window_breakages,
            outcomes=self._outcomes(
                context,
                window_streams,
                # Of a part it is decided later what it breaks.
                () if shares_only else window_breakages,
                segment_state,
                is_excluded,
                min_rows=_part_min_rows(self.config, pooled_window) if shares_only else None,
            ),
            new_levels=new_levels_of(context),
            slot=slot_of(window, self.config),
            excluded=is_excluded,
            untimed_reference=not context.reference.blocks,
            joint_readers=self.joint_readers,
            suspended_joint=frozenset(resting),
            # A part of late rows never has joint streams.
            resting=() if shares_only else resting_texts(resting, segment_state, broken),
            effect_order=self.effect_order,
        )

    def left_out(
        self, window: Summary, state: SegmentState, segment: str | None, broken: Sequence[Breakage] = ()
    ) -> LeftOut:
        """Return what joint detectors leave out: columns of open incidents, and broken ones."""
        columns = (state.suspended | {item.column for item in broken}) & self.reference.plan.grids.keys()
        memo = self._memos.setdefault(segment, Memo())
        return left_out_of(columns, window, self.config, partial(self.blocks, segment), memo)

    def with_page_words(self, decision: Decision, measurement: Measurement) -> Decision:
        if not decision.named or not isinstance(measurement.statistics, WindowGauges):
            return decision
        words = PageWords.from_detectors(
            measurement.statistics.context, [item for item, _ in self.targets], self.effect_order
        )
        return replace(decision, named=words.named(decision, measurement.streams))

    def _outcomes(
        self,
        context: WindowContext,
        window_streams: Streams,
        window_breakages: Sequence[Breakage],
        segment_state: SegmentState,
        is_excluded: bool,
        min_rows: int | None = None,
    ) -> ColumnOutcomes:
        min_rows = min_rows or self.config.window.min_rows
        if is_excluded or context.window.rows < min_rows:
            reason = Unwatched.UNDEFINED if is_excluded else Unwatched.TOO_FEW_VALUES
            return nothing_watched(self.features, reason)
        memo, left_out = context.reference_context.memo, context.left_out.columns
        owners = memo.last(
            "stream owners",
            (window_streams.targets, tuple(sorted(left_out))),
            lambda: stream_owners(window_streams, self.targets, context.reference, left_out),
        )
        return column_outcomes(
            self.features,
            context.reference,
            context.window,
            owners,
            broken=frozenset(item.column for item in window_breakages),
            suspended=uncentred(segment_state, window_streams),
            min_rows=min_rows,
            memo=memo,
        )

    def gauges(
        self, window: Summary, segment: str | None = None, left_out: LeftOut = NOTHING_LEFT_OUT
    ) -> WindowGauges:
        return WindowGauges(self.segment_context(segment).window(window, left_out), self.targets)
