"""Attribution: which columns a page names, in which order, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.decide.combined_score import CombinedGauge
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import StreamEvidence, WindowEValues, evidence_by_owner
from driftwatch.results.results import NamedColumn, Statistic
from driftwatch.results.streams import joint_owner

#: Largest expected share of named columns that did not move (false discovery rate).
_FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerEvidence:
    """Evidence of one owner (a column or joint detector), with its strongest stream's detector and onset.

    ``log_e`` is the log of an e-value against "the owner did not move": the mean of its budget's growth since
    the last page and in this window.
    """

    owner: str
    log_m: float
    log_e: float
    detector: str
    onset: int


def named_columns(
    segment_state: SegmentState,
    measurement: Measurement,
    e_values: WindowEValues,
    weights: PerKind[Float64Array],
    active: PerKind[BoolArray],
) -> tuple[NamedColumn, ...]:
    start = measurement.window.start if segment_state.evidence_start is None else segment_state.evidence_start
    # A window judged late ends before others that were judged since the last page.
    end = max(measurement.window.end, segment_state.decided_until or measurement.window.end)
    windows = (end - start) / (measurement.window.end - measurement.window.start)
    return name_columns(
        owner_evidence(evidence_by_owner(segment_state, e_values, weights, active), windows),
        (*measurement.statistics, *measurement.combined_statistics),
        measurement.effect_order,
    )


def owner_evidence(parts: Mapping[str, Sequence[StreamEvidence]], windows: float) -> list[OwnerEvidence]:
    """Return the owners' evidence, strongest first; the last page was ``windows`` windows ago."""
    owners = []
    for owner, streams in parts.items():
        strongest = max(streams, key=lambda stream: stream.log_m)
        log_m = float(np.logaddexp.reduce([stream.log_m for stream in streams]))
        budget = float(np.logaddexp.reduce([stream.log_budget for stream in streams]))
        if not np.isfinite(budget):
            continue  # first measured in this window: it has no budget yet
        window_m = float(np.logaddexp.reduce([stream.log_window_m for stream in streams]))
        log_mean = log_m - budget - np.log(max(windows, 1.0))
        owners.append(
            OwnerEvidence(
                owner=owner,
                log_m=log_m,
                log_e=float(np.logaddexp(log_mean, window_m - budget) - np.log(2)),
                detector=strongest.detector,
                onset=strongest.onset,
            )
        )
    return sorted(owners, key=lambda item: -item.log_m)


def name_columns(
    ranked: Sequence[OwnerEvidence], statistics: Sequence[Statistic], effect_order: Sequence[str] = ()
) -> tuple[NamedColumn, ...]:
    """Return the columns that a page names: the strongest, and all that the e-BH procedure selects.

    False names: an expected share of at most ``_FALSE_DISCOVERY_RATE`` of them did not move, under any
    dependence (Wang, Ramdas 2022). The procedure selects the ``r`` largest of ``K`` e-values, with the
    largest ``r`` for which each is at least ``K / (r * _FALSE_DISCOVERY_RATE)``.
    """
    if not ranked:
        return ()
    sorted_log_e = sorted((item.log_e for item in ranked), reverse=True)
    thresholds = [float(np.log(len(ranked) / ((r + 1) * _FALSE_DISCOVERY_RATE))) for r in range(len(ranked))]
    met_thresholds = [limit for log_e, limit in zip(sorted_log_e, thresholds, strict=True) if log_e >= limit]
    threshold = met_thresholds[-1] if met_thresholds else np.inf
    total = float(np.logaddexp.reduce([item.log_m for item in ranked]))
    columns = {
        joint_owner(gauge.detector): gauge.columns for gauge in statistics if isinstance(gauge, CombinedGauge)
    }
    return tuple(
        NamedColumn(
            column=item.owner,
            detector=item.detector,
            share=float(np.exp(item.log_m - total)),
            effect=describe(item.owner, item.detector, statistics, effect_order),
            onset=item.onset,
            columns=columns.get(item.owner, ()),
        )
        for position, item in enumerate(ranked)
        if not position or item.log_e >= threshold
    )


def describe(
    name: str, detector: str, statistics: Sequence[Statistic], effect_order: Sequence[str] = ()
) -> str:
    """Return the effect text of a column's strongest detector, else of the first in ``effect_order``."""
    effects = {
        item.detector: item.effect
        for item in statistics
        if (joint_owner(item.detector) if item.column is None else item.column) == name
    }
    for candidate in (detector, *effect_order):
        if effects.get(candidate):
            return effects[candidate]
    return ""
