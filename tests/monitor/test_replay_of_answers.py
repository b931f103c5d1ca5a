"""Verdicts are replayed bit for bit whatever is answered between them, over segments and their incidents."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from daemon_world import MINUTE, Inside, World
from soak import length

from driftwatch.config.load import load
from driftwatch.decide.state_codec import decode
from driftwatch.monitor.explain import explain
from driftwatch.monitor.record import Recorder
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_from_json

SEGMENTS = (None, "a", "b", "c")
SETTINGS = {"notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]}
OPTIONS = {"segment_by": {"column": "level", "most": 3}}
MINUTES = length(15, 40)
#: What production may be: the shift of ``x`` in some segments, and whether it is null.
PRODUCTION: tuple[dict[str, Any], ...] = (
    {}, {}, {"shift": 2.0}, {"shift": 5.0}, {"shift": 2.0, "levels": ["a"]},
    {"shift": -2.0, "levels": ["b", "c"]},
    {"nulls": 0.5}, {"nulls": 1.0},
)  # fmt: skip


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check points come every four windows."""
    defaults: Any = Recorder.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "checkpoint_windows", 4)


def produce(
    world: World,
    number: int,
    *,
    part: int = 0,
    shift: float = 0.0,
    levels: list[str] | None = None,
    nulls: float = 0.0,
) -> None:
    path = world.minute(number, rows=400, part=part)
    table = pq.read_table(path)
    is_inside = np.isin(table["level"].to_numpy(zero_copy_only=False), levels or ["a", "b", "c"])
    values = table["x"].to_numpy() + np.where(is_inside, shift, 0.0)
    mask = is_inside & (np.random.default_rng(number).random(len(values)) < nulls)
    at = table.column_names.index("x")
    pq.write_table(table.set_column(at, "x", pa.array(values, mask=mask)), path)


def answer(inside: Inside, verdict: str, key: str = "") -> str:
    answers, now = inside.daemon.session.acknowledgements, inside.clock.now()
    until = now + 4 * MINUTE if verdict == "muted" else None
    number = answers.ask("m", key, verdict, until=until, note="", who="me", now=now)
    inside.daemon.runner.tick()
    assert inside.daemon.runner.wait_idle(30)
    answered = answers.get(number)
    assert answered is not None
    return answered.outcome


def stored_verdicts(inside: Inside) -> Iterator[Verdict]:
    for segment in SEGMENTS:
        for data in inside.daemon.session.history.verdicts.newest("m", segment, limit=999):
            yield verdict_from_json(data)


def assert_replayed(world: World, inside: Inside) -> int:
    """Return the number of verdicts, those on late rows included."""
    config, history, count = load(world.config).monitors[0], inside.daemon.session.history, 0
    for verdict in stored_verdicts(inside):
        if not verdict.state.has_data:
            continue
        explained = explain(config, history, verdict.segment, verdict.window.end)
        parts = [item.part for item in explained.late_parts]
        items = [
            explained,
            *(explain(config, history, verdict.segment, verdict.window.end, part=part) for part in parts),
        ]
        assert all(item.equal for item in items), (verdict.segment, verdict.window.end)
        count += len(items)
    return count


def assert_one_of_each(inside: Inside) -> None:
    """What is open in the store is in the states of its segments, fired once, and no column is in two."""
    session = inside.daemon.session
    places: dict[str, set[str | None]] = {}
    for segment in SEGMENTS:
        content = session.history.states.current("m", segment)
        incidents = () if content is None else decode(content).incidents
        columns = [name for item in incidents for name in item.columns]
        assert len(columns) == len(set(columns))
        for item in incidents:
            places.setdefault(item.key, set()).add(segment)
    stored = session.history.incidents.of_monitor("m")
    assert {item.key: set(item.all_segments) for item in stored} == places
    messages = session.database.query("SELECT key, kind, count(*) FROM outbox GROUP BY key, kind")
    assert {row[2] for row in messages} <= {1}
    assert places.keys() <= {row[0] for row in messages if row[1] == "firing"}


@pytest.mark.parametrize("verdict", ["muted", "fixed"])
def test_an_answer_while_a_window_is_owed_comes_before_the_window(
    tmp_path: Path, often: None, verdict: str
) -> None:
    """Its check point had the place of the owed window, which the replay of the next ones then left out."""
    world = World(tmp_path, settings=SETTINGS, options=OPTIONS)
    with world.inside(1, deliver=False) as inside:
        for number in range(6):
            produce(world, number, shift=0.0 if number < 3 else 3.0)
            inside.to(number + 1)
        assert inside.daemon.session.history.incidents.of_monitor("m")
        inside.to(7)
        assert answer(inside, verdict).startswith(f"{verdict}: ")
        for number in range(6, 10):
            produce(world, number, shift=3.0)
            inside.to(number + 1.5)
        assert assert_replayed(world, inside) == 4 * 10
        assert_one_of_each(inside)


@pytest.mark.soak
@pytest.mark.parametrize("life", range(length(1, 6)))
def test_whatever_happens_between_windows_they_are_replayed(tmp_path: Path, often: None, life: int) -> None:
    rng, production, owed = random.Random(life), dict[str, Any](), list[int]()
    world = World(tmp_path, settings=SETTINGS, options=OPTIONS)
    with world.inside(1, deliver=False) as inside:
        for number in range(MINUTES):
            if rng.random() < 0.3:
                production = rng.choice(PRODUCTION)
            if rng.random() < 0.1:
                owed.append(number)
            else:
                produce(world, number, **production)
            inside.to(number + 1)
            event = rng.random()
            if event < 0.15:
                verdict = rng.choice(["muted", "fixed", "accepted", "undo"])
                rows = inside.daemon.session.history.incidents.of_monitor("m", only_open=False)
                accepted = [item.key for item in rows if item.resolution == "accepted"]
                if verdict != "undo" or accepted:
                    answer(inside, verdict, rng.choice(accepted) if verdict == "undo" else "")
            elif event < 0.25 and number > 4:
                produce(world, number - rng.choice([1, 2, 4]), part=1 + number, **rng.choice(PRODUCTION))
            if owed and rng.random() < 0.4:
                produce(world, owed.pop(0), **production)
        assert assert_replayed(world, inside) >= MINUTES
        assert_one_of_each(inside)
