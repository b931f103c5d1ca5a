"""What the user promised and tolerates, as numbers the decision needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Healthy windows before a monitor stops calling itself calibrating.
BURN_IN = 10
#: Quiet windows before an incident resolves.
QUIET = 3
#: Share of the budget for the tolerance null; the rest is for the usual null, of scores.
TOLERANCE_SHARE = 0.5
#: Share of the budget for all columns together; the other scores have what is left.
COMBINED_BUDGET_SHARE = 0.1
#: Parts of what says where a column's values lie, beside one for each other: what moves, mostly moves there.
LOCATION_PARTS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``pages_per_second`` is this segment's slice of the budget; ``tolerance`` is a share of the rows.

    ``min_effect`` scales every score's floor (their own is stated at 0.02). ``design_effect`` is declared
    by the user or None. ``weights`` favour columns; ``groups`` maps a column to the group that is one
    incident with it.
    """

    monitor: str
    segment: str | None
    pages_per_second: float
    tolerance: float = 0.05
    min_effect: float = 0.02
    min_rows: int = 200
    burn_in: int = BURN_IN
    design_effect: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
