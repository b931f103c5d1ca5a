"""Evidence window by window, as drawings on pages, in files and in terminals take it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from driftwatch.results.results import State, Verdict

#: (window end, evidence or None, state, page).
Place = tuple[int, float | None, str, bool]
#: Oldest first.
Trail = Sequence[Place]

#: Which of the windows that share a place gives it its colour: the first of these that is among them.
_TELLING = (State.BROKEN, State.DRIFTING, *(state for state in State if not state.looked))


def shortened(verdicts: Sequence[Verdict], most: int) -> Trail:
    """At most ``most`` places for all windows: each with its highest evidence, any page, its worst state."""
    places = min(len(verdicts), most)
    cuts = [len(verdicts) * place // places for place in range(places + 1)] if places else [0]
    trail = []
    for first, last in pairwise(cuts):
        group = verdicts[first:last]
        known = [item.evidence for item in group if item.evidence is not None]
        states = {item.state for item in group}
        state = next((item for item in _TELLING if item in states), group[-1].state)
        page = any(item.page for item in group)
        trail.append((group[-1].window.end, max(known) if known else None, str(state), page))
    return trail
