"""The page budget, tolerances and constants that decisions use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Healthy windows, of the reference or of production, that a monitor needs to leave the state *calibrating*.
BURN_IN_WINDOWS = 10
#: Consecutive quiet windows that resolve an incident.
QUIET_WINDOWS = 3
#: Share of the page budget for shares (tolerance null); scores (baseline null) get the rest.
TOLERANCE_BUDGET_SHARE = 0.5
#: Share of the page budget for the two scores over all columns together; single scores get what is left.
COMBINED_BUDGET_SHARE = 0.1
#: Budget of a location score or of a middle edge, in budgets of any other: most shifts are in the location.
LOCATION_BUDGET_WEIGHT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Page budget and tolerances of one monitor segment."""

    monitor: str
    segment: str | None
    #: Page budget of this segment.
    pages_per_second: float
    #: Tolerated change of a share of rows.
    tolerance: float = 0.05
    #: Factor of every score's effect floor, relative to the 0.02 that detectors assume.
    min_effect: float = 0.02
    min_rows: int = 200
    burn_in: int = BURN_IN_WINDOWS
    #: Judged production windows of a burn-in that the configuration asks for: until then no score bets.
    production_burn_in: int = 0
    #: Design effect declared by the user; None means that it is measured.
    design_effect: float | None = None
    #: Relative budgets of columns; 1 for those that are not listed.
    weights: Mapping[str, float] = field(default_factory=dict)
    #: The group of a column; the columns of a group form one incident.
    groups: Mapping[str, str] = field(default_factory=dict)
