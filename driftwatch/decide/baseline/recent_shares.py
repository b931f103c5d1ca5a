"""Sums of share streams over recent windows, for how far a column moved since an onset.

Windows are merged into blocks of 1, 2, 4, ... windows, at most two of each size, the newest first. A sum
since a past window needs ``O(log windows)`` blocks instead of all windows (exponential histogram: Datar,
Gionis, Indyk, Motwani 2002). No block begins to span the onset of an open incident. Windows that were merged
with older ones before the incident opened are left out of its sum.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Int64Array

#: Blocks of one size before the two older ones are merged.
_MAX_BLOCKS_PER_SIZE = 2
#: Windows that are summed; older ones are dropped.
MAX_RECENT_WINDOWS = 512


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareBlock:
    """Consecutive windows; ``counts[2, label]`` are their successes and trials."""

    start: int
    windows: int
    counts: Int64Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecentShares:
    #: Oldest first.
    blocks: tuple[ShareBlock, ...] = ()

    def add(
        self, start: int, successes: Int64Array, trials: Int64Array, onsets: Collection[int] = ()
    ) -> RecentShares:
        """Add a window; no block will span one of the ``onsets`` (starts of windows).

        A window judged late is added to the block of its time, or is one if an incident begins with it.
        """
        if self.blocks and start < self.blocks[-1].start:
            return self._add_late(start, np.stack([successes, trials]), onsets)
        blocks = [*self.blocks, ShareBlock(start=start, windows=1, counts=np.stack([successes, trials]))]
        # The newest block of a size; the two before it are merged if they are as large.
        position = len(blocks) - 1
        while position >= _MAX_BLOCKS_PER_SIZE:
            older, newer = blocks[position - 2 : position]
            if not older.windows == newer.windows == blocks[position].windows or newer.start in onsets:
                break
            blocks[position - 2 : position] = [_merged(older, newer)]
            position -= 2
        while len(blocks) > 1 and sum(block.windows for block in blocks[1:]) >= MAX_RECENT_WINDOWS:
            del blocks[0]
        return RecentShares(blocks=tuple(blocks))

    def _add_late(self, start: int, counts: Int64Array, onsets: Collection[int]) -> RecentShares:
        position = sum(block.start <= start for block in self.blocks) - 1
        blocks = list(self.blocks)
        if position < 0 or (start in onsets and blocks[position].start < start):
            blocks.insert(position + 1, ShareBlock(start=start, windows=1, counts=counts))
            return RecentShares(blocks=tuple(blocks))
        late = ShareBlock(start=blocks[position].start, windows=0, counts=counts)
        blocks[position] = _merged(blocks[position], late)
        return RecentShares(blocks=tuple(blocks))

    def since(self, onset: int, n_labels: int) -> Int64Array:
        """Return successes and trials ``[2, n_labels]`` of the windows that start at ``onset`` or later.

        A block that spans the onset is left out. Labels that are younger than a block had no rows in it.
        """
        counts = np.zeros((2, n_labels), dtype=np.int64)
        for block in reversed(self.blocks):
            if block.start < onset:
                break
            counts[:, : block.counts.shape[1]] += block.counts
        return counts

    def to_array(self, n_labels: int) -> Int64Array:
        """Return the counts ``[block, 2, n_labels]``."""
        counts = np.zeros((len(self.blocks), 2, n_labels), dtype=np.int64)
        for position, block in enumerate(self.blocks):
            counts[position, :, : block.counts.shape[1]] = block.counts
        return counts


def _merged(older: ShareBlock, newer: ShareBlock) -> ShareBlock:
    # The older one may have more labels: part of it was judged after the newer one.
    counts = np.zeros((2, max(older.counts.shape[1], newer.counts.shape[1])), dtype=np.int64)
    for block in (older, newer):
        counts[:, : block.counts.shape[1]] += block.counts
    return ShareBlock(start=older.start, windows=older.windows + newer.windows, counts=counts)
