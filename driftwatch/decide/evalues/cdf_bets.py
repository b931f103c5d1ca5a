"""E-values of ordered shares: they test for a shift of the whole distribution.

The labels of an ordered stream (``Shares.ordered``) are values of a cumulative distribution function (CDF) at
rising edges. One edge shows only part of a shift, so the middle edge tests the whole CDF. Its alternative
``q`` is the reference, shifted on the scale of normal quantiles until the middle share reaches that edge's
alternative. Null hypothesis: all distributions whose shares are within the tolerance at every edge.

``e = prod over rows of q(cell)/p(cell)``, with ``p`` the reverse information projection of ``q`` onto this
convex null, so ``E[e] <= 1`` under all of it (Gruenwald, de Heide, Koolen 2024). ``p/q`` is the isotonic
regression of tolerated mass on mass under ``q``, cell by cell between edges (Barlow, Bartholomew, Bremner,
Brunk 1972), by the max-min formula. The exponent ``1/b`` keeps that for rows in groups of up to ``b``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.evalues.e_values import alternative_shares, tolerated_shares
from driftwatch.decide.evalues.policy import LOCATION_BUDGET_WEIGHT

#: Marks (edges) that a stream needs for a test of the whole CDF; with fewer each is tested alone.
_MIN_MARKS = 3
#: Alternatives of the middle share: distances beyond its tolerated share.
_EXCESSES = np.array([0.04, 0.1, 0.2, 0.3])
#: Weight of the reference's distribution in an alternative, so that no cell has probability 0 under it.
_REFERENCE_WEIGHT = 0.02
#: Shares are clipped this far from 0 and 1 before their normal quantile is taken. Smallest mass of a cell
#: under an alternative and smallest ratio ``p/q``, so that logarithms stay finite.
_MIN_TAIL_SHARE, _MIN_CELL_MASS = 1e-4, 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CdfBets:
    """E-values from the whole CDF, for streams with equally many edges."""

    #: ``[stream, edge]``: positions of labels.
    labels: Int64Array
    #: ``[stream]``: position of the middle edge's label.
    middle: Int64Array
    #: ``[stream, side, alternative, cell]``: log-likelihood ratios of a row.
    log_ratios: Float64Array

    @property
    def log_label_weights(self) -> Float64Array:
        """Log weight of each label's budget, relative to an even split."""
        # ``[stream, edge]``.
        marks = self.labels.shape[1]
        weights = np.where(self.labels == self.middle[:, None], LOCATION_BUDGET_WEIGHT, 1.0)
        return np.asarray(np.log(weights * marks / (marks - 1 + LOCATION_BUDGET_WEIGHT)))

    def log_e(self, successes: Int64Array, trials: Int64Array, design_effect: Float64Array) -> Float64Array:
        """Return log e-values from one window's counts of all labels."""
        # ``[stream, side, alternative]``.
        cells = np.concatenate([successes[self.labels], trials[self.middle][:, None]], axis=1)
        cells[:, 1:] -= cells[:, :-1].copy()
        log_likelihood_ratio = np.einsum("kc,ksac->ksa", cells, self.log_ratios)
        return np.asarray(log_likelihood_ratio / design_effect[self.middle][:, None, None])


def cdf_bets(
    ordered: BoolArray,
    sizes: Int64Array,
    starts: Int64Array,
    reference: Float64Array,
    tolerance: Float64Array,
) -> tuple[CdfBets, ...]:
    """Return one ``CdfBets`` per number of edges. Cost: ``edges^2`` per stream and alternative."""
    return tuple(_bets_by_size(ordered, sizes, starts, reference, tolerance))


def _bets_by_size(
    ordered: BoolArray,
    sizes: Int64Array,
    starts: Int64Array,
    reference: Float64Array,
    tolerance: Float64Array,
) -> Iterator[CdfBets]:
    for marks in np.unique(sizes[ordered]).tolist():
        if marks < _MIN_MARKS:
            continue
        labels = starts[ordered & (sizes == marks)][:, None] + np.arange(marks)
        share = reference[labels]
        middle_index = np.arange(len(labels)), np.abs(share - 0.5).argmin(axis=1)
        middle = labels[middle_index]
        alternatives = alternative_shares(reference[middle], tolerance[middle], _EXCESSES)
        tolerated = tolerated_shares(reference, tolerance)[labels]
        upper = log_ratios(share, tolerated[:, :, 0], middle_index[1], alternatives[:, 0])
        # Side 1 is side 0 of the negated values.
        lower = log_ratios(
            1 - share[:, ::-1], tolerated[:, ::-1, 1], marks - 1 - middle_index[1], alternatives[:, 1]
        )[:, :, ::-1]  # fmt: skip
        yield CdfBets(labels=labels, middle=middle, log_ratios=np.stack([upper, lower], axis=1))


def log_ratios(
    share: Float64Array, tolerated: Float64Array, middle: Int64Array, alternatives: Float64Array
) -> Float64Array:
    """Return a row's log-likelihood ratios, by stream, alternative and cell, for "more rows below the edges".

    ``share`` is the reference's CDF at each stream's edges, and ``tolerated`` is the largest CDF under the
    null hypothesis; ``alternatives`` are shares at each stream's ``middle`` edge.

    >>> share, tolerated = np.array([[0.25, 0.5, 0.75]]), np.array([[0.3, 0.55, 0.8]])
    >>> log_ratios(share, tolerated, np.array([1]), np.array([[0.7]])).round(2).tolist()
    [[[0.38, 0.04, -0.3, -0.53]]]
    """
    z = ndtri(np.clip(share, _MIN_TAIL_SHARE, 1 - _MIN_TAIL_SHARE))
    shift = (
        ndtri(np.clip(alternatives, _MIN_TAIL_SHARE, 1 - _MIN_TAIL_SHARE))
        - z[np.arange(len(z)), middle][:, None]
    )
    shifted_masses, reference_masses = (
        _cell_masses(ndtr(z[:, None] + shift[:, :, None])),
        _cell_masses(share)[:, None],
    )
    q = (1 - _REFERENCE_WEIGHT) * shifted_masses + _REFERENCE_WEIGHT * reference_masses + _MIN_CELL_MASS
    q /= q.sum(axis=2, keepdims=True)
    tolerated_masses = _cell_masses(np.minimum(np.maximum.accumulate(tolerated, axis=1), 1.0))[:, None]
    return np.asarray(-np.log(np.maximum(_isotonic(tolerated_masses, q), _MIN_CELL_MASS)))


def _cell_masses(cdf: Float64Array) -> Float64Array:
    return np.diff(cdf, prepend=0.0, append=1.0, axis=-1)


def _isotonic(totals: Float64Array, weights: Float64Array) -> Float64Array:
    # Isotonic regression of totals/weights over cells, by the max-min formula.
    total_sums = np.concatenate([np.zeros((*totals.shape[:-1], 1)), np.cumsum(totals, axis=-1)], axis=-1)
    weight_sums = np.concatenate([np.zeros((*weights.shape[:-1], 1)), np.cumsum(weights, axis=-1)], axis=-1)
    cells = weights.shape[-1]
    start, end = np.triu_indices(cells)
    mean = np.full((*weights.shape, cells), np.inf)
    mean[..., start, end] = (total_sums[..., end + 1] - total_sums[..., start]) / (
        weight_sums[..., end + 1] - weight_sums[..., start]
    )
    # Minimum over all ends from each cell on, then the running maximum over starts.
    smallest = np.minimum.accumulate(mean[..., ::-1], axis=-1)[..., ::-1]
    return np.asarray(np.diagonal(np.maximum.accumulate(smallest, axis=-2), axis1=-2, axis2=-1))
