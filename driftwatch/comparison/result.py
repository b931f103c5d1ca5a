"""The outcome of a comparison, as JSON or a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from driftwatch.charts.bars import LevelBar, NumericBars
from driftwatch.core.schema import Column, TypeChange
from driftwatch.results.results import NewLevel, Statistic
from driftwatch.results.verdict_json import new_level_json, type_change_json

if TYPE_CHECKING:
    import pandas as pd

#: Level at which a comparison counts as drift, over all p-values together.
ALPHA = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnComparison:
    """The result for one compared column.

    Attributes
    ----------
    missing_reference, missing_current : float or None
        Shares of rows without a value, in [0, 1]; None if there are no rows.
    bars : NumericBars or list of LevelBar, optional
        Both samples on the reference's cells; None when there is nothing to draw.
    new_levels : tuple of NewLevel
        The largest levels that the reference never had, if they repeat.
    """

    column: Column
    missing_reference: float | None
    missing_current: float | None
    statistics: tuple[Statistic, ...]
    bars: NumericBars | Sequence[LevelBar] | None = field(default=None, compare=False, repr=False)
    new_levels: tuple[NewLevel, ...] = ()
    #: Detectors whose difference is within their tolerance or floor, and of which no p-value counts.
    within_minimum: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The outcome of comparing two samples.

    Attributes
    ----------
    joint : tuple of Statistic
        One per joint detector.
    set_aside : tuple of Column
        Columns of the reference not compared, with reasons.
    only_current : tuple of str
        Columns that only the current sample has.
    type_changes : tuple of TypeChange
        Compared columns whose values came in another type; equal values count as equal.
    """

    reference_rows: int
    current_rows: int
    columns: tuple[ColumnComparison, ...]
    joint: tuple[Statistic, ...] = ()
    set_aside: tuple[Column, ...] = ()
    only_current: tuple[str, ...] = ()
    type_changes: tuple[TypeChange, ...] = ()
    #: Joint detectors whose difference is within the minimum effect.
    within_minimum: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def statistics(self) -> Iterator[Statistic]:
        """Yield the statistics of all columns, joint ones last."""
        for column in self.columns:
            yield from column.statistics
        yield from self.joint

    def drifted(self, alpha: float = ALPHA) -> bool:
        """Whether a difference is significant and large enough to be worth knowing.

        Significant: the p-value times the number of all p-values (Bonferroni) is at most ``alpha``. Large
        enough: a share of the same detector is beyond its tolerance, or a score beyond its floor, as in a
        monitor with default settings.

        Parameters
        ----------
        alpha : float
            Family-wise error rate, in (0, 1).

        Returns
        -------
        bool
            False if there are no p-values.

        Notes
        -----
        Null hypothesis: both samples are independent draws of one distribution. Then the chance of True is
        at most ``alpha``, as far as the p-values are exact. For rows that depend on each other (sessions,
        bursts, seasons) it is far larger, so the daemon decides differently.

        Examples
        --------
        >>> Comparison(reference_rows=9, current_rows=9, columns=()).drifted()
        False
        """
        n_tests = sum(statistic.p_value is not None for statistic in self.statistics())
        relevant = [
            *(
                item
                for column in self.columns
                for item in column.statistics
                if item.detector not in column.within_minimum
            ),
            *(item for item in self.joint if item.detector not in self.within_minimum),
        ]
        return any(item.p_value is not None and item.p_value * n_tests <= alpha for item in relevant)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps``.

        Returns
        -------
        dict
            Undefined values are None, never 0; ``missing`` are shares in [0, 1].

        Examples
        --------
        >>> Comparison(reference_rows=9, current_rows=9, columns=()).to_json()["columns"]
        []
        """
        return {
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            "columns": [
                {
                    "column": item.column.name,
                    "kind": item.column.kind.value,
                    "missing": {"reference": item.missing_reference, "current": item.missing_current},
                    "detectors": {
                        statistic.detector: _statistic_to_json(statistic) for statistic in item.statistics
                    },
                    "new_levels": [new_level_json(level) for level in item.new_levels],
                }
                for item in self.columns
            ],
            "joint": {statistic.detector: _statistic_to_json(statistic) for statistic in self.joint},
            "set_aside": [_set_aside_to_json(item) for item in self.set_aside],
            "only_current": list(self.only_current),
            "type_changes": [type_change_json(item) for item in self.type_changes],
        }

    def to_frame(self) -> pd.DataFrame:
        """Tabulate the statistics.

        Returns
        -------
        pandas.DataFrame
            A row per column and detector; joint detectors have no column. Undefined numbers are NaN.

        Examples
        --------
        >>> Comparison(reference_rows=9, current_rows=9, columns=()).to_frame().shape
        (0, 10)
        """
        import pandas as pd

        kinds = {item.column.name: item.column.kind.value for item in self.columns}
        rows = [
            {
                "column": statistic.column,
                "kind": kinds.get(statistic.column or ""),
                "detector": statistic.detector,
            }
            | _statistic_to_json(statistic)
            for statistic in self.statistics()
        ]
        names = ["column", "kind", "detector", *_STATISTIC_COLUMNS]
        return pd.DataFrame(rows, columns=names).astype({key: "float64" for key in _FLOAT_COLUMNS})


_FLOAT_COLUMNS = ("statistic", "p_value", "low", "high")
_STATISTIC_COLUMNS = ("statistic", "p_value", "low", "high", "unit", "effect", "undefined")


def _set_aside_to_json(column: Column) -> dict[str, Any]:
    return {
        "column": column.name,
        "kind": column.kind.value,
        "reason": column.reason,
        "unwatched": column.unwatched and column.unwatched.value,
    }


def _statistic_to_json(statistic: Statistic) -> dict[str, Any]:
    return {
        "statistic": statistic.value,
        "p_value": statistic.p_value,
        "low": statistic.low,
        "high": statistic.high,
        "unit": statistic.unit,
        "effect": statistic.effect or None,
        "undefined": statistic.undefined or None,
    }
