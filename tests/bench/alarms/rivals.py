"""Rules of other tools on the same windows, as the tools ship them.

A rule gives each window a score and alarms when the score reaches its threshold. Every alarming window counts
as a page, because these rules have no incidents. The report also tunes thresholds: the best that such a score
can do if every null world is known.

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
EMPTY_SHARE = 1e-4
ROWS, PERMUTATIONS, MAX_FED_ROWS, FED_BLOCKS = 200, 100, 100, 28
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
    """Two-sample statistics of one column: KS distance (NaN: a category), log10 p, PSI, JS distance."""

    ks: float
    log_p: float
    psi: float
    js: float


def gauge(reference: Reference, window: Summary, column: str) -> Gauge | None:
    """One column's gauges from its counts; None where the window has no value."""
    reference_counts, window_counts = reference.summary.counts[column].cells, window.counts[column].cells
    n, m = int(reference_counts.sum()), int(window_counts.sum())
    if not n or not m:
        return None
    if not isinstance(reference.plan.grids[column], NumericGrid):
        return Gauge(
            ks=math.nan,
            log_p=_chi_square(reference_counts, window_counts),
            psi=psi(reference_counts, window_counts),
            js=js(reference_counts, window_counts),
        )
    reference_cumulative, window_cumulative = reference_counts.cumsum(), window_counts.cumsum()
    distance = float(np.abs(window_cumulative / m - reference_cumulative / n).max())
    ends = np.unique(np.searchsorted(reference_cumulative, -(-n * np.arange(1, 10) // 10)))
    ends = np.append(ends[reference_cumulative[ends] < n], len(reference_cumulative) - 1)
    bins = np.diff(reference_cumulative[ends], prepend=0), np.diff(window_cumulative[ends], prepend=0)
    statistic = distance * math.sqrt(n * m / (n + m))
    return Gauge(ks=distance, log_p=_log10_kolmogorov(statistic), psi=psi(*bins), js=js(*bins))


def _log10_kolmogorov(statistic: float) -> float:
    """Log10 of the Kolmogorov survival function; its first term where the second is below double precision.

    >>> round(_log10_kolmogorov(1.0), 4), round(_log10_kolmogorov(40.0))
    (-0.5686, -1389)
    """
    return (
        math.log10(kolmogorov(statistic))
        if statistic < 4
        else (math.log(2) - 2 * statistic**2) / math.log(10)
    )


def _chi_square(reference_counts: Int64Array, window_counts: Int64Array) -> float:
    is_present = reference_counts + window_counts > 0
    table = np.stack([reference_counts[is_present], window_counts[is_present]]).astype(np.float64)
    if table.shape[1] < 2:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    value = float(((table - expected) ** 2 / expected).sum())
    return _log10_chi_square(table.shape[1] - 1, value)


def _log10_chi_square(degrees: int, value: float) -> float:
    """Log10 of the upper tail of chi-square, also where it underflows.

    >>> round(_log10_chi_square(2, 20.0), 4), round(_log10_chi_square(2, 20_000.0), 2)
    (-4.3429, -4342.94)
    """
    p = float(chdtrc(degrees, value))
    if p > 1e-280:
        return math.log10(p)
    # Legendre's asymptotic series of the incomplete gamma function.
    half_degrees, half_value = degrees / 2, value / 2
    total = term = 1.0
    for k in range(1, 50):
        term *= (half_degrees - k) / half_value
        total += term
    return (
        -half_value + (half_degrees - 1) * math.log(half_value) - math.lgamma(half_degrees) + math.log(total)
    ) / math.log(10)


def psi(reference_counts: Int64Array, window_counts: Int64Array) -> float:
    """Population stability index of two histograms, empty bins counted as 1e-4.

    >>> round(psi(np.array([50, 50]), np.array([80, 20])), 4)
    0.4159
    """
    p, q = (
        np.maximum(reference_counts / reference_counts.sum(), EMPTY_SHARE),
        np.maximum(window_counts / window_counts.sum(), EMPTY_SHARE),
    )
    return float((q - p) @ np.log(q / p))


def js(reference_counts: Int64Array, window_counts: Int64Array) -> float:
    """Jensen-Shannon distance of two histograms, base 2.

    >>> js(np.array([1, 0]), np.array([0, 1]))
    1.0
    """
    p, q = reference_counts / reference_counts.sum(), window_counts / window_counts.sum()
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
    """The state of every rule after the windows so far. ``adwins`` are ADWIN's detectors by column."""

    reference: Reference
    centre: Mapping[str, Gauge]
    deviation: Mapping[str, Gauge]
    rows: Float64Array
    shift: Float64Array
    scale: Float64Array
    low: Float64Array
    high: Float64Array
    adwins: Mapping[str, Any]

    @classmethod
    def learn(cls, monitor: Monitor, parts: list[Rows], rng: np.random.Generator) -> Panel:
        """Thresholds from the reference's windows ``parts``."""
        reference = monitor.reference
        block_gauges = [gauges(reference, block) for block in monitor.blocks]
        centre, deviation = {}, {}
        for column in reference.plan.columns:
            column_gauges = [
                item for window_gauges in block_gauges if (item := window_gauges.get(column.name)) is not None
            ]
            values = np.array([[item.ks, item.log_p, item.psi, item.js] for item in column_gauges])
            centre[column.name], deviation[column.name] = (
                _gauge(values.mean(axis=0)),
                _gauge(values.std(axis=0)),
            )
        rows = np.concatenate([_matrix(part, rng) for part in parts])
        low, high = (
            np.nanquantile(rows, [0.01, 0.99], axis=0) if rows.shape[1] else (np.empty(0), np.empty(0))
        )
        shift, scale = np.nanmean(rows, axis=0), np.maximum(np.nanstd(rows, axis=0), 1e-12)
        sample = rows[rng.permutation(len(rows))[:ROWS]]
        panel = cls(
            reference=reference, centre=centre, deviation=deviation, rows=_standardise(sample, shift, scale),
            shift=shift, scale=scale, low=low, high=high, adwins=_adwins(parts[0]),
        )  # fmt: skip
        for part in parts[-FED_BLOCKS:]:
            panel.feed(part, rng)
        return panel

    def fork(self) -> Panel:
        """A copy whose detectors can be fed independently."""
        return replace(self, adwins=copy.deepcopy(self.adwins))

    def feed(self, rows: Rows, rng: np.random.Generator) -> bool:
        """Feed ADWIN a window's rows; True when it detects a change in any column."""
        has_changed = False
        positions = np.sort(rng.permutation(size(rows))[:MAX_FED_ROWS])
        for place, name in enumerate(_numeric(rows)):
            adwin = self.adwins.get(name)
            if adwin is None:
                continue
            width = max(float(self.high[place] - self.low[place]), 1e-12)
            values = np.clip((_column(rows, name)[positions] - self.low[place]) / width, 0.0, 1.0)
            for value in values[~np.isnan(values)].tolist():
                adwin.update(value)
                has_changed = has_changed or adwin.drift_detected
        return has_changed

    def scores(self, rows: Rows, column_gauges: Mapping[str, Gauge], rng: np.random.Generator) -> Scores:
        """The score of every rule in one window with gauges ``column_gauges``; feeds ADWIN."""
        matrix, rule_scores = _matrix(rows, rng), Scores()
        if self.adwins:
            rule_scores["adwin"] = float(self.feed(rows, rng))
        if column_gauges:
            rule_scores["ks_bonferroni"] = -min(item.log_p for item in column_gauges.values()) - math.log10(
                len(column_gauges)
            )
            rule_scores["psi"] = max(item.psi for item in column_gauges.values())
            rule_scores["mean_3sd"] = max(
                self._deviations(name, item) for name, item in column_gauges.items()
            )
        if matrix.shape[1] and len(matrix) > 1:
            value, p = mmd(self.rows, _standardise(matrix, self.shift, self.scale), rng)
            rule_scores["mmd"], rule_scores["mmd_value"] = 1 - p, value
        return rule_scores

    def _deviations(self, name: str, item: Gauge) -> float:
        centre, deviations = self.centre[name], self.deviation[name]
        ratios = [
            (value - mean) / max(deviation, 1e-12)
            for value, mean, deviation in (
                (item.ks, centre.ks, deviations.ks),
                (item.js, centre.js, deviations.js),
            )
            if not math.isnan(value)
        ]
        return max(ratios)


def gauges(
    reference: Reference,
    window: Summary,
    base_gauges: Mapping[str, Gauge] | None = None,
    moved_columns: set[str] | None = None,
) -> dict[str, Gauge]:
    """Every column's gauges; those not ``moved_columns`` are taken from ``base_gauges``."""
    window_gauges = {}
    for column in reference.plan.columns:
        name = column.name
        is_unchanged = base_gauges is not None and moved_columns is not None and name not in moved_columns
        item = (
            base_gauges.get(name)
            if is_unchanged and base_gauges is not None
            else gauge(reference, window, name)
        )
        if item is not None:
            window_gauges[name] = item
    return window_gauges


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
    """At most ``ROWS`` random rows of the numeric columns."""
    names, positions = _numeric(rows), np.sort(rng.permutation(size(rows))[:ROWS])
    return np.stack([_column(rows, name)[positions] for name in names], axis=1) if names else np.empty((0, 0))


def _standardise(rows: Float64Array, shift: Float64Array, scale: Float64Array) -> Float64Array:
    return np.nan_to_num((rows - shift) / scale)


def _adwins(rows: Rows) -> dict[str, Any]:
    """ADWIN by numeric column; empty where river is not installed."""
    try:
        drift = importlib.import_module("river.drift")
    except ImportError:
        return {}
    return {name: drift.ADWIN(delta=DELTA) for name in _numeric(rows)}
