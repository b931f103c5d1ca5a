"""The gauges of one detector on many columns as arrays: objects and words are made of them when read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.results.results import Statistic

#: Why a gauge has no value whose detector does not say why.
_NO_NUMBER = "the detector gave no number"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauges:
    """Gauges on ``columns[k]`` as ``Statistic`` has them: NaN where there is none.

    ``effect(k)`` says what moved, in words; it holds what it was measured from. ``undefined`` has the reason
    of every column without a value.
    """

    detector: str
    unit: str
    columns: tuple[str | None, ...]
    value: Float64Array
    p_value: Float64Array
    low: Float64Array
    high: Float64Array
    n_reference: Int64Array
    n_window: Int64Array
    effect: Callable[[int], str]
    undefined: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, detector: str, unit: str, told: Sequence[Statistic]) -> Gauges:
        """Of gauges that were measured one by one."""

        def numbers(name: str) -> Float64Array:
            found = (getattr(item, name) for item in told)
            return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

        return cls(
            detector=detector,
            unit=unit,
            columns=tuple(item.column for item in told),
            **{name: numbers(name) for name in ("value", "p_value", "low", "high")},
            n_reference=np.array([item.n_reference for item in told], dtype=np.int64),
            n_window=np.array([item.n_window for item in told], dtype=np.int64),
            effect=[item.effect for item in told].__getitem__,
            undefined={k: item.undefined for k, item in enumerate(told) if item.undefined},
        )

    def __iter__(self) -> Iterator[Statistic]:
        parts = (self.value, self.p_value, self.low, self.high, self.n_reference, self.n_window)
        numbers = zip(self.columns, *(part.tolist() for part in parts), strict=True)
        for k, (column, value, p_value, low, high, before, after) in enumerate(numbers):
            known = value == value
            yield Statistic(
                detector=self.detector,
                column=column,
                value=value if known else None,
                unit=self.unit,
                p_value=p_value if p_value == p_value else None,
                low=low if low == low else None,
                high=high if high == high else None,
                effect=self.effect(k) if known else "",
                n_reference=before,
                n_window=after,
                undefined="" if known else self.undefined.get(k, _NO_NUMBER),
            )
