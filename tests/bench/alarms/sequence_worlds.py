"""Sequences: what follows a page that nobody acknowledges, each with what it should give.

Twelve normal columns ``x0`` .. ``x11``, of which ``x8`` and ``x9`` have correlation .8, and a category
``region``. Reference windows and the first ``QUIET`` ones are healthy, then the first cause begins. A second
one begins ``delay`` windows after the window of the first page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from alarms.healthy import numbers
from alarms.path import Rows, size, take
from alarms.tally import AGAIN, PAGE, UPDATE
from alarms.worlds import Draw
from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.summary.batch import Levels

COLUMNS, ROWS, PAIR = 12, 400, 0.8
ALL = tuple(f"x{i}" for i in range(COLUMNS))
REGION, REGIONS = "region", ("r0", "r1", "r2", "r3")
MIX = (0.3, 0.3, 0.2, 0.2)
#: Healthy windows of production.
QUIET = 15
#: Windows in which a second cause should be found, if nothing says otherwise.
WITHIN = 2
#: Without an incident a halved volume takes up to ten daily windows.
VOLUME_WITHIN = 10
#: The window that is owed in some sequences.
OWED_AT = QUIET - 3
#: Changes the rows of the k-th window after it began.
Change = Callable[[Rows, int], Rows]
Limits = tuple[int, int]
NONE: Limits = (0, 0)
ONE: Limits = (1, 1)
NUMBER: Limits = (0, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Least and most of a run. ``found`` is how a second cause shows: its own page, again or an update."""

    pages: Limits = ONE
    again: Limits = NONE
    keys: Limits = ONE
    updates: Limits = NUMBER
    ends: Limits = NUMBER
    found: str = ""

    def text(self) -> str:
        limits = {"first": self.pages, "again": self.again, "keys": self.keys, "updates": self.updates,
                  "ends": self.ends}  # fmt: skip
        parts = [f"{name} {_limits_text(item)}" for name, item in limits.items() if item != NUMBER]
        return ", ".join([*parts, *([f"found as {self.found}"] if self.found else [])])


def _limits_text(limits: Limits) -> str:
    low, high = limits
    return f"{low}" if low == high else f"{low}-{high}" if high < NUMBER[1] else f"{low}+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """``names`` are the columns of the second cause. ``windows`` are those from the first cause on."""

    wanted: Wanted
    first: Change
    second: Change | None = None
    names: frozenset[str] = frozenset()
    delay: int = 10
    within: int = WITHIN
    windows: int = 45
    length: str = "1d"
    blocks: int = 28
    segmented: bool = False
    make: Callable[[np.random.Generator], Draw]
    #: The second cause is in a window before the first one, which is judged ``delay`` windows after the page.
    owed: bool = False
    #: Windows after its own after which the first page's incident is accepted; None leaves it open.
    accepted_after: int | None = None
    #: Then rows are counted in slices of this length.
    every: str = "1d"


def plain(_world_rng: np.random.Generator, rows: int = ROWS) -> Draw:
    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values = rng.standard_normal((rows, COLUMNS))
        values[:, 9] = PAIR * values[:, 8] + math.sqrt(1 - PAIR**2) * values[:, 9]
        codes = rng.choice(len(MIX), size=rows, p=MIX).astype(np.int32)
        columns: Rows = {name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(ALL)}
        return {**columns, REGION: Levels(codes=codes, levels=REGIONS)}

    return draw


def wandering(world_rng: np.random.Generator, *, names: tuple[str, ...], step: float) -> Draw:
    """Levels of these columns walk at random: by ``step`` standard deviations from window to window."""
    draw_plain, levels = plain(world_rng), np.zeros(len(names))

    def draw(rng: np.random.Generator, t: int) -> Rows:
        nonlocal levels
        levels = levels + step * rng.standard_normal(len(names))
        rows = draw_plain(rng, t)
        return {
            **rows,
            **{name: numbers(rows, name) + level for name, level in zip(names, levels, strict=True)},
        }

    return draw


def days_differ(world_rng: np.random.Generator, *, rows: int = ROWS, scale: float = 0.15) -> Draw:
    """Every level moves from day to day, as far as in the days of the reference, and is one within a day."""
    draw_plain = plain(world_rng, rows)

    def draw(rng: np.random.Generator, t: int) -> Rows:
        day, effects = draw_plain(rng, t), scale * rng.standard_normal(COLUMNS)
        return {**day, **{name: numbers(day, name) + by for name, by in zip(ALL, effects, strict=True)}}

    return draw


def unchanged(rows: Rows, _k: int) -> Rows:
    return rows


def moved(*names: str, by: float = 1.0, when: Callable[[int], bool] = lambda _k: True) -> Change:
    """Columns move by so many standard deviations, in some windows."""
    return lambda rows, k: {**rows, **{name: numbers(rows, name) + by for name in names}} if when(k) else rows


def all_moved(smallest: float, largest: float, days: int | None = None) -> Change:
    """All columns move, each by another size, in geometric steps."""
    sizes = np.geomspace(largest, smallest, COLUMNS)

    def change(rows: Rows, k: int) -> Rows:
        if days is not None and k >= days:
            return rows
        return {**rows, **{name: numbers(rows, name) + by for name, by in zip(ALL, sizes, strict=True)}}

    return change


def in_region(change: Change, region: str) -> Change:
    """A change of the rows of one region."""

    def inside(rows: Rows, k: int) -> Rows:
        values, changed = rows[REGION], change(rows, k)
        assert isinstance(values, Levels)
        is_inside = values.codes == values.levels.index(region)
        return {
            **rows,
            **{name: np.where(is_inside, numbers(changed, name), numbers(rows, name)) for name in ALL},
        }

    return inside


def _nulled(values: Float64Array, share: float) -> Float64Array:
    # Rows are exchangeable, so these are as good as any.
    is_null: BoolArray = np.arange(len(values)) < round(share * len(values))
    return np.where(is_null, np.nan, values)


def nulls(name: str, share: float, first_share: float | None = None) -> Change:
    """A share of the column is null, in the first window perhaps a smaller one."""

    def change(rows: Rows, k: int) -> Rows:
        window_share = first_share if first_share is not None and k == 0 else share
        return {**rows, name: _nulled(numbers(rows, name), window_share)}

    return change


def half_back(name: str, share: float, days: int) -> Change:
    """The column is all null for some windows, and then has its values back but for a share."""
    return lambda rows, k: nulls(name, 1.0 if k < days else share)(rows, k)


def flip(rows: Rows, _k: int) -> Rows:
    """The pair's correlation turns; both columns keep their distribution."""
    return {**rows, "x9": -numbers(rows, "x9")}


def halved(rows: Rows, _k: int) -> Rows:
    return take(rows, np.arange(size(rows) // 2))


def both(*changes: Change) -> Change:
    def change(rows: Rows, k: int) -> Rows:
        for item in changes:
            rows = item(rows, k)
        return rows

    return change


def one_after_another(rows: Rows, k: int) -> Rows:
    """Every five windows another column moves."""
    return moved(*ALL[: k // 5 + 1])(rows, k)


def _is_weekend(k: int) -> bool:
    # Window 0 is a Thursday.
    return (QUIET + k + 3) % 7 >= 5


FLIPPED = frozenset({"x8", "x9", "joint:correlation", "joint:mmd"})
_OWN = Wanted(pages=(2, 2), keys=(2, 2), found=PAGE)
_BREAKS = Wanted(again=(0, 1), updates=(1, 10))
_JOINED = Wanted(found=UPDATE)
_PAGED_AGAIN = Wanted(again=ONE, found=AGAIN)
_sequence = partial(Sequence, make=plain)
_X5 = frozenset({"x5"})
SEQUENCES: Mapping[str, Sequence] = {
    # Never blind.
    "flip of others": _sequence(wanted=_OWN, first=moved("x0"), second=flip, names=FLIPPED),
    "ten times larger": _sequence(
        wanted=_PAGED_AGAIN, first=moved("x0", by=0.5), second=moved("x0", by=4.5), names=frozenset({"x0"})
    ),
    "90 % nulls in it": _sequence(
        wanted=_PAGED_AGAIN, first=moved("x0"), second=nulls("x0", 0.9), names=frozenset({"x0"})
    ),
    "all null in it": _sequence(
        wanted=_PAGED_AGAIN, first=moved("x0"), second=nulls("x0", 1.0), names=frozenset({"x0"})
    ),
    "other column +1": _sequence(wanted=_JOINED, first=moved("x0"), second=moved("x5"), names=_X5, delay=1),
    "other column +2": _sequence(wanted=_JOINED, first=moved("x0"), second=moved("x5"), names=_X5, delay=2),
    "other column +3": _sequence(wanted=_OWN, first=moved("x0"), second=moved("x5"), names=_X5, delay=3),
    "other column +10": _sequence(wanted=_OWN, first=moved("x0"), second=moved("x5"), names=_X5),
    "other all null +10": _sequence(wanted=_OWN, first=moved("x0"), second=nulls("x5", 1.0), names=_X5),
    "volume halved +10": _sequence(
        wanted=_OWN, first=moved("x0"), second=halved, names=frozenset({"joint:volume"}), within=VOLUME_WITHIN
    ),
    "owed window": _sequence(
        wanted=_OWN, first=moved("x0"), second=moved("x5"), names=_X5, delay=1, owed=True
    ),
    "one after another": _sequence(
        wanted=Wanted(pages=(COLUMNS, COLUMNS), keys=(COLUMNS, COLUMNS)), first=one_after_another, windows=65
    ),
    # Columns wander away from the levels of the reference: each is a cause, whose distance doubles.
    "one wanders": _sequence(
        wanted=Wanted(pages=(0, 1), again=(0, 2), keys=(0, 1)), first=unchanged, windows=90,
        make=partial(wandering, names=("x0",), step=0.1),
    ),
    "all wander": _sequence(
        wanted=Wanted(pages=(0, COLUMNS), again=(0, COLUMNS), keys=(0, COLUMNS)), first=unchanged, windows=90,
        make=partial(wandering, names=ALL, step=0.1),
    ),
    # One cause, one page.
    "all move": _sequence(wanted=Wanted(), first=all_moved(0.15, 1.0), windows=60),
    "all move by .25": _sequence(wanted=Wanted(), first=all_moved(0.25, 0.25), windows=60),
    "one day: all": _sequence(wanted=Wanted(ends=ONE), first=all_moved(0.3, 1.0, days=1)),
    "one day: three": _sequence(
        wanted=Wanted(ends=ONE), first=moved("x0", "x1", "x2", when=lambda k: k == 0)
    ),
    # Broken a window later, an update; it may page again once the page is seven windows old.
    "null in a window": _sequence(wanted=_BREAKS, first=nulls("x0", 1.0, first_share=0.4)),
    "all move: segments": _sequence(
        wanted=Wanted(), first=all_moved(0.15, 1.0), segmented=True, windows=40
    ),
    "one day: segments": _sequence(
        wanted=Wanted(ends=ONE), first=all_moved(0.3, 1.0, days=1), segmented=True, windows=40
    ),
    "null: segments": _sequence(
        wanted=_BREAKS, first=nulls("x0", 1.0, first_share=0.4), segmented=True, windows=25
    ),
    "in one segment": _sequence(
        wanted=Wanted(), first=in_region(moved("x0"), "r3"), segmented=True, windows=40
    ),
    # Owed rows of before the first cause: one page for all segments, of their own.
    "owed window: segments": _sequence(
        wanted=_OWN, first=moved("x0"), second=moved("x5"), names=_X5, delay=1, owed=True, segmented=True,
        windows=20,
    ),
    # What is null is no small move of many columns together.
    "three all null": _sequence(
        wanted=Wanted(updates=NONE), first=both(*(nulls(name, 1.0) for name in ALL[:3])), windows=15
    ),
    # It was broken for longer than what follows may join: no end in between, and no second page.
    "half back": _sequence(wanted=Wanted(ends=NONE), first=half_back("x0", 0.5, 5)),
    "half back: segments": _sequence(
        wanted=Wanted(ends=NONE), first=half_back("x0", 0.5, 5), segmented=True, windows=20
    ),
    "other column: segments": _sequence(
        wanted=_OWN, first=moved("x0"), second=moved("x5"), names=_X5, segmented=True, windows=30
    ),
    # Rhythm. Where it ended before it was known to return, there are two keys.
    "weekends": _sequence(
        wanted=Wanted(pages=(1, 2), keys=(1, 2), ends=(0, 1)), first=moved("x0", when=_is_weekend), windows=70
    ),
    "monthly": _sequence(
        wanted=Wanted(pages=(1, 2), keys=(1, 2), ends=(0, 1)),
        first=moved("x0", when=lambda k: k % 30 < 3), windows=150,
    ),
    "nightly": _sequence(
        wanted=Wanted(pages=(1, 2), keys=(1, 2), ends=(0, 1)),
        first=moved("x0", when=lambda k: (QUIET + k) % 24 < 6), windows=10 * 24, length="1h", blocks=7 * 24,
        make=partial(plain, rows=150),
    ),
    # Accepting.
    "accepted at once": _sequence(wanted=Wanted(), first=moved("x0"), windows=42, accepted_after=0),
    "accepted after 2": _sequence(wanted=Wanted(), first=moved("x0"), windows=42, accepted_after=2),
    "all accepted at once": _sequence(wanted=Wanted(), first=moved(*ALL), windows=42, accepted_after=0),
    "accepted: hourly slices": _sequence(
        wanted=Wanted(), first=moved("x0"), windows=42, accepted_after=0, every="1h",
        make=partial(plain, rows=1200),
    ),
    # Slices of one day are closer to each other than days are.
    "accepted: days differ": _sequence(
        wanted=Wanted(), first=moved("x0"), windows=42, accepted_after=0, every="3h",
        make=partial(days_differ, rows=1200),
    ),
    "days differ: after 2": _sequence(
        wanted=Wanted(), first=moved("x0"), windows=42, accepted_after=2, every="3h",
        make=partial(days_differ, rows=1200),
    ),
}  # fmt: skip
