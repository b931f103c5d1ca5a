"""From a reference and a window's summary to what the decision needs: pure, no file, clock or socket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.core.windows import season_slot
from driftwatch.decide.breakage import breakages
from driftwatch.decide.combined_score import taught_together
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import BURN_IN, Policy
from driftwatch.decide.incidents import BLIND
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.resolution import Resolution
from driftwatch.decide.resolution import sight as look
from driftwatch.decide.state import SegmentState
from driftwatch.detectors.base import Detector, WindowGauges, all_detectors, by_detector, drawn, get
from driftwatch.errors import ConfigError
from driftwatch.results.results import Reason, RejectedFile, Verdict
from driftwatch.results.streams import Streams
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total

#: Reference blocks that teach what is usual; the newest ones when there are more.
TAUGHT_BLOCKS = 400
#: Share of the budget that all rows together get when a monitor is split into segments.
_WHOLE = 0.5
_UNCHANGED_LISTED = 200

Look = tuple[Detector, str | None]


def looks(reference: Reference, names: Sequence[str] | None) -> tuple[Look, ...]:
    """Every (detector, column) there is to measure; ``names`` None takes all default detectors.

    Raises ``ConfigError`` when none of them yields evidence here: every window would be ``ok`` for ever.
    """
    chosen = [item for item in all_detectors() if item.default] if names is None else [get(n) for n in names]
    found: list[Look] = []
    for detector in chosen:
        if detector.joint:
            if detector.applies(None, reference):
                found.append((detector, None))
            continue
        found += [
            (detector, column.name)
            for column in reference.plan.columns
            if column.role.watched and detector.applies(column, reference)
        ]
    if not any(detector.evidence for detector, _ in found):
        kinds = sorted({str(column.kind.value) for column in reference.plan.columns if column.role.watched})
        raise ConfigError(
            f"monitor {reference.monitor!r}: detectors: expected one that can page and fits a watched column "
            f"({', '.join(kinds)}). Got {', '.join(item.name for item in chosen)}. Leave detectors out for "
            "all that fit, or add missing."
        )
    return tuple(found)


def streams(reference: Reference, window: Summary, chosen: Sequence[Look]) -> Streams:
    """What evidence is drawn from: of each detector on all its columns at once."""
    return Streams.joined(
        [
            drawn(detector, reference, window, columns)
            for detector, columns in by_detector(reference, chosen)
            if detector.evidence
        ],
        reference.summary.worked,
    )


def measure(
    reference: Reference,
    window: Summary,
    chosen: Sequence[Look],
    segment_state: SegmentState,
    config: MonitorConfig,
) -> Measurement:
    """Everything measured in one window of one segment; ``reference`` is the one of that segment.

    A window of an excluded day stands alone; any other is measured together with those held before it.
    Detectors that speak of whole windows (the number of rows) have nothing to say of several.
    """
    out = excluded(window.span, config)
    several = not out and segment_state.held is not None
    together = (
        total([segment_state.held, window]) if several and segment_state.held is not None else window
    ).with_room()
    telling = [look for look in chosen if look[0].pools] if several else chosen
    return Measurement(
        window=together.span,
        rows=together.rows,
        statistics=WindowGauges(reference=reference, window=together, chosen=chosen),
        streams=streams(reference, together, telling),
        breakages=breakages(reference, together, segment_state.ordinary),
        slot=season_slot(window.span.start, tuple(config.season), config.timezone),
        excluded=out,
        untimed=not reference.blocks,
    )


def gauges(reference: Reference, window: Summary, chosen: Sequence[Look]) -> WindowGauges:
    """Every gauge of one window of one segment, of which no evidence comes."""
    return WindowGauges(reference=reference, window=window.with_room(), chosen=chosen)


def holding(segment_state: SegmentState, decision: Decision, window: Summary) -> Decision:
    """The decision whose track holds what was too little to judge, and nothing that was judged."""
    held = segment_state.held
    if decision.reason is Reason.TOO_FEW_ROWS:
        held = (window if held is None else total([held, window])).drop_sample()
    elif decision.reason is not Reason.EXCLUDED:
        held = None
    if held is decision.segment_state.held:
        return decision
    return replace(decision, segment_state=replace(decision.segment_state, held=held))


def excluded(window: Span, config: MonitorConfig) -> bool:
    """True when the window touches a day the user excluded."""
    if not config.exclude:
        return False
    zone = ZoneInfo(config.timezone)
    first = datetime.fromtimestamp(window.start // NANOSECONDS, tz=zone).date()
    last = datetime.fromtimestamp((window.end - 1) // NANOSECONDS, tz=zone).date()
    return any(first <= day <= last for day in config.exclude)


def policy_for(config: MonitorConfig, segment: str | None, segments: int) -> Policy:
    """The promise as numbers: half the budget for all rows together, the rest shared by the segments."""
    share = 1.0
    if segments > 1:
        share = _WHOLE if segment is None else (1 - _WHOLE) / (segments - 1)
    burn_in = BURN_IN if config.burn_in is None else max(1, config.burn_in // config.window.length)
    return Policy(
        monitor=config.name,
        segment=segment,
        pages_per_second=config.alarm.false_pages.per_second() * share,
        tolerance=config.tolerated,
        min_effect=config.floor,
        min_rows=config.window.min_rows,
        burn_in=burn_in,
        design_effect=config.alarm.design_effect,
        weights=config.weights,
        groups={column: group for group, columns in config.groups.items() for column in columns},
    )


def fresh_track(
    reference: Reference,
    blocks: Sequence[Summary],
    chosen: Sequence[Look],
    config: MonitorConfig,
    configuration: str,
) -> SegmentState:
    """What the reference's own time blocks teach, each held against the rest (counts subtract).

    Blocks of too few rows are taken together, as windows of too few are.
    """
    segment_state = SegmentState(reference=reference.fingerprint, configuration=configuration)
    segment_state = segment_state.expecting(streams(reference, reference.summary.with_room(), chosen))
    for block, several in _pooled(blocks[-TAUGHT_BLOCKS:], config):
        rest = reference.without(block)
        seen = Measurement(
            window=block.span,
            rows=block.rows,
            statistics=(),
            streams=streams(
                rest, block.with_room(), [look for look in chosen if not several or look[0].pools]
            ),
            breakages=breakages(rest, block, frozenset()),
            slot=season_slot(block.span.start, tuple(config.season), config.timezone),
        )
        segment_state = learn_block(segment_state, seen)
    return taught_together(segment_state)


def _pooled(blocks: Sequence[Summary], config: MonitorConfig) -> Iterator[tuple[Summary, bool]]:
    """Blocks with enough rows each, and whether they are the sum of several; excluded days are left out."""
    held: list[Summary] = []
    for block in blocks:
        if excluded(block.span, config):
            continue
        held.append(block)
        if sum(item.rows for item in held) >= config.window.min_rows:
            yield (total(held), True) if len(held) > 1 else (block, False)
            held = []


def verdict_of(
    seen: Measurement,
    decision: Decision,
    *,
    window: Summary,
    sight: Resolution,
    policy: Policy,
    gauges: bool = True,
    tiles: tuple[tuple[int, int], ...],
    rejected: tuple[RejectedFile, ...] = (),
    newest_row: int | None = None,
    untimed: int = 0,
) -> Verdict:
    """The stored outcome of a decided window; without ``gauges`` a window that pages nobody has none."""
    moved = {item.column for item in decision.named} | decision.segment_state.aside
    # A gauge alone cannot say that nothing moved.
    looks = seen.streams.looks
    watched = decision.segment_state.shares.keys.kept(
        "watched", (looks,), lambda: dict.fromkeys(column for _, column in looks if column is not None)
    )
    # What all columns together show names some of them: those are not said to stand still beside it.
    told = " ".join(item.effect for item in decision.named if item.column not in watched)
    incidents = decision.opened or decision.segment_state.incidents
    return Verdict(
        monitor=policy.monitor,
        segment=policy.segment,
        window=window.span,
        rows=window.rows,
        judged_from=None if seen.window.start == window.span.start else seen.window.start,
        judged_rows=seen.rows,
        state=decision.state,
        reason=decision.reason,
        detail=with_untimed(_detail(seen, decision, sight, window.span.start), untimed),
        statistics=seen.statistics if gauges or decision.page else (),
        breakages=tuple(seen.breakages),
        rejected_files=rejected,
        evidence_before=decision.evidence_before,
        evidence=decision.evidence,
        page=decision.page,
        incident=incidents[-1].key if incidents else None,
        onset=incidents[-1].onset if incidents else None,
        named=decision.named,
        unchanged=tuple(name for name in watched if name not in moved and name not in told)[
            :_UNCHANGED_LISTED
        ],
        **{item.name: getattr(sight, item.name) for item in fields(sight)},
        reference=decision.segment_state.reference,
        configuration=decision.segment_state.configuration,
        untimed_rows=untimed,
        tiles=tiles,
        newest_row=newest_row,
    )


def with_untimed(detail: str, rows: int) -> str:
    """The detail, and that rows were left out for want of an event time."""
    told = f"{rows:,} rows that were read have no usable event time and are in no window" if rows else ""
    return "; ".join(part for part in (detail, told) if part)


def judge(
    reference: Reference,
    window: Summary,
    chosen: Sequence[Look],
    segment_state: SegmentState,
    config: MonitorConfig,
    *,
    segment: str | None,
    gauges: bool = True,
    tiles: tuple[tuple[int, int], ...] = (),
    rejected: tuple[RejectedFile, ...] = (),
    newest_row: int | None = None,
    untimed: int = 0,
) -> tuple[Decision, Verdict]:
    """One window measured and decided: the arithmetic of a check, a backtest and a replay alike.

    Looking at all resolves a could-not-look incident of the track. ``gauges`` decide nothing: without them
    only a page's verdict has any. They are measured when they are first read (``WindowGauges``): ``worded`` does it
    for a verdict that is kept.
    """
    lifted = tuple(item for item in segment_state.incidents if item.kind == BLIND)
    if lifted:
        segment_state = replace(
            segment_state, incidents=tuple(item for item in segment_state.incidents if item.kind != BLIND)
        )
    policy = policy_for(config, segment, len(reference.plan.segments))
    seen = measure(reference.at(segment), window, chosen, segment_state, config)
    decision = holding(segment_state, decide(segment_state, seen, policy), window)
    verdict = verdict_of(
        seen,
        decision,
        window=window,
        sight=look(segment_state, decision, seen, policy),
        policy=policy,
        gauges=gauges,
        tiles=tiles,
        rejected=rejected,
        newest_row=newest_row,
        untimed=untimed,
    )
    if lifted:
        decision = replace(decision, resolved=(*decision.resolved, *lifted))
    return decision, verdict


def worded(verdict: Verdict) -> Verdict:
    """The verdict with all of its gauges in words; it lets go of what they were measured from."""
    return replace(verdict, statistics=tuple(verdict.statistics))


def _detail(seen: Measurement, decision: Decision, sight: Resolution, start: int) -> str:
    if seen.breakages:
        return "; ".join(f"{item.column}: {item.detail}" for item in seen.breakages)
    if decision.reason is Reason.TOO_FEW_ROWS:
        text = f"{seen.rows} rows are fewer than window.min_rows; they are held until there are enough"
        if sight.smallest_effect is not None:
            text += f". So few could show a move of {sight.smallest_effect:.0%} of the rows"
        if sight.smallest_joint_effect is not None:
            text += f"; of all numbers at once, by {sight.smallest_joint_effect:.2g} standard deviations"
        return text
    if decision.reason is Reason.EXCLUDED:
        return "the window touches an excluded day"
    if seen.window.start < start:
        return f"judged together with the windows since {iso(seen.window.start)}, {seen.rows} rows in all"
    return ""
