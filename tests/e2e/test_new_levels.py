"""A new level takes a third of the payments, a number is filled with -1: named wherever people look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from daemon_world import World
from peers import Receiver, until

from driftwatch.cli import main
from driftwatch.core.schema import iso

ROWS = 400
#: Quiet minutes before the change, and minutes after it.
QUIET, CHANGED = 8, 4
HOSTILE = ("<script>alert(1)</script>", "two\nlines\x1b[31m", "\u202egnihton\u200b", "x" * 10_000)


def write(path: Path, start: int, end: int, rows: int, seed: int, changed: str = "") -> None:
    rng = np.random.default_rng(seed)
    pay = rng.choice(["card", "cash", "transfer"], rows, p=[0.5, 0.3, 0.2]).astype(object)
    age = rng.normal(42, 9, rows)
    if changed == "levels":
        pay[rng.random(rows) < 0.33] = "GIFT_CARD"
        for name in HOSTILE:
            pay[rng.random(rows) < 0.05] = name
    if changed == "numbers":
        age[rng.random(rows) < 0.1] = -1
    if changed == "texts":
        pay[:] = [f"user{seed}.{number}@mail.example" for number in range(rows)]
    times = start + np.arange(rows) * ((end - start) // rows)
    columns = {"at": pa.array(times, pa.timestamp("ns", "UTC")), "pay": pa.array(pay.tolist()), "age": age}
    pq.write_table(pa.table(columns), path)


def world_of(folder: Path, changed: str, **settings: Any) -> World:
    world = World(folder, settings=settings)
    write(folder / "reference.parquet", world.start - 40 * world.step, world.start, 40 * ROWS, 1)
    for number in range(QUIET + CHANGED):
        begin = world.start + number * world.step
        write(
            folder / "m" / f"{number:04}.parquet",
            begin,
            begin + world.step,
            ROWS,
            100 + number,
            changed if number >= QUIET else "",
        )
    return world


def answer(*words: str) -> Any:
    result = CliRunner().invoke(main, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return json.loads(result.stdout)


def is_harmless(text: str) -> bool:
    return not {"\u202e", "\u200b", "\x1b"} & set(text) and "x" * 100 not in text


@pytest.fixture
def receiver() -> Any:
    with Receiver().serving() as serving:
        yield serving


def test_a_new_level_of_a_third_of_the_payments_is_named_everywhere(
    tmp_path: Path, receiver: Receiver
) -> None:
    sinks = [
        {"type": "webhook", "url": f"{receiver.url}/hook"},
        {"type": "alertmanager", "urls": [receiver.url]},
    ]
    world = world_of(tmp_path, "levels", notify=sinks)
    with world.inside(1) as inside:
        for number in range(QUIET + CHANGED):
            inside.to(number + 1)
        until(lambda: len(receiver.requests) >= 2)
        paged = next(item for item in inside.verdicts() if item["page"])
        window_page = inside.page(f"/monitors/m/windows/{iso(paged['window']['end'])}")
        pages = [window_page, inside.page("/monitors/m")]
        api = json.loads(inside.page("/api/v1/monitors/m"))
        metrics = inside.page("/metrics")
    levels = {item["level"]: item for item in paged["new_levels"]}
    assert next(iter(levels)) == "GIFT_CARD"
    assert len(levels) == 5
    assert levels["GIFT_CARD"]["share"] == pytest.approx(0.27, abs=0.05)
    assert levels["GIFT_CARD"]["rows"] == round(levels["GIFT_CARD"]["share"] * ROWS)
    assert max(map(len, levels)) == 80
    assert all(is_harmless(level) and level.isprintable() for level in levels)
    assert "GIFT_CARD" in api["windows"][0]["new_levels"][0]["level"]
    for page in pages:
        assert "GIFT_CARD" in page
        assert "<script>alert" not in page
        assert is_harmless(page)
    assert "&lt;script&gt;alert" in window_page
    for request in receiver.requests:
        text = request.body.decode()
        assert "GIFT_CARD" in text
        assert is_harmless(text)
        assert is_harmless(json.dumps(json.loads(text), ensure_ascii=False))
    assert "GIFT_CARD" not in metrics, "names are no labels"
    words = ["explain", str(world.config), "--monitor", "m", "--window", iso(paged["window"]["end"])]
    explained = answer(*words, "--format", "json")
    assert explained["equal"]
    assert explained["recomputed"]["new_levels"] == paged["new_levels"]
    shown = CliRunner().invoke(main, words).stdout
    assert "GIFT_CARD" in shown
    assert is_harmless(shown)


def test_backtest_and_compare_name_it_too(tmp_path: Path) -> None:
    world = world_of(tmp_path, "levels")
    history = answer("backtest", str(world.config), "--format", "json")
    page = next(item for item in history["windows"] if item["page"])
    assert page["new_levels"][0]["level"] == "GIFT_CARD"
    assert all(
        item["new_levels"] == []
        for item in history["windows"]
        if item["end"] <= iso(world.start + QUIET * world.step)
    )
    effects = [item["effect"] for entry in history["pages"] for item in entry["columns"]]
    assert any('"GIFT_CARD" 2' in effect and effect.isprintable() for effect in effects)
    files = str(tmp_path / "reference.parquet"), str(tmp_path / "m" / f"{QUIET + 1:04}.parquet")
    compared = answer("compare", *files, "--time-column", "at", "--format", "json")
    (pay,) = [item for item in compared["columns"] if item["column"] == "pay"]
    assert pay["new_levels"][0]["level"] == "GIFT_CARD"
    shown = CliRunner().invoke(main, ["compare", *files, "--time-column", "at"]).stdout
    assert "GIFT_CARD" in shown
    assert is_harmless(shown)


def test_a_value_that_fills_a_column_is_named(tmp_path: Path) -> None:
    world = world_of(tmp_path, "numbers")
    history = answer("backtest", str(world.config), "--format", "json")
    effects = [item["effect"] for entry in history["pages"] for item in entry["columns"]]
    assert any("% are -1 (before 0 %)" in effect for effect in effects)
    assert not any("median" in effect for effect in effects)


def test_a_column_of_free_texts_shows_none(tmp_path: Path) -> None:
    world = world_of(tmp_path, "texts")
    history = CliRunner().invoke(main, ["backtest", str(world.config), "--format", "json"]).stdout
    assert "levels never seen 0 % → 100 %, too many or too rare to name" in history
    assert "@mail.example" not in history
