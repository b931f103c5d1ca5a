"""What was known just before a window: the nearest kept track, and the stored windows since judged again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import iso
from driftwatch.decide.state import SegmentState, decode
from driftwatch.errors import StoreForgot
from driftwatch.monitor.evaluate import Look, fresh_track, judge, worded
from driftwatch.results.results import Verdict
from driftwatch.results.verdict_json import verdict_from_json
from driftwatch.store.history import History
from driftwatch.store.records import Blocks
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Judges stored windows again, from the store alone, with today's configuration.

    ``blocks`` are the reference's, asked for only when nothing else is remembered; ``chosen`` is what is
    measured; ``configuration`` is the hash that the tracks carry.
    """

    config: MonitorConfig
    history: History
    reference: Reference
    blocks: Blocks
    chosen: Sequence[Look]
    configuration: str

    def state_before(self, segment: str | None, end: int) -> SegmentState:
        """The track as it was before the window ending at ``end``, knowing nothing that came later.

        Without stored windows before it, that is what the reference's own blocks teach. Raises
        ``StoreForgot`` when such windows are stored and their tiles are past retention.
        """
        segment_state = replace(self._start(segment, end), configuration=self.configuration)
        after = -(1 << 62) if segment_state.decided_until is None else segment_state.decided_until
        for data in self.history.verdicts(self.config.name, segment, after=after, limit=1 << 30):
            stored = verdict_from_json(data)
            if stored.window.end >= end:
                break
            if stored.state.looked and stored.reference == self.reference.fingerprint:
                segment_state, _ = self.again(segment_state, stored, gauges=False)
        return segment_state

    def again(
        self, segment_state: SegmentState, stored: Verdict, *, gauges: bool = True
    ) -> tuple[SegmentState, Verdict]:
        """A stored window judged on the tiles it was decided on: the next track and the verdict."""
        decision, verdict = judge(
            self.reference,
            replace(self.counted(stored), span=stored.window),
            self.chosen,
            replace(segment_state, configuration=stored.configuration),
            self.config,
            segment=stored.segment,
            gauges=gauges,
            tiles=stored.tiles,
            rejected=stored.rejected_files,
            newest_row=stored.newest_row,
            untimed=stored.untimed_rows,
        )
        return decision.segment_state, replace(worded(verdict), late_rows=stored.late_rows)

    def counted(self, stored: Verdict) -> Summary:
        """The rows a stored window was decided on. Raises ``StoreForgot``."""
        name, segment = self.config.name, stored.segment
        tiles = [self.history.tile(name, segment, start, version) for start, version in stored.tiles]
        known = [tile.summary for tile in tiles if tile is not None]
        if len(known) != len(tiles):
            raise StoreForgot(
                f"{name}: expected the tiles of the window ending {iso(stored.window.end)}. "
                "They are past retention.tiles."
            )
        plan = self.reference.plan
        # A segment's window without rows has no tiles.
        return total(known) if known else Summary.zero(plan, stored.window).seal(plan)

    def fresh(self, segment: str | None) -> SegmentState:
        """What the reference's own blocks teach."""
        reference, blocks = self.reference.at(segment), self.blocks(segment)
        return fresh_track(reference, blocks, self.chosen, self.config, self.configuration)

    def _start(self, segment: str | None, end: int) -> SegmentState:
        name, fingerprint = self.config.name, self.reference.fingerprint
        kept = self.history.checkpoint_before(name, segment, end)
        segment_state = None if kept is None else decode(kept)
        if segment_state is not None and segment_state.reference == fingerprint:
            return segment_state
        begun = self.history.beginning(name, fingerprint, segment)
        if begun is None:
            return self.fresh(segment)
        segment_state = decode(begun)
        if segment_state.decided_until is not None and segment_state.decided_until < end:
            return segment_state
        # Older than the rebase: what was accepted counts, the evidence and incidents of that day do not.
        return replace(segment_state.reset(), incidents=(), decided_until=None)
