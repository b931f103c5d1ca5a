"""The law of incidents: every door says the same, whatever happens to references, settings and processes.

Open in the store = open in the metric = fired and not resolved at every receiver = answerable by ``ack``.
No key fires twice, and nothing is resolved that did not fire.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from daemon_world import MINUTE, Inside, World, write_rows

from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.daemon import notifiers
from driftwatch.daemon.app import Daemon
from driftwatch.daemon.delivery import DeliveryLoop
from driftwatch.errors import StoreError
from driftwatch.monitor.succession import take_over as succession
from driftwatch.notify.base import Delivery, Message
from driftwatch.store.records import StoredIncident

NAMES = ("m", "renamed")
#: A notifier of each kind: sent once, and sent again while it fires.
SINKS = {"once": None, "again": 60.0}
METRIC = re.compile(r'driftwatch_incident_open\{kind="(\w+)",monitor="(\w+)",segment="(\w*)"\} (\d+)')


@dataclass
class Recording:
    """A receiver that takes every message."""

    refresh_seconds: float | None
    firing: set[str] = field(default_factory=set)
    fired: Counter[str] = field(default_factory=Counter)
    muted: set[str] = field(default_factory=set)

    def send(self, message: Message, now: int) -> Delivery:
        if message.resolved:
            assert self.fired[message.key], f"{message.key} was resolved and never fired"
            self.firing.discard(message.key)
            self.muted.discard(message.key)
        elif message.muted_until is not None:
            self.muted.add(message.key)
        else:
            assert self.refresh_seconds or not self.fired[message.key], f"{message.key} fired twice"
            assert not self.fired[message.key] or message.key in self.firing, f"{message.key} fired again"
            self.fired[message.key] += 1
            self.firing.add(message.key)
            self.muted.discard(message.key)
        return Delivery(delivered=True)


@dataclass
class Life:
    """Production, a configuration and a daemon, changed step by step."""

    world: World
    receivers: dict[str, Recording]
    inside: Inside = field(init=False)
    minute: int = 0
    production: str = "calm"
    reference_shift: float = 0.0
    changed: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ("m",)
    must_fail: bool = False
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = ReplayClock(self.world.start)
        self._start(clock)

    def _start(self, clock: ReplayClock) -> None:
        daemon = Daemon(lambda: load(self.world.config), clock, tick_seconds=3600.0, deliver=False)
        daemon.start()
        self.inside = Inside(daemon=daemon, clock=clock, start=self.world.start)

    def stop(self) -> None:
        self.inside.daemon.stop()

    # What happens to production.

    def pass_minutes(self, count: int = 2) -> None:
        for _ in range(count):
            self._produce()
            self.minute += 1
            self.settle()

    def _produce(self) -> None:
        if self.production == "silent":
            return
        for name in NAMES:
            shift = 2.0 if self.production == "shifted" else 0.0
            path = self.world.minute(self.minute, name=name, rows=120, shift=shift)
            if self.production == "broken":
                table = pq.read_table(path)
                nulls = pa.nulls(len(table), pa.float64())
                pq.write_table(table.set_column(table.column_names.index("x"), "x", nulls), path)

    def settle(self) -> None:
        """Let everything due happen: turns, then deliveries."""
        for _ in range(2):
            self.inside.to(self.minute)
        # A message waits for the ones before it of its segment.
        for _ in range(4):
            notifiers.deliver_waiting(self.inside.daemon.session)
        assert_law(self)

    # What people change.

    def edit(self, apply: str, **changes: Any) -> None:
        self.changed |= changes
        options = {name: value for name, value in self.changed.items() if value is not None}
        self.world.window = options.pop("window", {})
        self.world.options = options
        self.world.write(monitors=[self._monitor(name) for name in self.names])
        self.apply(apply)

    def _monitor(self, name: str) -> dict[str, Any]:
        (self.world.folder / name).mkdir(exist_ok=True)
        return self.world.monitor(name)

    def rename(self, apply: str, names: tuple[str, ...]) -> None:
        self.names = names
        self.edit(apply)

    def replace_reference(self, apply: str) -> None:
        self.reference_shift = 2.0 - self.reference_shift
        start, shift = self.world.start, self.reference_shift
        path = self.world.folder / "reference.parquet"
        write_rows(path, start - 40 * MINUTE, start, 4000, shift=shift, seed=97 + int(shift))
        self.edit(apply)

    def touch_reference(self, apply: str) -> None:
        # The same rows in a file that was written again.
        path = self.world.folder / "reference.parquet"
        pq.write_table(pq.read_table(path), path, compression="gzip")
        self.edit(apply)

    def apply(self, how: str) -> None:
        clock = self.inside.clock
        if how == "reload":
            self.inside.daemon.reload()
            assert self.inside.daemon.loader.wait(60)
        else:
            self.inside.daemon.stop()
            self._start(clock)
        if how == "killed":
            # The new reference is in force, and no turn came.
            self.inside.daemon.stop()
            self._start(clock)
        self.must_fail = how == "failed"
        if self.must_fail:
            self.inside.to(self.minute)
            self.must_fail = False
            self.minute += 1
        self.settle()

    def answer(self, verdict: str) -> None:
        keys = [item.key for item in open_incidents(self) if item.monitor in self.names]
        acknowledgements = self.inside.daemon.session.acknowledgements
        until = self.inside.clock.now() + 4 * MINUTE if verdict == "muted" else None
        for name in self.names:
            number = acknowledgements.ask(
                name, "", verdict, until=until, note="", who="me", now=self.inside.clock.now()
            )
            expected = [key for key in keys if key.startswith(f"{name}-")]
            self.settle()
            outcome = acknowledgements.get(number).outcome  # type: ignore[union-attr]
            if expected:
                assert f"{outcome};".startswith(f"{verdict}: {len(expected)} incident(s);")
            else:
                assert outcome.startswith("no open incident")
        if verdict != "muted":
            assert not set(keys) & {item.key for item in open_incidents(self)}


def open_incidents(life: Life) -> list[StoredIncident]:
    table = life.inside.daemon.session.history.incidents
    return [item for name in NAMES for item in table.of_monitor(name)]


def assert_law(life: Life) -> None:
    incidents, now = open_incidents(life), life.inside.clock.now()
    keys = {item.key for item in incidents}
    metric = {
        (monitor, segment, kind): int(count)
        for kind, monitor, segment, count in METRIC.findall(life.inside.page())
        if count != "0"
    }
    assert metric == Counter(
        (item.monitor, segment or "", item.kind) for item in incidents for segment in item.all_segments
    )
    for receiver in life.receivers.values():
        assert receiver.firing == keys
    muted = {item.key for item in incidents if (item.muted_until or 0) > now}
    assert life.receivers["again"].muted == muted
    answerable = set()
    for slot in life.inside.daemon.runner.slots():
        monitor = slot.monitor
        for segment in monitor.reference.plan.segments:
            answerable |= {item.key for item in monitor.segment_state(segment).incidents}
    assert keys <= answerable
    assert {item.monitor for item in incidents} <= set(life.names)


#: Ways in which an edited configuration comes into force.
APPLY = ("reload", "restart", "killed", "failed")
EDITS: dict[str, list[Any]] = {
    "model": [None, {"name": "risk", "version": "1"}, {"name": "risk", "version": "2"}],
    "window": [None, {"length": "2m"}],
    "columns": [None, {"x": {"role": "ignore"}}, {"level": {"role": "ignore"}}],
    "segment_by": [None, {"column": "level"}],
    "detectors": [None, ["ks", "chi2", "missing", "psi"]],
}
ANSWERS = ("fixed", "accepted", "muted")
KINDS = (*EDITS, "reference", "same reference", "rename", "one more or less", *ANSWERS)
PRODUCTION = ("calm", "shifted", "shifted", "broken", "silent")
HISTORIES, CHANGES = 6, 4


def change(life: Life, kind: str, rng: random.Random) -> None:
    """Make a change of a kind, with what it comes to drawn by chance."""
    apply = rng.choice(APPLY)
    if kind in EDITS:
        value = rng.choice([item for item in EDITS[kind] if item != life.changed.get(kind)])
        life.log.append(f"{kind}: {value}, {apply}")
        life.edit(apply, **{kind: value})
    elif kind in ("rename", "one more or less"):
        if kind == "rename":
            names = tuple(name for name in NAMES if name not in life.names) or NAMES[:1]
        else:
            names = NAMES if len(life.names) == 1 else NAMES[:1]
        life.log.append(f"monitors {names}, {apply}")
        life.rename(apply, names)
    elif kind in ANSWERS:
        life.log.append(kind)
        life.answer(kind)
    else:
        life.log.append(f"{kind}, {apply}")
        (life.replace_reference if kind == "reference" else life.touch_reference)(apply)


def kinds_of(history: int) -> list[str]:
    """Return what changes in a history; all of them together have every kind twice."""
    deck = [*KINDS, *KINDS]
    random.Random(17).shuffle(deck)
    return deck[history * CHANGES : (history + 1) * CHANGES]


@contextmanager
def living(folder: Path) -> Iterator[Life]:
    folder.mkdir()
    receivers = {name: Recording(refresh_seconds=seconds) for name, seconds in SINKS.items()}
    sinks = [{"type": "webhook", "name": name, "url": "http://127.0.0.1:9/"} for name in SINKS]
    world = World(folder, settings={"notify": sinks}, window={})
    take_over = succession._TakeOver._commit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notifiers, "open_notifiers", lambda session: receivers)
        patch.setattr(DeliveryLoop, "start", lambda loop: None)
        life = Life(world=world, receivers=receivers)

        def commit(self: Any, *arguments: Any) -> None:
            if life.must_fail:
                raise StoreError("the disk is full")
            take_over(self, *arguments)

        patch.setattr(succession._TakeOver, "_commit", commit)
        try:
            yield life
        finally:
            life.stop()


@pytest.mark.parametrize("history", range(HISTORIES))
def test_every_door_says_the_same(tmp_path: Path, history: int) -> None:
    rng = random.Random(history)
    with living(tmp_path / "world") as life:
        try:
            for number, kind in enumerate(kinds_of(history)):
                life.production = "shifted" if number == 0 else rng.choice(PRODUCTION)
                life.log.append(life.production)
                life.pass_minutes()
                change(life, kind, rng)
            life.pass_minutes()
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter {life.log}, minute {life.minute}") from error
