"""The offset of a test set without event times is reported apart from change, with an interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detector_worlds import SPAN, reference_of, window_of
from scipy.special import ndtr

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import ReferenceContext
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import select_targets
from driftwatch.results.results import Verdict

STEP = SPAN.end - SPAN.start
CONFIG = MonitorConfig.model_validate(
    {
        "name": "m", "reference": {"path": "x"}, "source": {"type": "files"},
        "window": {"length": "1h", "min_rows": 100}, "alarm": {"false_pages": "1 per 900d"},
    }
)  # fmt: skip


def production(offset: float, seed: int, *, untimed: bool = True) -> list[Verdict]:
    """30 windows of 300 rows whose column ``x`` is ``offset`` standard deviations off the test set."""
    rng = np.random.default_rng([seed, 9])
    reference = reference_of({"x": rng.normal(size=20_000), "y": rng.normal(size=20_000)})
    reference = replace(reference, blocks=0 if untimed else 40)
    chosen = select_targets(reference, ["ks", "missing"])
    evaluator = Evaluator(ReferenceContext(reference), chosen, CONFIG)
    segment_state, verdicts = (
        SegmentState(reference=reference.fingerprint, configuration="c"),
        list[Verdict](),
    )
    for number in range(30):
        rows = {"x": rng.normal(offset, size=300), "y": rng.normal(size=300)}
        span = Span(start=number * STEP, end=(number + 1) * STEP)
        part = replace(window_of(reference.plan, rows, salt=number + 2), span=span)
        evaluation = evaluator.evaluate(part, segment_state)
        segment_state = evaluation.segment_state
        verdicts.append(evaluation.verdict)
    return verdicts


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.3])
def test_the_interval_holds_the_truth(offset: float) -> None:
    # The largest distance between two normal distributions lies half way between their means.
    truth = 1 - (2 * ndtr(offset / 2) - 1)
    n_covering = 0
    for seed in range(10):
        last = production(offset, seed)[-1]
        by_column = {item.column: item for item in last.represented}
        n_covering += by_column["x"].low <= truth <= by_column["x"].high
        assert by_column["x"].low <= by_column["x"].share <= by_column["x"].high
    # Each interval holds it with probability .95 or more: 10 trials fall below 6 with probability 1e-5.
    assert n_covering >= 6


def test_an_offset_within_the_tolerance_is_told_and_never_paged() -> None:
    verdicts = production(0.1, 1)
    assert not any(verdict.page for verdict in verdicts)
    assert verdicts[-1].represented[0].column == "x"
    assert verdicts[-1].represented[0].high < 1.0


def test_nothing_is_said_too_early_or_of_a_reference_with_time() -> None:
    assert production(0.1, 2)[3].represented == ()
    assert all(verdict.represented == () for verdict in production(0.1, 2, untimed=False))
