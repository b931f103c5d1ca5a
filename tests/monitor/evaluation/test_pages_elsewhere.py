"""Each segment is told what is open in the others at that moment: in checks, backtests and replays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from daemon_world import World

from driftwatch.backtest.run import _Run
from driftwatch.config.load import load
from driftwatch.core.schema import Span
from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluation.pages_elsewhere import PagesElsewhere
from driftwatch.monitor.explain import explain
from driftwatch.monitor.reading import Reading
from driftwatch.results.results import OtherPage, Reason, State, Verdict
from driftwatch.results.stored_verdict import verdict_from_json

SEGMENTS = (None, "a", "b")
WINDOW = Span(start=0, end=60)


def state(*pages: tuple[str, int, str]) -> SegmentState:
    incidents = tuple(
        Incident(key=key, kind=kind, columns=("x",), opened_at=1, onset=0, paged_at=paged_at)
        for key, paged_at, kind in pages
    )
    return SegmentState(reference="r", configuration="c", incidents=incidents)


def test_they_are_those_of_the_others_once_each_with_the_newest_page() -> None:
    pages = PagesElsewhere(
        {
            None: state(("k2", 5, "drift"), ("blind", 9, "blind")),
            "a": state(("k1", 7, "broken"), ("k2", 8, "drift")),
            "b": state(),
        }
    )
    assert pages.of("b") == (
        OtherPage(key="k1", paged_at=7, onset=0),
        OtherPage(key="k2", paged_at=8, onset=0),
    )
    assert pages.of(None) == pages.of("b")
    assert pages.of("a") == (OtherPage(key="k2", paged_at=5, onset=0),)
    pages.update(None, state())
    assert pages.of("a") == ()


class Opening:
    """An evaluator of whose segments each opens an incident of its own."""

    def __init__(self) -> None:
        self.told: dict[str | None, tuple[str, ...]] = {}
        self.config = SimpleNamespace(name="m")
        self.reference = SimpleNamespace(plan=SimpleNamespace(segments=SEGMENTS))

    def evaluate(self, summary: Any, segment_state: SegmentState, **values: Any) -> Any:
        segment = values["segment"]
        self.told[segment] = tuple(item.key for item in values["other_pages"])
        verdict = Verdict(
            monitor="m", segment=segment, window=WINDOW, rows=1, state=State.OK, reason=Reason.NOTHING_MOVED
        )
        return SimpleNamespace(verdict=verdict, segment_state=state((f"new {segment}", 2, "drift")))


#: Segments decided already count with their new states, the others with the old ones.
TOLD = {None: ("old a", "old b"), "a": ("new None", "old b"), "b": ("new None", "new a")}
STATES = {segment: state((f"old {segment}", 1, "drift")) for segment in SEGMENTS}


def test_a_check_tells_each_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = Opening()
    owed = SimpleNamespace(holds_newer=lambda *_: False)
    monitor: Any = SimpleNamespace(
        evaluator=evaluator, config=evaluator.config, segment_state=STATES.__getitem__,
        history=SimpleNamespace(owed=owed), reference=evaluator.reference,
    )  # fmt: skip
    monkeypatch.setattr("driftwatch.monitor.check.replace", lambda item, **_: item)
    Monitor._evaluate(monitor, WINDOW, 0, Reading(), dict.fromkeys(SEGMENTS))  # type: ignore[arg-type]
    assert evaluator.told == TOLD


def test_a_backtest_tells_each_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator: Any = Opening()
    run = _Run(
        evaluator=evaluator, configuration="c", segment_states=dict(STATES), history=WINDOW,
        starts_by_rows=False,
    )  # fmt: skip
    run.calm_period_finder = SimpleNamespace(add=lambda *_: None)  # type: ignore[assignment]
    monkeypatch.setattr("driftwatch.backtest.run.replace", lambda item, **_: item)
    summaries: Any = dict.fromkeys(SEGMENTS, SimpleNamespace(rows=1))
    list(run.window(WINDOW, summaries, Reading()))
    assert evaluator.told == TOLD


def test_what_a_segment_was_told_is_in_its_verdict_and_in_its_replay(tmp_path: Path) -> None:
    world = World(tmp_path, options={"segment_by": {"column": "level", "most": 3}})
    for number in range(6):
        world.minute(number, rows=600, shift=2.0)
    with world.inside(1) as inside:
        for minutes in range(2, 7):
            inside.to(minutes)
        history, config = inside.daemon.session.history, load(world.config).monitors[0]
        stored = {
            segment: [verdict_from_json(data) for data in history.verdicts.newest("m", segment, limit=99)]
            for segment in (None, "a", "b", "c")
        }
        paged = [item.window.end for items in stored.values() for item in items if item.page]
        told = [item for items in stored.values() for item in items if item.other_pages]
        assert paged
        assert told
        assert all(page.paged_at in paged for item in told for page in item.other_pages)
        for item in (told[0], told[-1]):
            assert explain(config, history, item.segment, item.window.end).equal
