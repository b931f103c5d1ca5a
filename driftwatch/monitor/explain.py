"""Repeats the computation behind one stored verdict, from the store alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import iso
from driftwatch.decide.window_e_values import design_effects
from driftwatch.errors import StoreError
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.monitor.replay import Replay
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.results.verdict_json import window_json
from driftwatch.store.history import History
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    stored: Verdict
    recomputed: Verdict
    reference: Reference
    design_effects: Mapping[str, float | None]
    healthy_windows: int
    #: None when the check had no data.
    window: Summary | None = None

    @property
    def equal(self) -> bool:
        return self.stored == self.recomputed

    def to_json(self) -> dict[str, Any]:
        return {
            "monitor": self.stored.monitor,
            "window": window_json(self.stored),
            "recomputed": window_json(self.recomputed),
            "equal": self.equal,
            "design_effects": self.design_effects,
            "healthy_windows": self.healthy_windows,
            "reference": {
                "fingerprint": self.reference.fingerprint,
                "rows": self.reference.summary.rows,
                "source": self.reference.provenance.source,
                "built_at": iso(self.reference.provenance.built_at),
            },
        }


def explain(config: MonitorConfig, history: History, segment: str | None, end: int) -> Explanation:
    """Recompute the verdict of the window ending at ``end`` by a replay from the nearest checkpoint.

    Detectors, policy and columns are the current ones, so a verdict of another configuration comes out
    unequal. Raises ``StoreError``.
    """
    data = history.verdicts.get(config.name, segment, end)
    if data is None:
        raise StoreError(
            f"{config.name}: expected a stored verdict of the window ending {iso(end)}"
            f"{f' in segment {segment}' if segment else ''}. None is stored."
        )
    stored = verdict_from_json(data)
    reference = history.references.get(config.name, stored.reference)
    if reference is None:
        raise StoreError(
            f"{config.name}: expected reference {stored.reference[:12]} in the store. It is gone."
        )
    replay = Replay(
        history=history,
        evaluator=Evaluator.from_config(reference, config),
        blocks=partial(history.references.blocks, config.name, reference.fingerprint),
        configuration=stored.configuration,
    )
    segment_state = replay.state_before(segment, end)
    if not stored.state.has_data:
        return Explanation(
            stored=stored,
            recomputed=stored,
            reference=reference,
            design_effects={},
            healthy_windows=segment_state.healthy_windows,
        )
    policy = policy_for(config, segment, len(reference.plan.segments))
    _, recomputed = replay.reevaluate(segment_state, stored)
    effect_by_stream = {
        f"{column or 'jointly'} {detector}": None if effect != effect else effect
        for (detector, column, _), effect in zip(
            segment_state.shares.keys, design_effects(segment_state, policy).tolist(), strict=True
        )
    }
    return Explanation(
        stored=stored,
        recomputed=recomputed,
        reference=reference,
        design_effects=effect_by_stream,
        healthy_windows=segment_state.healthy_windows,
        window=replay.window_summary(stored),
    )
