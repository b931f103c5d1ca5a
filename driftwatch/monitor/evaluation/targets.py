"""What a monitor measures, and by which rules it decides, from its configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.evalues.policy import BURN_IN_WINDOWS, Policy
from driftwatch.detectors.base import JointDetector, Target, default_detectors, get
from driftwatch.engines.base import Capability, EngineConfig
from driftwatch.errors import ConfigError
from driftwatch.summary.reference import Reference

#: Share of the page budget for all rows together when a monitor is split into segments.
_ALL_ROWS_BUDGET_SHARE = 0.5


def select_targets(
    reference: Reference, names: Sequence[str] | None, engine: EngineConfig | None = None
) -> tuple[Target, ...]:
    """Return every (detector, column) to measure; ``names`` None selects all default detectors.

    Raises ``ConfigError`` when none yields evidence with this engine, because every window would be ``ok``.
    """
    detectors = default_detectors() if names is None else [get(name) for name in names]
    targets: list[Target] = []
    for detector in detectors:
        if isinstance(detector, JointDetector):
            if detector.applies(reference):
                targets.append((detector, None))
            continue
        targets += [
            (detector, column.name)
            for column in reference.plan.columns
            if column.role.watched and detector.applies(column, reference)
        ]
    names_text = ", ".join(item.name for item in detectors)
    has_sample = engine is None or Capability.ROW_SAMPLE in engine.capabilities
    if not has_sample and all(not detector.evidence or detector.sums for detector, _ in targets):
        raise ConfigError(
            f"monitor {reference.monitor!r}: detectors: expected one that can page without a row "
            f"sample, which this engine does not keep. Got {names_text}. Leave detectors out for all that "
            "fit, or add missing."
        )
    if not any(detector.evidence for detector, _ in targets):
        kinds = sorted({str(column.kind.value) for column in reference.plan.columns if column.role.watched})
        raise ConfigError(
            f"monitor {reference.monitor!r}: detectors: expected one that can page and fits a watched column "
            f"({', '.join(kinds)}). Got {names_text}. Leave detectors out "
            "for all that fit, or add missing."
        )
    return tuple(targets)


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
    return Policy(
        monitor=config.name,
        segment=segment,
        pages_per_second=config.alarm.false_pages.per_second() * budget_share,
        tolerance=config.effective_tolerance,
        min_effect=config.effective_min_effect,
        min_rows=config.window.min_rows,
        burn_in=BURN_IN_WINDOWS if config.burn_in is None else 0,
        production_burn_in=math.ceil((config.burn_in or 0) / config.window.length),
        design_effect=config.alarm.design_effect,
        weights=config.weights,
        groups={column: group for group, columns in config.groups.items() for column in columns},
    )
