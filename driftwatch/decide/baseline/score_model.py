"""The laws of scores, learned from their healthy windows: memory of the level, noise, tails.

Model of one score's healthy history, once season slots are taken out: a level that returns to its mean,
``level_t = phi level_{t-1} + change``, seen through noise, with innovations from Student's t. Real traffic
comes in spells (weather, sales), and every window has the noise of its own rows besides: a spell must not be
counted each day anew, and one loud window must not be taken for a spell. ``phi``, the level's share of the
variance and the degrees of freedom are averaged over grids by their likelihood. The few windows of one column
say little about them, so the laws of all columns' scores of one name are learned together, as draws from one
population.
Source: Kalman 1960 (steady filter); restricted likelihood, Patterson, Thompson 1971; nonparametric empirical
Bayes, Robbins 1956, Laird 1978; Bayesian model averaging.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import gammaln

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.decide.baseline.location_scale import left_out, mostly_one
from driftwatch.decide.baseline.pooling import alike_of, posterior
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.weighted_series import known_of, times
from driftwatch.decide.evalues.stream_index import StreamIndex

#: Healthy windows before a score is evidence.
MIN_HISTORY = 8
#: Newest windows that the laws are learned from.
_LEARNED_FROM = 400
#: Learned again once so much more has been taught; a full history loses as much as it gains.
_GROWN, _RENEWED = 0.1, 0.25
#: Degrees of freedom up to which tails are heavy (days far out come in every kind), and from which light.
_HEAVY, _LIGHT = 4.0, 10.0
#: Posterior weight of such tails from which on they count as seen: more than the prior gives them unseen.
_SURELY = 0.9
#: That of light ones over all columns from which on they are believed: one column may look so by chance.
_MOSTLY = 0.8
#: How often a population is held to remember as the columns' other scores do. Tails are each population's
#: own: one odd column among many plain ones pages by them.
_ALIKE_IN_MEMORY, _ALIKE_IN_TAILS = 0.5, 0.0
_SCALE_STEPS = 4
#: Densities that are multiplied before a logarithm is taken.
_AT_ONCE = 8


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
_LEVEL_PRIOR = np.array([0.0, *(np.repeat([0.0, 0.25, 0.5, 0.75, 1.0, 1.0], 4) - np.log(4))])
DEGREES = np.array([2.0, 3.0, 4.0, 6.0, 10.0, 30.0, 100.0])
_DEGREES_PRIOR = np.array([0.0, 1.0, 1.0, -0.5, -2.0, -3.5, -5.0])
_LOG_NORM = gammaln((DEGREES + 1) / 2) - gammaln(DEGREES / 2) - 0.5 * np.log(DEGREES * np.pi)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreModel:
    """The laws of the scores ``keys``, as learned when the book had seen ``windows``.

    ``phi[k]`` is the level's memory with its ``phi_variance``, ``gain[k]`` of its filter, ``variance[k]`` of
    what it leaves unexplained in squared spreads; ``tail[d, k]`` weighs degrees of freedom, whose scale in
    standard deviations is ``stretch[d, k]``. ``ranked[k]`` have one value in most windows and no law.
    """

    keys: StreamIndex
    phi: Float64Array
    phi_variance: Float64Array
    gain: Float64Array
    variance: Float64Array
    tail: Float64Array
    stretch: Float64Array
    ranked: BoolArray
    windows: int

    @cached_property
    def heavy(self) -> BoolArray:
        """Scores ``[k]`` whose tails are heavy, as far as their history says."""
        return np.asarray(self.tail[DEGREES <= _HEAVY].sum(axis=0) > _SURELY)

    @cached_property
    def light(self) -> BoolArray:
        """Scores ``[k]`` whose tails are light, as those of all columns are on average."""
        weight, light = self.tail[DEGREES >= _LIGHT].sum(axis=0), np.zeros(len(self.keys), dtype=np.bool_)
        for pool in self.keys.pools:
            told = [place for place in pool if not self.ranked[place]]
            light[told] = bool(told) and weight[told].mean() > _MOSTLY
        return light


#: Names of everything that is stored of it, its keys and number apart.
MODEL_ARRAYS = ("phi", "phi_variance", "gain", "variance", "tail", "stretch", "ranked")


def learned(known: ScoreModel | None, book: ScoreHistory) -> ScoreModel:
    """What is known of the scores' laws, learned again once the history has grown enough."""
    if known is not None and known.keys == book.keys:
        grown = book.windows - known.windows
        full = len(book.values) >= _LEARNED_FROM
        if grown < max(1.0, _GROWN * len(book.values), _RENEWED * _LEARNED_FROM * full):
            return known
    return learn(book)


def learn(book: ScoreHistory) -> ScoreModel:
    """The posterior of each score's memory and tail. Cost: a filter pass over the history per grid point."""
    healthy, count = book.healthy.whole(), len(book.keys)
    ranked = mostly_one(healthy)
    # What was set aside in all of these windows has nothing to tell, however long it was known before.
    told = np.flatnonzero((known_of(healthy[-_LEARNED_FROM:]) >= MIN_HISTORY) & ~ranked)
    # Window by window in memory, as it is walked through.
    apart = left_out(healthy.take(told, axis=1), book.slots, book.rows, book.keys.of_columns[told])
    centred = np.ascontiguousarray(apart[-_LEARNED_FROM:])
    log_level = np.full((len(_PHI), count), np.nan)
    log_tail = np.full((len(DEGREES), count), np.nan)
    variance, stretch = np.ones((len(_PHI), count)), np.ones((len(DEGREES), count))
    log_level[:, told], variance[:, told] = _of_level(centred)
    alike = alike_of(centred, told)
    weights = posterior(log_level, _LEVEL_PRIOR, book.keys, alike, _ALIKE_IN_MEMORY)
    phi, gain = _PHI @ weights, _STEADY[:, 0] @ weights
    innovations = _innovations(centred, phi[told], gain[told])
    log_tail[:, told], stretch[:, told] = _of_tail(innovations, book.signed[told])
    return ScoreModel(
        keys=book.keys,
        windows=book.windows,
        phi=phi,
        phi_variance=_PHI**2 @ weights - phi**2,
        gain=gain,
        variance=(weights * variance).sum(axis=0),
        tail=posterior(log_tail, _DEGREES_PRIOR, book.keys, alike, _ALIKE_IN_TAILS),
        stretch=stretch,
        ranked=ranked,
    )


def _steps(
    centred: Float64Array, phi: Float64Array, gain: Float64Array
) -> Iterator[tuple[Float64Array, BoolArray | None]]:
    """Innovations of the steady filter, window by window, and where nothing was seen: NaN there.

    What is yielded is overwritten by the next: thousands of small arrays would cost as much as the numbers.
    """
    shape = np.broadcast_shapes(phi.shape, centred.shape[1:])
    level, before, innovation = np.zeros(shape), np.empty(shape), np.empty(shape)
    # Whole arrays: a number for each row costs a loop for each row.
    phi, gain = (np.ascontiguousarray(np.broadcast_to(part, shape)) for part in (phi, gain))
    missing = np.isnan(centred)
    gaps = np.asarray(missing.any(axis=1)).tolist()
    for seen, unseen, gap in zip(centred, missing, gaps, strict=True):
        np.multiply(phi, level, out=before)
        np.subtract(seen, before, out=innovation)
        np.multiply(gain, np.where(unseen, 0.0, innovation) if gap else innovation, out=level)
        np.add(before, level, out=level)
        yield innovation, unseen if gap else None


def _innovations(centred: Float64Array, phi: Float64Array, gain: Float64Array) -> Float64Array:
    found = np.empty((len(centred), *np.broadcast_shapes(phi.shape, centred.shape[1:])))
    for n, (innovation, _) in enumerate(_steps(centred, phi, gain)):
        found[n] = innovation
    return found


def _of_level(centred: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Log likelihood ``[g, k]`` of the grid of levels, and the variance of their innovations.

    Restricted likelihood (Patterson, Thompson 1971), for the mean is estimated, which biases short series
    towards no memory: the root mean square of what the filter leaves of a constant is divided out.
    """
    square, work = (np.zeros((len(_PHI), centred.shape[1])) for _ in range(2))
    for innovation, unseen in _steps(centred, _PHI[:, None], _STEADY[:, :1]):
        np.multiply(innovation, innovation, out=work)
        if unseen is not None:
            work[:, unseen] = 0.0
        np.add(square, work, out=square)
    n = known_of(centred)
    square = np.maximum(square, 1e-12) / np.maximum(n - 2, 1)
    return -(n - 1) / 2 * np.log(square) - np.log(_of_mean(len(centred)))[:, None] / 2, square


@lru_cache
def _of_mean(windows: int) -> Float64Array:
    """Mean square ``[g]`` of what each filter leaves of a constant; the same for many series."""
    constant = np.ones((max(windows, 1), 1))
    left = _innovations(constant, _PHI[:, None], _STEADY[:, :1]).reshape(-1, len(_PHI))
    return np.asarray((left**2).mean(axis=0))


def _of_tail(innovations: Float64Array, signed: BoolArray) -> tuple[Float64Array, Float64Array]:
    """Log likelihood ``[d, k]`` of degrees of freedom, and their scale in standard deviations.

    Of an unsigned score, a distance, only what lies above counts, and its tail there is the longer one.
    """
    root = np.sqrt(np.nansum(innovations**2, axis=0) / np.maximum(known_of(innovations), 1))
    z = innovations / np.maximum(root, 1e-12)
    known = ~np.isnan(z) & (signed | (z > 0))
    n = np.maximum(times(known), 1)
    # What is not known adds nothing. A logarithm of NaN takes three times as long as that of a number.
    z[~known] = 0.0
    square, work = z * z, np.empty_like(z)
    log_like, stretch = [], []
    for degrees, norm in zip(DEGREES, _LOG_NORM, strict=True):
        width = np.full(z.shape[1], degrees)
        for _ in range(_SCALE_STEPS):
            np.add(square, width, out=work)
            np.divide(square, work, out=work)
            width = np.maximum((degrees + 1) * width * (work.sum(axis=0) / n), 1e-12 * degrees)
        stretch.append(np.sqrt(width / degrees))
        np.divide(square, width, out=work)
        tails = (degrees + 1) / 2 * _log1p_sum(work)
        log_like.append(n * (norm - np.log(stretch[-1])) - tails)
    return np.array(log_like), np.array(stretch)


def _log1p_sum(values: Float64Array) -> Float64Array:
    """Sum ``[k]`` of ``log(1 + values[n, k])``, overwritten: few logs of products, far from overflowing."""
    values += 1.0
    many = len(values) // _AT_ONCE
    whole, rest = np.split(values, [many * _AT_ONCE])
    products = whole.reshape(many, _AT_ONCE, values.shape[1]).prod(axis=1)
    return np.asarray(np.log(products).sum(axis=0) + np.log(rest).sum(axis=0))
