"""Evidence by window, in the form that charts draw."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from driftwatch.results.results import State, Verdict

#: (window end, evidence or None, state, page).
TrailPoint = tuple[int, float | None, str, bool]
#: Oldest first.
Trail = Sequence[TrailPoint]

#: A point of several windows has the first of these states that any of its windows has.
_STATE_PRECEDENCE = (State.BROKEN, State.DRIFTING, *(state for state in State if not state.has_data))


def downsample(verdicts: Sequence[Verdict], max_points: int) -> Trail:
    """Merge windows into at most ``max_points``, with their highest evidence, worst state and any page."""
    n_points = min(len(verdicts), max_points)
    cuts = [len(verdicts) * point // n_points for point in range(n_points + 1)] if n_points else [0]
    trail = []
    for first, last in pairwise(cuts):
        group = verdicts[first:last]
        evidence_values = [item.evidence for item in group if item.evidence is not None]
        states = {item.state for item in group}
        state = next((item for item in _STATE_PRECEDENCE if item in states), group[-1].state)
        page = any(item.page for item in group)
        trail.append(
            (group[-1].window.end, max(evidence_values) if evidence_values else None, str(state), page)
        )
    return trail
