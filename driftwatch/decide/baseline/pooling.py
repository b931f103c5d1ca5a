"""Empirical Bayes over columns: the population that the columns' models are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.evalues.stream_index import StreamIndex

#: Weight of a population's prior, in columns.
_PRIOR_COLUMNS = 2.0
#: Steps of expectation-maximisation.
_EM_STEPS = 25


def effective_counts(centred: Float64Array, scores: Int64Array) -> Callable[[list[int]], float]:
    """Return a memoized function that counts the independent series among some of ``scores``."""
    columns, memo = {score: k for k, score in enumerate(scores.tolist())}, dict[tuple[int, ...], float]()

    def count(positions: list[int]) -> float:
        key = tuple(positions)
        if key not in memo:
            memo[key] = _effective_count(centred.take([columns[score] for score in positions], axis=1))
        return memo[key]

    return count


def _effective_count(centred: Float64Array) -> float:
    # ``k / (1 + (k - 1) r2)`` with the mean squared correlation ``r2``, less what chance gives: log
    # likelihoods are quadratic, so they correlate as squares do.
    n, k = centred.shape
    if k < 2:
        return float(k)
    zero_filled = np.nan_to_num(centred)
    unit = zero_filled / np.maximum(np.sqrt((zero_filled**2).sum(axis=0)), 1e-12)
    products = unit @ unit.T if n < k else unit.T @ unit
    squared_correlation = max(0.0, ((products**2).sum() / k - 1) / (k - 1) - 1 / max(n - 1, 1))
    return float(k / (1 + (k - 1) * squared_correlation))


def posterior(
    log_like: Float64Array,
    log_prior: Float64Array,
    keys: StreamIndex,
    effective_count: Callable[[list[int]], float],
    shared_weight: float,
) -> Float64Array:
    """Return each score's weights of the models, which add up to 1; a NaN log likelihood has no effect.

    The columns of a pool are draws from a population of models, estimated by expectation-maximisation
    (nonparametric: Robbins 1956, Laird 1978) with a prior of ``_PRIOR_COLUMNS`` columns: few windows of many
    similar columns are enough, and an unusual column keeps its own model. Correlated columns count as fewer.
    With ``shared_weight`` the prior includes the populations of the other pools, because a small pool or a
    joint score says little.
    """
    base, pools = np.exp(log_prior - np.logaddexp.reduce(log_prior)), sorted(keys.pools, key=len)
    weights = _pooled_weights(log_like, np.tile(base, (len(pools), 1)), pools, effective_count)
    if not shared_weight:
        return weights
    is_informative = ~np.isnan(log_like[0]) & keys.has_column
    pool_weights = [weights[:, pool][:, is_informative[pool]].sum(axis=1) for pool in pools]
    prior = _shared_priors(base, np.array(pool_weights).reshape(len(pools), len(base)), shared_weight)
    return _pooled_weights(log_like, prior, pools, effective_count)


def _shared_priors(base: Float64Array, pool_weights: Float64Array, shared_weight: float) -> Float64Array:
    # ``[pool, model]``: ``base`` mixed with all other pools.
    other_pools = np.maximum(pool_weights.sum(axis=0) - pool_weights, 0.0)
    total = other_pools.sum(axis=1, keepdims=True)
    # Smaller totals are rounding errors of the difference.
    has_others = total > 1e-6
    return np.where(
        has_others,
        (1 - shared_weight) * base + shared_weight * other_pools / np.where(has_others, total, 1.0),
        base,
    )


def _pooled_weights(
    log_like: Float64Array,
    prior: Float64Array,
    pools: list[list[int]],
    effective_count: Callable[[list[int]], float],
) -> Float64Array:
    # Pools of one size are computed at once.
    weights: Float64Array = np.empty(log_like.shape)
    for _, group in groupby(range(len(pools)), lambda position: len(pools[position])):
        positions = list(group)
        same_size = [pools[position] for position in positions]
        for pool, part in zip(
            same_size, _fit_populations(log_like, prior[positions], same_size, effective_count), strict=True
        ):
            weights[:, pool] = part
    return weights


def _fit_populations(
    log_like: Float64Array,
    prior: Float64Array,
    pools: list[list[int]],
    effective_count: Callable[[list[int]], float],
) -> Float64Array:
    # All pools have equal size; the weights are ``[pool, model, score]``.
    log_like_pools = log_like[:, pools].transpose(2, 1, 0)
    like = np.exp(log_like_pools - log_like_pools.max(axis=2, keepdims=True))
    is_informative = ~np.isnan(like[:, :, 0])
    np.copyto(like, 1.0, where=~is_informative[:, :, None])
    # Scores are the first axis, so that those of a pool are added one by one; uninformative ones add nothing.
    informative_like = np.where(is_informative[:, :, None], like, 0.0)
    informative = [
        [position for position, flag in zip(pool, flags, strict=True) if flag]
        for pool, flags in zip(pools, is_informative.T.tolist(), strict=True)
    ]
    discount = np.array([effective_count(scores) / len(scores) if scores else 0.0 for scores in informative])[
        :, None
    ]
    population = prior
    for _ in range(_EM_STEPS):
        marginal = np.einsum("pg,kpg->kp", population, like)
        expected = population * np.einsum("kp,kpg->pg", 1 / marginal, informative_like)
        population = _PRIOR_COLUMNS * prior + discount * expected
        population = population / population.sum(axis=1, keepdims=True)
    weights = (population * like).transpose(1, 2, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
