"""A column that a message names as moved is not listed as unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from detector_worlds import SPAN, reference_of, window_of

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.decision import decide
from driftwatch.decide.resolution import resolution_of
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import ReferenceContext
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import policy_for, select_targets
from driftwatch.monitor.evaluation.window_verdict import verdict_of
from driftwatch.results.results import NamedColumn


def test_what_all_columns_together_show_is_not_said_to_stand_still() -> None:
    rng = np.random.default_rng(1)
    reference = reference_of({name: rng.normal(size=40_000) for name in ("age", "pay", "days")})
    config = MonitorConfig.model_validate(
        {
            "name": "m",
            "reference": {"path": "x"},
            "source": {"type": "files"},
            "alarm": {"design_effect": 1},
        }
    )
    chosen = select_targets(reference, ["ks"])
    window = replace(
        window_of(reference.plan, {name: rng.normal(size=40_000) for name in ("age", "pay", "days")}),
        span=SPAN,
    )
    segment_state, policy = SegmentState(reference="r", configuration="c"), policy_for(config, None, 0)
    measurement = Evaluator(ReferenceContext(reference), chosen, config).measure(window, segment_state)
    quiet_decision = decide(segment_state, measurement, policy)
    named = NamedColumn(
        column="joint:together", detector="together", share=1.0, onset=0,
        effect="several columns together, each a little: pay, age the most", columns=("pay", "age"),
    )  # fmt: skip
    for decision, unchanged in (
        (quiet_decision, ("age", "pay", "days")),
        (replace(quiet_decision, named=(named,)), ("days",)),
    ):
        verdict = verdict_of(
            measurement,
            decision,
            window=window,
            resolution=resolution_of(segment_state, decision, measurement, policy),
            policy=policy,
        )
        assert verdict.unchanged == unchanged
