"""A window that moves on has the same sum, to the bit, as one added up anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.schema import Span
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import SPECIAL, Counts
from driftwatch.summary.moving_sum import Key, MovingSum
from driftwatch.summary.projection import Sums
from driftwatch.summary.summary import Summary, total


def tile(start: int, version: int = 1, *, joint: bool = True) -> Summary:
    rng = np.random.default_rng((start, version))
    counts = ColumnCounts.of(
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
    return Summary(plan="p", span=span, rows=7 + version, counts=counts, sums=sums if joint else None)


class Store:
    """Tiles by key, and which of them were asked for."""

    def __init__(self, *, joint: bool = True) -> None:
        self.joint = joint
        self.gone: set[Key] = set()
        self.asked: list[Key] = []

    def load(self, key: Key) -> Summary | None:
        self.asked.append(key)
        return None if key in self.gone else tile(*key, joint=self.joint)

    def window(self, keys: list[Key]) -> Summary:
        return total([tile(*key, joint=self.joint) for key in keys])


def same(found: Summary | None, expected: Summary) -> None:
    assert found is not None
    assert found == replace(expected, sums=found.sums)
    assert (found.sums is None) == (expected.sums is None)
    if found.sums is not None and expected.sums is not None:
        for name in ("rows", "features", "values", "products", "agreeing", "paired"):
            assert np.array_equal(getattr(found.sums, name), getattr(expected.sums, name)), name


@pytest.mark.parametrize("joint", [True, False])
def test_a_window_that_moves_on_asks_for_what_came_and_what_left(joint: bool) -> None:
    store, sliding = Store(joint=joint), MovingSum()
    for begin in range(12):
        keys = [(start, 1) for start in range(begin, begin + 6)]
        store.asked.clear()
        same(sliding.total(keys, store.load), store.window(keys))
        if begin:
            assert sorted(store.asked) == [(begin - 1, 1), keys[-1]]
    assert sliding.known((11, 1)) is not None
    assert sliding.known((5, 1)) is None


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    store, sliding = Store(), MovingSum()
    keys = [(start, 1) for start in range(6)]
    sliding.total(keys, store.load)
    keys[2] = (2, 2)
    store.asked.clear()
    same(sliding.total(keys, store.load), store.window(keys))
    assert sorted(store.asked) == [(2, 1), (2, 2)]


def test_what_left_and_cannot_be_loaded_any_more_is_added_up_anew() -> None:
    store, sliding = Store(), MovingSum()
    sliding.total([(start, 1) for start in range(6)], store.load)
    store.gone.add((0, 1))
    keys = [(start, 1) for start in range(1, 7)]
    same(sliding.total(keys, store.load), store.window(keys))


def test_a_window_of_which_a_tile_is_gone_has_no_sum() -> None:
    store, sliding = Store(), MovingSum()
    store.gone.add((3, 1))
    keys = [(start, 1) for start in range(6)]
    assert sliding.total(keys, store.load) is None
    store.gone.clear()
    same(sliding.total(keys, store.load), store.window(keys))
    store.gone.add((6, 1))
    moved = [(start, 1) for start in range(1, 7)]
    assert sliding.total(moved, store.load) is None
    store.gone.clear()
    same(sliding.total(moved, store.load), store.window(moved))


def test_sums_are_kept_only_where_they_are_read_and_only_so_many() -> None:
    store, unread, many = Store(), MovingSum(sums=False), MovingSum(most=0)
    for begin in range(3):
        keys = [(start, 1) for start in range(begin, begin + 6)]
        found = unread.total(keys, store.load)
        assert found is not None
        assert found.counts == store.window(keys).counts
        assert (unread.known(keys[0]) or tile(0)).sums is None
        same(many.total(keys, store.load), store.window(keys))
        assert many.known(keys[0]) is None
