"""The outcome of comparing two samples: a frozen value that turns into JSON or a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from driftwatch.charts.bars import LevelBar, NumericBars
from driftwatch.core.schema import Column
from driftwatch.results.results import Statistic

if TYPE_CHECKING:
    import pandas as pd

#: Level at which a comparison counts as drift, over all p-values together.
ALPHA = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnComparison:
    """One column: its gauges, and the share of rows missing on both sides (None without rows).

    ``bars`` are both sides on the reference's cells, for drawing; None when there is nothing to draw.
    """

    column: Column
    missing_reference: float | None
    missing_current: float | None
    statistics: tuple[Statistic, ...]
    bars: NumericBars | list[LevelBar] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two samples held against each other.

    ``set_aside`` are the reference's columns that were not compared, each with a reason, ``only_current``
    columns that only the current sample has.
    """

    reference_rows: int
    current_rows: int
    columns: tuple[ColumnComparison, ...]
    joint: tuple[Statistic, ...] = ()
    set_aside: tuple[Column, ...] = ()
    only_current: tuple[str, ...] = ()

    def statistics(self) -> Iterator[Statistic]:
        """Every gauge, column by column, the joint ones last."""
        for column in self.columns:
            yield from column.statistics
        yield from self.joint

    def drifted(self, alpha: float = ALPHA) -> bool:
        """True when the smallest p-value, times their number (Bonferroni), is at most ``alpha``.

        Null hypothesis: both samples are independent draws of one distribution. For rows that depend
        on each other (sessions, bursts, seasons) it fires far too often: the daemon does not decide so.
        """
        p_values = [item.p_value for item in self.statistics() if item.p_value is not None]
        return bool(p_values) and min(p_values) * len(p_values) <= alpha

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON. What is undefined is None, never 0; ``missing`` are shares."""
        return {
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            "columns": [
                {
                    "column": item.column.name,
                    "kind": item.column.kind.value,
                    "missing": {"reference": item.missing_reference, "current": item.missing_current},
                    "detectors": {each.detector: _plain(each) for each in item.statistics},
                }
                for item in self.columns
            ],
            "joint": {each.detector: _plain(each) for each in self.joint},
            "set_aside": [
                {"column": item.name, "kind": item.kind.value, "reason": item.reason}
                for item in self.set_aside
            ],
            "only_current": list(self.only_current),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per column and detector; joint detectors have no column."""
        import pandas as pd

        kinds = {item.column.name: item.column.kind.value for item in self.columns}
        rows = [
            {"column": each.column, "kind": kinds.get(each.column or ""), "detector": each.detector}
            | _plain(each)
            for each in self.statistics()
        ]
        names = ["column", "kind", "detector", *_KEYS]
        return pd.DataFrame(rows, columns=names).astype({key: "float64" for key in _NUMBERS})


_NUMBERS = ("statistic", "p_value", "low", "high")
_KEYS = ("statistic", "p_value", "low", "high", "unit", "effect", "undefined")


def _plain(item: Statistic) -> dict[str, Any]:
    return {
        "statistic": item.value,
        "p_value": item.p_value,
        "low": item.low,
        "high": item.high,
        "unit": item.unit,
        "effect": item.effect or None,
        "undefined": item.undefined or None,
    }
