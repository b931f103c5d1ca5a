"""Faults injected into a calm period: the prediction is what the same fault in the rows would do."""

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
from detector_worlds import gauge, stream_list

from driftwatch.backtest.run import Backtest, backtest, with_sensitivity
from driftwatch.backtest.sensitivity import (
    MAX_CALM_WINDOWS,
    SIZES,
    CalmPeriodFinder,
    MemoizedDetector,
    sensitivity,
)
from driftwatch.cli.output.backtest_figure import MAX_PLACES, backtest_svg
from driftwatch.cli.verbs.backtest import run_backtests
from driftwatch.config.load import load
from driftwatch.config.models import MonitorConfig
from driftwatch.core.clock import SystemClock
from driftwatch.decide.segment_state import DRIFT, Incident
from driftwatch.detectors.base import JointDetector
from driftwatch.engines.local.pool import ReaderPool, TilesRead
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import select_targets
from driftwatch.monitor.session import open_session
from driftwatch.results.evidence_trail import downsample
from driftwatch.results.results import State, Verdict
from driftwatch.summary.faults import Fault, robust_scale
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


def run_backtest(folder: Path) -> Backtest:
    backtests = run_backtests(folder / "c.yaml", None, None, None, lambda _: None, silent, inject=False)
    return backtests.results[0]


def loaded(folder: Path) -> tuple[MonitorConfig, Reference]:
    config = load(folder / "c.yaml")
    with open_session(config, SystemClock(), lambda _: None) as session:
        return config.monitors[0], session.references().for_replay(config.monitors[0], rebased=False)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history")
    write(path / "reference.csv", FIRST - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, 1)
    write(path / "current.csv", FIRST, DAYS, 2)
    (path / "c.yaml").write_text(CONFIG % {"folder": path}, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def monitor(folder: Path) -> tuple[MonitorConfig, Reference]:
    return loaded(folder)


@pytest.fixture(scope="module")
def backtest_result(folder: Path, monitor: tuple[MonitorConfig, Reference]) -> Backtest:
    return with_sensitivity(run_backtest(folder), *monitor, lambda _done, _all: None)


def test_the_stretch_is_history_as_it_was(
    backtest_result: Backtest, monitor: tuple[MonitorConfig, Reference]
) -> None:
    config, reference = monitor
    assert not backtest_result.pages
    assert backtest_result.calm_period is not None
    assert (
        len(backtest_result.calm_period.windows) == backtest_result.calm_period.ok_windows == MAX_CALM_WINDOWS
    )
    evidence = {item.window: item.evidence for item in backtest_result.verdicts}
    segment_state = backtest_result.calm_period.segment_state
    evaluator = Evaluator.from_config(reference, config)
    for window in backtest_result.calm_period.windows:
        evaluation = evaluator.evaluate(window, segment_state)
        assert evaluation.verdict.evidence == evidence[window.span]
        segment_state = evaluation.segment_state


def test_a_larger_fault_pages_no_later(backtest_result: Backtest) -> None:
    assert backtest_result.sensitivity is not None
    assert backtest_result.sensitivity.columns == ("amount", "count", "city")
    kinds = {(item.column, item.fault) for item in backtest_result.sensitivity.faults}
    assert kinds == {
        ("amount", Fault.SHIFT), ("amount", Fault.MISSING), ("count", Fault.SHIFT),
        ("count", Fault.MISSING), ("city", Fault.VALUE), ("city", Fault.MISSING),
    }  # fmt: skip
    for fault in backtest_result.sensitivity.faults:
        assert fault.trials[0].size == SIZES[fault.fault][-1]
        assert fault.trials[0].delay is not None
        assert fault.trials[0].delay <= 2
        assert fault.trials[0].named
        delays = [item.delay or MAX_CALM_WINDOWS + 1 for item in fault.trials]
        assert all(small >= large for large, small in pairwise(delays))
        assert fault.smallest_detected is not None
        # At 150 rows a day nobody sees one row in a hundred, nor a twentieth of a standard deviation.
        assert fault.smallest_detected.size > SIZES[fault.fault][0]


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
    backtest_result = with_sensitivity(run_backtest(tmp_path), config, reference, lambda _done, _all: None)
    scale = robust_scale(reference.plan.grids["amount"], reference.summary.counts["amount"])
    assert backtest_result.sensitivity is not None
    assert backtest_result.calm_period is not None
    assert scale is not None
    fault = next(item for item in backtest_result.sensitivity.faults if item.column == "amount")
    windows = [item.window for item in backtest_result.verdicts]
    first_window = windows.index(backtest_result.calm_period.windows[0].span)
    trials = [item for item in fault.trials if item.delay is not None]
    assert len(trials) >= 2
    for item in trials:
        write(tmp_path / "current.csv", FIRST, DAYS, 2, shift=item.size * scale, since=first_window)
        page, *_ = run_backtest(tmp_path).pages
        delay = windows.index(page.window) - first_window + 1
        # Joint detectors see the rows move, but not the counts: a page may come a little sooner.
        assert item.delay is not None
        assert item.delay - 3 <= delay <= item.delay, item


def test_what_is_remembered_is_what_would_be_measured(
    backtest_result: Backtest, monitor: tuple[MonitorConfig, Reference]
) -> None:
    reference = monitor[1]
    assert backtest_result.calm_period is not None
    first, second = backtest_result.calm_period.windows[:2]
    joint = [detector for detector, column in select_targets(reference, None) if column is None]
    assert len(joint) > 1
    for detector in joint:
        assert isinstance(detector, JointDetector)
        memoized = MemoizedDetector(detector)
        for window in (first, second, total([first, second]), first):
            streams = stream_list(detector, reference, window)
            assert repr(stream_list(memoized, reference, window)) == repr(streams)
            assert gauge(memoized, reference, window) == gauge(detector, reference, window)
        # The same span again is not looked at.
        memoized_streams = stream_list(memoized, reference, replace(second, span=first.span))
        assert repr(memoized_streams) == repr(stream_list(detector, reference, first))


def test_what_was_set_aside_is_said_and_wide_monitors_are_sampled(
    backtest_result: Backtest, monitor: tuple[MonitorConfig, Reference]
) -> None:
    config, reference = monitor
    assert backtest_result.calm_period is not None
    incident = Incident(key="k", kind=DRIFT, columns=("amount",), opened_at=0, onset=0)
    segment_state = replace(backtest_result.calm_period.segment_state, incidents=(incident,))
    short_period = replace(
        backtest_result.calm_period,
        segment_state=segment_state,
        windows=backtest_result.calm_period.windows[:1],
    )
    sampled = sensitivity(Evaluator.from_config(reference, config), short_period, max_columns=2)
    assert (sampled.n_watched, sampled.columns) == (3, ("amount", "city"))
    amount_faults = [item for item in sampled.faults if item.column == "amount"]
    assert {item.reason for item in amount_faults} == {"set aside by an incident that was open"}
    assert all(item.smallest_detected is None and not item.trials for item in amount_faults)


def test_no_stretch_no_fault(monitor: tuple[MonitorConfig, Reference]) -> None:
    config, reference = monitor
    json_object = sensitivity(Evaluator.from_config(reference, config), None).to_json()
    assert (json_object["from"], json_object["within_windows"], json_object["columns"]) == (None, 0, [])


def test_a_stretch_ends_at_a_page_and_the_calmest_is_kept(backtest_result: Backtest) -> None:
    assert backtest_result.calm_period is not None
    segment_state, windows = backtest_result.calm_period.segment_state, backtest_result.calm_period.windows
    finder = CalmPeriodFinder()

    def add(count: int, state: State, *, page: bool = False) -> None:
        for window in windows[:count]:
            finder.add(segment_state, window, replace(backtest_result.verdicts[0], state=state, page=page))

    add(3, State.OK)
    add(1, State.DRIFTING, page=True)
    add(MAX_CALM_WINDOWS, State.CALIBRATING)
    add(2, State.OK)
    finder.end_period()
    assert finder.best is not None
    assert (len(finder.best.windows), finder.best.ok_windows) == (3, 3)
    add(4, State.OK)
    finder.end_period()
    assert len(finder.best.windows) == 4


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "driftwatch", "backtest", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_verb_reports_and_draws(folder: Path, tmp_path: Path) -> None:
    svg_path = tmp_path / "p.svg"
    process = run(folder / "c.yaml", "--to", "2024-03-08", "--picture", svg_path, "--format", "json")
    assert process.returncode == 0, process.stderr
    report: dict[str, Any] = json.loads(process.stdout)
    assert set(report) == {"monitor", "windows", "pages", "prediction", "injected"}
    assert report["prediction"]["per_quarter"]["low"] == 0
    assert report["prediction"]["budget_per_quarter"] == 1
    assert sum(report["prediction"]["states"].values()) == pytest.approx(1)
    assert report["injected"]["within_windows"] == 7
    assert {item["column"] for item in report["injected"]["columns"]} == {"amount", "count", "city"}
    for item in report["injected"]["columns"]:
        assert (item["smallest"] is None) == (item["delay_windows"] is None)
    text = svg_path.read_text(encoding="utf-8")
    ParserCreate(namespace_separator=" ").Parse(text, True)
    assert 'xmlns="http://www.w3.org/2000/svg"' in text
    assert "amount, shift" in text
    assert str(svg_path) in process.stderr
    table_process = run(folder / "c.yaml", "--to", "2024-03-08", "--no-inject")
    assert table_process.returncode == 0
    # The line is wrapped where the screen ends.
    assert "the budget allows 1" in " ".join(table_process.stdout.split())
    assert "Faults injected" not in table_process.stdout
    assert run(folder / "c.yaml", "--picture", tmp_path / "none" / "p.svg").returncode == 2


def test_a_picture_of_anything_is_well_formed(backtest_result: Backtest) -> None:
    assert backtest_result.sensitivity is not None
    hostile = replace(backtest_result.sensitivity.faults[0], column="<&\"'\0\u202e" + "x" * 500)
    result = replace(backtest_result, sensitivity=replace(backtest_result.sensitivity, faults=(hostile,)))
    for results in ([], [result, replace(result, verdicts=(), sensitivity=None)]):
        ParserCreate().Parse(backtest_svg(results), True)


def test_a_long_history_keeps_its_pages_and_its_highest_evidence(backtest_result: Backtest) -> None:
    def history_of(count: int) -> list[Verdict]:
        quiet = replace(backtest_result.verdicts[0], evidence=0.1)
        page_verdict = replace(quiet, evidence=1.0, page=True, state=State.DRIFTING)
        return [page_verdict if place == count // 2 else quiet for place in range(count)]

    for count in (1, MAX_PLACES, MAX_PLACES + 1, 10 * MAX_PLACES + 7):
        trail = downsample(history_of(count), MAX_PLACES)
        assert len(trail) == min(count, MAX_PLACES)
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
    monkeypatch.setattr("driftwatch.backtest.run.CHUNK_WINDOWS", 3)

    with open_session(load(folder / "c.yaml"), SystemClock(), lambda _: None) as session:
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
