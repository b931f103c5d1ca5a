"""Repeats the computation behind one verdict: of a stored one from the store alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import iso
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import design_effects
from driftwatch.errors import StoreDamaged, StoreForgot
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.monitor.replay import Replay
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.results.verdict_json import judged_window_json
from driftwatch.store.acknowledgements import UndoneAcceptance
from driftwatch.store.history import History
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


class Origin(StrEnum):
    """Where an explained verdict comes from."""

    STORE = "store"
    #: The window is not stored: its verdict is that of a backtest.
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    #: The stored verdict, or that of the replay.
    stored: Verdict
    #: None where ``gone`` says what it would be recomputed from.
    recomputed: Verdict | None
    reference: Reference | None
    design_effects: Mapping[str, float | None] = field(default_factory=dict)
    healthy_windows: int | None = None
    #: None when the check had no data; of a part, its late rows.
    window: Summary | None = None
    gone: StoreForgot | None = None
    #: Verdicts on the window's rows that came late.
    late_parts: tuple[Verdict, ...] = ()
    origin: Origin = Origin.STORE
    #: The acceptance that was in force when it was decided and that was undone since.
    undone: UndoneAcceptance | None = None

    @property
    def equal(self) -> bool | None:
        if self.recomputed is None or self.origin is Origin.REPLAY:
            return None
        return self.stored == self.recomputed

    def to_json(self) -> dict[str, Any]:
        return {
            "monitor": self.stored.monitor,
            "from": str(self.origin),
            "window": judged_window_json(self.stored, self.late_parts),
            "recomputed": None
            if self.recomputed is None
            else judged_window_json(self.recomputed, self.late_parts),
            "equal": self.equal,
            "design_effects": self.design_effects,
            "healthy_windows": self.healthy_windows,
            "reference": None if self.reference is None else _reference_json(self.reference),
            "undone_acceptance": None if self.undone is None else _undone_json(self.undone),
            **({} if self.gone is None else {"error": str(self.gone)}),
        }


def _undone_json(undone: UndoneAcceptance) -> dict[str, Any]:
    return {"incident": undone.incident, "from": iso(undone.start), "until": iso(undone.end)}


def _reference_json(reference: Reference) -> dict[str, Any]:
    return {
        "fingerprint": reference.fingerprint,
        "rows": reference.summary.rows,
        "source": reference.provenance.source,
        "built_at": iso(reference.provenance.built_at),
    }


def explain(
    config: MonitorConfig, history: History, segment: str | None, end: int, part: int = 0
) -> Explanation:
    """Recompute the verdict of the window ending at ``end``, or of a part of its late rows.

    It is a replay from the nearest checkpoint.

    Detectors, policy and columns are the current ones, so a verdict of another configuration comes out
    unequal. Raises ``StoreError``; ``StoreForgot`` only if no verdict is stored.
    """
    stored, late_parts = _stored(config.name, history, segment, end, part)
    reference = history.references.get(config.name, stored.reference)
    if reference is None:
        gone = StoreForgot(
            f"{config.name}: expected reference {stored.reference[:12]} in the store. It is gone."
        )
        return Explanation(stored=stored, recomputed=None, reference=None, gone=gone, late_parts=late_parts)
    try:
        explanation = _recomputed(config, history, stored, reference)
    except StoreForgot as error:
        explanation = Explanation(stored=stored, recomputed=None, reference=reference, gone=error)
    except StoreDamaged as error:
        # The verdict itself is shown all the same.
        gone = StoreForgot(str(error))
        explanation = Explanation(stored=stored, recomputed=None, reference=reference, gone=gone)
    return replace(explanation, late_parts=late_parts)


def _recomputed(
    config: MonitorConfig, history: History, stored: Verdict, reference: Reference
) -> Explanation:
    segment = stored.segment
    blocks = partial(history.references.blocks, config.name, reference.fingerprint)
    replay = Replay(
        history=history,
        evaluator=Evaluator.from_config(reference, config, blocks),
        blocks=blocks,
        configuration=stored.configuration,
    )
    try:
        segment_state = replay.state_before(segment, stored.window.end, stored.part)
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
    return Explanation(
        stored=stored,
        recomputed=recomputed,
        reference=reference,
        design_effects=effects_by_stream(segment_state, policy),
        healthy_windows=segment_state.healthy_windows,
        window=replay.window_summary(stored),
    )


def effects_by_stream(segment_state: SegmentState, policy: Policy) -> dict[str, float | None]:
    effects = design_effects(segment_state, policy).tolist()
    return {
        f"{column or 'jointly'} {detector}": None if effect != effect else effect
        for (detector, column, _), effect in zip(segment_state.shares.keys, effects, strict=True)
    }


def _stored(
    name: str, history: History, segment: str | None, end: int, part: int
) -> tuple[Verdict, tuple[Verdict, ...]]:
    """Return the verdict and its late parts."""
    data = history.verdicts.get(name, segment, end)
    if data is None and history.verdicts.decided_at(name, segment, end) is not None:
        raise StoreDamaged(
            f"{name}: expected the verdict of the window ending {iso(end)}. It is damaged in the store, and "
            "its window stays decided."
        )
    parts = [verdict_from_json(item) for item in history.late_parts.of_window(name, segment, end)]
    verdicts = {0: None if data is None else verdict_from_json(data), **{item.part: item for item in parts}}
    stored = verdicts.get(part)
    if stored is None:
        raise StoreForgot(
            f"{name}: expected a stored verdict of {f'part {part} of the late rows of ' if part else ''}the "
            f"window ending {iso(end)}{f' in segment {segment}' if segment else ''}. None is stored."
        )
    return stored, () if part else tuple(parts)
