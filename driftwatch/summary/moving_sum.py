"""The sum of a window's tiles while the window moves on: what came is added, what left is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add

from driftwatch.core.schema import Span
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.summary import Summary, total

#: A tile by its start and version.
Key = tuple[int, int]


class MovingSum:
    """The sum of the tiles of one window, kept for the next.

    A step costs what came and what left, however long the window is. Counts are whole numbers, so they are
    the same to the bit as those of a sum made anew. The sums of the joint statistics are not: they are kept
    of every tile and added up in the order of time, where ``sums`` says that somebody reads them. Memory: the
    counts of one window, and ``most`` bytes of sums: a window with more of them is added up anew each time.
    """

    def __init__(self, *, sums: bool = True, most: int = 1 << 24) -> None:
        self._sums, self._most = sums, most
        self._kept: dict[Key, Summary] = {}
        self._counts: ColumnCounts | None = None

    def known(self, key: Key) -> Summary | None:
        """A tile of the last window, without its counts and rows; None when it was not in it."""
        return self._kept.get(key)

    def forget(self) -> None:
        """Start over at the next window."""
        self._kept, self._counts = {}, None

    def total(self, keys: Sequence[Key], load: Callable[[Key], Summary | None]) -> Summary | None:
        """The sum of these tiles, the same as ``total`` of them; None when one of them cannot be loaded.

        ``load`` is asked for tiles that came, and for those that left as they were when they were added.
        """
        wanted = set(keys)
        came = [key for key in keys if key not in self._kept]
        left = [load(key) for key in self._kept if key not in wanted]
        gone = [tile for tile in left if tile is not None]
        if self._counts is None or len(gone) < len(left) or len(came) + len(gone) >= len(keys):
            return self._anew(keys, load)
        new = [load(key) for key in came]
        added = [tile for tile in new if tile is not None]
        if len(added) < len(new):
            return self._anew(keys, load)
        counts = ColumnCounts.total(
            [self._counts, *(ColumnCounts.of(tile.counts) for tile in added)],
            less=[ColumnCounts.of(tile.counts) for tile in gone],
        )
        kept = self._kept | {key: self._light(tile) for key, tile in zip(came, added, strict=True)}
        self._kept, self._counts = {key: kept[key] for key in keys}, counts
        return self._whole(counts)

    def _anew(self, keys: Sequence[Key], load: Callable[[Key], Summary | None]) -> Summary | None:
        self.forget()
        tiles = {key: tile for key in keys if (tile := load(key)) is not None}
        if not tiles or len(tiles) < len(keys):
            return None
        whole = total(tiles.values())
        if self._sums and sum(_size(tile) for tile in tiles.values()) > self._most:
            return whole
        self._kept = {key: self._light(tile) for key, tile in tiles.items()}
        self._counts = ColumnCounts.of(whole.counts)
        return whole

    def _whole(self, counts: ColumnCounts) -> Summary:
        ordered = sorted(self._kept.values(), key=lambda tile: (tile.span.start, tile.span.end))
        sums = [tile.sums for tile in ordered]
        return Summary(
            plan=ordered[0].plan,
            span=Span(start=ordered[0].span.start, end=max(tile.span.end for tile in ordered)),
            rows=sum(tile.rows for tile in ordered),
            counts=counts,
            sums=reduce(add, sums) if all(item is not None for item in sums) else None,
        )

    def _light(self, tile: Summary) -> Summary:
        return replace(tile.drop_sample(), counts={}, sums=tile.sums if self._sums else None)


def _size(tile: Summary) -> int:
    """Bytes of a tile's sums."""
    sums = tile.sums
    if sums is None:
        return 0
    return sum(
        part.nbytes for part in (sums.features, sums.values, sums.products, sums.agreeing, sums.paired)
    )
