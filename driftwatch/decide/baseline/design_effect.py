"""Design effect: how many rows count as one, measured on healthy windows of all columns together.

``b = Var(share over blocks) / (binomial variance of independent rows)``, pooled over a stream's labels. A
ratio from ``n`` blocks is ``b chi2 / df`` with ``df = (n - 1) d``, where ``d = (tr C)^2 / tr C^2`` is the
effective number of independent shares; ``C`` is the covariance of nested shares, the most dependent that
labels of one column can be (Satterthwaite 1946). Columns of one detector are draws from a population
(``pooling.py``): a few windows of many similar columns determine it, and an unusual column keeps its own. The
posterior's upper limit allows for the estimation error.

The design effect used is the largest over blocks of 1, 2, 4 and 7 windows: an upper limit at 80 % for single
windows, at 60 % for longer blocks, which show dependence between windows (weather, weeks). A reference that
itself drifts has a large design effect, which is correct and conservative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.pooling import posterior
from driftwatch.decide.evalues.stream_index import StreamIndex

#: Grid of design effects, in steps of 0.1 of their natural logarithm.
_GRID = np.exp(np.arange(np.log(0.5), np.log(1e7), 0.1))
#: Blocks of one length that are needed to estimate their variance.
MIN_BLOCKS = 8
#: Levels of the upper limits for blocks of each length; longer ones matter only if they vary more.
_UPPER_LEVELS = (0.8, 0.6, 0.6, 0.6)


class BlockSums(Protocol):
    """Sums over blocks of healthy windows, as ``ShareHistory`` has them."""

    @property
    def keys(self) -> StreamIndex: ...
    @property
    def label_streams(self) -> Int64Array: ...
    @property
    def starts(self) -> Int64Array: ...
    @property
    def blocks(self) -> Int64Array: ...
    @property
    def share_sum(self) -> Float64Array: ...
    @property
    def square_sum(self) -> Float64Array: ...
    @property
    def inverse_trials_sum(self) -> Float64Array: ...
    @property
    def design_effect(self) -> Float64Array: ...


def measure_design_effects(sums: BlockSums) -> Float64Array:
    """Measure each stream's design effect; NaN before ``MIN_BLOCKS`` windows."""
    if not len(sums.keys):
        return np.empty(0)
    ratio, mean, variation = _variance_ratios(sums)
    # A column that never varies has no design effect; then nothing new is learned.
    effects = sums.design_effect
    if (np.isnan(effects) & ~np.isnan(ratio[0])).any():
        degrees = (np.maximum(sums.blocks, 2) - 1) * independent_labels(mean, sums.label_streams, sums.starts)
        limits = [
            upper_limits(sums.keys, length_ratio, length_degrees, level)
            for length_ratio, length_degrees, level in zip(ratio, degrees, _UPPER_LEVELS, strict=True)
            if not np.isnan(length_ratio).all()
        ]
        effects = np.maximum(np.fmax.reduce(limits), 1.0)
    best_known: dict[str | None, tuple[float, float]] = {}
    for key, spread, effect in zip(sums.keys, variation.tolist(), effects.tolist(), strict=True):
        column = key[1]
        if column is not None and effect == effect:
            best_known[column] = max((spread, effect), best_known.get(column, (0.0, 1.0)))
    column_effects = np.array([best_known.get(key[1], (0.0, np.nan))[1] for key in sums.keys])
    return np.asarray(np.fmax(effects, column_effects))


def _variance_ratios(sums: BlockSums) -> tuple[Float64Array, Float64Array, Float64Array]:
    # The last result, a stream's variation, is the binomial variance of single windows, summed over its
    # labels.
    label_blocks = np.maximum(sums.blocks, 2)[:, sums.label_streams]
    mean = sums.share_sum / label_blocks
    variance = np.clip(sums.square_sum / label_blocks - mean**2, 0, None) * label_blocks / (label_blocks - 1)
    binomial = mean * (1 - mean) * sums.inverse_trials_sum / label_blocks
    numerator = np.add.reduceat(variance, sums.starts, axis=1)
    denominator = np.add.reduceat(binomial, sums.starts, axis=1)
    is_measured = (sums.blocks >= MIN_BLOCKS) & (denominator > 0)
    ratio = np.where(is_measured, numerator / np.where(is_measured, denominator, 1.0), np.nan)
    return ratio, mean[0], denominator[0]


def independent_labels(share: Float64Array, streams: Int64Array, starts: Int64Array) -> Float64Array:
    """Return the effective number of independent shares in each stream, at least 1.

    ``share[label]`` is a label's baseline share, ``streams[label]`` its stream. Nested shares have
    covariance ``min(p, q) - p q``, more than exclusive ones.

    >>> halves = np.array([0.5, 0.5, 0.25, 0.5, 0.75])
    >>> independent_labels(halves, np.array([0, 1, 2, 2, 2]), np.array([0, 1, 2])).round(2).tolist()
    [1.0, 1.0, 1.92]
    """
    sorted_share = share[np.lexsort((share, streams))]
    squares = np.cumsum(sorted_share**2) - sorted_share**2
    # Sum of squares of the smaller shares in the same stream.
    smaller = np.maximum(squares - squares[starts][streams], 0.0)
    variance, complement = sorted_share * (1 - sorted_share), 1 - sorted_share
    trace_of_square = np.add.reduceat(variance**2 + 2 * complement**2 * smaller, starts)
    trace = np.add.reduceat(variance, starts)
    return np.asarray(np.maximum(trace**2 / np.where(trace_of_square > 0, trace_of_square, 1.0), 1.0))


def upper_limits(keys: StreamIndex, ratio: Float64Array, degrees: Float64Array, level: float) -> Float64Array:
    """Return upper limits of the streams' design effects at posterior probability ``level``.

    They are NaN where ``ratio`` is. Cost: 25 passes over streams times 170 design effects.
    """
    is_measured = ~np.isnan(ratio)
    log_like = np.full((len(_GRID), len(ratio)), np.nan)
    log_like[:, is_measured] = -degrees[is_measured] / 2 * (
        np.log(_GRID)[:, None] + ratio[is_measured] / _GRID[:, None]
    )  # fmt: skip
    weights = posterior(log_like, np.zeros(len(_GRID)), keys, _effective_columns, 0.0)
    cumulative = np.cumsum(weights, axis=0)
    index = (cumulative < level).sum(axis=0)
    # Interpolated, so that no column's limit jumps by a step.
    lower = np.take_along_axis(np.vstack([np.zeros(len(ratio)), cumulative]), index[None], axis=0)[0]
    weight = np.take_along_axis(weights, index[None], axis=0)[0]
    log_limit = np.log(_GRID[index]) + 0.1 * ((level - lower) / np.maximum(weight, 1e-12) - 1)
    return np.where(is_measured, np.exp(log_limit), np.nan)


def _effective_columns(positions: Sequence[int]) -> float:
    # Fewer than there are: their rows are often the same users'.
    return float(np.sqrt(len(positions)))
