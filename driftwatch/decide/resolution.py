"""What a window could have shown, and what its reference stands for: said beside the decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.prediction import past_of
from driftwatch.decide.baseline.representativeness import represented
from driftwatch.decide.baseline.share_history import CONSERVATIVE, shares_seen
from driftwatch.decide.decision import Decision
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evalues.stream_index import StreamIndex, owner_of
from driftwatch.decide.evidence import design_effects
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.smallest_effect import smallest_effects, smallest_joint_effect
from driftwatch.decide.state import SegmentState
from driftwatch.results.results import Represented


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """``smallest_effect`` is the smallest move of a typical column's share that the window could page for.

    ``smallest_effects`` are those of each column; None is that not even all rows would do.
    ``smallest_joint_effect`` is by how many of its standard deviations every number would have to move.
    ``design_effect`` is the typical one, None while it is not measured.
    """

    smallest_effect: float | None
    smallest_effects: tuple[tuple[str, float | None], ...]
    smallest_joint_effect: float | None
    design_effect: float | None
    represented: tuple[Represented, ...]


def sight(before: SegmentState, said: Decision, seen: Measurement, policy: Policy) -> Resolution:
    """What the window could have shown on the track before it, and what the track after it represents."""
    held = said.held or past_of(before.scores, seen.slot, seen.rows).held
    effects, keys = design_effects(before, policy), before.shares.keys
    typical = keys.kept("typical effect", (effects,), lambda: _typical(effects))
    looks = seen.streams.looks
    owners = keys.kept("owners told", (looks,), lambda: len({owner_of((*look, "")) for look in looks})) or 1
    return Resolution(
        smallest_effect=smallest_effects([typical or CONSERVATIVE], seen, policy, owners)[0],
        smallest_effects=_by_column(before, effects, seen, policy, owners),
        smallest_joint_effect=smallest_joint_effect(before, seen, policy, held),
        design_effect=typical,
        represented=_represented(said.segment_state, seen) if seen.untimed else (),
    )


def _represented(segment_state: SegmentState, seen: Measurement) -> tuple[Represented, ...]:
    book = segment_state.shares.expecting(seen.streams)
    return represented(book, shares_seen(book, seen.streams))


def _typical(effects: Float64Array) -> float | None:
    known = effects[~np.isnan(effects)]
    return float(np.median(known)) if len(known) else None


def _by_column(
    segment_state: SegmentState, effects: Float64Array, seen: Measurement, policy: Policy, owners: int
) -> tuple[tuple[str, float | None], ...]:
    """Smallest move of each column's shares, by the largest design effect of its streams."""
    keys = segment_state.shares.keys
    largest = keys.kept("largest effects", (effects,), lambda: _largest(keys, effects))
    sizes = smallest_effects(list(largest.values()), seen, policy, owners)
    return tuple(zip(largest, sizes, strict=True))


def _largest(keys: StreamIndex, effects: Float64Array) -> dict[str, float]:
    largest: dict[str, float] = {}
    for (_, column, _), effect in zip(keys, effects.tolist(), strict=False):
        if column is not None:
            known = CONSERVATIVE if effect != effect else effect
            largest[column] = max(known, largest.get(column, 1.0))
    return largest
