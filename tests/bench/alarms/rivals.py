"""Other rules on the same windows, as their tools ship them.

A rule gives each window a score and alarms when the score reaches its threshold; every alarming window
counts as a page, for nothing in these rules says that two alarms have one cause. The report also tunes
thresholds: the best that such a score could do if somebody knew every null world.

- ``always`` and ``never``.
- ``ks_bonferroni``: two-sample KS against the reference per numeric column, chi-square per category,
  textbook p-values, alarm when the smallest times the number of columns is below .05.
- ``psi``: PSI on the reference's deciles (levels for categories), empty bins 1e-4, alarm above .2 anywhere.
- ``mean_3sd``: NannyML's rule: KS and Jensen-Shannon of each chunk of the reference against all of it,
  thresholds mean + 3 standard deviations (ddof 0) of those, alarm when any column exceeds its own.
- ``mmd``: alibi-detect's MMDDrift: 200 rows of each side, standardised numeric columns, Gaussian kernel of
  the median distance, 100 permutations, alarm at p <= .05.
- ``mmd_value``: the same value in standard deviations of its permutations; not shipped by any tool, but
  tunable.
- ``adwin``: river's ADWIN (delta .002) on each numeric column, cut to the reference's 1 % .. 99 % and
  scaled to [0, 1], fed at most 100 rows a window after the reference's newest rows; alarm when any detects
  a change.
"""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import chdtrc, kolmogorov

from alarms.path import Monitor, Rows, size
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.summary.batch import Levels
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

ALPHA, PSI, DEVIATIONS, DELTA = 0.05, 0.2, 3.0, 0.002
EMPTY = 1e-4
ROWS, PERMUTATIONS, FED, FED_BLOCKS = 200, 100, 100, 28
#: Score at which each rule alarms as shipped: ``-log10(p * columns)``, PSI, deviations, ``1 - p``, detected.
SHIPPED = {
    "ks_bonferroni": -math.log10(ALPHA),
    "psi": PSI,
    "mean_3sd": DEVIATIONS,
    "mmd": 1 - ALPHA,
    "adwin": 1.0,
}
#: Scores whose thresholds are tuned.
TUNED = ("ks_bonferroni", "psi", "mean_3sd", "mmd_value")
Scores = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """What two-sample rules read off one column: KS distance (NaN: a category), log10 p, PSI, JS distance."""

    ks: float
    log_p: float
    psi: float
    js: float


def gauge(reference: Reference, window: Summary, column: str) -> Gauge | None:
    """One column's gauges from its counts; None where the window has no value."""
    before, after = reference.summary.counts[column].cells, window.counts[column].cells
    n, m = int(before.sum()), int(after.sum())
    if not n or not m:
        return None
    if not isinstance(reference.plan.grids[column], NumericGrid):
        return Gauge(
            ks=math.nan, log_p=_chi_square(before, after), psi=psi(before, after), js=js(before, after)
        )
    upto, now = before.cumsum(), after.cumsum()
    distance = float(np.abs(now / m - upto / n).max())
    ends = np.unique(np.searchsorted(upto, -(-n * np.arange(1, 10) // 10)))
    ends = np.append(ends[upto[ends] < n], len(upto) - 1)
    bins = np.diff(upto[ends], prepend=0), np.diff(now[ends], prepend=0)
    far = distance * math.sqrt(n * m / (n + m))
    return Gauge(ks=distance, log_p=_log10_kolmogorov(far), psi=psi(*bins), js=js(*bins))


def _log10_kolmogorov(far: float) -> float:
    """Log of Kolmogorov's law; of its first term where the second is less than a double can tell.

    >>> round(_log10_kolmogorov(1.0), 4), round(_log10_kolmogorov(40.0))
    (-0.5686, -1389)
    """
    return math.log10(kolmogorov(far)) if far < 4 else (math.log(2) - 2 * far**2) / math.log(10)


def _chi_square(before: Int64Array, after: Int64Array) -> float:
    kept = before + after > 0
    table = np.stack([before[kept], after[kept]]).astype(np.float64)
    if table.shape[1] < 2:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    value = float(((table - expected) ** 2 / expected).sum())
    return _log10_chi_square(table.shape[1] - 1, value)


def _log10_chi_square(degrees: int, value: float) -> float:
    """Log of the upper tail of chi-square, however far out.

    >>> round(_log10_chi_square(2, 20.0), 4), round(_log10_chi_square(2, 20_000.0), 2)
    (-4.3429, -4342.94)
    """
    p = float(chdtrc(degrees, value))
    if p > 1e-280:
        return math.log10(p)
    # Legendre's asymptotic series of the incomplete gamma function.
    half, far = degrees / 2, value / 2
    total = term = 1.0
    for k in range(1, 50):
        term *= (half - k) / far
        total += term
    return (-far + (half - 1) * math.log(far) - math.lgamma(half) + math.log(total)) / math.log(10)


def psi(before: Int64Array, after: Int64Array) -> float:
    """Population stability index of two histograms, empty bins counted as 1e-4.

    >>> round(psi(np.array([50, 50]), np.array([80, 20])), 4)
    0.4159
    """
    p, q = np.maximum(before / before.sum(), EMPTY), np.maximum(after / after.sum(), EMPTY)
    return float((q - p) @ np.log(q / p))


def js(before: Int64Array, after: Int64Array) -> float:
    """Jensen-Shannon distance of two histograms, base 2.

    >>> js(np.array([1, 0]), np.array([0, 1]))
    1.0
    """
    p, q = before / before.sum(), after / after.sum()
    middle = (p + q) / 2
    divergence = sum(float((x[x > 0] * np.log2(x[x > 0] / middle[x > 0])).sum()) / 2 for x in (p, q))
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def mmd(reference: Float64Array, window: Float64Array, rng: np.random.Generator) -> tuple[float, float]:
    """Biased squared MMD of two samples in standard deviations of its permutations, and its p-value."""
    rows = np.concatenate([reference, window]).astype(np.float32)
    squares = (rows**2).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, np.float32(0))
    width = float(np.median(distance[: len(reference), len(reference) :]))
    kernel = np.exp(-distance / np.float32(max(width, 1e-12)))
    first = np.arange(len(rows)) < len(reference)
    sides = np.concatenate([first[None], rng.permuted(np.tile(first, (PERMUTATIONS, 1)), axis=1)])
    weights = np.where(sides, np.float32(1 / len(reference)), np.float32(-1 / len(window)))
    value = np.einsum("ij,ij->i", weights @ kernel, weights).astype(np.float64)
    null = value[1:]
    return float((value[0] - null.mean()) / max(float(null.std()), 1e-12)), float((null >= value[0]).mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Every rule, as it stands after the windows so far. ``watching`` are ADWIN's detectors per column."""

    reference: Reference
    centre: Mapping[str, Gauge]
    spread: Mapping[str, Gauge]
    rows: Float64Array
    shift: Float64Array
    scale: Float64Array
    low: Float64Array
    high: Float64Array
    watching: Mapping[str, Any]

    @classmethod
    def learn(cls, monitor: Monitor, parts: list[Rows], rng: np.random.Generator) -> Panel:
        """Thresholds from the reference's windows ``parts``."""
        reference = monitor.reference
        told = [gauges(reference, block) for block in monitor.blocks]
        centre, spread = {}, {}
        for column in reference.plan.columns:
            own = [item for one in told if (item := one.get(column.name)) is not None]
            values = np.array([[item.ks, item.log_p, item.psi, item.js] for item in own])
            centre[column.name], spread[column.name] = _gauge(values.mean(axis=0)), _gauge(values.std(axis=0))
        rows = np.concatenate([_matrix(part, rng) for part in parts])
        low, high = (
            np.nanquantile(rows, [0.01, 0.99], axis=0) if rows.shape[1] else (np.empty(0), np.empty(0))
        )
        shift, scale = np.nanmean(rows, axis=0), np.maximum(np.nanstd(rows, axis=0), 1e-12)
        chosen = rows[rng.permutation(len(rows))[:ROWS]]
        panel = cls(
            reference=reference, centre=centre, spread=spread, rows=_scaled(chosen, shift, scale),
            shift=shift, scale=scale, low=low, high=high, watching=_adwins(parts[0]),
        )  # fmt: skip
        for part in parts[-FED_BLOCKS:]:
            panel.feed(part, rng)
        return panel

    def fork(self) -> Panel:
        """A panel whose detectors can be fed on their own."""
        return replace(self, watching=copy.deepcopy(self.watching))

    def feed(self, rows: Rows, rng: np.random.Generator) -> bool:
        """Show ADWIN a window's rows; True when it detects a change in any column."""
        changed = False
        picked = np.sort(rng.permutation(size(rows))[:FED])
        for place, name in enumerate(_numeric(rows)):
            watcher = self.watching.get(name)
            if watcher is None:
                continue
            width = max(float(self.high[place] - self.low[place]), 1e-12)
            values = np.clip((_column(rows, name)[picked] - self.low[place]) / width, 0.0, 1.0)
            for value in values[~np.isnan(values)].tolist():
                watcher.update(value)
                changed = changed or watcher.drift_detected
        return changed

    def scores(self, rows: Rows, told: Mapping[str, Gauge], rng: np.random.Generator) -> Scores:
        """The score of every rule in one window, ``told`` being its gauges; ADWIN is fed."""
        matrix, found = _matrix(rows, rng), Scores()
        if self.watching:
            found["adwin"] = float(self.feed(rows, rng))
        if told:
            found["ks_bonferroni"] = -min(item.log_p for item in told.values()) - math.log10(len(told))
            found["psi"] = max(item.psi for item in told.values())
            found["mean_3sd"] = max(self._deviations(name, item) for name, item in told.items())
        if matrix.shape[1] and len(matrix) > 1:
            value, p = mmd(self.rows, _scaled(matrix, self.shift, self.scale), rng)
            found["mmd"], found["mmd_value"] = 1 - p, value
        return found

    def _deviations(self, name: str, item: Gauge) -> float:
        centre, spread = self.centre[name], self.spread[name]
        found = [
            (value - mean) / max(deviation, 1e-12)
            for value, mean, deviation in ((item.ks, centre.ks, spread.ks), (item.js, centre.js, spread.js))
            if not math.isnan(value)
        ]
        return max(found)


def gauges(
    reference: Reference,
    window: Summary,
    known: Mapping[str, Gauge] | None = None,
    moved: set[str] | None = None,
) -> dict[str, Gauge]:
    """Every column's gauges; those not ``moved`` are taken from ``known``."""
    found = {}
    for column in reference.plan.columns:
        name = column.name
        old = known is not None and moved is not None and name not in moved
        item = known.get(name) if old and known is not None else gauge(reference, window, name)
        if item is not None:
            found[name] = item
    return found


def _gauge(values: Float64Array) -> Gauge:
    ks, log_p, index, distance = map(float, values)
    return Gauge(ks=ks, log_p=log_p, psi=index, js=distance)


def _numeric(rows: Rows) -> list[str]:
    return [name for name, values in rows.items() if not isinstance(values, Levels)]


def _column(rows: Rows, name: str) -> Float64Array:
    values = rows[name]
    assert not isinstance(values, Levels)
    return values


def _matrix(rows: Rows, rng: np.random.Generator) -> Float64Array:
    """Some rows of the numeric columns."""
    names, picked = _numeric(rows), np.sort(rng.permutation(size(rows))[:ROWS])
    return np.stack([_column(rows, name)[picked] for name in names], axis=1) if names else np.empty((0, 0))


def _scaled(rows: Float64Array, shift: Float64Array, scale: Float64Array) -> Float64Array:
    return np.nan_to_num((rows - shift) / scale)


def _adwins(rows: Rows) -> dict[str, Any]:
    """ADWIN per numeric column; nothing where river is not installed."""
    try:
        drift = importlib.import_module("river.drift")
    except ImportError:
        return {}
    return {name: drift.ADWIN(delta=DELTA) for name in _numeric(rows)}
