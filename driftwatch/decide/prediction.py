"""How unusual a score is: its p-value under what the healthy windows before it predict.

Model of one score's healthy history, once season slots are taken out: a level that returns to its mean,
``level_t = phi level_{t-1} + change``, seen through noise, with innovations from Student's t. Real traffic
comes in spells (weather, sales), and every window has the noise of its own rows besides: a spell must not be
counted each day anew, and one loud window must not be taken for a spell. ``phi``, the level's share of the
variance and the degrees of freedom are averaged over grids by their likelihood (``learn``). The few windows
of one column say little about them, so the likelihood of all columns' scores of one name is pooled, as if
the square root of their number were independent. The p-value (``p_values``) is the tail of the prediction of
the steady Kalman filter, with the errors of mean and ``phi`` in its variance.

Why predict instead of rank: ranks of 28 windows can never say more than 1/29. False alarms: a parametric
prediction, so measured (``tests/bench/alarms.py``) rather than proven; day means that wander with
autocorrelation .9 and window effects with three degrees of freedom keep the budget there.
Source: Kalman 1960 (filter, steady gain); Student's t prediction; Bayesian model averaging; the bias of short
autocorrelated series, Kendall 1954.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, stdtr

from driftwatch.decide.track import Healthy, StreamKey, Usual
from driftwatch.summary.batch import Float64Array, Int64Array

Flags = npt.NDArray[np.bool_]

#: Healthy windows before a score is evidence.
MIN_HISTORY = 8
#: A spread below this part of the effect floor is not believed: few windows have not seen all there is.
LEAST_SPREAD = 0.25
#: Healthy windows of one season slot before it has a mean of its own.
THIN_SLOT = 4
#: Windows that a slot's own spread is shrunk by towards that of all slots.
_SHRINK = 8.0
#: Newest windows that the laws are learned from.
_LEARNED_FROM = 400
#: Learned again once so much more has been taught.
_GROWN = 0.05
_SMALLEST_P = 1e-8
_SCALE_STEPS = 4


def _steady(phi: float, share: float) -> tuple[float, float]:
    """Gain and innovation variance of the filter of a level with ``share`` of a variance of 1."""
    change, noise = share * (1 - phi**2), 1 - share
    variance = share
    for _ in range(200):
        variance = phi**2 * (variance - variance**2 / (variance + noise)) + change
    return variance / (variance + noise), variance + noise


_PHI = np.array([0.0, *np.repeat([0.3, 0.5, 0.7, 0.8, 0.9, 0.97], 4)])
_SHARE = np.array([0.5, *np.tile([0.25, 0.5, 0.75, 1.0], 6)])
_STEADY = np.array([_steady(phi, share) for phi, share in zip(_PHI, _SHARE, strict=True)])
#: No memory is one model among 25; long memory is believed a little sooner, for missing it costs pages.
_LEVEL_PRIOR = np.array([0.0, *(np.repeat([0.5, 1.0, 1.5, 2.0, 2.5, 3.0], 4) - np.log(4))])
_DEGREES = np.array([2.0, 3.0, 4.0, 6.0, 10.0, 30.0])
_DEGREES_PRIOR = np.array([0.0, 1.0, 1.0, -0.5, -2.0, -3.5])
_LOG_NORM = gammaln((_DEGREES + 1) / 2) - gammaln(_DEGREES / 2) - 0.5 * np.log(_DEGREES * np.pi)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Scores of one window: ``value[k]`` of stream ``keys[k]`` with effect floor ``floor[k]``."""

    keys: Sequence[StreamKey]
    value: Float64Array
    floor: Float64Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """P(as far or further) of each score, NaN while its history is short; ``ranked`` are mere ranks.

    ``level`` is where the filter then stands, in spreads of the score.
    """

    p_value: Float64Array
    ranked: Flags
    level: Float64Array


def learned(known: Usual | None, history: Mapping[StreamKey, Healthy]) -> Usual:
    """What is known of the scores' laws, learned again once the history has grown enough."""
    ready = {key: item for key, item in history.items() if item.teaching >= MIN_HISTORY}
    if known is not None and known.keys == tuple(ready):
        grown = np.array([item.taught for item in ready.values()]) - known.taught
        lengths = np.array([item.teaching for item in ready.values()])
        if (grown < np.maximum(1.0, _GROWN * lengths)).all():
            return known
    return learn(ready)


def learn(history: Mapping[StreamKey, Healthy]) -> Usual:
    """The posterior of each score's memory and tail. Cost: a filter pass over the history per grid point."""
    keys, count = tuple(history), len(history)
    log_level = np.full((len(_PHI), count), np.nan)
    log_tail = np.full((len(_DEGREES), count), np.nan)
    variance, stretch = np.ones((len(_PHI), count)), np.ones((len(_DEGREES), count))
    series = {}
    for members, values, slots in _groups(list(history.values())):
        varied = ~_mostly_one(values)
        told = [place for place, telling in zip(members, varied, strict=True) if telling]
        centred = _without_season(values[:, varied], slots)[-_LEARNED_FROM:]
        series[tuple(told)] = centred
        log_level[:, told], variance[:, told] = _of_level(centred)
    pools = _pools(keys)
    weights = _posterior(log_level, _LEVEL_PRIOR, pools)
    phi, gain = _PHI @ weights, _STEADY[:, 0] @ weights
    for places, centred in series.items():
        told = list(places)
        log_tail[:, told], stretch[:, told] = _of_tail(_filtered(centred, phi[told], gain[told]))
    return Usual(
        keys=keys,
        taught=np.array([item.taught for item in history.values()], dtype=np.int64),
        phi=phi,
        phi_variance=_PHI**2 @ weights - phi**2,
        gain=gain,
        variance=(weights * variance).sum(axis=0),
        tail=_posterior(log_tail, _DEGREES_PRIOR, pools),
        stretch=stretch,
    )


def _groups(histories: Sequence[Healthy]) -> list[tuple[tuple[int, ...], Float64Array, Int64Array]]:
    """Histories of the same windows as one matrix ``[n, k]``, with which they are and their slots."""
    found: dict[tuple[int, bytes], list[int]] = {}
    for position, item in enumerate(histories):
        found.setdefault((item.teaching, item.slots[: item.teaching].tobytes()), []).append(position)
    return [
        (
            tuple(members),
            np.stack([histories[i].values[:length] for i in members], axis=1),
            histories[members[0]].slots[:length],
        )
        for (length, _), members in found.items()
    ]


def _pools(keys: Sequence[StreamKey]) -> list[list[int]]:
    """Which scores are pooled: those of one detector and name, over all columns."""
    found: dict[tuple[str, str], list[int]] = {}
    for position, (detector, _, label) in enumerate(keys):
        found.setdefault((detector, label), []).append(position)
    return list(found.values())


def _mostly_one(values: Float64Array) -> Flags:
    """Which scores had one value in more than half of their windows."""
    most: Flags = 2 * (values == np.median(values, axis=0)).sum(axis=0) > len(values)
    return most


def _without_season(values: Float64Array, slots: Int64Array) -> Float64Array:
    """The series in standard deviations of its slot, around the mean of its slot's other windows."""
    result = np.empty_like(values)
    for slot in np.unique(slots):
        here = slots == slot
        centre, spread, n = standing(values, slots, int(slot))
        result[here] = (values[here] - centre) / np.maximum(spread, 1e-12) * np.sqrt(n / max(n - 1, 1))
    return result


def standing(values: Float64Array, slots: Int64Array, slot: int) -> tuple[Float64Array, Float64Array, int]:
    """Mean, spread and count of the healthy windows of a slot; of all while the slot is thin.

    A slot's spread is shrunk towards the spread around all slots' means, for few windows say little of it.
    """
    here = values[slots == slot]
    if len(here) < THIN_SLOT or len(here) == len(values):
        mean = values.mean(axis=0)
        return mean, np.sqrt(((values - mean) ** 2).sum(axis=0) / max(len(values) - 1, 1)), len(values)
    groups, which = np.unique(slots, return_inverse=True)
    sums = np.zeros((len(groups), values.shape[1]))
    np.add.at(sums, which, values)
    around = values - (sums / np.bincount(which)[:, None])[which]
    pooled = (around**2).sum(axis=0) / max(len(values) - len(groups), 1)
    own = ((here - here.mean(axis=0)) ** 2).sum(axis=0)
    spread = np.sqrt((own + _SHRINK * pooled) / (len(here) - 1 + _SHRINK))
    return here.mean(axis=0), spread, len(here)


def _filtered(centred: Float64Array, phi: Float64Array, gain: Float64Array) -> Float64Array:
    """Innovations ``[n, ..., k]`` of the steady filter."""
    level = np.zeros(np.broadcast_shapes(phi.shape, centred.shape[1:]))
    innovations = np.empty((len(centred), *level.shape))
    for t, seen in enumerate(centred):
        innovations[t] = seen - phi * level
        level = phi * level + gain * innovations[t]
    return innovations


def _of_level(centred: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Log likelihood ``[g, k]`` of the grid of levels, and the variance of their innovations.

    ``1 - phi`` is divided out for the mean being estimated, which biases short series towards no memory.
    """
    n = len(centred)
    innovations = _filtered(centred, _PHI[:, None], _STEADY[:, :1])
    square = np.maximum((innovations**2).sum(axis=0), 1e-12) / max(n - 2, 1)
    return -(n - 1) / 2 * np.log(square) - np.log(1 - _PHI)[:, None], square


def _of_tail(innovations: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Log likelihood ``[d, k]`` of degrees of freedom, and their scale in standard deviations."""
    z = innovations / np.maximum(np.sqrt((innovations**2).mean(axis=0)), 1e-12)
    log_like, stretch = [], []
    for degrees, norm in zip(_DEGREES, _LOG_NORM, strict=True):
        scale = np.ones(z.shape[1])
        for _ in range(_SCALE_STEPS):
            scale = np.sqrt(((degrees + 1) * z**2 / (degrees + z**2 / scale**2)).mean(axis=0))
            scale = np.maximum(scale, 1e-6)
        density = norm - (degrees + 1) / 2 * np.log1p((z / scale) ** 2 / degrees) - np.log(scale)
        log_like.append(density.sum(axis=0))
        stretch.append(scale)
    return np.array(log_like), np.array(stretch)


def _posterior(log_like: Float64Array, prior: Float64Array, pools: Sequence[list[int]]) -> Float64Array:
    """Weights ``[g, k]`` that add up to 1: a score's own likelihood with its pool's; NaN says nothing."""
    weights = np.empty_like(log_like)
    for pool in pools:
        relative = log_like[:, pool] - log_like[:, pool].max(axis=0)
        telling = ~np.isnan(relative[0])
        root = np.sqrt(max(int(telling.sum()), 1))
        pooled = relative[:, telling].mean(axis=1) * root if telling.any() else np.zeros(len(prior))
        relative = np.nan_to_num(relative) * (1 - 1 / root) + (pooled + prior)[:, None]
        weights[:, pool] = np.exp(relative - relative.max(axis=0))
    return np.asarray(weights / weights.sum(axis=0))


def p_values(
    asked: Asked, usual: Usual, history: Mapping[StreamKey, Healthy], start: int, slot: int
) -> Answer:
    """P-values of the scores of the window that begins at ``start``.

    Null (usual): the score continues its healthy history. 1 where the excess over the mean is below the
    effect floor. Where half of the history is one value, conformal ranks: a share that is 0 on most days has
    no spread to extrapolate from, and its gaps come in bursts.
    """
    count = len(asked.keys)
    answer = Answer(
        p_value=np.full(count, np.nan), ranked=np.zeros(count, dtype=np.bool_), level=np.full(count, np.nan)
    )
    known = {key: position for position, key in enumerate(usual.keys)}
    places = [i for i, key in enumerate(asked.keys) if key in known]
    histories = [history[asked.keys[i]] for i in places]
    for members, values, slots in _groups(histories):
        at = [places[i] for i in members]
        of = [known[asked.keys[i]] for i in at]
        follows = [histories[i].last_end == start for i in members]
        level = np.where(follows, [histories[i].level for i in members], np.nan)
        value, floor = asked.value[at], asked.floor[at]
        centre, spread, n = standing(values, slots, slot)
        x = (value - centre) / np.maximum(spread, np.maximum(LEAST_SPREAD * floor, 1e-9))
        p = _tail(x, level, usual, of, n, len(values))
        ranked = _mostly_one(values)
        ranks = ((values >= value).sum(axis=0) + 1) / (len(values) + 1)
        answer.p_value[at] = np.where(value - centre < floor, 1.0, np.where(ranked, ranks, p))
        answer.ranked[at] = ranked
        before = usual.phi[of] * np.nan_to_num(level)
        answer.level[at] = before + usual.gain[of] * (x - before)
    return answer


def _tail(
    x: Float64Array, level: Float64Array, usual: Usual, of: Sequence[int], slot_n: int, n: int
) -> Float64Array:
    """Upper tail of the prediction of ``x`` from the level before; NaN there means it is unknown."""
    known = ~np.isnan(level)
    before = np.where(known, level, 0.0)
    phi = usual.phi[of]
    error = usual.phi_variance[of] + (1 - phi**2) / n
    variance = np.where(known, usual.variance[of], 1.0) * (1 + 1 / slot_n) + before**2 * error
    z = (x - phi * before) / np.sqrt(variance)
    degrees = np.minimum(_DEGREES, n - 3)[:, None]
    lower = stdtr(degrees, -np.abs(z) / usual.stretch[:, of])
    tail = np.where(z > 0, lower, 1 - lower)
    p: Float64Array = np.clip((usual.tail[:, of] * tail).sum(axis=0), _SMALLEST_P, 1.0)
    return p
