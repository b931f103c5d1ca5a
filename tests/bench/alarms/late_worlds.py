"""Null worlds whose rows come late: after their window was judged, or windows out of order.

A day is its rows on time and its late parts, in the order in which they come. Columns ``c0`` .. ``c5`` are
normal, ``region`` is a category. Late rows differ from the others every day, the whole day is within the
tolerance of the reference, which is drawn from ``reference`` days.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from alarms.healthy import numbers
from alarms.path import Rows, size
from alarms.worlds import USER, effects, name_columns
from driftwatch.core.arrays import Float64Array
from driftwatch.summary.batch import Levels

#: Rows on time, then those of each late part.
Day = list[Rows]
DrawDay = Callable[[np.random.Generator, int], Day]
COLUMNS, ROWS = 6, 500
REGIONS = ("r0", "r1", "r2", "r3")
MIX = np.array([0.4, 0.3, 0.2, 0.1])
#: Share of devices without the sensor that gives ``c5``.
NO_SENSOR = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class LateWorld:
    """``make`` gives a draw of production's days, ``reference`` one of those before if they differ."""

    make: Callable[[], DrawDay]
    reference: DrawDay | None = None
    blocks: int = 28
    #: Share of days that come up to ``MAX_DELAY`` days late, and so after newer ones.
    late_days: float = 0.0


#: Days by which a day is late at most.
MAX_DELAY = 5


def region_column(rng: np.random.Generator, count: int, mix: Float64Array) -> Levels:
    return Levels(codes=rng.choice(len(mix), size=count, p=mix).astype(np.int32), levels=REGIONS)


def plain(rng: np.random.Generator, count: int, shift: float = 0.0, mix: Float64Array = MIX) -> Rows:
    """Independent rows whose numbers are shifted by so many standard deviations."""
    rows = name_columns(rng.standard_normal((count, COLUMNS)) + shift)
    return {**rows, "region": region_column(rng, count, mix)}


def device(rng: np.random.Generator, count: int) -> Rows:
    """The rows of one device: its own level in every column, one region, and no values of a sensor."""
    level = rng.standard_normal(COLUMNS)
    rows = name_columns(math.sqrt(0.9) * level + math.sqrt(0.1) * rng.standard_normal((count, COLUMNS)))
    rows["c5"] = np.full(count, np.nan) if rng.random() < NO_SENSOR else rows["c5"]
    code = np.full(count, rng.choice(len(MIX), p=MIX), dtype=np.int32)
    return {**rows, "region": Levels(codes=code, levels=REGIONS)}


def glue(parts: Sequence[Rows]) -> Rows:
    """All rows together."""
    columns: Rows = {}
    for name, first in parts[0].items():
        if isinstance(first, Levels):
            codes = [part.codes for item in parts if isinstance(part := item[name], Levels)]
            columns[name] = replace(first, codes=np.concatenate(codes))
        else:
            columns[name] = np.concatenate([v for item in parts if not isinstance(v := item[name], Levels)])
    return columns


def differing(late_rows: Sequence[int], shift: float, mix: Float64Array, counter: float = 0.0) -> DrawDay:
    """Late rows shifted by ``shift`` with regions ``mix``; those on time by ``counter`` the other way."""

    def draw(rng: np.random.Generator, _t: int) -> Day:
        on_time = plain(rng, ROWS - sum(late_rows), -counter)
        return [on_time, *(plain(rng, count, shift, mix) for count in late_rows)]

    return draw


def devices(on_time: int, late_rows: Sequence[int]) -> DrawDay:
    """Rows on time of as many devices, late parts of one each."""

    def draw(rng: np.random.Generator, _t: int) -> Day:
        first = plain(rng, on_time)
        first["c5"] = np.where(rng.random(on_time) < NO_SENSOR, np.nan, numbers(first, "c5"))
        return [first, *(device(rng, count) for count in late_rows)]

    return draw


def opposite(late_rows: Sequence[int]) -> DrawDay:
    """Rows on time move up or down by a tenth of a deviation, late ones by three the other way."""

    def draw(rng: np.random.Generator, _t: int) -> Day:
        sign = 1 if rng.random() < 0.5 else -1
        on_time = plain(rng, ROWS - sum(late_rows), 0.1 * sign)
        return [on_time, *(plain(rng, count, -0.3 * sign) for count in late_rows)]

    return draw


def late_new_levels(rng: np.random.Generator, t: int) -> Day:
    """Users of ten rows, of one region each; on one day in 20 one or a few late ones have an unseen region.

    The world ``new_levels``, whose events all come late.
    """
    day = [plain(rng, ROWS - ROWS // 10), plain(rng, ROWS // 10)]
    levels = (*REGIONS, f"region of {t}")
    for part in day:
        codes = np.repeat(rng.choice(len(MIX), size=size(part) // USER, p=MIX), USER).astype(np.int32)
        part["region"] = Levels(codes=codes, levels=levels)
    if rng.random() < 1 / 20:
        codes[: USER * (1 + int(rng.poisson(0.5)))] = len(REGIONS)
    return day


def late_gaps(rng: np.random.Generator, _t: int) -> Day:
    """On one day in 15, an eighth of the day's values of ``c0`` is missing, all of it in the late fifth."""
    late = plain(rng, ROWS // 5)
    values = numbers(late, "c0").copy()
    if rng.random() < 1 / 15:
        values[: ROWS // 8] = np.nan
    return [plain(rng, ROWS - ROWS // 5), {**late, "c0": values}]


def late_bad_days(rng: np.random.Generator, _t: int) -> Day:
    """One day in 25 moves its late nine tenths: rare, but as usual in production as in the reference."""
    shift = 0.35 if rng.random() < 0.04 else 0.0
    return [plain(rng, ROWS // 10), plain(rng, ROWS - ROWS // 10, shift)]


def one_piece(rho: float) -> DrawDay:
    """Days in one piece with a random effect, AR(1) with ``rho``."""
    draw = effects(rho)(np.random.default_rng(9))
    return lambda rng, t: [draw(rng, t)]


def on_time_like(rng: np.random.Generator, _t: int) -> Day:
    return [plain(rng, ROWS)]


_TENTH, _HALF, _FIVE = [50], [250], [50] * 5
#: Half of the rows of the last two regions come from the others.
_OTHER_MIX = np.array([0.1, 0.1, 0.4, 0.4])
_CLOSE_MIX = np.array([0.35, 0.27, 0.24, 0.14])
LATE_WORLDS: dict[str, LateWorld] = {
    # Numbers shifted by 1.2 deviations: 39 % of the late rows cross the median, 3.9 % of the day's.
    "late_tenth": LateWorld(make=partial(differing, _TENTH, 1.2, _OTHER_MIX), reference=on_time_like),
    # The whole day is like the reference; what is on time differs by less than min_effect.
    "late_tenth_whole": LateWorld(make=partial(differing, _TENTH, 0.4, MIX, 0.4 / 9)),
    "late_half": LateWorld(make=partial(differing, _HALF, 0.2, _CLOSE_MIX), reference=on_time_like),
    "late_half_opposite": LateWorld(
        make=partial(opposite, _HALF), reference=lambda rng, t: opposite(_HALF)(rng, t)[:1]
    ),
    "late_five_parts": LateWorld(make=partial(differing, _FIVE, 0.2, _CLOSE_MIX), reference=on_time_like),
    "late_bursts": LateWorld(make=partial(devices, 450, _TENTH)),
    "late_bursts_parts": LateWorld(make=partial(devices, 300, [50] * 4)),
    "late_devices": LateWorld(make=partial(devices, 50, [50] * 9)),
    "late_device_half": LateWorld(make=partial(devices, 200, [300])),
    "late_new_levels": LateWorld(make=lambda: late_new_levels),
    "late_gaps": LateWorld(make=lambda: late_gaps),
    "late_bad_days": LateWorld(make=lambda: late_bad_days),
    "out_of_order": LateWorld(make=partial(one_piece, 0.0), late_days=1 / 3),
    "out_of_order_ar": LateWorld(make=partial(one_piece, 0.5), late_days=1 / 3),
    # The same rows in order, beside it.
    "in_order_ar": LateWorld(make=partial(one_piece, 0.5)),
}


def order_of_judging(rng: np.random.Generator, days: int, late_days: float) -> list[int]:
    """Days in the order in which they come; those that come on one day are judged oldest first."""
    delay = np.where(rng.random(days) < late_days, rng.integers(1, MAX_DELAY + 1, days), 0)
    return [int(day) for day in np.lexsort((np.arange(days), np.arange(days) + delay))]
