"""Predicts the rate of pages from a replayed history, with an exact confidence interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import chdtri

from driftwatch.core.settings import Budget
from driftwatch.results.page_json import page_named
from driftwatch.results.results import State, Verdict

#: Confidence level of the interval of the page rate.
CONFIDENCE_LEVEL = 0.95
#: Seconds of a quarter: 90 days.
QUARTER_SECONDS = 90 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The pages in ``seconds`` of replayed history, including those for true shifts."""

    #: Of the windows that had rows: a silence cannot page.
    seconds: float
    windows: int
    pages: int
    #: Pages of breakages, which the budget does not cover.
    broken: int
    #: False pages per quarter that the configuration allows.
    budget: float
    #: Windows of all rows together by state, without segments.
    states: Mapping[State, int]

    @property
    def quarters(self) -> float:
        return self.seconds / QUARTER_SECONDS

    @property
    def per_quarter(self) -> float | None:
        """Pages per 90 days; None for a history without windows."""
        return self.pages / self.quarters if self.seconds else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Exact two-sided confidence interval of pages per quarter; None for a history without windows.

        Model: pages are a homogeneous Poisson process. Formula: ``chi2(a/2; 2k) / 2`` to ``chi2(1 - a/2; 2k +
        2) / 2`` for ``k`` pages, over the number of quarters. Source: Garwood 1936. Coverage is at least
        ``CONFIDENCE_LEVEL`` under that model; pages that come in bursts vary more.
        """
        if not self.seconds:
            return None
        tail = (1 - CONFIDENCE_LEVEL) / 2
        low = float(chdtri(2 * self.pages, 1 - tail)) / 2 if self.pages else 0.0
        high = float(chdtri(2 * self.pages + 2, tail)) / 2
        return low / self.quarters, high / self.quarters

    def share(self, *states: State) -> float | None:
        """Return the share of windows in ``states``; None for a history without windows."""
        return sum(self.states.get(state, 0) for state in states) / self.windows if self.windows else None

    @property
    def could_not_look(self) -> float | None:
        return self.share(*(state for state in State if not state.has_data))

    def to_json(self) -> dict[str, Any]:
        low, high = self.interval or (None, None)
        return {
            "days": self.seconds / 86400,
            "windows": self.windows,
            "pages": self.pages,
            "broken_pages": self.broken,
            "per_quarter": {"pages": self.per_quarter, "low": low, "high": high, "level": CONFIDENCE_LEVEL},
            "budget_per_quarter": self.budget,
            "states": {str(state): self.share(state) for state in State},
            "could_not_look": self.could_not_look,
        }


def predict(verdicts: Sequence[Verdict], budget: Budget) -> Prediction:
    """Predict the page rate; pages of segments count too, because segments share the budget."""
    all_rows_verdicts = [verdict for verdict in verdicts if verdict.segment is None]
    return Prediction(
        seconds=sum(verdict.window.seconds for verdict in all_rows_verdicts if verdict.rows),
        windows=len(all_rows_verdicts),
        pages=sum(verdict.page for verdict in verdicts),
        broken=sum(verdict.page and not page_named(verdict) for verdict in verdicts),
        budget=budget.per_second() * QUARTER_SECONDS,
        states=dict(Counter(verdict.state for verdict in all_rows_verdicts)),
    )
