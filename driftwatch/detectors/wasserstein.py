"""Wasserstein-1 distance."""

from __future__ import annotations

import numpy as np

from driftwatch.detectors import _cells, _words
from driftwatch.detectors._common import Ordered
from driftwatch.detectors._sides import Sides, apart
from driftwatch.detectors.base import Detector
from driftwatch.summary.reference import Reference
from driftwatch.summary.result import Statistic
from driftwatch.summary.summary import Summary


class Wasserstein(Ordered):
    """How far rows moved on average, in the column's own units.

    Null hypothesis: none is tested; the distance has no distribution-free p-value.
    Formula: ``W1 = integral |F_window - F_reference|``. Exact where all rows sit on edges; inside a gap
    both distribution functions are taken as straight lines; rows beyond the last edge are counted at that
    edge, which bounds the distance from below. The effect also gives it in interquartile ranges of
    the reference.
    Source: Vallender 1974.
    False alarms: no p-value and no stream, so it never pages. It is driven by outliers and grows with
    the unit; read it beside ``ks``.
    Cost: O(cells).
    """

    name = "wasserstein"
    unit = "units of the column"
    evidence = False

    def measure(self, reference: Reference, window: Summary, column: str | None) -> Statistic:
        """Distance, 0 or more, in the column's units (seconds for datetimes)."""
        both = _cells.pair(reference, window, column)
        if both.empty:
            return self.undefined(both, both.empty)
        if not np.isfinite(both.edges).any():
            return self.undefined(both, "the reference has no finite value")
        value = both.sides.once(self.name, _values)[both.row]
        return self.gauge(both, value, effect=_words.ordered(both, relative=value))


def _values(sides: Sides) -> list[float]:
    n, m = sides.rows
    between = sides.once("apart", apart) / (n * m)
    left, right = between[:, 1:-2:2], between[:, 2:-1:2]
    total = np.abs(left) + np.abs(right)
    # Straight line from left to right: a triangle on each side of a crossing, else a trapezium.
    crossing = (left > 0) != (right > 0)
    area = np.where(crossing, (left**2 + right**2) / np.where(total > 0, 2 * total, 1.0), total / 2)
    finite = np.isfinite(sides.edges)
    edges = np.where(finite, sides.edges, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        widths = np.where(finite[:, 1:] & finite[:, :-1], np.diff(edges, axis=1), 0.0)
        values: list[float] = np.einsum("ke,ke->k", area, widths).tolist()
    return values


DETECTOR: Detector = Wasserstein()
