"""Null worlds: nothing moves in them, so every page is false.

A world draws the rows of window ``t``; the reference are the windows before 0, and time 0 is Thursday,
1 January 1970, 00:00 UTC. Worlds outside the proof carry what would make the promise hold there (``remedy``).
Windows of fewer than 30 rows are held until there are as many (``min_rows: 30``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from alarms.path import Extra, Rows
from driftwatch.core.arrays import Float64Array
from driftwatch.summary.batch import Levels
from driftwatch.summary.counts import SPECIAL, Counts
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.plan import Plan

Draw = Callable[[np.random.Generator, int], Rows]
Maker = Callable[[np.random.Generator], Draw]
#: Correlation of the rows of one user, and how many there are.
ICC, USER = 0.8, 10
WANDERING = (
    "longer windows (window.length: 1w), over which the level returns to its mean, or an accepted page"
)
SLOT = "a season slot: season: [hour_of_day], or [hour_of_week] with a reference of several weeks"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``make(rng)`` gives a draw; ``uncounted`` adds the counts of rows too many to draw."""

    make: Maker
    length: str = "1d"
    blocks: int = 28
    timed: bool = True
    slots: tuple[str, ...] = ()
    remedy: str = ""
    uncounted: Callable[[np.random.Generator], Extra] | None = None

    @property
    def per_quarter(self) -> int:
        """Windows in 90 days."""
        return 90 if self.length == "1d" else 90 * 24


def named(values: Float64Array) -> Rows:
    """Columns c0, c1, ... of a matrix."""
    return {f"c{i}": np.ascontiguousarray(values[:, i]) for i in range(values.shape[1])}


def independent(rows: int = 500, columns: int = 6, rho: float = 0.0, before: int | None = None) -> Maker:
    """Normal rows with a common correlation ``rho``; ``before`` of them a window in the reference."""

    def draw(rng: np.random.Generator, t: int) -> Rows:
        count = before if before is not None and t < 0 else rows
        common, own = rng.standard_normal((count, 1)), rng.standard_normal((count, columns))
        return named(math.sqrt(rho) * common + math.sqrt(1 - rho) * own)

    return lambda _rng: draw


def users(rows: int = 500, icc: float = ICC) -> Maker:
    """Rows of one user come in a burst of 10, with correlation ``icc``; 1 makes them equal."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        person = np.repeat(rng.standard_normal((rows // USER, 6)), USER, axis=0)
        return named(math.sqrt(icc) * person + math.sqrt(1 - icc) * rng.standard_normal(person.shape))

    return lambda _rng: draw


def effects(rho: float, scale: float = 0.15, rows: int = 500, common: float = 0.0) -> Maker:
    """A random effect per window on each column's mean, AR(1) with ``rho``; ``common`` is shared by all."""

    def make(first: np.random.Generator) -> Draw:
        state = [first.standard_normal(7)]

        def draw(rng: np.random.Generator, _t: int) -> Rows:
            state[0] = rho * state[0] + math.sqrt(1 - rho * rho) * rng.standard_normal(7)
            moved = scale * (math.sqrt(common) * state[0][6] + math.sqrt(1 - common) * state[0][:6])
            return named(rng.standard_normal((rows, 6)) + moved)

        return draw

    return make


def heavy(rows: int = 500) -> Maker:
    """Cauchy rows, and windows whose random effect has three degrees of freedom."""
    return lambda _rng: (
        lambda rng, _t: named(rng.standard_cauchy((rows, 6)) + 0.15 * rng.standard_t(3, size=6))
    )


def odd_columns(rows: int = 500, columns: int = 30) -> Maker:
    """Plain columns but two: the mean of one and a level's odds of another have effects with heavy tails."""
    shares = np.log([0.5, 0.3, 0.15, 0.05])

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        effect = 0.1 * rng.standard_normal(columns)
        effect[0] = 0.15 * rng.standard_t(3)
        found = named(rng.standard_normal((rows, columns)) + effect)
        odds = shares + np.array([0.0, 0.3 * rng.standard_t(3), 0.0, 0.0])
        codes = rng.choice(4, size=rows, p=np.exp(odds) / np.exp(odds).sum())
        found["k"] = Levels(codes=codes.astype(np.int32), levels=("k0", "k1", "k2", "k3"))
        return found

    return lambda _rng: draw


def bad_days(rows: int = 500) -> Maker:
    """One day in 25 moves every column together: rare, but as usual in production as in the reference."""
    return lambda _rng: (
        lambda rng, _t: named(rng.standard_normal((rows, 6)) + (0.12 if rng.random() < 0.04 else 0.0))
    )


def ties(rows: int = 500) -> Maker:
    """Small counts and a column with two values."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values = rng.poisson(0.7, (rows, 6)).astype(np.float64)
        values[:, 5] = rng.random(rows) < 0.02
        return named(values)

    return lambda _rng: draw


def gaps(rows: int = 500) -> Maker:
    """Values missing in bursts: nothing on most days, up to 4 % on one day in 15."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values = rng.standard_normal((rows, 6))
        for column in np.flatnonzero(rng.random(6) < 1 / 15):
            values[: int(rng.integers(1, rows // 25)), column] = np.nan
        return named(values)

    return lambda _rng: draw


def rare_levels(rows: int = 500) -> Maker:
    """Zipf levels, many of them seen once."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        found: Rows = {}
        for name in ("a", "b", "c"):
            known, codes = np.unique(rng.zipf(1.8, rows) % 5000, return_inverse=True)
            found[name] = Levels(codes=codes.astype(np.int32), levels=tuple(str(k) for k in known))
        return found

    return lambda _rng: draw


def new_levels(rows: int = 500, often: float = 1 / 20) -> Maker:
    """Users of ten rows, of one level each; ``often`` one of a window has a level never seen, or a few have:
    nothing that happens in healthy data has a largest size that a threshold could be put on.
    """
    shares = np.array([0.5, 0.3, 0.15, 0.05])

    def draw(rng: np.random.Generator, t: int) -> Rows:
        found: Rows = {}
        for name in ("a", "b", "c"):
            codes = np.repeat(rng.choice(len(shares), size=rows // USER, p=shares), USER)
            if rng.random() < often:
                codes[: USER * (1 + int(rng.poisson(0.5)))] = len(shares)
            levels = (*(f"{name}{i}" for i in range(len(shares))), f"{name} of {t}")
            found[name] = Levels(codes=codes.astype(np.int32), levels=levels)
        return found

    return lambda _rng: draw


def traffic(low: int = 20, high: int = 5000) -> Maker:
    """Independent rows, log-uniformly many of them in each window."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        rows = round(math.exp(rng.uniform(math.log(low), math.log(high))))
        return named(rng.standard_normal((rows, 6)))

    return lambda _rng: draw


def cycle(rows: int = 60, weekend: bool = False) -> Maker:
    """Hourly windows whose means and row counts follow the hour; on ``weekend`` days both are lower."""

    def draw(rng: np.random.Generator, t: int) -> Rows:
        wave = math.sin(2 * math.pi * t / 24)
        free = weekend and (t // 24 + 3) % 7 >= 5
        count = int(rows * (1.5 + wave) * (0.6 if free else 1.0))
        return named(rng.standard_normal((count, 4)) + 0.5 * wave - (0.4 if free else 0.0))

    return lambda _rng: draw


def harmless(shift: float, columns: int = 50, drawn: int = 200) -> Maker:
    """Independent columns, the first of which moves by ``shift`` standard deviations for good at 0."""

    def draw(rng: np.random.Generator, t: int) -> Rows:
        values = rng.standard_normal((drawn, columns))
        values[:, 0] += shift if t >= 0 else 0.0
        return named(values)

    return lambda _rng: draw


def counted(shift: float, rows: int) -> Callable[[np.random.Generator], Extra]:
    """Counts of ``rows`` further rows of ``harmless``, drawn per cell.

    Independent columns of known law: a column's counts are multinomial over the gaps between its edges (an
    edge itself has probability 0). The rows that were drawn are a uniform choice of all rows, as the row
    sample of ``Summary.of`` is. So the summary has the law it would have had from all rows.
    """

    def make(rng: np.random.Generator) -> Extra:
        def extra(plan: Plan, t: int) -> Mapping[str, Counts]:
            found = {}
            for place, column in enumerate(plan.columns):
                grid = plan.grids[column.name]
                assert isinstance(grid, NumericGrid)
                moved = shift if place == 0 and t >= 0 else 0.0
                upto = np.concatenate([[0.0], ndtr(grid.edges - moved), [1.0]])
                cells = np.zeros(grid.cells, dtype=np.int64)
                cells[::2] = rng.multinomial(rows, np.diff(upto))
                found[column.name] = Counts(cells=cells, special=np.zeros(len(SPECIAL), dtype=np.int64))
            return found

        return extra

    return make


_WEEKS = 6 * 7 * 24
WORLDS: dict[str, World] = {
    "independent": World(make=independent()),
    "untimed": World(make=independent(), timed=False),
    "users_10": World(make=users()),
    "bursts_10": World(make=users(icc=1.0)),
    "untimed_bursts": World(make=users(icc=1.0), timed=False),
    "window_effect": World(make=effects(0.0)),
    "window_effect_common": World(make=effects(0.0, common=0.8)),
    "autocorrelated_5": World(make=effects(0.5)),
    "autocorrelated_8": World(make=effects(0.8), remedy=WANDERING),
    "autocorrelated_9": World(make=effects(0.9), remedy=WANDERING),
    "traffic_20_5000": World(make=traffic()),
    "columns_200": World(make=independent(columns=200)),
    "columns_200_correlated": World(make=independent(columns=200, rho=0.6)),
    "heavy": World(make=heavy()),
    "odd_columns": World(make=odd_columns()),
    "ties": World(make=ties()),
    "rare_levels": World(make=rare_levels()),
    "new_levels": World(make=new_levels()),
    "gaps": World(make=gaps()),
    "bad_days": World(make=bad_days()),
    "reference_500": World(make=independent(rows=50), blocks=10),
    "untimed_reference_500": World(make=independent(before=50), blocks=10, timed=False),
    "calibration_10": World(make=independent(), blocks=10),
    "calibration_10_effect": World(make=effects(0.0), blocks=10),
    "harmless_200k": World(make=harmless(0.02), uncounted=counted(0.02, 199_800)),
    "hourly": World(make=independent(rows=60, columns=4), length="1h", blocks=24 * 14),
    "hourly_day_night": World(make=cycle(), length="1h", blocks=24 * 14, remedy=SLOT),
    "hourly_day_night_slots": World(make=cycle(), length="1h", blocks=24 * 14, slots=("hour_of_day",)),
    "hourly_new_levels": World(make=new_levels(1000, 1 / 100), length="1h", blocks=24 * 14),
    "hourly_week": World(make=cycle(weekend=True), length="1h", blocks=_WEEKS, remedy=SLOT),
    "hourly_week_slots": World(
        make=cycle(weekend=True), length="1h", blocks=_WEEKS, slots=("hour_of_week",)
    ),
}  # fmt: skip
