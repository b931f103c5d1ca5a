"""Score models: autocorrelation, noise and tails of each score, fitted to its healthy windows.

Model, without season slots: a mean-reverting level (AR(1)), ``level_t = phi level_{t-1} + change``, observed
with noise, with innovations from Student's t. Real traffic comes in spells (weather, sales), and every window
also has the noise of its own rows: a spell must not count anew each day, and one extreme window must not pass
for a spell. ``phi``, the level's share of the variance and the degrees of freedom are averaged over grids by
likelihood (Bayesian model averaging). A column's few windows say little about them, so scores of the same
name are draws from one population. Source: Kalman 1960 (steady-state filter); restricted likelihood,
Patterson, Thompson 1971; nonparametric empirical Bayes, Robbins 1956, Laird 1978.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import gammaln

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.decide.baseline.few_values import takes_few_values
from driftwatch.decide.baseline.location_scale import leave_one_out
from driftwatch.decide.baseline.pooling import effective_counts, posterior
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.weighted_series import count_measured, count_true
from driftwatch.decide.evalues.stream_index import StreamIndex

#: Healthy windows that a score needs before it counts as evidence.
MIN_HISTORY_WINDOWS = 8
#: Newest windows that the models are fitted to.
_MAX_FIT_WINDOWS = 400
#: Models are refitted after this growth of a history, or this new part of a full one (which drops as much).
_REFIT_GROWTH, _REFIT_TURNOVER = 0.1, 0.25
#: Degrees of freedom up to which tails are heavy (outliers of every size), and from which they are light.
_MAX_HEAVY_DEGREES, _MIN_LIGHT_DEGREES = 4.0, 10.0
#: Posterior weight of heavy tails above which they are accepted: more than their prior weight.
_MIN_HEAVY_WEIGHT = 0.9
#: Mean weight of light tails over columns above which they are accepted: one column may have it by chance.
_MIN_LIGHT_WEIGHT = 0.8
#: Prior weight of the columns' other scores for a population's autocorrelation, and for its tails. Tails are
#: not shared, or one unusual column among many others would page because of them.
_SHARED_MEMORY_WEIGHT, _SHARED_TAILS_WEIGHT = 0.5, 0.0
#: Fixed-point steps of a tail's scale.
_SCALE_STEPS = 4
#: Factors that are multiplied before a logarithm is taken; their product is far from overflow.
_FACTORS_PER_LOG = 8


def _steady_state(phi: float, level_share: float) -> tuple[float, float]:
    """Return gain and innovation variance of the steady-state Kalman filter, for a total variance of 1."""
    change, noise = level_share * (1 - phi**2), 1 - level_share
    variance = level_share
    for _ in range(200):
        variance = phi**2 * (variance - variance**2 / (variance + noise)) + change
    return variance / (variance + noise), variance + noise


_PHI = np.array([0.0, *np.repeat([0.3, 0.5, 0.7, 0.8, 0.9, 0.97], 4)])
_LEVEL_SHARE = np.array([0.5, *np.tile([0.25, 0.5, 0.75, 1.0], 6)])
_STEADY_STATE = np.array(
    [_steady_state(phi, level_share) for phi, level_share in zip(_PHI, _LEVEL_SHARE, strict=True)]
)
#: No autocorrelation is one model of 25; a strong one has a larger prior, because missing it costs pages.
_LOG_MEMORY_PRIOR = np.array([0.0, *(np.repeat([0.0, 0.25, 0.5, 0.75, 1.0, 1.0], 4) - np.log(4))])
DEGREES_OF_FREEDOM = np.array([2.0, 3.0, 4.0, 6.0, 10.0, 30.0, 100.0])
_LOG_DEGREES_PRIOR = np.array([0.0, 1.0, 1.0, -0.5, -2.0, -3.5, -5.0])
_LOG_NORM = (
    gammaln((DEGREES_OF_FREEDOM + 1) / 2)
    - gammaln(DEGREES_OF_FREEDOM / 2)
    - 0.5 * np.log(DEGREES_OF_FREEDOM * np.pi)
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreModel:
    """Fitted model parameters, one per score in the order of ``keys``."""

    keys: StreamIndex
    #: Autocorrelation of the level from window to window, and its posterior variance.
    phi: Float64Array
    phi_variance: Float64Array
    #: Gain of the level's filter.
    gain: Float64Array
    #: Variance of the filter's prediction errors, in squared scales.
    innovation_variance: Float64Array
    #: ``[degrees, score]``: posterior weights of ``DEGREES_OF_FREEDOM``.
    tail_weights: Float64Array
    #: ``[degrees, score]``: scale of each distribution, in standard deviations of the innovations.
    tail_scales: Float64Array
    #: Scores that take few values, so that their p-values come from ranks.
    ranked: BoolArray
    #: Number of windows ever added to the history when the model was fitted.
    windows: int

    @cached_property
    def heavy_tailed(self) -> BoolArray:
        return np.asarray(
            self.tail_weights[DEGREES_OF_FREEDOM <= _MAX_HEAVY_DEGREES].sum(axis=0) > _MIN_HEAVY_WEIGHT
        )

    @cached_property
    def light_tailed(self) -> BoolArray:
        """True for scores whose pool is light-tailed on average."""
        weight, light = (
            self.tail_weights[DEGREES_OF_FREEDOM >= _MIN_LIGHT_DEGREES].sum(axis=0),
            np.zeros(len(self.keys), dtype=np.bool_),
        )
        for pool in self.keys.pools:
            modelled = [position for position in pool if not self.ranked[position]]
            light[modelled] = bool(modelled) and weight[modelled].mean() > _MIN_LIGHT_WEIGHT
        return light


#: Name of each array in the stored bytes, and the field that holds it.
MODEL_ARRAYS = {
    "phi": "phi",
    "phi_variance": "phi_variance",
    "gain": "gain",
    "variance": "innovation_variance",
    "tail": "tail_weights",
    "stretch": "tail_scales",
    "ranked": "ranked",
}


def refit_if_grown(model: ScoreModel | None, history: ScoreHistory) -> ScoreModel:
    if model is not None and model.keys == history.keys:
        growth = history.windows - model.windows
        is_full = len(history.values) >= _MAX_FIT_WINDOWS
        if growth < max(
            1.0, _REFIT_GROWTH * len(history.values), _REFIT_TURNOVER * _MAX_FIT_WINDOWS * is_full
        ):
            return model
    return fit_score_model(history)


def fit_score_model(history: ScoreHistory) -> ScoreModel:
    """Fit autocorrelation and tails to the history. Cost: one filter pass per grid point."""
    healthy, count = history.healthy_series.to_array(), len(history.keys)
    ranked = takes_few_values(healthy, MIN_HISTORY_WINDOWS)
    # A score that was suspended in all of these windows has no information, however long its history is.
    informative = np.flatnonzero(
        (count_measured(healthy[-_MAX_FIT_WINDOWS:]) >= MIN_HISTORY_WINDOWS) & ~ranked
    )
    # Contiguous along scores, because the filter reads window by window.
    deviations = leave_one_out(
        healthy.take(informative, axis=1), history.slots, history.rows, history.keys.has_column[informative]
    )
    centred = np.ascontiguousarray(deviations[-_MAX_FIT_WINDOWS:])
    log_memory = np.full((len(_PHI), count), np.nan)
    log_tail = np.full((len(DEGREES_OF_FREEDOM), count), np.nan)
    variance, scales = np.ones((len(_PHI), count)), np.ones((len(DEGREES_OF_FREEDOM), count))
    log_memory[:, informative], variance[:, informative] = _memory_likelihood(centred)
    effective_count = effective_counts(centred, informative)
    weights = posterior(log_memory, _LOG_MEMORY_PRIOR, history.keys, effective_count, _SHARED_MEMORY_WEIGHT)
    phi, gain = _PHI @ weights, _STEADY_STATE[:, 0] @ weights
    innovations = _innovations(centred, phi[informative], gain[informative])
    log_tail[:, informative], scales[:, informative] = _tail_likelihood(
        innovations, history.signed[informative]
    )
    return ScoreModel(
        keys=history.keys,
        windows=history.windows,
        phi=phi,
        phi_variance=_PHI**2 @ weights - phi**2,
        gain=gain,
        innovation_variance=(weights * variance).sum(axis=0),
        tail_weights=posterior(
            log_tail, _LOG_DEGREES_PRIOR, history.keys, effective_count, _SHARED_TAILS_WEIGHT
        ),
        tail_scales=scales,
        ranked=ranked,
    )


def _filter(
    centred: Float64Array, phi: Float64Array, gain: Float64Array
) -> Iterator[tuple[Float64Array, BoolArray | None]]:
    """Yield the innovations of the steady-state filter, window by window, and where they are NaN."""
    shape = np.broadcast_shapes(phi.shape, centred.shape[1:])
    # Each array overwrites the last: thousands of small arrays would cost as much as the arithmetic.
    level, predicted, innovation = np.zeros(shape), np.empty(shape), np.empty(shape)
    # Whole arrays, because broadcasting a number per row costs a loop per row.
    phi, gain = (np.ascontiguousarray(np.broadcast_to(part, shape)) for part in (phi, gain))
    missing = np.isnan(centred)
    gaps = np.asarray(missing.any(axis=1)).tolist()
    for values, is_missing, has_gap in zip(centred, missing, gaps, strict=True):
        np.multiply(phi, level, out=predicted)
        np.subtract(values, predicted, out=innovation)
        np.multiply(gain, np.where(is_missing, 0.0, innovation) if has_gap else innovation, out=level)
        np.add(predicted, level, out=level)
        yield innovation, is_missing if has_gap else None


def _innovations(centred: Float64Array, phi: Float64Array, gain: Float64Array) -> Float64Array:
    innovations = np.empty((len(centred), *np.broadcast_shapes(phi.shape, centred.shape[1:])))
    for n, (innovation, _) in enumerate(_filter(centred, phi, gain)):
        innovations[n] = innovation
    return innovations


def _memory_likelihood(centred: Float64Array) -> tuple[Float64Array, Float64Array]:
    # Log likelihood and innovation variance, both ``[autocorrelation, score]``.
    square, work = (np.zeros((len(_PHI), centred.shape[1])) for _ in range(2))
    for innovation, is_missing in _filter(centred, _PHI[:, None], _STEADY_STATE[:, :1]):
        np.multiply(innovation, innovation, out=work)
        if is_missing is not None:
            work[:, is_missing] = 0.0
        np.add(square, work, out=square)
    n = count_measured(centred)
    square = np.maximum(square, 1e-12) / np.maximum(n - 2, 1)
    # Restricted likelihood (Patterson, Thompson 1971), because estimating the mean biases short series to no
    # autocorrelation: the root mean square of the filter's residuals on a constant is divided out.
    return -(n - 1) / 2 * np.log(square) - np.log(_constant_power(len(centred)))[:, None] / 2, square


@lru_cache
def _constant_power(windows: int) -> Float64Array:
    # The mean square of each filter's residuals on a constant.
    constant = np.ones((max(windows, 1), 1))
    residue = _innovations(constant, _PHI[:, None], _STEADY_STATE[:, :1]).reshape(-1, len(_PHI))
    return np.asarray((residue**2).mean(axis=0))


def _tail_likelihood(innovations: Float64Array, signed: BoolArray) -> tuple[Float64Array, Float64Array]:
    # Log likelihood and scale of Student's t, both ``[degrees, score]``.
    root = np.sqrt(np.nansum(innovations**2, axis=0) / np.maximum(count_measured(innovations), 1))
    z = innovations / np.maximum(root, 1e-12)
    # Of an unsigned score, a distance, only values above 0 count, because its tail is longer there.
    is_counted = ~np.isnan(z) & (signed | (z > 0))
    n = np.maximum(count_true(is_counted), 1)
    # Zeros add nothing; a logarithm of NaN takes three times as long as that of a number.
    z[~is_counted] = 0.0
    square, work = z * z, np.empty_like(z)
    log_like, scales = [], []
    for degrees, log_norm in zip(DEGREES_OF_FREEDOM, _LOG_NORM, strict=True):
        width = np.full(z.shape[1], degrees)
        for _ in range(_SCALE_STEPS):
            np.add(square, width, out=work)
            np.divide(square, work, out=work)
            width = np.maximum((degrees + 1) * width * (work.sum(axis=0) / n), 1e-12 * degrees)
        scales.append(np.sqrt(width / degrees))
        np.divide(square, width, out=work)
        tails = (degrees + 1) / 2 * _log1p_sum(work)
        log_like.append(n * (log_norm - np.log(scales[-1])) - tails)
    return np.array(log_like), np.array(scales)


def _log1p_sum(values: Float64Array) -> Float64Array:
    # ``values`` are overwritten. A few logarithms of products are cheaper than one per value.
    values += 1.0
    groups = len(values) // _FACTORS_PER_LOG
    full_groups, rest = np.split(values, [groups * _FACTORS_PER_LOG])
    products = full_groups.reshape(groups, _FACTORS_PER_LOG, values.shape[1]).prod(axis=1)
    return np.asarray(np.log(products).sum(axis=0) + np.log(rest).sum(axis=0))
