"""Which columns did not change since the onset, and which may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftwatch.core.memo import Memo
from driftwatch.core.schema import Unwatched
from driftwatch.decide.decision import Decision
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.outcomes.move_limits import move_limits
from driftwatch.decide.segment_state import Incident
from driftwatch.decide.window_e_values import design_effects
from driftwatch.results.results import MoveLimit

#: Names of columns in a list of a verdict: bounds what is stored of a wide monitor.
MAX_NAMES = 200
#: The same of unwatched columns: metrics count them, and all data that is not nested has fewer.
MAX_UNWATCHED_NAMES = 2_000
#: Why nothing can be told of a column that is not suspended.
_UNTOLD = (Unwatched.VECTOR_DIRECTION, Unwatched.TOO_FEW_VALUES, Unwatched.UNDEFINED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMoves:
    """Field names are those of ``Verdict``."""

    unchanged: tuple[str, ...] = ()
    could_not_tell: tuple[str, ...] = ()
    move_limits: tuple[MoveLimit, ...] = ()


def column_moves(
    measurement: Measurement,
    decision: Decision,
    incidents: Sequence[Incident],
    policy: Policy,
    memo: Memo,
) -> ColumnMoves:
    """Sort the columns that no incident names by the upper limit of their move since its onset.

    Without an incident it is the move of this window, and nothing if it was not judged. A column without a
    value in this window is in neither list.
    """
    if decision.shares is None:
        return ColumnMoves()
    segment_state, outcomes = decision.segment_state, measurement.outcomes
    onset = incidents[-1].onset if incidents else measurement.window.start
    limits = move_limits(
        segment_state.shares,
        decision.shares,
        segment_state.recent_shares.since(onset, len(decision.shares.successes)),
        design_effects(segment_state, policy, memo),
    )
    skipped = {item.column for item in decision.named} | segment_state.incident_columns
    skipped |= {item.column for item in measurement.breakages} | outcomes.empty
    joint_columns = {name for item in decision.named for name in item.columns}
    untold = {item.column: item.reason for item in outcomes.unwatched if item.reason in _UNTOLD}
    candidates = outcomes.readable - untold.keys() - joint_columns
    unchanged_names = {
        name for name, limit in limits.items() if limit < policy.tolerance and name in candidates
    }
    columns = [name for name in limits if name not in skipped]
    unchanged = [name for name in columns if name in unchanged_names]
    could_not_tell = [name for name in columns if name not in unchanged_names]
    listed = [*unchanged[:MAX_NAMES], *could_not_tell[:MAX_NAMES]]
    return ColumnMoves(
        unchanged=tuple(unchanged[:MAX_NAMES]),
        could_not_tell=tuple(could_not_tell[:MAX_NAMES]),
        move_limits=tuple(
            MoveLimit(column=name, limit=limits[name])
            for name in listed
            if untold.get(name) is not Unwatched.VECTOR_DIRECTION
        ),
    )
