"""Null worlds whose scores take nearly one value: something that happens on few days, after a year of blocks.

Four normal columns, and one in which something happens on one day in ``EVERY``, to up to ``FEW`` rows. Half
of the windows that a monitor keeps are production after 200 days: these worlds run for ``QUARTERS``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alarms.path import Rows
from alarms.worlds import WORLDS, Maker, World, name_columns
from driftwatch.core.arrays import Int64Array
from driftwatch.summary.batch import Levels

ROWS, EVERY, FEW = 300, 15, 9
YEAR, QUARTERS = 365, 5
#: The rare column, whose rows at these positions are those to which it happens today.
RareColumn = Callable[[np.random.Generator, Int64Array, int], Rows]


def rare_days(column: RareColumn, every: int = EVERY) -> Maker:
    def draw(rng: np.random.Generator, t: int) -> Rows:
        count = int(rng.integers(1, FEW + 1)) if rng.random() < 1 / every else 0
        rows = name_columns(rng.standard_normal((ROWS, 4)))
        return {**rows, **column(rng, rng.choice(ROWS, size=count, replace=False), t)}

    return lambda _rng: draw


def flag(_rng: np.random.Generator, positions: Int64Array, _t: int) -> Rows:
    codes = np.zeros(ROWS, dtype=np.int32)
    codes[positions] = 1
    return {"flag": Levels(codes=codes, levels=("false", "true"))}


def number_flag(_rng: np.random.Generator, positions: Int64Array, _t: int) -> Rows:
    values = np.zeros(ROWS)
    values[positions] = 1.0
    return {"flag": values}


def null_share(rng: np.random.Generator, positions: Int64Array, _t: int) -> Rows:
    values = rng.standard_normal(ROWS)
    values[positions] = np.nan
    return {"gaps": values}


def unseen(rng: np.random.Generator, positions: Int64Array, t: int) -> Rows:
    """Levels that the reference never had, another one on each of the days."""
    codes = rng.choice(3, size=ROWS, p=[0.6, 0.3, 0.1]).astype(np.int32)
    codes[positions] = 3
    return {"k": Levels(codes=codes, levels=("k0", "k1", "k2", f"k of {t}"))}


def constant(rng: np.random.Generator, positions: Int64Array, _t: int) -> Rows:
    """One value, with exceptions far from it."""
    values = np.full(ROWS, 5.0)
    values[positions] = 5.0 + rng.exponential(10.0, len(positions))
    return {"constant": values}


def constant_level(_rng: np.random.Generator, positions: Int64Array, t: int) -> Rows:
    """One level, and on rare days one of five others."""
    codes = np.zeros(ROWS, dtype=np.int32)
    codes[positions] = 1 + t % 5
    return {"level": Levels(codes=codes, levels=tuple(f"l{i}" for i in range(6)))}


RARE_WORLDS: dict[str, World] = {
    name: World(make=rare_days(column), blocks=YEAR, quarters=QUARTERS)
    for name, column in {
        "rare_flag": flag,
        "rare_number_flag": number_flag,
        "rare_nulls": null_share,
        "rare_unseen": unseen,
        "rare_exceptions": constant,
        "rare_level": constant_level,
    }.items()
}
NULL_WORLDS = {**WORLDS, **RARE_WORLDS}
