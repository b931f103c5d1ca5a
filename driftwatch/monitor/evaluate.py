"""Evaluates one window, from its summary to the verdict. Pure: no file, clock or socket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.core.windows import season_slot
from driftwatch.decide.breakage import breakages
from driftwatch.decide.combined_score import with_combined_history
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import BURN_IN_WINDOWS, Policy
from driftwatch.decide.incidents import BLIND
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.resolution import Resolution, resolution_of
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import (
    Detector,
    WindowGauges,
    all_detectors,
    columns_by_detector,
    get,
    streams_of,
)
from driftwatch.errors import ConfigError
from driftwatch.results.results import Reason, RejectedFile, Verdict
from driftwatch.results.streams import Streams
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total

#: Reference blocks that the baseline is learned from; the newest ones when there are more.
MAX_BASELINE_BLOCKS = 400
#: Share of the page budget for all rows together when a monitor is split into segments.
_ALL_ROWS_BUDGET_SHARE = 0.5
#: Names of unchanged columns in a verdict: bounds what is stored of a wide monitor.
_MAX_UNCHANGED_NAMES = 200

#: A detector and the column it measures; None for a detector of all columns jointly.
Target = tuple[Detector, str | None]


def select_targets(reference: Reference, names: Sequence[str] | None) -> tuple[Target, ...]:
    """Return every (detector, column) to measure; ``names`` None selects all default detectors.

    Raises ``ConfigError`` when none yields evidence, because every window would be ``ok``.
    """
    detectors = (
        [item for item in all_detectors() if item.default] if names is None else [get(n) for n in names]
    )
    targets: list[Target] = []
    for detector in detectors:
        if detector.joint:
            if detector.applies(None, reference):
                targets.append((detector, None))
            continue
        targets += [
            (detector, column.name)
            for column in reference.plan.columns
            if column.role.watched and detector.applies(column, reference)
        ]
    if not any(detector.evidence for detector, _ in targets):
        kinds = sorted({str(column.kind.value) for column in reference.plan.columns if column.role.watched})
        raise ConfigError(
            f"monitor {reference.monitor!r}: detectors: expected one that can page and fits a watched column "
            f"({', '.join(kinds)}). Got {', '.join(item.name for item in detectors)}. Leave detectors out "
            "for all that fit, or add missing."
        )
    return tuple(targets)


def streams(reference: Reference, window: Summary, targets: Sequence[Target]) -> Streams:
    return Streams.concatenate(
        [
            streams_of(detector, reference, window, columns)
            for detector, columns in columns_by_detector(reference, targets)
            if detector.evidence
        ],
        reference.summary.memo,
    )


def measure(
    reference: Reference,
    window: Summary,
    targets: Sequence[Target],
    segment_state: SegmentState,
    config: MonitorConfig,
) -> Measurement:
    """Measure gauges, streams and breakages of a window against the ``reference`` of its segment.

    Rows carried over from windows with too few rows are added, except on an excluded day. If there are any,
    detectors of whole windows (such as the number of rows) yield no streams.
    """
    is_excluded = touches_excluded_day(window.span, config)
    has_carried_rows = not is_excluded and segment_state.carried_over is not None
    pooled_window = (
        total([segment_state.carried_over, window])
        if has_carried_rows and segment_state.carried_over is not None
        else window
    ).with_memo()
    stream_targets = [target for target in targets if target[0].pools] if has_carried_rows else targets
    return Measurement(
        window=pooled_window.span,
        rows=pooled_window.rows,
        statistics=WindowGauges(reference=reference, window=pooled_window, targets=targets),
        streams=streams(reference, pooled_window, stream_targets),
        breakages=breakages(reference, pooled_window, segment_state.healthy_breakages),
        slot=season_slot(window.span.start, tuple(config.season), config.timezone),
        excluded=is_excluded,
        untimed_reference=not reference.blocks,
    )


def gauges(reference: Reference, window: Summary, targets: Sequence[Target]) -> WindowGauges:
    return WindowGauges(reference=reference, window=window.with_memo(), targets=targets)


def carry_over(segment_state: SegmentState, decision: Decision, window: Summary) -> Decision:
    """Add a window with too few rows to the carried-over rows, or drop these after a judged window."""
    carried_rows = segment_state.carried_over
    if decision.reason is Reason.TOO_FEW_ROWS:
        carried_rows = (window if carried_rows is None else total([carried_rows, window])).drop_sample()
    elif decision.reason is not Reason.EXCLUDED:
        carried_rows = None
    if carried_rows is decision.segment_state.carried_over:
        return decision
    return replace(decision, segment_state=replace(decision.segment_state, carried_over=carried_rows))


def touches_excluded_day(window: Span, config: MonitorConfig) -> bool:
    if not config.exclude:
        return False
    zone = ZoneInfo(config.timezone)
    first_day = datetime.fromtimestamp(window.start // NANOSECONDS, tz=zone).date()
    last_day = datetime.fromtimestamp((window.end - 1) // NANOSECONDS, tz=zone).date()
    return any(first_day <= day <= last_day for day in config.exclude)


def policy_for(config: MonitorConfig, segment: str | None, segments: int) -> Policy:
    """Return a segment's policy: all rows together get half the page budget, the segments share the rest."""
    budget_share = 1.0
    if segments > 1:
        budget_share = (
            _ALL_ROWS_BUDGET_SHARE if segment is None else (1 - _ALL_ROWS_BUDGET_SHARE) / (segments - 1)
        )
    burn_in = BURN_IN_WINDOWS if config.burn_in is None else max(1, config.burn_in // config.window.length)
    return Policy(
        monitor=config.name,
        segment=segment,
        pages_per_second=config.alarm.false_pages.per_second() * budget_share,
        tolerance=config.effective_tolerance,
        min_effect=config.effective_min_effect,
        min_rows=config.window.min_rows,
        burn_in=burn_in,
        design_effect=config.alarm.design_effect,
        weights=config.weights,
        groups={column: group for group, columns in config.groups.items() for column in columns},
    )


def initial_segment_state(
    reference: Reference,
    blocks: Sequence[Summary],
    targets: Sequence[Target],
    config: MonitorConfig,
    configuration: str,
) -> SegmentState:
    """Learn a segment's state from the reference's blocks, measuring each against all others.

    Blocks with too few rows are pooled, as windows are.
    """
    segment_state = SegmentState(reference=reference.fingerprint, configuration=configuration)
    segment_state = segment_state.with_streams(streams(reference, reference.summary.with_memo(), targets))
    for block, is_pooled in _pooled_blocks(blocks[-MAX_BASELINE_BLOCKS:], config):
        other_blocks = reference.leave_out(block)
        measurement = Measurement(
            window=block.span,
            rows=block.rows,
            statistics=(),
            streams=streams(
                other_blocks,
                block.with_memo(),
                [target for target in targets if not is_pooled or target[0].pools],
            ),
            breakages=breakages(other_blocks, block, frozenset()),
            slot=season_slot(block.span.start, tuple(config.season), config.timezone),
        )
        segment_state = learn_block(segment_state, measurement)
    return with_combined_history(segment_state)


def _pooled_blocks(blocks: Sequence[Summary], config: MonitorConfig) -> Iterator[tuple[Summary, bool]]:
    pool: list[Summary] = []
    for block in blocks:
        if touches_excluded_day(block.span, config):
            continue
        pool.append(block)
        # Blocks with too few rows are summed with the next ones.
        if sum(item.rows for item in pool) >= config.window.min_rows:
            yield (total(pool), True) if len(pool) > 1 else (block, False)
            pool = []


def verdict_of(
    measurement: Measurement,
    decision: Decision,
    *,
    window: Summary,
    resolution: Resolution,
    policy: Policy,
    gauges: bool = True,
    tiles: tuple[tuple[int, int], ...],
    rejected: tuple[RejectedFile, ...] = (),
    newest_row: int | None = None,
    untimed_rows: int = 0,
) -> Verdict:
    moved_columns = {item.column for item in decision.named} | decision.segment_state.suspended
    # A gauge alone cannot say that nothing moved.
    targets = measurement.streams.targets
    watched_columns = decision.segment_state.shares.keys.memo(
        "watched", (targets,), lambda: dict.fromkeys(column for _, column in targets if column is not None)
    )
    # A joint effect names columns in its text: those are not listed as unchanged.
    joint_effects = " ".join(item.effect for item in decision.named if item.column not in watched_columns)
    incidents = decision.opened or decision.segment_state.incidents
    return Verdict(
        monitor=policy.monitor,
        segment=policy.segment,
        window=window.span,
        rows=window.rows,
        judged_from=None if measurement.window.start == window.span.start else measurement.window.start,
        judged_rows=measurement.rows,
        state=decision.state,
        reason=decision.reason,
        detail=add_untimed_note(_detail(measurement, decision, resolution, window.span.start), untimed_rows),
        statistics=measurement.statistics if gauges or decision.page else (),
        breakages=tuple(measurement.breakages),
        rejected_files=rejected,
        evidence_before=decision.evidence_before,
        evidence=decision.evidence,
        page=decision.page,
        incident=incidents[-1].key if incidents else None,
        onset=incidents[-1].onset if incidents else None,
        named=decision.named,
        unchanged=tuple(
            name for name in watched_columns if name not in moved_columns and name not in joint_effects
        )[:_MAX_UNCHANGED_NAMES],
        **{item.name: getattr(resolution, item.name) for item in fields(resolution)},
        reference=decision.segment_state.reference,
        configuration=decision.segment_state.configuration,
        untimed_rows=untimed_rows,
        tiles=tiles,
        newest_row=newest_row,
    )


def add_untimed_note(detail: str, rows: int) -> str:
    note = f"{rows:,} rows that were read have no usable event time and are in no window" if rows else ""
    return "; ".join(part for part in (detail, note) if part)


def evaluate_window(
    reference: Reference,
    window: Summary,
    targets: Sequence[Target],
    segment_state: SegmentState,
    config: MonitorConfig,
    *,
    segment: str | None,
    gauges: bool = True,
    tiles: tuple[tuple[int, int], ...] = (),
    rejected: tuple[RejectedFile, ...] = (),
    newest_row: int | None = None,
    untimed_rows: int = 0,
) -> tuple[Decision, Verdict]:
    """Measure and decide one window, in the same way for a check, a backtest and a replay.

    Resolves a could-not-look incident. ``gauges`` do not influence the decision; if false, only verdicts that
    page have them. They are computed when read; ``render_gauges`` does so before a verdict is stored.
    """
    blind_incidents = tuple(item for item in segment_state.incidents if item.kind == BLIND)
    if blind_incidents:
        segment_state = replace(
            segment_state, incidents=tuple(item for item in segment_state.incidents if item.kind != BLIND)
        )
    policy = policy_for(config, segment, len(reference.plan.segments))
    measurement = measure(reference.for_segment(segment), window, targets, segment_state, config)
    decision = carry_over(segment_state, decide(segment_state, measurement, policy), window)
    verdict = verdict_of(
        measurement,
        decision,
        window=window,
        resolution=resolution_of(segment_state, decision, measurement, policy),
        policy=policy,
        gauges=gauges,
        tiles=tiles,
        rejected=rejected,
        newest_row=newest_row,
        untimed_rows=untimed_rows,
    )
    if blind_incidents:
        decision = replace(decision, resolved=(*decision.resolved, *blind_incidents))
    return decision, verdict


def render_gauges(verdict: Verdict) -> Verdict:
    """Compute the verdict's gauges, so that it no longer refers to the window's arrays."""
    return replace(verdict, statistics=tuple(verdict.statistics))


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
    if measurement.window.start < start:
        return (
            f"judged together with the windows since {iso(measurement.window.start)}, "
            f"{measurement.rows} rows in all"
        )
    return ""
