"""The working behind one stored verdict, recomputed from the store alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from driftwatch.config.schema import MonitorConfig
from driftwatch.decide.evidence import design_effects
from driftwatch.decide.track import Track, decode
from driftwatch.errors import StoreError
from driftwatch.measure import Look, fresh_track, judge, looks, policy_for
from driftwatch.report import verdict_from_json, window_json
from driftwatch.store.history import History
from driftwatch.summary.reference import Reference
from driftwatch.summary.result import Verdict
from driftwatch.summary.schema import iso
from driftwatch.summary.summary import total


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A stored verdict, the same recomputed, and the numbers in between."""

    stored: Verdict
    recomputed: Verdict
    reference: Reference
    design_effects: dict[str, float | None]
    healthy_windows: int

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
    chosen = looks(reference, config.detectors)
    track = _track_before(config, history, reference, chosen, stored)
    if not stored.state.looked:
        return Explanation(
            stored=stored,
            recomputed=stored,
            reference=reference,
            design_effects={},
            healthy_windows=track.healthy_windows,
        )
    policy = policy_for(config, segment, len(reference.plan.segments))
    _, recomputed = _replay(config, history, reference, chosen, track, stored)
    effects = {
        f"{column or 'jointly'} {detector}": effect
        for (detector, column, _), effect in design_effects(track, policy).items()
    }
    return Explanation(
        stored=stored,
        recomputed=recomputed,
        reference=reference,
        design_effects=effects,
        healthy_windows=track.healthy_windows,
    )


def _track_before(
    config: MonitorConfig,
    history: History,
    reference: Reference,
    chosen: Sequence[Look],
    stored: Verdict,
) -> Track:
    segment, end = stored.segment, stored.window.end
    kept = history.checkpoint_before(config.name, segment, end)
    track = None if kept is None else decode(kept)
    if track is None or track.reference != reference.fingerprint:
        blocks = history.blocks(config.name, reference.fingerprint, segment)
        track = fresh_track(reference.at(segment), blocks, chosen, config, stored.configuration)
    after = -(1 << 62) if track.decided_until is None else track.decided_until
    for data in history.verdicts(config.name, segment, after=after, limit=1 << 30):
        verdict = verdict_from_json(data)
        if verdict.window.end >= end:
            break
        if verdict.state.looked and verdict.reference == reference.fingerprint:
            track, _ = _replay(config, history, reference, chosen, track, verdict)
    return track


def _replay(
    config: MonitorConfig,
    history: History,
    reference: Reference,
    chosen: Sequence[Look],
    track: Track,
    stored: Verdict,
) -> tuple[Track, Verdict]:
    segment = stored.segment
    tiles = [history.tile(config.name, segment, start, version) for start, version in stored.tiles]
    known = [tile.summary for tile in tiles if tile is not None]
    if not known or len(known) != len(tiles):
        raise StoreError(
            f"{config.name}: expected the tiles of the window ending {iso(stored.window.end)}. "
            "They are past storage retention."
        )
    decision, verdict = judge(
        reference,
        replace(total(known), span=stored.window),
        chosen,
        replace(track, configuration=stored.configuration),
        config,
        segment=segment,
        tiles=stored.tiles,
        rejected=stored.rejected_files,
        newest_row=stored.newest_row,
    )
    return decision.track, replace(verdict, late_rows=stored.late_rows)
