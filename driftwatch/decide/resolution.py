"""Resolution: what effects a window could detect, and what its reference represents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.decide.baseline.prediction import baseline_for
from driftwatch.decide.baseline.representativeness import worst_represented
from driftwatch.decide.baseline.share_history import CONSERVATIVE_DESIGN_EFFECT, align_shares
from driftwatch.decide.decision import Decision
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evalues.stream_index import StreamIndex, owner_of
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.outcomes.burn_in import only_learns
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.smallest_effect import smallest_effects, smallest_joint_effect
from driftwatch.decide.window_e_values import design_effects
from driftwatch.results.results import Representativeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Minimum detectable effects of one window. Field names are those of ``Verdict``."""

    #: Smallest change of a typical column's share that the window could page for.
    smallest_effect: float | None
    #: (column, smallest change of a share); None means that no change is large enough.
    smallest_effects: tuple[tuple[str, float | None], ...]
    #: Smallest shift of all columns at once, in standard deviations.
    smallest_joint_effect: float | None
    #: Median over all share streams; None while none is measured.
    design_effect: float | None
    represented: tuple[Representativeness, ...]


def resolution_of(
    state_before: SegmentState,
    decision: Decision,
    measurement: Measurement,
    policy: Policy,
    memo: Memo = NO_MEMO,
) -> Resolution:
    """Compute effects from the state before the window, representativeness from the state after it."""
    fit = decision.fit or baseline_for(state_before.scores, measurement.slot, measurement.rows).fit
    effects, targets = design_effects(state_before, policy, memo), measurement.streams.targets
    typical = memo.last("typical effect", (effects,), lambda: _median(effects))
    owners = max(
        1, memo.last("owners", (targets,), lambda: len({owner_of((*target, "")) for target in targets}))
    )
    return Resolution(
        smallest_effect=smallest_effects(
            [typical or CONSERVATIVE_DESIGN_EFFECT], measurement, policy, owners
        )[0],
        smallest_effects=_by_column(state_before, effects, measurement, policy, owners, memo),
        smallest_joint_effect=None
        if only_learns(state_before, policy)
        else smallest_joint_effect(state_before, measurement, policy, fit),
        design_effect=typical,
        represented=_represented(decision.segment_state, measurement)
        if measurement.untimed_reference
        else (),
    )


def _represented(segment_state: SegmentState, measurement: Measurement) -> tuple[Representativeness, ...]:
    history = segment_state.shares.with_streams(measurement.streams)
    return worst_represented(history, align_shares(history, measurement.streams))


def _median(effects: Float64Array) -> float | None:
    measured_effects = effects[~np.isnan(effects)]
    return float(np.median(measured_effects)) if len(measured_effects) else None


def _by_column(
    segment_state: SegmentState,
    effects: Float64Array,
    measurement: Measurement,
    policy: Policy,
    owners: int,
    memo: Memo,
) -> tuple[tuple[str, float | None], ...]:
    keys = segment_state.shares.keys
    largest = memo.last("largest effects", (keys, effects), lambda: _largest(keys, effects))
    sizes = smallest_effects(list(largest.values()), measurement, policy, owners)
    return tuple(zip(largest, sizes, strict=True))


def _largest(keys: StreamIndex, effects: Float64Array) -> dict[str, float]:
    largest: dict[str, float] = {}
    for (_, column, _), effect in zip(keys, effects.tolist(), strict=False):
        if column is not None:
            used_effect = CONSERVATIVE_DESIGN_EFFECT if effect != effect else effect
            largest[column] = max(used_effect, largest.get(column, 1.0))
    return largest
