"""The population that the laws of many columns are drawn from, estimated from all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.evalues.stream_index import StreamIndex

#: Columns that the prior of a population of laws counts for, and rounds in which it is estimated.
_PSEUDO = 2.0
_ROUNDS = 25


def alike_of(centred: Float64Array, told: Int64Array) -> Callable[[list[int]], float]:
    """How many independent series some of the scores ``told[k]`` count for; asked twice, worked out once."""
    column, known = {place: k for k, place in enumerate(told.tolist())}, dict[tuple[int, ...], float]()

    def count(places: list[int]) -> float:
        key = tuple(places)
        if key not in known:
            known[key] = _independent(centred.take([column[place] for place in places], axis=1))
        return known[key]

    return count


def _independent(centred: Float64Array) -> float:
    """How many independent series tell as much about a common law as these ``[n, k]`` do.

    ``k / (1 + (k - 1) r2)`` with the mean squared correlation ``r2`` between them, less what chance gives:
    log likelihoods are quadratic, so they correlate as the squares do.
    """
    n, count = centred.shape
    if count < 2:
        return float(count)
    known = np.nan_to_num(centred)
    unit = known / np.maximum(np.sqrt((known**2).sum(axis=0)), 1e-12)
    both = unit @ unit.T if n < count else unit.T @ unit
    squared = max(0.0, ((both**2).sum() / count - 1) / (count - 1) - 1 / max(n - 1, 1))
    return float(count / (1 + (count - 1) * squared))


def posterior(
    log_like: Float64Array,
    prior: Float64Array,
    keys: StreamIndex,
    alike: Callable[[list[int]], float],
    same: float,
) -> Float64Array:
    """Weights ``[g, k]`` of the models that add up to 1; a NaN log likelihood says nothing.

    Columns are drawn from a population of laws, itself estimated (expectation-maximisation, nonparametric:
    Robbins 1956, Laird 1978) with ``_PSEUDO`` columns of prior: where all columns are alike a few windows of
    many are enough, and one odd column keeps a law of its own. Columns that move together count as fewer:
    ``alike`` of those that tell. That prior is, ``same`` of the time, the population of the columns' other
    scores: a pool of few columns, or a score of all columns jointly, says little by itself.
    """
    base, pools = np.exp(prior - np.logaddexp.reduce(prior)), sorted(keys.pools, key=len)
    weights = _in_populations(log_like, np.tile(base, (len(pools), 1)), pools, alike)
    if not same:
        return weights
    telling = ~np.isnan(log_like[0]) & keys.of_columns
    of_columns = [weights[:, pool][:, telling[pool]].sum(axis=1) for pool in pools]
    start = _with_others(base, np.array(of_columns).reshape(len(pools), len(base)), same)
    return _in_populations(log_like, start, pools, alike)


def _with_others(base: Float64Array, of_columns: Float64Array, same: float) -> Float64Array:
    """Each pool's prior ``[p, g]``: the ``base`` and, ``same`` of the time, all other pools of columns."""
    others = np.maximum(of_columns.sum(axis=0) - of_columns, 0.0)
    total = others.sum(axis=1, keepdims=True)
    # What is left of a difference is no population.
    some = total > 1e-6
    return np.where(some, (1 - same) * base + same * others / np.where(some, total, 1.0), base)


def _in_populations(
    log_like: Float64Array, start: Float64Array, pools: list[list[int]], alike: Callable[[list[int]], float]
) -> Float64Array:
    """The weights of all scores; each pool's population is about ``start[p]``.

    Pools of one size stand together, and are worked out at once.
    """
    weights: Float64Array = np.empty(log_like.shape)
    for _, group in groupby(range(len(pools)), lambda place: len(pools[place])):
        which = list(group)
        chosen = [pools[place] for place in which]
        for pool, found in zip(chosen, _populations(log_like, start[which], chosen, alike), strict=True):
            weights[:, pool] = found
    return weights


def _populations(
    log_like: Float64Array, start: Float64Array, pools: list[list[int]], alike: Callable[[list[int]], float]
) -> Float64Array:
    """The weights ``[p, g, k]`` of pools of ``k`` scores each."""
    own = log_like[:, pools].transpose(2, 1, 0)
    like = np.exp(own - own.max(axis=2, keepdims=True))
    telling = ~np.isnan(like[:, :, 0])
    np.copyto(like, 1.0, where=~telling[:, :, None])
    # Scores first, so that those of a pool are added up one after another; what tells nothing adds nothing.
    knowing = np.where(telling[:, :, None], like, 0.0)
    told = [
        [place for place, knows in zip(pool, each, strict=True) if knows]
        for pool, each in zip(pools, telling.T.tolist(), strict=True)
    ]
    counted = np.array([alike(places) / len(places) if places else 0.0 for places in told])[:, None]
    population = start
    for _ in range(_ROUNDS):
        whole = np.einsum("pg,kpg->kp", population, like)
        each = population * np.einsum("kp,kpg->pg", 1 / whole, knowing)
        population = _PSEUDO * start + counted * each
        population = population / population.sum(axis=1, keepdims=True)
    found = (population * like).transpose(1, 2, 0)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
