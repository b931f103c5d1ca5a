"""The sum of the tiles of a moving window: new tiles are added, old ones subtracted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add

from driftwatch.core.schema import Span
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.named_rows import add_named
from driftwatch.summary.summary import Summary, total

#: (start, version) of a tile.
TileKey = tuple[int, int]


class MovingSum:
    """Sum of the tiles of a moving window; a step costs only the tiles that enter and leave.

    It holds the counts of one window and ``max_sum_bytes`` of joint sums; a larger window is recomputed each
    time. ``sums`` is False if joint sums are not needed.
    """

    # Counts are whole numbers, so they equal those of a recomputed sum bit by bit. Joint sums are floats and
    # do not: they are stored per tile and added in time order, and so are the few values that tiles name.

    def __init__(self, *, sums: bool = True, max_sum_bytes: int = 1 << 24) -> None:
        self._sums, self._max_sum_bytes = sums, max_sum_bytes
        self._tiles: dict[TileKey, Summary] = {}
        self._counts: ColumnCounts | None = None

    def tile(self, key: TileKey) -> Summary | None:
        """Return a tile of the last window, without counts and sample."""
        return self._tiles.get(key)

    def clear(self) -> None:
        self._tiles, self._counts = {}, None

    def total(self, keys: Sequence[TileKey], load: Callable[[TileKey], Summary | None]) -> Summary | None:
        """Return the sum of the tiles, or None if one cannot be loaded.

        ``load`` is called for new tiles, and for leaving tiles at the version that was added.
        """
        window_keys = set(keys)
        new_keys = [key for key in keys if key not in self._tiles]
        leaving_tiles = [load(key) for key in self._tiles if key not in window_keys]
        old_tiles = [tile for tile in leaving_tiles if tile is not None]
        if (
            self._counts is None
            or len(old_tiles) < len(leaving_tiles)
            or len(new_keys) + len(old_tiles) >= len(keys)
        ):
            return self._recompute(keys, load)
        loaded_tiles = [load(key) for key in new_keys]
        new_tiles = [tile for tile in loaded_tiles if tile is not None]
        if len(new_tiles) < len(loaded_tiles):
            return self._recompute(keys, load)
        counts = ColumnCounts.total(
            [self._counts, *(ColumnCounts.from_mapping(tile.counts) for tile in new_tiles)],
            subtracted=[ColumnCounts.from_mapping(tile.counts) for tile in old_tiles],
        )
        tiles = self._tiles | {key: self._strip(tile) for key, tile in zip(new_keys, new_tiles, strict=True)}
        self._tiles, self._counts = {key: tiles[key] for key in keys}, counts
        return self._window_summary(counts)

    def _recompute(
        self, keys: Sequence[TileKey], load: Callable[[TileKey], Summary | None]
    ) -> Summary | None:
        self.clear()
        tiles = {key: tile for key in keys if (tile := load(key)) is not None}
        if not tiles or len(tiles) < len(keys):
            return None
        whole = total(tiles.values())
        if self._sums and sum(_sum_bytes(tile) for tile in tiles.values()) > self._max_sum_bytes:
            return whole
        self._tiles = {key: self._strip(tile) for key, tile in tiles.items()}
        self._counts = ColumnCounts.from_mapping(whole.counts)
        return whole

    def _window_summary(self, counts: ColumnCounts) -> Summary:
        ordered = sorted(self._tiles.values(), key=lambda tile: (tile.span.start, tile.span.end))
        sums = [tile.sums for tile in ordered]
        return Summary(
            plan=ordered[0].plan,
            span=Span(start=ordered[0].span.start, end=max(tile.span.end for tile in ordered)),
            rows=sum(tile.rows for tile in ordered),
            counts=counts,
            sums=reduce(add, sums) if all(item is not None for item in sums) else None,
            named=add_named([tile.named for tile in ordered]),
        )

    def _strip(self, tile: Summary) -> Summary:
        return replace(tile.drop_sample(), counts={}, sums=tile.sums if self._sums else None)


def _sum_bytes(tile: Summary) -> int:
    sums = tile.sums
    if sums is None:
        return 0
    return sum(
        part.nbytes for part in (sums.features, sums.values, sums.products, sums.agreeing, sums.paired)
    )
