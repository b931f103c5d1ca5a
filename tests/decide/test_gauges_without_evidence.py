"""A gauge without evidence never stands for "nothing moved"."""

from __future__ import annotations

import numpy as np
import pytest
from detector_worlds import reference_of, window_of

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import ReferenceContext
from driftwatch.engines.base import EngineConfig
from driftwatch.engines.local import LocalConfig
from driftwatch.errors import ConfigError
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import select_targets

CONFIG = MonitorConfig.model_validate(
    {"name": "m", "reference": {"path": "x"}, "source": {"type": "files"}, "window": {"length": "1h"}}
)


def test_detectors_that_can_never_page_here_are_refused() -> None:
    reference = reference_of({"x": np.arange(500.0)})
    for names in (["psi", "js"], ["chi2", "psi"]):
        with pytest.raises(ConfigError, match=r"expected one that can page .*numeric.* Got .*psi"):
            select_targets(reference, names)
    assert select_targets(reference, ["ks", "psi"])


def test_detectors_that_the_engine_cannot_feed_are_refused() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=4000)
    reference = reference_of({"x": x, "y": x + rng.normal(size=4000)}, joint=True)
    counting = EngineConfig(type="counting")
    for names in (["mmd"], ["mmd", "psi"]):
        with pytest.raises(
            ConfigError, match=r"without a row sample, which this engine does not keep\. Got mmd"
        ):
            select_targets(reference, names, counting)
        assert select_targets(reference, names, LocalConfig())
    assert select_targets(reference, ["mmd", "ks"], counting)


def test_a_column_without_a_stream_is_not_listed_as_unchanged() -> None:
    rng = np.random.default_rng(1)
    reference = reference_of({"x": rng.normal(size=4000), "city": rng.choice(["a", "b"], 4000)})
    moved = window_of(reference, {"x": rng.normal(9, 1, 600), "city": rng.choice(["a", "b"], 600)})
    segment_state = SegmentState(reference=reference.fingerprint, configuration="c")
    chosen = select_targets(reference, ["psi", "chi2"])
    evaluator = Evaluator(ReferenceContext(reference), chosen, CONFIG)
    verdict = evaluator.evaluate(moved, segment_state).verdict
    assert {item.column for item in verdict.statistics} == {"x", "city"}
    # 600 rows, each 25 of which may be one user's, cannot show that a column stayed within 5 %.
    assert verdict.unchanged == ()
    assert verdict.could_not_tell == ("city",)
