"""Faults injected into a calm stretch: what is predicted is what the same fault in the rows would do."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from xml.parsers.expat import ParserCreate

import numpy as np
import pytest

from driftwatch.backtest.run import Backtest, backtest, with_faults
from driftwatch.backtest.sensitivity import SIZES, WITHIN, Calm, Remembering, sensitivity
from driftwatch.cli.output.backtest_figure import MOST, picture
from driftwatch.cli.verbs.backtest import run_backtests
from driftwatch.config.load import load
from driftwatch.config.models import MonitorConfig
from driftwatch.core.clock import SystemClock
from driftwatch.decide.incidents import DRIFT
from driftwatch.decide.state import Incident
from driftwatch.engines.local.pool import ReaderPool, TilesRead
from driftwatch.monitor.evaluate import judge, looks
from driftwatch.monitor.session import opened
from driftwatch.results.evidence_trail import shortened
from driftwatch.results.results import State, Verdict
from driftwatch.summary.faults import Fault, spread
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import total

ROWS, DAYS, REFERENCE_DAYS = 150, 40, 40
FIRST = datetime(2024, 3, 1)
CONFIG = """\
version: 1
storage: {path: %(folder)s/store}
monitors:
  - name: one
    reference: {path: %(folder)s/reference.csv, time_column: when}
    source: {type: files, path: %(folder)s/current.csv, time_column: when}
    window: {length: 1d, min_rows: 100}
"""


def write(path: Path, first: datetime, days: int, seed: int, shift: float = 0.0, since: int = 0) -> None:
    rng = np.random.default_rng(seed)
    lines = ["when,amount,count,city"]
    for day in range(days):
        for row in range(ROWS):
            when = first + timedelta(days=day, seconds=row * 500)
            amount = rng.normal(3) + (shift if day >= since else 0.0)
            city = rng.choice(["north", "south", "east"], p=[0.5, 0.3, 0.2])
            lines.append(f"{when:%Y-%m-%dT%H:%M:%SZ},{amount:.6f},{rng.poisson(4)},{city}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def silent(_what: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda _done, _all: None


def replayed(folder: Path) -> Backtest:
    done = run_backtests(folder / "c.yaml", None, None, None, lambda _: None, silent, inject=False)
    return done.results[0]


def loaded(folder: Path) -> tuple[MonitorConfig, Reference]:
    config = load(folder / "c.yaml")
    with opened(config, SystemClock(), lambda _: None) as session:
        return config.monitors[0], session.references().for_a_look(config.monitors[0], rebased=False)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("history")
    write(made / "reference.csv", FIRST - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, 1)
    write(made / "current.csv", FIRST, DAYS, 2)
    (made / "c.yaml").write_text(CONFIG % {"folder": made}, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def monitor(folder: Path) -> tuple[MonitorConfig, Reference]:
    return loaded(folder)


@pytest.fixture(scope="module")
def found(folder: Path, monitor: tuple[MonitorConfig, Reference]) -> Backtest:
    return with_faults(replayed(folder), *monitor, lambda _done, _all: None)


def test_the_stretch_is_history_as_it_was(found: Backtest, monitor: tuple[MonitorConfig, Reference]) -> None:
    config, reference = monitor
    assert not found.pages
    assert found.calm is not None
    assert len(found.calm.windows) == found.calm.ok == WITHIN
    told = {item.window: item.evidence for item in found.verdicts}
    segment_state, chosen = found.calm.segment_state, looks(reference, config.detectors)
    for window in found.calm.windows:
        decision, _ = judge(reference, window, chosen, segment_state, config, segment=None)
        assert decision.evidence == told[window.span]
        segment_state = decision.segment_state


def test_a_larger_fault_pages_no_later(found: Backtest) -> None:
    assert found.injected is not None
    assert found.injected.columns == ("amount", "count", "city")
    kinds = {(item.column, item.fault) for item in found.injected.caught}
    assert kinds == {
        ("amount", Fault.SHIFT), ("amount", Fault.MISSING), ("count", Fault.SHIFT),
        ("count", Fault.MISSING), ("city", Fault.VALUE), ("city", Fault.MISSING),
    }  # fmt: skip
    for caught in found.injected.caught:
        assert caught.tried[0].size == SIZES[caught.fault][-1]
        assert caught.tried[0].delay is not None
        assert caught.tried[0].delay <= 2
        assert caught.tried[0].named
        delays = [item.delay or WITHIN + 1 for item in caught.tried]
        assert all(small >= large for large, small in pairwise(delays))
        assert caught.smallest is not None
        # At 150 rows a day nobody sees one row in a hundred, nor a twentieth of a standard deviation.
        assert caught.smallest.size > SIZES[caught.fault][0]


@pytest.mark.parametrize("min_rows", [100, 400])
def test_the_same_shift_in_the_rows_pages_when_it_was_predicted_to(
    folder: Path, tmp_path: Path, min_rows: int
) -> None:
    """With 400 rows at least, three windows of 150 are judged together."""
    (tmp_path / "c.yaml").write_text(
        (folder / "c.yaml").read_text().replace(f"{folder}/current", f"{tmp_path}/current")
        .replace("min_rows: 100", f"min_rows: {min_rows}"),
        encoding="utf-8",
    )  # fmt: skip
    write(tmp_path / "current.csv", FIRST, DAYS, 2)
    config, reference = loaded(tmp_path)
    found = with_faults(replayed(tmp_path), config, reference, lambda _done, _all: None)
    width = spread(reference.plan.grids["amount"], reference.summary.counts["amount"])
    assert found.injected is not None
    assert found.calm is not None
    assert width is not None
    caught = next(item for item in found.injected.caught if item.column == "amount")
    windows = [item.window for item in found.verdicts]
    since = windows.index(found.calm.windows[0].span)
    tried = [item for item in caught.tried if item.delay is not None]
    assert len(tried) >= 2
    for item in tried:
        write(tmp_path / "current.csv", FIRST, DAYS, 2, shift=item.size * width, since=since)
        page, *_ = replayed(tmp_path).pages
        delay = windows.index(page.window) - since + 1
        # Joint detectors see the rows move, but not the counts: a page may come a little sooner.
        assert item.delay is not None
        assert item.delay - 3 <= delay <= item.delay, item


def test_what_is_remembered_is_what_would_be_measured(
    found: Backtest, monitor: tuple[MonitorConfig, Reference]
) -> None:
    reference = monitor[1]
    assert found.calm is not None
    one, two = found.calm.windows[:2]
    joint = [detector for detector, column in looks(reference, None) if column is None]
    assert len(joint) > 1
    for detector in joint:
        kept = Remembering.of(detector)
        for window in (one, two, total([one, two]), one):
            drawn = detector.streams(reference, window, None)
            assert repr(kept.streams(reference, window, None)) == repr(drawn)
            assert kept.measure(reference, window, None) == detector.measure(reference, window, None)
        # The same span again is not looked at.
        seen = kept.streams(reference, replace(two, span=one.span), None)
        assert repr(seen) == repr(detector.streams(reference, one, None))


def test_what_was_set_aside_is_said_and_wide_monitors_are_sampled(
    found: Backtest, monitor: tuple[MonitorConfig, Reference]
) -> None:
    config, reference = monitor
    assert found.calm is not None
    incident = Incident(key="k", kind=DRIFT, columns=("amount",), opened_at=0, onset=0)
    segment_state = replace(found.calm.segment_state, incidents=(incident,))
    calm = replace(found.calm, segment_state=segment_state, windows=found.calm.windows[:1])
    told = sensitivity(config, reference, looks(reference, None), calm, most=2)
    assert (told.watched, told.columns) == (3, ("amount", "city"))
    aside = [item for item in told.caught if item.column == "amount"]
    assert {item.reason for item in aside} == {"set aside by an incident that was open"}
    assert all(item.smallest is None and not item.tried for item in aside)


def test_no_stretch_no_fault(monitor: tuple[MonitorConfig, Reference]) -> None:
    config, reference = monitor
    told = sensitivity(config, reference, looks(reference, None), None).to_json()
    assert (told["from"], told["within_windows"], told["columns"]) == (None, 0, [])


def test_a_stretch_ends_at_a_page_and_the_calmest_is_kept(found: Backtest) -> None:
    assert found.calm is not None
    segment_state, windows = found.calm.segment_state, found.calm.windows
    calm = Calm()

    def add(count: int, state: State, *, page: bool = False) -> None:
        for window in windows[:count]:
            calm.add(segment_state, window, replace(found.verdicts[0], state=state, page=page))

    add(3, State.OK)
    add(1, State.DRIFTING, page=True)
    add(WITHIN, State.CALIBRATING)
    add(2, State.OK)
    calm.cut()
    assert calm.best is not None
    assert (len(calm.best.windows), calm.best.ok) == (3, 3)
    add(4, State.OK)
    calm.cut()
    assert len(calm.best.windows) == 4


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "driftwatch", "backtest", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_verb_reports_and_draws(folder: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "p.svg"
    done = run(folder / "c.yaml", "--to", "2024-03-08", "--picture", drawn, "--format", "json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert set(told) == {"monitor", "windows", "pages", "prediction", "injected"}
    assert told["prediction"]["per_quarter"]["low"] == 0
    assert told["prediction"]["budget_per_quarter"] == 1
    assert sum(told["prediction"]["states"].values()) == pytest.approx(1)
    assert told["injected"]["within_windows"] == 7
    assert {item["column"] for item in told["injected"]["columns"]} == {"amount", "count", "city"}
    for item in told["injected"]["columns"]:
        assert (item["smallest"] is None) == (item["delay_windows"] is None)
    text = drawn.read_text(encoding="utf-8")
    ParserCreate(namespace_separator=" ").Parse(text, True)
    assert 'xmlns="http://www.w3.org/2000/svg"' in text
    assert "amount, shift" in text
    assert str(drawn) in done.stderr
    table = run(folder / "c.yaml", "--to", "2024-03-08", "--no-inject")
    assert table.returncode == 0
    # The line is wrapped where the screen ends.
    assert "the budget allows 1" in " ".join(table.stdout.split())
    assert "Faults injected" not in table.stdout
    assert run(folder / "c.yaml", "--picture", tmp_path / "none" / "p.svg").returncode == 2


def test_a_picture_of_anything_is_well_formed(found: Backtest) -> None:
    assert found.injected is not None
    hostile = replace(found.injected.caught[0], column="<&\"'\0\u202e" + "x" * 500)
    result = replace(found, injected=replace(found.injected, caught=(hostile,)))
    for results in ([], [result, replace(result, verdicts=(), injected=None)]):
        ParserCreate().Parse(picture(results), True)


def test_a_long_history_keeps_its_pages_and_its_highest_evidence(found: Backtest) -> None:
    def many(count: int) -> list[Verdict]:
        quiet = replace(found.verdicts[0], evidence=0.1)
        loud = replace(quiet, evidence=1.0, page=True, state=State.DRIFTING)
        return [loud if place == count // 2 else quiet for place in range(count)]

    for count in (1, MOST, MOST + 1, 10 * MOST + 7):
        trail = shortened(many(count), MOST)
        assert len(trail) == min(count, MOST)
        assert sum(page for *_, page in trail) == 1
        assert [evidence for _, evidence, state, page in trail if page or state != State.OK] == [1.0]


class Hanging:
    """Readers whose second read hangs until the gate is opened."""

    def __init__(self, readers: ReaderPool) -> None:
        self.readers, self.reads = readers, 0
        self.hangs, self.gate = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.readers, name)

    def tiles(self, *args: Any, **options: Any) -> TilesRead:
        self.reads += 1
        if self.reads > 1:
            self.hangs.set()
            self.gate.wait(60)
        return self.readers.tiles(*args, **options)


def test_who_interrupts_does_not_wait_for_a_read_that_hangs(
    folder: Path, monitor: tuple[MonitorConfig, Reference], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftwatch.backtest.run.CHUNK", 3)

    with opened(load(folder / "c.yaml"), SystemClock(), lambda _: None) as session:
        readers, ended = Hanging(session.readers), threading.Event()

        def interrupt(_done: int, _all: int) -> None:
            assert readers.hangs.wait(30)
            raise KeyboardInterrupt

        def run() -> None:
            with pytest.raises(KeyboardInterrupt):
                backtest(*monitor, lambda _: (), cast(ReaderPool, readers), progress=interrupt)
            ended.set()

        threading.Thread(target=run, daemon=True).start()
        try:
            assert ended.wait(30)
        finally:
            readers.gate.set()
