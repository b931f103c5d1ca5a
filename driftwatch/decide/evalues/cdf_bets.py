"""E-values of shares that lie in each other: a bet that all of them move as a shift of the values moves them.

A stream whose labels are shares at or below rising marks (``Shares.ordered``) is looked at mark by mark, and
one mark sees only part of a shift. The bets of its middle mark are therefore on the whole law. Their
alternative ``q`` is the reference's law, shifted by as many of its normal quantiles as move the middle share
to where that bet is; their null are all laws whose shares are within what is tolerated at every mark.

``e = prod over rows of q(cell) / p(cell)``, with ``p`` the law of the null that is nearest to ``q``, its
reverse information projection: so ``E[e] <= 1`` under every law of that convex null (Gruenwald, de Heide,
Koolen 2024). ``p / q`` is the isotonic regression of what is tolerated between two marks on what ``q`` has
there (Barlow, Bartholomew, Bremner, Brunk 1972), worked out by the max-min formula. As elsewhere the exponent
``1/b`` keeps that for rows that come in groups of up to ``b``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.evalues.e_values import alternatives, tolerated
from driftwatch.decide.evalues.policy import LOCATION_PARTS

#: Streams of fewer marks are looked at mark by mark only.
_FEWEST = 3
#: How far beyond what is tolerated the middle share is bet to be.
_BEYOND = np.array([0.04, 0.1, 0.2, 0.3])
#: Part of an alternative that lies like the reference, so that no cell is impossible under it.
_ELSEWHERE = 0.02
_OUTERMOST, _LEAST_CELL = 1e-4, 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """Streams ``k`` of ``m`` marks each: their ``labels[k, m]``, which of them is the ``middle[k]``, and
    ``log_ratios[k, 2, A, m + 1]``, what a row in each cell between the marks says.
    """

    labels: Int64Array
    middle: Int64Array
    log_ratios: Float64Array

    @property
    def log_parts(self) -> Float64Array:
        """Log ``[k, m]`` of how much more than an even part each label bets."""
        marks = self.labels.shape[1]
        parts = np.where(self.labels == self.middle[:, None], LOCATION_PARTS, 1.0)
        return np.asarray(np.log(parts * marks / (marks - 1 + LOCATION_PARTS)))

    def log_e(self, successes: Int64Array, trials: Int64Array, design: Float64Array) -> Float64Array:
        """Log e-values ``[k, 2, A]`` of the middle labels' bets, of all labels' rows in one window."""
        cells = np.concatenate([successes[self.labels], trials[self.middle][:, None]], axis=1)
        cells[:, 1:] -= cells[:, :-1].copy()
        said = np.einsum("kc,ksac->ksa", cells, self.log_ratios)
        return np.asarray(said / design[self.middle][:, None, None])


def shapes(
    ordered: BoolArray, sizes: Int64Array, starts: Int64Array, reference: Float64Array, slack: Float64Array
) -> tuple[Shapes, ...]:
    """Those of the streams ``ordered[k]``, one for each number of marks. Cost: ``m^2`` per stream and bet."""
    return tuple(_shapes(ordered, sizes, starts, reference, slack))


def _shapes(
    ordered: BoolArray, sizes: Int64Array, starts: Int64Array, reference: Float64Array, slack: Float64Array
) -> Iterator[Shapes]:
    for marks in np.unique(sizes[ordered]).tolist():
        if marks < _FEWEST:
            continue
        labels = starts[ordered & (sizes == marks)][:, None] + np.arange(marks)
        share = reference[labels]
        here = np.arange(len(labels)), np.abs(share - 0.5).argmin(axis=1)
        middle = labels[here]
        reached = alternatives(reference[middle], slack[middle], _BEYOND)
        allowed = tolerated(reference, slack)[labels]
        up = log_ratios(share, allowed[:, :, 0], here[1], reached[:, 0])
        # Above the marks everything is told from the other end.
        down = log_ratios(
            1 - share[:, ::-1], allowed[:, ::-1, 1], marks - 1 - here[1], reached[:, 1]
        )[:, :, ::-1]  # fmt: skip
        yield Shapes(labels=labels, middle=middle, log_ratios=np.stack([up, down], axis=1))


def log_ratios(
    share: Float64Array, most: Float64Array, middle: Int64Array, reached: Float64Array
) -> Float64Array:
    """Logs ``[k, A, m + 1]`` of what a row in each cell between ``m`` rising marks says of "more rows below".

    ``share[k, m]`` are the reference's shares at or below the marks and ``most[k, m]`` those that the null
    allows; ``reached[k, A]`` is where the bets put the share of the mark ``middle[k]``.

    >>> share, most = np.array([[0.25, 0.5, 0.75]]), np.array([[0.3, 0.55, 0.8]])
    >>> log_ratios(share, most, np.array([1]), np.array([[0.7]])).round(2).tolist()
    [[[0.38, 0.04, -0.3, -0.53]]]
    """
    z = ndtri(np.clip(share, _OUTERMOST, 1 - _OUTERMOST))
    far = ndtri(np.clip(reached, _OUTERMOST, 1 - _OUTERMOST)) - z[np.arange(len(z)), middle][:, None]
    moved, usual = _cells(ndtr(z[:, None] + far[:, :, None])), _cells(share)[:, None]
    q = (1 - _ELSEWHERE) * moved + _ELSEWHERE * usual + _LEAST_CELL
    q /= q.sum(axis=2, keepdims=True)
    allowed = _cells(np.minimum(np.maximum.accumulate(most, axis=1), 1.0))[:, None]
    return np.asarray(-np.log(np.maximum(_isotonic(allowed, q), _LEAST_CELL)))


def _cells(upto: Float64Array) -> Float64Array:
    return np.diff(upto, prepend=0.0, append=1.0, axis=-1)


def _isotonic(total: Float64Array, weight: Float64Array) -> Float64Array:
    """Isotonic regression ``[..., c]`` of ``total / weight``: max over starts of min over ends of means."""
    sums = np.concatenate([np.zeros((*total.shape[:-1], 1)), np.cumsum(total, axis=-1)], axis=-1)
    weights = np.concatenate([np.zeros((*weight.shape[:-1], 1)), np.cumsum(weight, axis=-1)], axis=-1)
    cells = weight.shape[-1]
    start, end = np.triu_indices(cells)
    mean = np.full((*weight.shape, cells), np.inf)
    mean[..., start, end] = (sums[..., end + 1] - sums[..., start]) / (
        weights[..., end + 1] - weights[..., start]
    )
    # Of each start the least mean up to each end or beyond; then the largest of all starts so far.
    least = np.minimum.accumulate(mean[..., ::-1], axis=-1)[..., ::-1]
    return np.asarray(np.diagonal(np.maximum.accumulate(least, axis=-2), axis1=-2, axis2=-1))
