"""What did not change: nothing that the same message calls moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from detector_worlds import SPAN, reference_of, window_of

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.decision import decide
from driftwatch.decide.resolution import sight
from driftwatch.decide.state import SegmentState
from driftwatch.monitor.evaluate import looks, measure, policy_for, verdict_of
from driftwatch.results.results import NamedColumn


def test_what_all_columns_together_show_is_not_said_to_stand_still() -> None:
    rng = np.random.default_rng(1)
    reference = reference_of({name: rng.normal(size=2000) for name in ("age", "pay", "days")})
    config = MonitorConfig.model_validate(
        {"name": "m", "reference": {"path": "x"}, "source": {"type": "files"}}
    )
    chosen = looks(reference, ["ks"])
    window = replace(
        window_of(reference.plan, {name: rng.normal(size=500) for name in ("age", "pay", "days")}), span=SPAN
    )
    segment_state, policy = SegmentState(reference="r", configuration="c"), policy_for(config, None, 0)
    seen = measure(reference, window, chosen, segment_state, config)
    decision = decide(segment_state, seen, policy)
    named = NamedColumn(
        column="joint:together", detector="together", share=1.0, onset=0,
        effect="several columns together, each a little: pay, age the most",
    )  # fmt: skip
    for said, still in ((decision, ("age", "pay", "days")), (replace(decision, named=(named,)), ("days",))):
        verdict = verdict_of(
            seen, said, window=window, sight=sight(segment_state, said, seen, policy), policy=policy, tiles=()
        )
        assert verdict.unchanged == still
