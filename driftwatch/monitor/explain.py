"""Repeats the computation behind one stored verdict, from the store alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import iso
from driftwatch.decide.window_e_values import design_effects
from driftwatch.errors import StoreForgot
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
    #: None where ``gone`` says what it would be recomputed from.
    recomputed: Verdict | None
    reference: Reference | None
    design_effects: Mapping[str, float | None] = field(default_factory=dict)
    healthy_windows: int | None = None
    #: None when the check had no data.
    window: Summary | None = None
    gone: StoreForgot | None = None

    @property
    def equal(self) -> bool | None:
        return None if self.recomputed is None else self.stored == self.recomputed

    def to_json(self) -> dict[str, Any]:
        return {
            "monitor": self.stored.monitor,
            "window": window_json(self.stored),
            "recomputed": None if self.recomputed is None else window_json(self.recomputed),
            "equal": self.equal,
            "design_effects": self.design_effects,
            "healthy_windows": self.healthy_windows,
            "reference": None if self.reference is None else _reference_json(self.reference),
            **({} if self.gone is None else {"error": str(self.gone)}),
        }


def _reference_json(reference: Reference) -> dict[str, Any]:
    return {
        "fingerprint": reference.fingerprint,
        "rows": reference.summary.rows,
        "source": reference.provenance.source,
        "built_at": iso(reference.provenance.built_at),
    }


def explain(config: MonitorConfig, history: History, segment: str | None, end: int) -> Explanation:
    """Recompute the verdict of the window ending at ``end`` by a replay from the nearest checkpoint.

    Detectors, policy and columns are the current ones, so a verdict of another configuration comes out
    unequal. Raises ``StoreError``; ``StoreForgot`` only if no verdict is stored.
    """
    data = history.verdicts.get(config.name, segment, end)
    if data is None:
        raise StoreForgot(
            f"{config.name}: expected a stored verdict of the window ending {iso(end)}"
            f"{f' in segment {segment}' if segment else ''}. None is stored."
        )
    stored = verdict_from_json(data)
    reference = history.references.get(config.name, stored.reference)
    if reference is None:
        gone = StoreForgot(
            f"{config.name}: expected reference {stored.reference[:12]} in the store. It is gone."
        )
        return Explanation(stored=stored, recomputed=None, reference=None, gone=gone)
    try:
        return _recomputed(config, history, stored, reference)
    except StoreForgot as error:
        return Explanation(stored=stored, recomputed=None, reference=reference, gone=error)


def _recomputed(
    config: MonitorConfig, history: History, stored: Verdict, reference: Reference
) -> Explanation:
    segment = stored.segment
    replay = Replay(
        history=history,
        evaluator=Evaluator.from_config(reference, config),
        blocks=partial(history.references.blocks, config.name, reference.fingerprint),
        configuration=stored.configuration,
    )
    try:
        segment_state = replay.state_before(segment, stored.window.end)
    except StoreForgot:
        if stored.state.has_data:
            raise
        return Explanation(stored=stored, recomputed=stored, reference=reference)
    if not stored.state.has_data:
        return Explanation(
            stored=stored,
            recomputed=stored,
            reference=reference,
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
