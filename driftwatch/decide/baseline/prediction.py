"""How unusual a score is: its p-value under what the healthy windows before it predict.

The p-value is the tail of the prediction of the steady Kalman filter of the score's law (``laws.py``), with
the errors of mean and memory in its variance.

Why predict instead of rank: ranks of 28 windows can never say more than 1/29. False alarms: a parametric
prediction, so measured (``make bench-alarms``) rather than proven. What keeps the budget there and what does
not stands in its tables.
Source: Kalman 1960; Student's t prediction; the bias of short autocorrelated series, Kendall 1954.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.special import stdtr

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.location_scale import LocationScale, standing, worth_of
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import DEGREES, MIN_HISTORY, ScoreModel
from driftwatch.decide.baseline.share_history import LONGEST_WAIT
from driftwatch.decide.baseline.weighted_series import Series, known_of, times

#: A spread below this part of the effect floor is not believed: few windows have not seen all there is.
LEAST_SPREAD = 0.25
_SMALLEST_P = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """What a window of one season slot is held against: the ``healthy`` windows, ``known[k]`` of them.

    ``worth[k]`` is what a distance from them counts for.
    """

    healthy: Series
    known: Int64Array
    held: LocationScale
    worth: Float64Array


def past_of(book: ScoreHistory, slot: int, rows: float) -> Past:
    """The past of a window of that slot and of so many rows. Cost: passes over the history."""
    healthy = book.healthy
    means = book.keys.of_columns
    held = standing(healthy, book.slots, slot, book.rows, means)
    counts = np.where(means, worth_of(rows, book.rows), 1.0)
    return Past(healthy=healthy, known=held.known, held=held, worth=counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """P(as far or further) above and below ``[k, 2]``, NaN while the history is short or nothing was seen.

    ``ranked[k]`` are mere ranks; the tails of ``light[k]`` are light in most columns. ``least[k, 2]`` is the
    smallest p-value there can be. ``x[k]`` is where the score stands, ``level[k]`` where the filter then
    does, in spreads from the usual mean.
    """

    p_value: Float64Array
    ranked: BoolArray
    light: BoolArray
    least: Float64Array
    x: Float64Array
    level: Float64Array


def p_values(
    book: ScoreHistory, usual: ScoreModel, value: Float64Array, floor: Float64Array, start: int, past: Past
) -> Answer:
    """P-values of the scores ``value[k]`` of the window that begins at ``start``; NaN is not measured.

    Null (usual): the score continues its healthy history. 1 where the excess over the mean is below the
    effect floor ``floor[k]``. Where half of the history is one value, conformal ranks: a share that is 0 on
    most days has no spread to extrapolate from, and its gaps come in bursts. A column's score whose tails
    are heavy is not extrapolated either: no p-value below that of a first among all windows seen.
    """
    healthy, known, held = past.healthy, past.known, past.held
    x = _in_spreads(value, held, floor) * past.worth
    level = book.level if book.level_end == start else np.full(len(value), np.nan)
    ranked, heavy = usual.ranked, usual.heavy & book.keys.of_columns
    # Of the others the p-value is 1, a rank, or none.
    far = ~ranked & (known >= MIN_HISTORY) & (np.abs(value - held.centre) >= floor)
    lower = _below(x, level, usual, past, np.flatnonzero(far))
    least = np.empty((len(value), 2))
    least[:] = np.where(heavy, 1 / (known + 1), _SMALLEST_P)[:, None]
    p, near, excess = np.empty_like(least), np.empty(least.shape, dtype=np.bool_), value - held.centre
    np.maximum(1 - lower, least[:, 0], out=p[:, 0])
    np.maximum(lower, least[:, 1], out=p[:, 1])
    np.less(excess, floor, out=near[:, 0])
    np.greater(excess, -floor, out=near[:, 1])
    _put_ranks(p, least, np.flatnonzero(ranked), value, healthy, book, LEAST_SPREAD * floor, near)
    p[near] = 1.0
    p[(known < MIN_HISTORY) | np.isnan(value)] = np.nan
    p[~book.signed, 1] = np.nan
    before = usual.phi * np.where(np.isnan(level), 0.0, level)
    after = np.where(known < MIN_HISTORY, np.nan, before + usual.gain * (x - before))
    return Answer(
        p_value=p,
        ranked=ranked,
        light=usual.light,
        least=least,
        x=x,
        level=after,
    )


def _put_ranks(
    p: Float64Array, first: Float64Array, at: Int64Array, value: Float64Array, healthy: Series,
    book: ScoreHistory, tie: Float64Array, near: BoolArray,
) -> None:  # fmt: skip
    """The p-values ``[k, 2]`` of the scores ``at`` by their ranks, and those of a first, in their places.

    The rule of succession: of ``n`` windows seen, ``m`` of which came out at that place or above, so does the
    next with probability ``(m + 1) / (n + 1)``. Windows that wait count, though not as places: of ten in a
    row above all healthy ones the last is no surprise. Values closer than ``tie`` share a place: a block of
    the reference was held against the rest of it, a window against all of it, which differs a little. Those
    ``near[k, 2]`` what is usual have no p-value here.
    """
    if not len(at):
        return
    # Whoever looks one way has no rank below; another's is the one above when all is turned round.
    below = at[book.signed[at]]
    places, side = np.concatenate([at, below]), np.repeat([0, 1], [len(at), len(below)])
    turned = np.where(side, -1.0, 1.0)
    every, late = book.values.take(places, axis=1) * turned, healthy.late.take(places, axis=1) * turned
    early = every[: len(healthy.early)]
    seen = known_of(every) + 1
    highest = np.fmax.reduce(late, axis=0, initial=-np.inf)
    if len(early):
        highest = np.fmax(highest, np.fmax.reduce(early, axis=0))
    # None before those that wait is above the highest.
    first[places, side] = (times(every[len(early) :] > highest) + 1) / seen
    far = np.flatnonzero(~near[places, side])
    if len(far):
        least = (value[places] * turned - tie[places])[far]
        own = np.concatenate([early[:, far], late[:, far]])
        lowest = np.where(own < least, own, -np.inf).max(axis=0, initial=-np.inf)
        p[places[far], side[far]] = (times(every[:, far] > lowest) + 1) / seen[far]


def _in_spreads(value: Float64Array, held: LocationScale, floor: Float64Array) -> Float64Array:
    return np.asarray((value - held.centre) / np.maximum(held.spread, np.maximum(LEAST_SPREAD * floor, 1e-9)))


def mean_since_onset(book: ScoreHistory, floor: Float64Array, x: Float64Array) -> Float64Array:
    """Where each suspected score stood on average since its onset, in spreads from the usual mean.

    ``x[k]`` is the window that is not in the book yet. NaN for scores that are not suspected.
    """
    healthy, begun, means = book.healthy, book.begun, book.keys.of_columns
    total, windows = np.nan_to_num(x), (~np.isnan(x)).astype(np.int64)
    for row in range(max(0, len(book.values) - LONGEST_WAIT), len(book.values)):
        since = (book.ends[row] > begun) & ~np.isnan(book.values[row])
        if since.any():
            held = standing(healthy, book.slots, int(book.slots[row]), book.rows, means)
            counts = np.where(means, worth_of(book.rows[row], book.rows), 1.0)
            total += np.where(since, np.nan_to_num(_in_spreads(book.values[row], held, floor)) * counts, 0.0)
            windows += since
    return np.where(book.suspected, total / np.maximum(windows, 1), np.nan)


def _below(
    x: Float64Array, level: Float64Array, usual: ScoreModel, past: Past, asked: Int64Array
) -> Float64Array:
    """Lower tail of the prediction of ``x`` from the level before; NaN there means it is unknown.

    Only of the scores ``asked``: the distribution is what costs. A half stands for the others.
    """
    known = ~np.isnan(level)
    before = np.where(known, level, 0.0)
    error = usual.phi_variance + (1 - usual.phi**2) / np.maximum(past.known, 1)
    mean = past.held.error(past.worth)
    variance = np.where(known, usual.variance, 1.0) * (1 + mean) + before**2 * error
    z = (x - usual.phi * before) / np.sqrt(variance)
    degrees = np.minimum(DEGREES[:, None], past.held.degrees[asked])
    parts = usual.tail[:, asked] * stdtr(degrees, z[asked] / usual.stretch[:, asked])
    tail = np.full(len(x), 0.5)
    # One by one: a sum over a single column would be rounded in another order than one over many.
    tail[asked] = reduce(np.add, parts)
    return tail
