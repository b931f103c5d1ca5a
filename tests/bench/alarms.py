"""False pages per quarter in worlds where nothing moved: the promise, measured through the real path.

``python tests/bench/alarms.py --quarters 20 --worlds bursts,window_effect``. Every quarter draws its own
reference, counts it by ``Summary.of``, learns its blocks and decides 90 days of windows with the budget
of one page in 90 days. A page is acknowledged at once, so that an open incident hides no further one.
``upper95`` is the exact one-sided Poisson limit of the rate; ``power`` shows the day gross faults page.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.config.schema import MonitorConfig
from driftwatch.decide.breakage import breakages
from driftwatch.decide.decision import Decision, Measurement, decide
from driftwatch.decide.track import Track
from driftwatch.measure import Look, fresh_track, looks, policy_for, statistics, streams
from driftwatch.reference._projection import choose_projection, pool
from driftwatch.reference.joint import joint_null
from driftwatch.summary.batch import Batch, Float64Array, Levels, Numbers
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.hashing import combine, hash_levels, hash_numbers
from driftwatch.summary.plan import Plan
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.result import State
from driftwatch.summary.schema import NANOSECONDS, Column, Kind, Span
from driftwatch.summary.serial import with_fingerprint
from driftwatch.summary.summary import Summary, total
from driftwatch.windows import season_slot

DAY = 86400 * NANOSECONDS
Rows = dict[str, Float64Array | Levels]
Draw = Callable[[np.random.Generator, int], Rows]
Maker = Callable[[np.random.Generator], Draw]
UNIVARIATE = ("ks", "missing", "out_of_range", "volume", "tv", "chi2", "unseen")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``make(rng)`` gives a draw of the rows of window ``t``; the reference are the windows before 0."""

    make: Maker
    length: str = "1d"
    blocks: int = 28
    timed: bool = True
    joint: bool = False
    slots: tuple[str, ...] = ()

    @property
    def per_quarter(self) -> int:
        """Windows in 90 days."""
        return 90 if self.length == "1d" else 90 * 24

    def config(self) -> MonitorConfig:
        """The monitor: all defaults, one page in 90 days."""
        return MonitorConfig.model_validate(
            {
                "name": "m", "reference": {"path": "x"}, "source": {"type": "files"},
                "window": {"length": self.length, "min_rows": 30}, "season": list(self.slots),
            }
        )  # fmt: skip


def _named(values: Float64Array) -> Rows:
    return {f"c{i}": values[:, i] for i in range(values.shape[1])}


def independent(rows: int = 500, columns: int = 6, rho: float = 0.0) -> Maker:
    """Normal rows with a common correlation ``rho``."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        common = rng.standard_normal((rows, 1))
        own = rng.standard_normal((rows, columns))
        return _named(math.sqrt(rho) * common + math.sqrt(1 - rho) * own)

    return lambda _rng: draw


def bursts(rows: int = 500, size: int = 10) -> Maker:
    """Rows come in groups of equal ones."""
    return lambda _rng: lambda rng, _t: _named(np.repeat(rng.standard_normal((rows // size, 6)), size, 0))


def effects(rho: float, scale: float = 0.15, rows: int = 500, common: float = 0.0) -> Maker:
    """A random effect per window on each column's mean, AR(1) with ``rho``; ``common`` is shared by all."""

    def make(first: np.random.Generator) -> Draw:
        state = [first.standard_normal(7)]

        def draw(rng: np.random.Generator, _t: int) -> Rows:
            state[0] = rho * state[0] + math.sqrt(1 - rho * rho) * rng.standard_normal(7)
            moved = scale * (math.sqrt(common) * state[0][6] + math.sqrt(1 - common) * state[0][:6])
            return _named(rng.standard_normal((rows, 6)) + moved)

        return draw

    return make


def heavy(rows: int = 500) -> Maker:
    """Cauchy rows, and windows whose random effect has three degrees of freedom."""
    return lambda _rng: (
        lambda rng, _t: _named(rng.standard_cauchy((rows, 6)) + 0.15 * rng.standard_t(3, size=6))
    )


def bad_days(rows: int = 500) -> Maker:
    """One day in 25 moves every column together: rare, but as usual in production as in the reference."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        return _named(rng.standard_normal((rows, 6)) + (0.12 if rng.random() < 0.04 else 0.0))

    return lambda _rng: draw


def ties(rows: int = 500) -> Maker:
    """Small counts and a column with two values."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values = rng.poisson(0.7, (rows, 6)).astype(np.float64)
        values[:, 5] = rng.random(rows) < 0.02
        return _named(values)

    return lambda _rng: draw


def gaps(rows: int = 500) -> Maker:
    """Values missing in bursts: nothing on most days, up to 4 % on one day in 15."""

    def draw(rng: np.random.Generator, _t: int) -> Rows:
        values = rng.standard_normal((rows, 6))
        for column in np.flatnonzero(rng.random(6) < 1 / 15):
            values[: int(rng.integers(1, 0.04 * rows)), column] = np.nan
        return _named(values)

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


def day_and_night(rows: int = 60) -> Maker:
    """Hourly windows whose means and row counts follow the hour."""

    def draw(rng: np.random.Generator, t: int) -> Rows:
        wave = math.sin(2 * math.pi * t / 24)
        return _named(rng.standard_normal((int(rows * (1.5 + wave)), 4)) + 0.5 * wave)

    return lambda _rng: draw


WORLDS: dict[str, World] = {
    "independent": World(make=independent()),
    "untimed": World(make=independent(), timed=False),
    "untimed_bursts": World(make=bursts(), timed=False),
    "reference_500": World(make=independent(rows=50), blocks=10, timed=False),
    "bursts_10": World(make=bursts()),
    "window_effect": World(make=effects(0.0)),
    "window_effect_common": World(make=effects(0.0, common=0.8)),
    "autocorrelated_5": World(make=effects(0.5)),
    "autocorrelated_8": World(make=effects(0.8)),
    "autocorrelated_9": World(make=effects(0.9)),
    "correlated_20": World(make=independent(columns=20, rho=0.9)),
    "joint": World(make=independent(rho=0.5), joint=True),
    "heavy": World(make=heavy()),
    "bad_days": World(make=bad_days()),
    "ties": World(make=ties()),
    "gaps": World(make=gaps()),
    "rare_levels": World(make=rare_levels()),
    "hourly_day_night": World(make=day_and_night(), length="1h", blocks=24 * 14),
    "hourly_slots": World(make=day_and_night(), length="1h", blocks=24 * 14, slots=("hour_of_day",)),
}


def batch(rows: Rows) -> Batch:
    """Rows as a source delivers them."""
    columns: dict[str, Numbers | Levels] = {}
    hashes = []
    for name, values in rows.items():
        if isinstance(values, Levels):
            columns[name] = values
            hashes.append(hash_levels(values.codes, values.levels))
        else:
            columns[name] = Numbers(values=values)
            hashes.append(hash_numbers(values))
    return Batch(rows=len(hashes[0]), columns=columns, content=combine(hashes, 0))


def plan_of(parts: Sequence[Rows]) -> Plan:
    """The cells of a reference made of these windows."""
    columns, grids = [], {}
    for name, first in parts[0].items():
        if isinstance(first, Levels):
            levels = [np.array(p.levels)[p.codes] for part in parts if isinstance(p := part[name], Levels)]
            known, counts = np.unique(np.concatenate(levels), return_counts=True)
            columns.append(Column(name=name, kind=Kind.CATEGORICAL))
            grids[name] = LevelGrid(levels=tuple(str(level) for level in known[np.argsort(-counts)][:200]))
            continue
        numbers = np.concatenate([p for part in parts if not isinstance(p := part[name], Levels)])
        columns.append(Column(name=name, kind=Kind.NUMERIC))
        grids[name] = numeric_grid(numbers[~np.isnan(numbers)])
    return with_fingerprint(Plan(columns=tuple(columns), grids=grids, sample_rows=200))


@dataclass(slots=True, kw_only=True)
class Stream:
    """One quarter of one world: its reference, what was learned, and its rows."""

    world: World
    config: MonitorConfig
    reference: Reference
    chosen: tuple[Look, ...]
    track: Track
    draw: Draw

    @classmethod
    def begin(cls, world: World, rng: np.random.Generator) -> Stream:
        """Draw the reference and learn its blocks."""
        draw, config = world.make(rng), world.config()
        parts = [draw(rng, t) for t in range(-world.blocks, 0)]
        plan = plan_of(parts)
        step = config.window.length * NANOSECONDS
        opened = [
            Summary.of(plan, batch(part), Span(start=t * step, end=(t + 1) * step))
            for t, part in enumerate(parts, start=-world.blocks)
        ]  # fmt: skip
        joint = None
        if world.joint:
            pooled = pool([part.sample for part in opened if part.sample is not None], len(plan.columns))
            projection = choose_projection(plan.columns, plan.grids, pooled, 1)
            assert projection is not None
            plan = with_fingerprint(replace(plan, projection=projection))
            opened = [replace(part, plan=plan.fingerprint).seal(plan) for part in opened]
            joint = joint_null(projection, pooled, 1)
        blocks = [part.drop_sample() for part in opened]
        reference = Reference(
            monitor="m", plan=plan, summary=total(blocks), fingerprint="f", joint=joint,
            provenance=Provenance(source="", files=1, built_at=0, time_range=None),
            blocks=len(blocks) if world.timed else 0,
            block_rows=float(np.median([part.rows for part in blocks])) if world.timed else None,
        )  # fmt: skip
        chosen = looks(reference, None if world.joint else UNIVARIATE)
        track = fresh_track(reference, blocks if world.timed else (), chosen, config, "c")
        return cls(
            world=world, config=config, reference=reference, chosen=chosen, track=track, draw=draw
        )  # fmt: skip

    def window(
        self, rng: np.random.Generator, t: int, damage: Callable[[Rows], Rows] | None = None
    ) -> Decision:
        """Decide window ``t`` as the daemon does; gauges only where a page has to be worded."""
        rows = self.draw(rng, t)
        step = self.config.window.length * NANOSECONDS
        span = Span(start=t * step, end=(t + 1) * step)
        plan = self.reference.plan
        summary = Summary.of(plan, batch(damage(rows) if damage else rows), span).seal(plan).drop_sample()
        seen = Measurement(
            window=span, rows=summary.rows,
            statistics=statistics(self.reference, summary, self.chosen) if damage else (),
            streams=streams(self.reference, summary, self.chosen),
            breakages=breakages(self.reference, summary, self.track.ordinary),
            slot=season_slot(span.start, tuple(self.config.season), self.config.timezone),
        )  # fmt: skip
        decision = decide(self.track, seen, policy_for(self.config, None, 1))
        self.track = decision.track
        return decision


def quarter(task: tuple[str, int]) -> tuple[str, int, int, int, list[str]]:
    """Pages, calibrating windows and windows of one quarter, and what was named."""
    name, number = task
    world = WORLDS[name]
    rng = np.random.default_rng([number, sum(name.encode())])
    stream = Stream.begin(world, rng)
    pages = calibrating = 0
    named: list[str] = []
    for t in range(world.per_quarter):
        decision = stream.window(rng, t)
        calibrating += decision.state is State.CALIBRATING
        pages += decision.page
        if decision.page:
            named += [f"{item.column}/{item.detector}" for item in decision.named] or ["broken"]
            stream.track = replace(stream.track, incidents=())
    return name, pages, calibrating, world.per_quarter, named


def upper95(pages: int, quarters: int) -> float:
    """One-sided 95 % limit of the mean of a Poisson count (Garwood 1936), per quarter."""
    from scipy.special import chdtri

    return float(chdtri(2 * (pages + 1), 0.05)) / 2 / quarters


def _damages() -> dict[str, Callable[[Rows], Rows]]:
    def change(name: str, how: Callable[[Float64Array], Float64Array]) -> Callable[[Rows], Rows]:
        def damage(rows: Rows) -> Rows:
            values = rows[name]
            assert not isinstance(values, Levels)
            return {**rows, name: how(values)}

        return damage

    def half(values: Float64Array) -> Float64Array:
        return np.where(np.arange(len(values)) % 2 == 0, np.nan, values)

    def unseen(rows: Rows) -> Rows:
        codes = np.arange(len(rows["c0"])) % 10  # type: ignore[arg-type]
        levels = rows["k"]
        assert isinstance(levels, Levels)
        new = np.where(codes == 0, len(levels.levels), levels.codes).astype(np.int32)
        return {**rows, "k": Levels(codes=new, levels=(*levels.levels, "new"))}

    return {
        "1 sd": change("c3", lambda x: x + 1),
        "0.25 sd": change("c3", lambda x: x + 0.25),
        "0.15 sd": change("c3", lambda x: x + 0.15),
        "half null": change("c3", half),
        "x1000": change("c3", lambda x: 1000 * x),
        "10 % unseen": unseen,
        "flip": change("c3", lambda x: -x),
        "all .1 sd": lambda rows: {
            name: value if isinstance(value, Levels) else value + 0.1 for name, value in rows.items()
        },
    }


def _powered(rng: np.random.Generator, t: int) -> Rows:
    rows = independent(1000, 20, 0.6)(rng)(rng, t)
    rows["k"] = Levels(codes=rng.integers(0, 4, 1000).astype(np.int32), levels=("a", "b", "c", "d"))
    return rows


def power(repeats: int) -> None:
    """Windows until the first page (0: the first) of faults in one of 21 columns, 1,000 rows a day."""
    world = World(make=lambda _rng: _powered, joint=True)
    print(f"\n{'fault':<14}{'windows to page':<28}{'onset late':<12}named")
    for fault, damage in _damages().items():
        delays: list[str] = []
        late: list[int] = []
        named: dict[str, int] = {}
        for seed in range(repeats):
            rng = np.random.default_rng([seed, 7])
            stream = Stream.begin(world, rng)
            for t in range(30):
                decision = stream.window(rng, t, damage)
                if decision.page:
                    delays.append(str(t))
                    late.append(decision.opened[0].onset // DAY)
                    for item in decision.named:
                        named[item.column] = named.get(item.column, 0) + 1
                    break
            else:
                delays.append("-")
        print(f"{fault:<14}{' '.join(delays):<28}{late!s:<12}{named}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quarters", type=int, default=20)
    parser.add_argument("--worlds", default=",".join(WORLDS), help="names separated by commas")
    parser.add_argument("--power", type=int, default=0, metavar="REPEATS")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    tasks = []
    for name in filter(None, asked.worlds.split(",")):
        # A quarter of hourly windows costs 24 daily ones.
        count = asked.quarters if WORLDS[name].length == "1d" else max(asked.quarters // 8, 1)
        tasks += [(name, number) for number in range(count)]
    started = time.perf_counter()
    found: dict[str, list[tuple[str, int, int, int, list[str]]]] = {}
    with ProcessPoolExecutor(asked.processes) as workers:
        for item in workers.map(quarter, tasks, chunksize=2):
            found.setdefault(item[0], []).append(item)
    print(f"{'world':<22}{'quarters':>9}{'pages/quarter':>15}{'upper95':>9}{'calibrating':>13}  named")
    for name, items in found.items():
        pages, windows = sum(item[1] for item in items), sum(item[3] for item in items)
        share = sum(item[2] for item in items) / windows
        names: dict[str, int] = {}
        for item in items:
            for column in item[4]:
                names[column] = names.get(column, 0) + 1
        print(
            f"{name:<22}{len(items):>9}{pages / len(items):>15.2f}{upper95(pages, len(items)):>9.2f}"
            f"{share:>13.0%}  {dict(sorted(names.items(), key=lambda kv: -kv[1])[:4]) or ''}"
        )
    print(f"{time.perf_counter() - started:.0f} s")
    if asked.power:
        power(asked.power)


if __name__ == "__main__":
    main()
