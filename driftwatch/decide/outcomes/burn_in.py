"""The burn-in: windows in which what is usual is learned, and what pages all the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.decide.segment_state import SegmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnIn:
    """One window of the burn-in. Owners are columns and joint detectors."""

    #: Windows of the burn-in up to this one, and all of them.
    number: int
    of: int
    #: Of shares that page already.
    guarded: tuple[str, ...]
    #: Of scores that draw no evidence.
    learned: tuple[str, ...]
    learned_scores: int


def only_learns(segment_state: SegmentState, policy: Policy) -> bool:
    """Return whether the next judged window is of a burn-in that the configuration asks for."""
    return _production_windows(segment_state) < policy.production_burn_in


def has_learned(segment_state: SegmentState, policy: Policy) -> bool:
    return segment_state.healthy_windows >= policy.burn_in and not only_learns(segment_state, policy)


def burn_in_of(
    state_before: SegmentState,
    state_after: SegmentState,
    policy: Policy,
    present: PerKind[BoolArray],
    n_learned: Int64Array,
) -> BurnIn | None:
    """Return None after the burn-in.

    ``present`` are the streams of the window that nothing suspends, ``n_learned`` the healthy windows that
    each score had before it.
    """
    if only_learns(state_before, policy):
        n_windows, is_learned = policy.production_burn_in, present.scores
        number = min(_production_windows(state_after), n_windows)
    elif state_after.healthy_windows < policy.burn_in:
        # Healthy windows of the reference count, and the last one that is needed is judged with the others.
        n_windows, number = policy.burn_in - 1, state_after.healthy_windows
        is_learned = present.scores & (n_learned < MIN_HISTORY_WINDOWS)
    else:
        return None
    return BurnIn(
        number=number,
        of=n_windows,
        guarded=_owners(state_after.shares.keys, present.shares),
        learned=_owners(state_after.scores.keys, is_learned),
        learned_scores=int(is_learned.sum()),
    )


def _production_windows(segment_state: SegmentState) -> int:
    # States of 0.1.0 counted the reference's windows and production's as one.
    count = segment_state.production_windows
    return segment_state.healthy_windows if count is None else count


def _owners(keys: StreamIndex, flags: BoolArray) -> tuple[str, ...]:
    return tuple(keys.owners[position] for position in np.unique(keys.stream_owners[flags]).tolist())
