"""Wasserstein-1 distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftwatch.detectors import _words
from driftwatch.detectors._beside import Beside
from driftwatch.detectors._common import Ordered
from driftwatch.detectors._sides import Before, Flags, Sides, apart
from driftwatch.detectors.base import AtOnce, Detector
from driftwatch.summary.batch import Float64Array
from driftwatch.summary.measured import Measured
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


class Wasserstein(AtOnce, Ordered):
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

    def measured(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Measured:
        """Distances, 0 or more, in each column's units (seconds for datetimes)."""
        beside = Beside.of(reference, window, columns)
        value = beside.sides.once(self.name, _values)[beside.row]
        finite = beside.sides.before.once("finite", _finite)[beside.row]
        endless = dict.fromkeys(np.flatnonzero(~finite).tolist(), "the reference has no finite value")
        return self.gauges(
            beside,
            value,
            effect=lambda k: _words.ordered(beside.pair(k), relative=float(value[k])),
            undefined=endless | beside.empty(),
        )


def _finite(before: Before) -> Flags:
    """Which columns have an edge that is finite."""
    found = [bool(np.isfinite(grid.edges).any()) for grid in before.grids]
    return np.array(found, dtype=np.bool_)


def _widths(edges: Float64Array) -> Float64Array:
    """How wide each gap between two edges is; 0 where that is not finite."""
    finite = np.isfinite(edges)
    with np.errstate(over="ignore", invalid="ignore"):
        between = np.diff(np.where(finite, edges, 0.0), axis=1)
    return np.where(finite[:, 1:] & finite[:, :-1], between, 0.0)


def _values(sides: Sides) -> Float64Array:
    n, m = sides.rows
    between = sides.once("apart", apart)[:, 1:-1] / (n * m)
    left, right, above = between[:, :-1:2], between[:, 1::2], between > 0
    sizes = np.abs(between)
    total = sizes[:, :-1:2] + sizes[:, 1::2]
    # Straight line from left to right: a triangle on each side of a crossing, else a trapezium.
    area = total / 2
    crossing = np.nonzero(above[:, :-1:2] != above[:, 1::2])
    here, there = left[crossing], right[crossing]
    area[crossing] = (here**2 + there**2) / (2 * total[crossing])
    widths = sides.before.once("widths", lambda _: _widths(sides.edges))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.einsum("ke,ke->k", area, widths))


DETECTOR: Detector = Wasserstein()
