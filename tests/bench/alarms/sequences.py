"""One run of a sequence, and one quarter of a null world in which nobody acknowledges."""

from __future__ import annotations

import zlib

import numpy as np

from alarms import accepting
from alarms.path import Rows, configure
from alarms.sequence_worlds import OWED_AT, QUIET, REGION, SEQUENCES, Sequence
from alarms.tally import Result, Tally, shown_as
from alarms.watch import Watch
from alarms.worlds import WORLDS, World
from driftwatch.summary.batch import Levels

#: Window in which the first column of a null world moves, once the world is to have an open incident.
MOVE_AT = 10


def repeat(name: str, number: int, budget: str) -> Result:
    """One run: pages, keys and updates since the first cause, and when the second one was found."""
    sequence = SEQUENCES[name]
    if sequence.accepted_after is not None:
        return accepting.repeat(name, number, budget)
    rng = np.random.default_rng([number, zlib.crc32(name.encode())])
    draw = sequence.make(rng)
    parts = [draw(rng, t) for t in range(-sequence.blocks, 0)]
    config = configure(sequence.length, budget)
    run = _Run(sequence, Watch.learn(config, parts, column=REGION if sequence.segmented else None))
    del parts
    for t in range(QUIET + sequence.windows):
        run.window(draw(rng, t), t)
    return {
        "kind": "sequence", "sequence": name, "number": number, "budget": budget, **run.tally.result(),
        "quiet_pages": run.quiet_pages, "found": run.found, "how": run.how,
        "paged_at": None if run.first_page is None else run.first_page - QUIET,
    }  # fmt: skip


class _Run:
    """A sequence on its way. ``found`` counts windows from 1, the first one of the second cause."""

    def __init__(self, sequence: Sequence, watch: Watch) -> None:
        self.sequence, self.watch, self.tally = sequence, watch, Tally()
        self.first_page: int | None = None
        self.found: int | None = None
        self.how, self.quiet_pages = "", 0
        self._owed: Rows | None = None

    def window(self, rows: Rows, t: int) -> None:
        sequence, second_at = self.sequence, self._second_at
        if sequence.owed and t == OWED_AT:
            self._owed = rows
            return
        if t >= QUIET:
            rows = sequence.first(rows, t - QUIET)
        if sequence.second is not None and second_at is not None and t >= second_at:
            if self._owed is not None:
                owed_rows, self._owed = self._owed, None
                self._judge(sequence.second(owed_rows, 0), OWED_AT, t)
            elif not sequence.owed:
                rows = sequence.second(rows, t - second_at)
        self._judge(rows, t, t)

    @property
    def _second_at(self) -> int | None:
        return None if self.first_page is None else self.first_page + self.sequence.delay

    def _judge(self, rows: Rows, t: int, now: int) -> None:
        """Judge window ``t`` at the time of window ``now``."""
        step, second_at = self.watch.judge(rows, t), self._second_at
        if now < QUIET:
            self.quiet_pages += len(step.pages)
            return
        self.tally.add(step, now - QUIET)
        if step.pages and self.first_page is None:
            self.first_page = now
        how = shown_as(step, self.sequence.names)
        if how and self.found is None and second_at is not None and now >= second_at:
            self.found, self.how = now - second_at + 1, how


def quarter(name: str, number: int, budget: str, is_moved: bool) -> Result:
    """Ninety days of a null world; with ``is_moved`` its first column moves once, for good.

    Then every page but that one is false.
    """
    world, seed = WORLDS[name], [number, zlib.crc32(name.encode())]
    rng = np.random.default_rng(seed)
    draw = world.make(rng)
    extra = None if world.extra_counts is None else world.extra_counts(np.random.default_rng([*seed, 2]))
    parts = [draw(rng, t) for t in range(-world.blocks, 0)]
    config = configure(world.length, budget, season=world.slots)
    watch = Watch.learn(config, parts, has_times=world.timed, sample_rows=200, extra=extra)
    del parts
    tally = Tally()
    for t in range(world.per_quarter):
        rows = draw(rng, t)
        tally.add(watch.judge(_with_move(rows) if is_moved and t >= MOVE_AT else rows, t), t)
    return {
        "kind": "open", "world": name, "moved": is_moved, "number": number, "budget": budget, **tally.result()
    }  # fmt: skip


def _with_move(rows: Rows) -> Rows:
    """Numbers of the first column at +1, or a third of its levels null."""
    name, values = next(iter(rows.items()))
    if not isinstance(values, Levels):
        return {**rows, name: values + 1.0}
    codes = np.where(np.arange(len(values.codes)) < len(values.codes) // 3, -1, values.codes)
    return {**rows, name: Levels(codes=codes.astype(np.int32), levels=values.levels)}


#: Null worlds inside the proof, whose quarters cost seconds.
OPEN_WORLDS: dict[str, World] = {
    name: world
    for name, world in WORLDS.items()
    if not world.remedy and world.length == "1d" and not name.startswith("columns_200")
}
