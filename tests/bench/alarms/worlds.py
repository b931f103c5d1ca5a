"""Null worlds: nothing moves in them, so every page is false.

A world draws the rows of window ``t``; the reference are the windows before 0, and time 0 is Thursday,
1 January 1970, 00:00 UTC. Worlds outside the proof carry what would make the promise hold there (``remedy``).
Windows of fewer than 30 rows are carried over until there are as many (``min_rows: 30``).
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
#: Correlation of the rows of one user, and their number.
ICC, USER = 0.8, 10
LONGER_WINDOWS = (
    "longer windows (window.length: 1w), over which the level returns to its mean, or an accepted page"
)
SEASON_SLOT = "a season slot: season: [hour_of_day], or [hour_of_week] with a reference of several weeks"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``make(rng)`` gives a draw; ``extra_counts`` adds the counts of rows too many to draw."""

    make: Maker
    length: str = "1d"
    blocks: int = 28
    timed: bool = True
    slots: tuple[str, ...] = ()
    remedy: str = ""
    extra_counts: Callable[[np.random.Generator], Extra] | None = None
    #: Quarters in a row that one piece of work runs.
    quarters: int = 1

    @property
    def per_quarter(self) -> int:
        """Windows in 90 days."""
        return 90 if self.length == "1d" else 90 * 24

    @property
    def windows(self) -> int:
        """Windows in one piece of work."""
        return self.quarters * self.per_quarter


def name_columns(values: Float64Array) -> Rows:
    """Columns c0, c1, ... of a matrix."""
    return {f"c{i}": np.ascontiguousarray(values[:, i]) for i in range(values.shape[1])}


def independent_rows(
    rows: int = 500, columns: int = 6, rho: float = 0.0, reference_rows: int | None = None
) -> Maker:
    """Normal rows with a common correlation ``rho``; reference windows may have another number of rows."""

    def draw(rng: np.random.Generator, t: int) -> Rows:
        count = reference_rows if reference_rows is not None and t < 0 else rows
        common, noise = rng.standard_normal((count, 1)), rng.standard_normal((count, columns))
        return name_columns(math.sqrt(rho) * common + math.sqrt(1 - rho) * noise)

    return lambda _rng: draw


def users(rows: int = 500, icc: float = ICC) -> Maker:
    """Rows of one user come in a burst of 10, with correlation ``icc``; 1 makes them equal."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        person = np.repeat(rng.standard_normal((rows // USER, 6)), USER, axis=0)
        return name_columns(math.sqrt(icc) * person + math.sqrt(1 - icc) * rng.standard_normal(person.shape))

    return lambda _rng: draw


def effects(rho: float, scale: float = 0.15, rows: int = 500, common: float = 0.0) -> Maker:
    """A random effect per window on each column's mean, AR(1) with ``rho``; ``common`` is shared by all."""

    def make(world_rng: np.random.Generator) -> Draw:
        state = [world_rng.standard_normal(7)]

        def draw(rng: np.random.Generator, _t: int) -> Rows:
            state[0] = rho * state[0] + math.sqrt(1 - rho * rho) * rng.standard_normal(7)
            offset = scale * (math.sqrt(common) * state[0][6] + math.sqrt(1 - common) * state[0][:6])
            return name_columns(rng.standard_normal((rows, 6)) + offset)

        return draw

    return make


def heavy_tails(rows: int = 500) -> Maker:
    """Cauchy rows, and windows whose random effect has three degrees of freedom."""
    return lambda _rng: (
        lambda rng, _t: name_columns(rng.standard_cauchy((rows, 6)) + 0.15 * rng.standard_t(3, size=6))
    )


def odd_columns(rows: int = 500, columns: int = 30) -> Maker:
    """Plain columns but two: the mean of one and a level's odds of another have heavy-tailed effects."""
    shares = np.log([0.5, 0.3, 0.15, 0.05])

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        effect = 0.1 * rng.standard_normal(columns)
        effect[0] = 0.15 * rng.standard_t(3)
        values = name_columns(rng.standard_normal((rows, columns)) + effect)
        log_odds = shares + np.array([0.0, 0.3 * rng.standard_t(3), 0.0, 0.0])
        codes = rng.choice(4, size=rows, p=np.exp(log_odds) / np.exp(log_odds).sum())
        values["k"] = Levels(codes=codes.astype(np.int32), levels=("k0", "k1", "k2", "k3"))
        return values

    return lambda _rng: draw


def bad_days(rows: int = 500) -> Maker:
    """One day in 25 moves every column together: rare, but as usual in production as in the reference."""
    return lambda _rng: (
        lambda rng, _t: name_columns(rng.standard_normal((rows, 6)) + (0.12 if rng.random() < 0.04 else 0.0))
    )


def ties(rows: int = 500) -> Maker:
    """Small counts and a column with two values."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values = rng.poisson(0.7, (rows, 6)).astype(np.float64)
        values[:, 5] = rng.random(rows) < 0.02
        return name_columns(values)

    return lambda _rng: draw


def gaps(rows: int = 500) -> Maker:
    """Values missing in bursts: nothing on most days, up to 4 % on one day in 15."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values = rng.standard_normal((rows, 6))
        for column in np.flatnonzero(rng.random(6) < 1 / 15):
            values[: int(rng.integers(1, rows // 25)), column] = np.nan
        return name_columns(values)

    return lambda _rng: draw


def rare_levels(rows: int = 500) -> Maker:
    """Zipf levels, many of them seen once."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values: Rows = {}
        for name in ("a", "b", "c"):
            levels, codes = np.unique(rng.zipf(1.8, rows) % 5000, return_inverse=True)
            values[name] = Levels(codes=codes.astype(np.int32), levels=tuple(str(k) for k in levels))
        return values

    return lambda _rng: draw


def new_levels(rows: int = 500, rate: float = 1 / 20) -> Maker:
    """Users of ten rows, of one level each; in ``rate`` of the windows one or a few have an unseen level.

    Such events in healthy data have no largest size that a threshold could be set to.
    """
    shares = np.array([0.5, 0.3, 0.15, 0.05])

    def draw(rng: np.random.Generator, t: int) -> Rows:
        values: Rows = {}
        for name in ("a", "b", "c"):
            codes = np.repeat(rng.choice(len(shares), size=rows // USER, p=shares), USER)
            if rng.random() < rate:
                codes[: USER * (1 + int(rng.poisson(0.5)))] = len(shares)
            levels = (*(f"{name}{i}" for i in range(len(shares))), f"{name} of {t}")
            values[name] = Levels(codes=codes.astype(np.int32), levels=levels)
        return values

    return lambda _rng: draw


def traffic(low: int = 20, high: int = 5000) -> Maker:
    """Independent rows; their number in each window is log-uniform."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        rows = round(math.exp(rng.uniform(math.log(low), math.log(high))))
        return name_columns(rng.standard_normal((rows, 6)))

    return lambda _rng: draw


def cycle(rows: int = 60, weekend: bool = False) -> Maker:
    """Hourly windows whose means and row counts follow the hour; on ``weekend`` days both are lower."""

    def draw(rng: np.random.Generator, t: int) -> Rows:
        wave = math.sin(2 * math.pi * t / 24)
        is_weekend = weekend and (t // 24 + 3) % 7 >= 5
        count = int(rows * (1.5 + wave) * (0.6 if is_weekend else 1.0))
        return name_columns(rng.standard_normal((count, 4)) + 0.5 * wave - (0.4 if is_weekend else 0.0))

    return lambda _rng: draw


def small_shift(shift: float, columns: int = 50, sample_rows: int = 200) -> Maker:
    """Independent columns, the first of which moves by ``shift`` standard deviations at 0 and stays there."""

    def draw(rng: np.random.Generator, t: int) -> Rows:
        values = rng.standard_normal((sample_rows, columns))
        values[:, 0] += shift if t >= 0 else 0.0
        return name_columns(values)

    return lambda _rng: draw


def small_shift_counts(shift: float, rows: int) -> Callable[[np.random.Generator], Extra]:
    """Counts of ``rows`` further rows of ``small_shift``, drawn per cell.

    Columns are independent with known distributions: a column's counts are multinomial over the gaps between
    its edges (an edge itself has probability 0). The drawn rows are a uniform choice of all rows, as the row
    sample of ``Summary.from_batch`` is. So the summary has the same distribution as one of all rows.
    """

    def make(rng: np.random.Generator) -> Extra:
        def extra(plan: Plan, t: int) -> Mapping[str, Counts]:
            column_counts = {}
            for number, column in enumerate(plan.columns):
                grid = plan.grids[column.name]
                assert isinstance(grid, NumericGrid)
                mean = shift if number == 0 and t >= 0 else 0.0
                cumulative = np.concatenate([[0.0], ndtr(grid.edges - mean), [1.0]])
                cells = np.zeros(grid.n_cells, dtype=np.int64)
                cells[::2] = rng.multinomial(rows, np.diff(cumulative))
                column_counts[column.name] = Counts(
                    cells=cells, special=np.zeros(len(SPECIAL), dtype=np.int64)
                )
            return column_counts

        return extra

    return make


_WEEKS = 6 * 7 * 24
WORLDS: dict[str, World] = {
    "independent": World(make=independent_rows()),
    "untimed": World(make=independent_rows(), timed=False),
    "users_10": World(make=users()),
    "bursts_10": World(make=users(icc=1.0)),
    "untimed_bursts": World(make=users(icc=1.0), timed=False),
    "window_effect": World(make=effects(0.0)),
    "window_effect_common": World(make=effects(0.0, common=0.8)),
    "autocorrelated_5": World(make=effects(0.5)),
    "autocorrelated_8": World(make=effects(0.8), remedy=LONGER_WINDOWS),
    "autocorrelated_9": World(make=effects(0.9), remedy=LONGER_WINDOWS),
    "traffic_20_5000": World(make=traffic()),
    "columns_200": World(make=independent_rows(columns=200)),
    "columns_200_correlated": World(make=independent_rows(columns=200, rho=0.6)),
    "heavy": World(make=heavy_tails()),
    "odd_columns": World(make=odd_columns()),
    "ties": World(make=ties()),
    "rare_levels": World(make=rare_levels()),
    "new_levels": World(make=new_levels()),
    "gaps": World(make=gaps()),
    "bad_days": World(make=bad_days()),
    "reference_500": World(make=independent_rows(rows=50), blocks=10),
    "untimed_reference_500": World(make=independent_rows(reference_rows=50), blocks=10, timed=False),
    "calibration_10": World(make=independent_rows(), blocks=10),
    "calibration_10_effect": World(make=effects(0.0), blocks=10),
    "harmless_200k": World(make=small_shift(0.02), extra_counts=small_shift_counts(0.02, 199_800)),
    "hourly": World(make=independent_rows(rows=60, columns=4), length="1h", blocks=24 * 14),
    "hourly_day_night": World(make=cycle(), length="1h", blocks=24 * 14, remedy=SEASON_SLOT),
    "hourly_day_night_slots": World(make=cycle(), length="1h", blocks=24 * 14, slots=("hour_of_day",)),
    "hourly_new_levels": World(make=new_levels(1000, 1 / 100), length="1h", blocks=24 * 14),
    "hourly_week": World(make=cycle(weekend=True), length="1h", blocks=_WEEKS, remedy=SEASON_SLOT),
    "hourly_week_slots": World(
        make=cycle(weekend=True), length="1h", blocks=_WEEKS, slots=("hour_of_week",)
    ),
}  # fmt: skip
