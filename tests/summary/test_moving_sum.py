"""A window that moves on has the same sum, to the bit, as one added up anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.schema import Span
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import SPECIAL, Counts
from driftwatch.summary.moving_sum import MovingSum, TileKey
from driftwatch.summary.named_rows import NamedRows
from driftwatch.summary.projection import Sums
from driftwatch.summary.summary import Summary, total


def tile(start: int, version: int = 1, *, joint: bool = True) -> Summary:
    rng = np.random.default_rng((start, version))
    counts = ColumnCounts.from_mapping(
        {
            name: Counts(cells=rng.integers(0, 99, size), special=rng.integers(0, 9, len(SPECIAL)))
            for name, size in (("a", 5), ("b", 3))
        }
    )
    sums = Sums(
        rows=int(rng.integers(1, 9)),
        features=rng.normal(size=8),
        values=rng.normal(size=2),
        products=rng.normal(size=(2, 2)),
        agreeing=rng.integers(0, 9, 1),
        paired=rng.integers(9, 19, 1),
    )
    span = Span(start=start, end=start + 1)
    keys = np.unique(rng.integers(0, 9, 4)).astype(np.uint64)
    levels = NamedRows(keys=keys, rows=np.ones(len(keys), dtype=np.int64), names=tuple(map(str, keys)))
    return Summary(
        plan="p",
        span=span,
        rows=7 + version,
        counts=counts,
        sums=sums if joint else None,
        named={"b": levels} if start % 3 else {},
    )


class Store:
    """Tiles by key, and which of them were asked for."""

    def __init__(self, *, joint: bool = True) -> None:
        self.joint = joint
        self.missing_keys: set[TileKey] = set()
        self.loaded_keys: list[TileKey] = []

    def load(self, key: TileKey) -> Summary | None:
        self.loaded_keys.append(key)
        return None if key in self.missing_keys else tile(*key, joint=self.joint)

    def window(self, keys: list[TileKey]) -> Summary:
        return total([tile(*key, joint=self.joint) for key in keys])


def assert_same(actual: Summary | None, expected: Summary) -> None:
    assert actual is not None
    assert actual == replace(expected, sums=actual.sums)
    assert (actual.sums is None) == (expected.sums is None)
    if actual.sums is not None and expected.sums is not None:
        for name in ("rows", "features", "values", "products", "agreeing", "paired"):
            assert np.array_equal(getattr(actual.sums, name), getattr(expected.sums, name)), name


@pytest.mark.parametrize("joint", [True, False])
def test_a_window_that_moves_on_asks_for_what_came_and_what_left(joint: bool) -> None:
    store, moving_sum = Store(joint=joint), MovingSum()
    for begin in range(12):
        keys = [(start, 1) for start in range(begin, begin + 6)]
        store.loaded_keys.clear()
        assert_same(moving_sum.total(keys, store.load), store.window(keys))
        if begin:
            assert sorted(store.loaded_keys) == [(begin - 1, 1), keys[-1]]
    assert moving_sum.tile((11, 1)) is not None
    assert moving_sum.tile((5, 1)) is None


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    store, moving_sum = Store(), MovingSum()
    keys = [(start, 1) for start in range(6)]
    moving_sum.total(keys, store.load)
    keys[2] = (2, 2)
    store.loaded_keys.clear()
    assert_same(moving_sum.total(keys, store.load), store.window(keys))
    assert sorted(store.loaded_keys) == [(2, 1), (2, 2)]


def test_what_left_and_cannot_be_loaded_any_more_is_added_up_anew() -> None:
    store, moving_sum = Store(), MovingSum()
    moving_sum.total([(start, 1) for start in range(6)], store.load)
    store.missing_keys.add((0, 1))
    keys = [(start, 1) for start in range(1, 7)]
    assert_same(moving_sum.total(keys, store.load), store.window(keys))


def test_a_window_of_which_a_tile_is_gone_has_no_sum() -> None:
    store, moving_sum = Store(), MovingSum()
    store.missing_keys.add((3, 1))
    keys = [(start, 1) for start in range(6)]
    assert moving_sum.total(keys, store.load) is None
    store.missing_keys.clear()
    assert_same(moving_sum.total(keys, store.load), store.window(keys))
    store.missing_keys.add((6, 1))
    moved_keys = [(start, 1) for start in range(1, 7)]
    assert moving_sum.total(moved_keys, store.load) is None
    store.missing_keys.clear()
    assert_same(moving_sum.total(moved_keys, store.load), store.window(moved_keys))


def test_sums_are_kept_only_where_they_are_read_and_only_so_many() -> None:
    store, counts_sum, unbuffered_sum = Store(), MovingSum(sums=False), MovingSum(max_sum_bytes=0)
    for begin in range(3):
        keys = [(start, 1) for start in range(begin, begin + 6)]
        actual = counts_sum.total(keys, store.load)
        assert actual is not None
        assert actual.counts == store.window(keys).counts
        assert (counts_sum.tile(keys[0]) or tile(0)).sums is None
        assert_same(unbuffered_sum.total(keys, store.load), store.window(keys))
        assert unbuffered_sum.tile(keys[0]) is None
