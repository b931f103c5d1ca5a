"""Gauges of one detector as arrays; iteration yields ``Statistic`` objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.results.results import Statistic

#: ``Statistic.undefined`` of a value that is NaN without a reason from the detector.
_NO_NUMBER = "the detector gave no number"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauges:
    """``Statistic`` fields as arrays with one entry per column, NaN where undefined."""

    detector: str
    unit: str
    columns: tuple[str | None, ...]
    value: Float64Array
    p_value: Float64Array
    low: Float64Array
    high: Float64Array
    n_reference: Int64Array
    n_window: Int64Array
    #: Returns the effect text of column k; it keeps the measured counts in memory.
    effect: Callable[[int], str]
    #: Reason why column k has no value, by k.
    undefined: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def from_statistics(cls, detector: str, unit: str, statistics: Sequence[Statistic]) -> Gauges:
        def numbers(name: str) -> Float64Array:
            values = (getattr(item, name) for item in statistics)
            return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

        return cls(
            detector=detector,
            unit=unit,
            columns=tuple(item.column for item in statistics),
            **{name: numbers(name) for name in ("value", "p_value", "low", "high")},
            n_reference=np.array([item.n_reference for item in statistics], dtype=np.int64),
            n_window=np.array([item.n_window for item in statistics], dtype=np.int64),
            effect=[item.effect for item in statistics].__getitem__,
            undefined={k: item.undefined for k, item in enumerate(statistics) if item.undefined},
        )

    def __iter__(self) -> Iterator[Statistic]:
        arrays = (self.value, self.p_value, self.low, self.high, self.n_reference, self.n_window)
        gauge_rows = zip(self.columns, *(array.tolist() for array in arrays), strict=True)
        for k, (column, value, p_value, low, high, n_reference, n_window) in enumerate(gauge_rows):
            is_defined = value == value
            yield Statistic(
                detector=self.detector,
                column=column,
                value=value if is_defined else None,
                unit=self.unit,
                p_value=p_value if p_value == p_value else None,
                low=low if low == low else None,
                high=high if high == high else None,
                effect=self.effect(k) if is_defined else "",
                n_reference=n_reference,
                n_window=n_window,
                undefined="" if is_defined else self.undefined.get(k, _NO_NUMBER),
            )
