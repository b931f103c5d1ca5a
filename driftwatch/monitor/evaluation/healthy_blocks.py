"""The time blocks of a reference, and what joint detectors leave out of the windows compared with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from driftwatch.config.models import MonitorConfig
from driftwatch.core.memo import Memo
from driftwatch.core.windows import season_slot
from driftwatch.decide.combined_score import REST_NOTE, resting_text
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import NOTHING_LEFT_OUT, JointDetector, LeftOut, Target, WindowContext
from driftwatch.monitor.evaluation.targets import touches_excluded_day
from driftwatch.results.streams import Streams, joint_owner
from driftwatch.summary.summary import Summary, total

#: Reference blocks that the baseline is learned from; the newest ones when there are more.
MAX_BASELINE_BLOCKS = 400


def no_blocks(_segment: str | None) -> Sequence[Summary]:
    return ()


def pooled_blocks(blocks: Sequence[Summary], config: MonitorConfig) -> Iterator[tuple[Summary, bool]]:
    """Yield the newest blocks, pooled as windows with too few rows are, and whether each is a sum."""
    pool: list[Summary] = []
    for block in blocks[-MAX_BASELINE_BLOCKS:]:
        if touches_excluded_day(block.span, config):
            continue
        pool.append(block)
        # Blocks with too few rows are summed with the next ones.
        if sum(item.rows for item in pool) >= config.window.min_rows:
            yield (total(pool), True) if len(pool) > 1 else (block, False)
            pool = []


def slot_of(window: Summary, config: MonitorConfig) -> int:
    return season_slot(window.span.start, tuple(config.season), config.timezone)


def left_out_of(
    columns: frozenset[str],
    window: Summary,
    config: MonitorConfig,
    blocks: Callable[[], Sequence[Summary]],
    memo: Memo,
) -> LeftOut:
    if not columns:
        return NOTHING_LEFT_OUT
    slot = slot_of(window, config)

    def blocks_of_slot() -> Iterator[Summary]:
        pooled = (block for block, _ in pooled_blocks(blocks(), config))
        return (block for block in pooled if slot_of(block, config) == slot)

    return LeftOut(columns, slot, blocks_of_slot, memo)


def resting_detectors(targets: Sequence[Target], context: WindowContext, streams: Streams) -> dict[str, str]:
    """Return the joint detectors that cannot leave out a window's columns, by owner, and why."""
    if not context.left_out.columns:
        return {}
    measured = {name for name, column in streams.targets if column is None}
    resting = {}
    for detector, _ in targets:
        if not isinstance(detector, JointDetector) or not detector.suspended_in_incident:
            continue
        if detector.evidence and not (detector.leaves_out_columns and detector.name in measured):
            reason = detector.resting_reason(context)
            text = f"{detector.label or detector.name}: {REST_NOTE}, since {reason}"
            resting[joint_owner(detector.name)] = text if reason else ""
    return resting


def resting_texts(
    resting: Mapping[str, str], segment_state: SegmentState, broken: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    return tuple(filter(None, (*resting.values(), resting_text(segment_state, broken))))
