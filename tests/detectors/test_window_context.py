"""What is computed once for a window: whose it is, and how long it lives."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from detector_worlds import SPAN, reference_of, window_of

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors._support.cell_arrays import WindowCells
from driftwatch.detectors.base import (
    BatchDetector,
    ColumnDetector,
    ColumnPair,
    JointDetector,
    ReferenceContext,
    WindowContext,
)
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.window_verdict import render_gauges
from driftwatch.results.gauges import Gauges
from driftwatch.results.results import Statistic
from driftwatch.results.streams import StreamList

CONFIG = MonitorConfig.model_validate(
    {"name": "m", "reference": {"path": "x"}, "source": {"type": "files"}, "window": {"length": "1h"}}
)


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
def test_a_window_goes_with_its_evaluation() -> None:
    """A thousand monitors sleep between windows: nothing of a window waits for the collector of cycles."""
    rng = np.random.default_rng(1)
    reference = reference_of({"x": rng.normal(size=900), "k": rng.choice(["a", "b"], 900)})
    evaluator = Evaluator.from_config(reference, CONFIG)
    segment_state = SegmentState(reference="r", configuration="c")
    for _ in range(3):
        window = window_of(reference.plan, {"x": rng.normal(size=400), "k": rng.choice(["a", "b"], 400)})
        evaluation = evaluator.evaluate(window, segment_state)
        assert len(render_gauges(evaluation.verdict).statistics) > 5
        segment_state = evaluation.segment_state
        del window, evaluation
    evaluator.context.memo.clear()
    assert not [item for item in gc.get_objects() if isinstance(item, WindowCells)]


def test_functions_that_chose_one_key_do_not_share_a_result() -> None:
    def one(_: object) -> str:
        return "one"

    def other(_: object) -> str:
        return "other"

    reference = reference_of({"x": [1.0, 2.0, 3.0]})
    context = ReferenceContext(reference).window(window_of(reference.plan, {"x": [1.0]}))
    for once in (context.once, context.once_for_reference):
        assert [once("cells", one), once("cells", other), once("cells", one)] == ["one", "other", "one"]
    assert isinstance(context.cells, WindowCells)
    assert context.window.span == SPAN


class Silent(ColumnDetector):
    def measure(self, pair: ColumnPair) -> Statistic:
        return self.gauge(pair, 0.0)


class Loud(Silent):
    def streams(self, pair: ColumnPair) -> StreamList:
        return ()


class Fast(BatchDetector):
    def measure_all(self, batch: object) -> Gauges:
        raise NotImplementedError


class Joint(JointDetector):
    def measure(self, window: WindowContext) -> Statistic:
        return self.gauge((1, 1), 0.0)


class JointLoud(Joint):
    def streams(self, window: WindowContext) -> StreamList:
        return ()


def test_a_detector_without_streams_cannot_page_and_says_so() -> None:
    evidence = [detector.evidence for detector in (Silent(), Loud(), Fast(), Joint(), JointLoud())]
    assert evidence == [False, True, False, False, True]
