"""Shifted worlds: one change at a known window, and an oracle's log likelihood ratio of each changed window.

A change picks whole users and draws nothing else again. ``gain`` is the log likelihood ratio of a changed
window's rows to the healthy distribution, times ``Setting.weight``: the oracle knows both distributions and
how many rows count as one, but not the user of a row, which no monitor knows. Whole users that are null or of
a level count as one row each, exactly. A rate that the healthy world does not have (nulls, unseen levels)
counts there as one in the reference's users + 2, which is what a reference can say of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from alarms.healthy import K_SHARES, LOG_ROWS_SD, NORMAL, PAIR, S_SHARES, Setting, codes, numbers
from alarms.path import Rows, size, take
from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.summary.batch import Levels

#: Shares of ``k`` after its last level grew; the other levels keep their proportions.
K_MOVED = np.append(K_SHARES[:-1] * 0.85 / 0.95, 0.15)
MODE_SHARE, MODE_AT, SCALE, DEGREES, RAMP = 0.05, 4.0, 1.25, 3.0, 0.02
Change = Callable[[Setting, Rows, int, np.random.Generator], Rows]
Gain = Callable[[Setting, Rows, int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A change, the log likelihood ratio it yields, and which owners a page should name.

    ``moved_share`` is the largest total variation distance of any column's distribution (for the flip that of
    the pair, for the volume the share of rows lost, for the ramp that after 30 windows). ``gross`` shifts
    have to page in the first window. ``new`` shifts bring what healthy windows never had: their gain already
    is what a learned baseline can tell.
    """

    change: Change
    gain: Gain
    names: frozenset[str]
    moved_share: float
    gross: bool = False
    segmented: bool = False
    new: bool = False


def log_density(values: Float64Array) -> Float64Array:
    """Log density of a healthy numeric column, standard normal, up to a constant."""
    return np.asarray(-(values**2) / 2)


def _shift_tv(delta: float) -> float:
    return float(2 * ndtr(abs(delta) / 2) - 1)


def mean_shift(delta: Callable[[int], float], moved_share: float, *names: str, gross: bool = False) -> Line:
    """The columns' means move by ``delta(t)`` standard deviations in window ``t`` (0 the first)."""

    def change(_setting: Setting, rows: Rows, t: int, _rng: np.random.Generator) -> Rows:
        return {**rows, **{name: numbers(rows, name) + delta(t) for name in names}}

    def gain(setting: Setting, rows: Rows, t: int) -> float:
        ratios = (log_density(numbers(rows, name) - delta(t)) - log_density(numbers(rows, name))
                 for name in names)  # fmt: skip
        return setting.weight * float(sum(item.sum() for item in ratios))

    joint_owners = frozenset({"joint:together", "joint:mmd"}) if len(names) > 1 else frozenset()
    return Line(
        change=change, gain=gain, names=frozenset(names) | joint_owners, moved_share=moved_share, gross=gross
    )  # fmt: skip


def scale_change(factor: float, name: str) -> Line:
    """The column's scale grows by ``factor``."""
    crossing = math.sqrt(2 * math.log(factor) / (1 - factor**-2))
    return Line(
        change=lambda _setting, rows, _t, _rng: {**rows, name: factor * numbers(rows, name)},
        gain=lambda setting, rows, _t: (
            setting.weight
            * float(
                (
                    log_density(numbers(rows, name) / factor)
                    - math.log(factor)
                    - log_density(numbers(rows, name))
                ).sum()
            )
        ),
        names=frozenset({name}),
        moved_share=float(2 * (ndtr(crossing) - ndtr(crossing / factor))),
    )


def _student_values(z: Float64Array) -> Float64Array:
    return np.asarray(student.ppf(ndtr(z), DEGREES)) / math.sqrt(DEGREES / (DEGREES - 2))


def heavy_tail(name: str) -> Line:
    """The column becomes Student's t with 3 degrees of freedom and the same variance."""
    unit = math.sqrt(DEGREES / (DEGREES - 2))

    def gain(setting: Setting, rows: Rows, _t: int) -> float:
        y = numbers(rows, name)
        z = -np.sign(y) * ndtri(student.cdf(-np.abs(y) * unit, DEGREES))
        slope = (
            -(z**2) / 2
            - math.log(math.sqrt(2 * math.pi))
            - student.logpdf(y * unit, DEGREES)
            - math.log(unit)
        )
        return setting.weight * float((log_density(z) - log_density(y) - slope).sum())

    x = np.linspace(-12, 12, 24_001)
    difference = np.abs(np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) - unit * student.pdf(x * unit, DEGREES))
    return Line(
        change=lambda _setting, rows, _t, _rng: {**rows, name: _student_values(numbers(rows, name))},
        gain=gain,
        names=frozenset({name}),
        moved_share=float(difference.sum() * (x[1] - x[0]) / 2),
    )


def mode(name: str) -> Line:
    """5 % of the users move by 4 standard deviations."""

    def change(setting: Setting, rows: Rows, _t: int, rng: np.random.Generator) -> Rows:
        moves = setting.choose_users(rng, size(rows), MODE_SHARE)
        return {**rows, name: numbers(rows, name) + np.where(moves, MODE_AT, 0.0)}

    def gain(setting: Setting, rows: Rows, _t: int) -> float:
        stay_density, move_density = (
            log_density(numbers(rows, name)),
            log_density(numbers(rows, name) - MODE_AT),
        )
        log_stay, log_move = math.log(1 - MODE_SHARE), math.log(MODE_SHARE)
        return setting.weight * float(
            (np.logaddexp(log_stay + stay_density, log_move + move_density) - stay_density).sum()
        )

    return Line(
        change=change, gain=gain, names=frozenset({name}), moved_share=MODE_SHARE * _shift_tv(MODE_AT)
    )  # fmt: skip


def levels(share: float | None) -> Line:
    """The last level of ``k`` moves from 5 % to 15 %, or a new level takes ``share`` of the users."""

    def change(setting: Setting, rows: Rows, _t: int, rng: np.random.Generator) -> Rows:
        level_codes, count = codes(rows, "k")
        share_lost = 1 - K_MOVED[0] / K_SHARES[0] if share is None else share
        moves = setting.choose_users(rng, len(level_codes), share_lost) & (
            (level_codes < count - 1) | (share is not None)
        )
        changed_codes = np.where(moves, count - 1 if share is None else count, level_codes).astype(np.int32)
        names = (*(f"k{i}" for i in range(count)), "new")
        return {**rows, "k": Levels(codes=changed_codes, levels=names)}

    def gain(setting: Setting, rows: Rows, _t: int) -> float:
        code = codes(rows, "k")[0][:: setting.burst]
        if share is None:
            return float(np.log(K_MOVED / K_SHARES)[code].sum())
        return _rate(code == len(K_SHARES), share, setting)

    moved_share = K_MOVED[-1] - K_SHARES[-1] if share is None else share
    return Line(
        change=change,
        gain=gain,
        names=frozenset({"k"}),
        moved_share=float(moved_share),
        gross=moved_share >= 0.1 and share is not None,
        new=share is not None,
    )


def _rate(is_hit: BoolArray, share: float, setting: Setting) -> float:
    """Log likelihood ratio of a rate ``share`` that the reference did not have."""
    base_rate = 1 / (setting.users + 2)
    n_hits = int(is_hit.sum())
    return n_hits * math.log(share / base_rate) + (len(is_hit) - n_hits) * math.log(
        (1 - share) / (1 - base_rate)
    )


def nulls(share: float, name: str) -> Line:
    """The column is null for ``share`` of the users."""

    def change(setting: Setting, rows: Rows, _t: int, rng: np.random.Generator) -> Rows:
        return {
            **rows,
            name: np.where(setting.choose_users(rng, size(rows), share), np.nan, numbers(rows, name)),
        }

    return Line(
        change=change,
        gain=lambda setting, rows, _t: _rate(np.isnan(numbers(rows, name)[:: setting.burst]), share, setting),
        names=frozenset({name}),
        moved_share=share,
        gross=share >= 0.5,
        new=True,
    )


def unit(factor: float) -> Line:
    """``amount`` comes in another unit."""

    def gain(setting: Setting, rows: Rows, _t: int) -> float:
        z = np.log(numbers(rows, "amount"))
        return setting.weight * float((log_density(z - math.log(factor)) - log_density(z)).sum())

    return Line(
        change=lambda _setting, rows, _t, _rng: {**rows, "amount": factor * numbers(rows, "amount")},
        gain=gain,
        names=frozenset({"amount"}),
        moved_share=_shift_tv(math.log(factor)),
        gross=True,
    )


def flip() -> Line:
    """The pair's correlation turns from .9 to -.9; both columns keep their distribution."""
    residual_sd = math.sqrt(1 - PAIR**2)

    def gain(setting: Setting, rows: Rows, _t: int) -> float:
        a, b = numbers(rows, "a"), numbers(rows, "b")
        return setting.weight * float(
            (log_density((b + PAIR * a) / residual_sd) - log_density((b - PAIR * a) / residual_sd)).sum()
        )

    return Line(
        change=lambda _setting, rows, _t, _rng: {**rows, "b": -numbers(rows, "b")},
        gain=gain,
        names=frozenset({"a", "b", "joint:correlation", "joint:mmd"}),
        # Both are normal along the diagonals with variances 1 +- .9: the densities cross where a b = 0.
        moved_share=float(2 * math.asin(PAIR) / math.pi),
        gross=True,
    )


def volume_halved() -> Line:
    """Every second user is lost."""

    def change(setting: Setting, rows: Rows, _t: int, _rng: np.random.Generator) -> Rows:
        return take(rows, np.arange(max(1, size(rows) // setting.burst // 2) * setting.burst))

    def gain(setting: Setting, rows: Rows, _t: int) -> float:
        z = math.log(size(rows) / setting.rows) / LOG_ROWS_SD
        step = math.log(0.5) / LOG_ROWS_SD
        return step * z - step**2 / 2

    return Line(
        change=change, gain=gain, names=frozenset({"joint:volume"}), moved_share=0.5
    )  # fmt: skip


def segment_shift(delta: float, name: str) -> Line:
    """A shift of ``delta`` in the 3 % of the traffic that are ``s3``; the monitor is split by ``s``."""

    def change(_setting: Setting, rows: Rows, _t: int, _rng: np.random.Generator) -> Rows:
        inside = codes(rows, "s")[0] == len(S_SHARES) - 1
        return {**rows, name: numbers(rows, name) + np.where(inside, delta, 0.0)}

    def gain(setting: Setting, rows: Rows, _t: int) -> float:
        inside = codes(rows, "s")[0] == len(S_SHARES) - 1
        z = numbers(rows, name)
        return setting.weight * float((log_density(z - delta) - log_density(z))[inside].sum())

    moved_share = float(S_SHARES[-1]) * _shift_tv(delta)
    return Line(change=change, gain=gain, names=frozenset({name}), moved_share=moved_share, segmented=True)


#: The line without a change, on which every page is false: healthy windows of a setting for other rules.
NOTHING = "nothing"
LINES: Mapping[str, Line] = {
    NOTHING: Line(
        change=lambda _setting, rows, _t, _rng: rows,
        gain=lambda _setting, _rows, _t: 0.0,
        names=frozenset(),
        moved_share=0.0,
    ),
    "mean .1": mean_shift(lambda _t: 0.1, _shift_tv(0.1), "n3"),
    "mean .25": mean_shift(lambda _t: 0.25, _shift_tv(0.25), "n3"),
    "mean .5": mean_shift(lambda _t: 0.5, _shift_tv(0.5), "n3"),
    "mean 1": mean_shift(lambda _t: 1.0, _shift_tv(1.0), "n3", gross=True),
    "all .1": mean_shift(lambda _t: 0.1, _shift_tv(0.1), *(f"n{i}" for i in range(NORMAL))),
    "ramp .02": mean_shift(lambda t: RAMP * (t + 1), _shift_tv(30 * RAMP), "n3"),
    "scale 1.25": scale_change(SCALE, "n3"),
    "tail t3": heavy_tail("n3"),
    "mode 5 %": mode("n3"),
    "level 5-15 %": levels(None),
    "unseen 1 %": levels(0.01),
    "unseen 10 %": levels(0.10),
    "nulls 5 %": nulls(0.05, "n3"),
    "nulls 50 %": nulls(0.50, "n3"),
    "x1000": unit(1000.0),
    "flip": flip(),
    "segment 3 %": segment_shift(1.0, "n3"),
    "volume halved": volume_halved(),
}
