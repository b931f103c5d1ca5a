"""The working behind one stored verdict, recomputed from the store alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import iso
from driftwatch.decide.evidence import design_effects
from driftwatch.errors import StoreError
from driftwatch.monitor.evaluate import looks, policy_for
from driftwatch.monitor.replay import Replay
from driftwatch.results.results import Verdict
from driftwatch.results.verdict_json import verdict_from_json, window_json
from driftwatch.store.history import History
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A stored verdict, the same recomputed, and the numbers in between.

    ``window`` are the rows it was decided on, None when it could not look.
    """

    stored: Verdict
    recomputed: Verdict
    reference: Reference
    design_effects: dict[str, float | None]
    healthy_windows: int
    window: Summary | None = None

    @property
    def equal(self) -> bool:
        """True when every number came out the same."""
        return self.stored == self.recomputed

    def to_json(self) -> dict[str, Any]:
        """The object ``explain --format json`` prints."""
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
    """Replay from the nearest kept track up to the window ending at ``end``. Raises ``StoreError``.

    The detectors, policy and columns of today's configuration are used; a verdict of another
    configuration says so by not being equal.
    """
    found = history.verdict(config.name, segment, end)
    if found is None:
        raise StoreError(
            f"{config.name}: expected a stored verdict of the window ending {iso(end)}"
            f"{f' in segment {segment}' if segment else ''}. None is stored."
        )
    stored = verdict_from_json(found)
    reference = history.reference(config.name, stored.reference)
    if reference is None:
        raise StoreError(
            f"{config.name}: expected reference {stored.reference[:12]} in the store. It is gone."
        )
    replay = Replay(
        config=config,
        history=history,
        reference=reference,
        blocks=partial(history.blocks, config.name, reference.fingerprint),
        chosen=looks(reference, config.detectors),
        configuration=stored.configuration,
    )
    segment_state = replay.state_before(segment, end)
    if not stored.state.looked:
        return Explanation(
            stored=stored,
            recomputed=stored,
            reference=reference,
            design_effects={},
            healthy_windows=segment_state.healthy_windows,
        )
    policy = policy_for(config, segment, len(reference.plan.segments))
    _, recomputed = replay.again(segment_state, stored)
    effects = {
        f"{column or 'jointly'} {detector}": None if effect != effect else effect
        for (detector, column, _), effect in zip(
            segment_state.shares.keys, design_effects(segment_state, policy).tolist(), strict=True
        )
    }
    return Explanation(
        stored=stored,
        recomputed=recomputed,
        reference=reference,
        design_effects=effects,
        healthy_windows=segment_state.healthy_windows,
        window=replay.counted(stored),
    )
