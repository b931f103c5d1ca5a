"""What a replayed history says of the pages to come: how many, how surely, and when it could not tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import chdtri

from driftwatch.core.settings import Budget
from driftwatch.results.results import State, Verdict

#: Level of the interval of the rate of pages.
LEVEL = 0.95
#: Seconds of a quarter: 90 days.
QUARTER = 90 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Pages of a history over ``seconds`` of wall-clock time, and how its ``windows`` were judged.

    ``pages`` count whatever made them, true shifts included; ``broken`` of them were breakages, which the
    budget does not cover. ``budget`` is the false pages per quarter that the configuration allows.
    ``states`` counts the windows of all rows together by state; segments are not among them.
    """

    seconds: float
    windows: int
    pages: int
    broken: int
    budget: float
    states: dict[State, int]

    @property
    def quarters(self) -> float:
        """Length of the history in quarters of 90 days."""
        return self.seconds / QUARTER

    @property
    def per_quarter(self) -> float | None:
        """Pages per quarter; None for a history of no windows."""
        return self.pages / self.quarters if self.seconds else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Exact two-sided interval of the rate per quarter at ``LEVEL``; None for a history of no windows.

        Model: pages come as a Poisson process, one at a time at an even rate. Formula: from
        ``chi2(a/2; 2k) / 2`` to ``chi2(1 - a/2; 2k + 2) / 2`` of ``k`` pages, over the quarters seen. Source:
        Garwood 1936. It covers at least ``LEVEL`` under that model; of pages that come in bursts it knows
        less than it says.
        """
        if not self.seconds:
            return None
        tail = (1 - LEVEL) / 2
        low = float(chdtri(2 * self.pages, 1 - tail)) / 2 if self.pages else 0.0
        high = float(chdtri(2 * self.pages + 2, tail)) / 2
        return low / self.quarters, high / self.quarters

    def share(self, *states: State) -> float | None:
        """Share of the windows in any of these states; None for a history of no windows."""
        return sum(self.states.get(state, 0) for state in states) / self.windows if self.windows else None

    @property
    def could_not_look(self) -> float | None:
        """Share of the windows that could not be looked at."""
        return self.share(*(state for state in State if not state.looked))

    def to_json(self) -> dict[str, Any]:
        """The object ``prediction`` of ``backtest --format json``."""
        low, high = self.interval or (None, None)
        return {
            "days": self.seconds / 86400,
            "windows": self.windows,
            "pages": self.pages,
            "broken_pages": self.broken,
            "per_quarter": {"pages": self.per_quarter, "low": low, "high": high, "level": LEVEL},
            "budget_per_quarter": self.budget,
            "states": {str(state): self.share(state) for state in State},
            "could_not_look": self.could_not_look,
        }


def predict(verdicts: Sequence[Verdict], budget: Budget) -> Prediction:
    """What the verdicts of one monitor's history come to; segments' pages count, for the budget is shared."""
    whole = [verdict for verdict in verdicts if verdict.segment is None]
    return Prediction(
        seconds=sum(verdict.window.seconds for verdict in whole),
        windows=len(whole),
        pages=sum(verdict.page for verdict in verdicts),
        broken=sum(verdict.page and not verdict.named for verdict in verdicts),
        budget=budget.per_second() * QUARTER,
        states=dict(Counter(verdict.state for verdict in whole)),
    )
