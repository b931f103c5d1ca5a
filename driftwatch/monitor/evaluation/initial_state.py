"""Learns the state that a segment begins with from the time blocks of its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from driftwatch.config.models import MonitorConfig
from driftwatch.core.memo import Memo
from driftwatch.decide.breakage import breakages
from driftwatch.decide.combined_score import with_combined_history
from driftwatch.decide.decision import learn_block
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import ReferenceContext, Target
from driftwatch.monitor.evaluation.evaluator import streams
from driftwatch.monitor.evaluation.healthy_blocks import pooled_blocks, slot_of
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.store.tables.verdict_table import VerdictTable
from driftwatch.summary.summary import Summary


def initial_segment_state(
    context: ReferenceContext,
    blocks: Sequence[Summary],
    targets: Sequence[Target],
    config: MonitorConfig,
    configuration: str,
) -> SegmentState:
    """Learn a segment's state, measuring each block of its reference against all others.

    Blocks with too few rows are pooled, as windows are.
    """
    reference, memo = context.reference, Memo()
    segment_state = SegmentState(
        reference=reference.fingerprint,
        configuration=configuration,
        production_windows=None if config.burn_in is None else 0,
    )
    segment_state = segment_state.with_streams(streams(context.window(reference.summary), targets))
    for block, is_pooled in pooled_blocks(blocks, config):
        other_blocks = reference.leave_out(block)
        block_targets = [
            target
            for target in targets
            if target[0].learns_from_reference and (target[0].pools or not is_pooled)
        ]
        measurement = Measurement(
            window=block.span,
            rows=block.rows,
            statistics=(),
            streams=streams(ReferenceContext(other_blocks).window(block), block_targets),
            breakages=breakages(other_blocks, block, frozenset()),
            slot=slot_of(block, config),
        )
        segment_state = learn_block(segment_state, measurement, memo)
    return with_combined_history(segment_state)


def with_production_windows(
    segment_state: SegmentState, segment: str | None, config: MonitorConfig, verdicts: VerdictTable
) -> SegmentState:
    """Count the windows of a state that began without a burn-in, if one is asked for now and not over."""
    n_windows = policy_for(config, segment, 1).production_burn_in
    until = segment_state.decided_until
    if not n_windows or segment_state.production_windows is not None or until is None:
        return segment_state
    count = verdicts.count_judged(config.name, segment, until, n_windows)
    return segment_state if count >= n_windows else replace(segment_state, production_windows=count)
