"""What streams are called, and who they speak for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.results.streams import StreamKey

T = TypeVar("T")
#: The score of all columns together, made of the others' scores.
COMBINED_SCORE: StreamKey = ("together", None, "together")
#: That of a direction in which many columns move.
COMMON_SHIFT: StreamKey = ("together", None, "direction")
#: The score of how many rows there are, the log of a ratio.
VOLUME: StreamKey = ("volume", None, "volume")


#: So few are looked up at once.
_FEW = 8


class StreamIndex(tuple[StreamKey, ...]):
    """The names of a book's streams, in order, with what is looked up in every window and never changes."""

    _last: tuple[tuple[StreamKey, ...], Int64Array] | None = None

    @cached_property
    def places(self) -> Mapping[StreamKey, int]:
        """Where each stream stands."""
        return {key: place for place, key in enumerate(self)}

    def found(self, keys: tuple[StreamKey, ...]) -> Int64Array:
        """Where these stand, -1 for one that is not known. A window has mostly those of the last."""
        if len(keys) < _FEW:
            return self._places(keys)
        last = self._last
        if last is None or last[0] != keys:
            self._last = last = keys, self._places(keys)
        return last[1]

    def kept(self, name: str, of: tuple[object, ...], make: Callable[[], T]) -> T:
        """What ``make`` gives of these very objects, or equal bytes: mostly those of the last window."""
        made: dict[str, tuple[tuple[object, ...], Any]] = self.__dict__.setdefault("_made", {})
        last = made.get(name)
        if last is None or not all(map(_same, last[0], of)):
            last = made[name] = of, make()
        found: T = last[1]
        return found

    def labels(self, sizes: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The stream of each label, and the first label of each stream, of streams of so many."""
        return self.kept(
            "labels",
            (sizes,),
            lambda: (np.repeat(np.arange(len(self)), sizes), np.cumsum(sizes) - sizes),
        )

    def _places(self, keys: tuple[StreamKey, ...]) -> Int64Array:
        return np.array([self.places.get(key, -1) for key in keys], dtype=np.int64)

    def places_of(self, keys: tuple[StreamKey, ...]) -> Int64Array:
        """Where these stand. Raises ``KeyError`` for one that is not known."""
        places = self.found(keys)
        if (places < 0).any():
            raise KeyError(keys[int(places.argmin())])
        return places

    @cached_property
    def located(self) -> Int64Array:
        """Scores that say where a column's values lie."""
        found = [
            place
            for place, (_, column, label) in enumerate(self)
            if label == "location" and column is not None
        ]
        return np.array(found, dtype=np.int64)

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """Who the streams speak for, each once, in the order of the streams."""
        return tuple(dict.fromkeys(owner_of(key) for key in self))

    @cached_property
    def owner_places(self) -> Mapping[str, int]:
        """Where each owner stands among them."""
        return {name: place for place, name in enumerate(self.owners)}

    @cached_property
    def owner(self) -> Int64Array:
        """``[k]``: the position of each stream's owner."""
        return np.array([self.owner_places[owner_of(key)] for key in self], dtype=np.int64)

    @cached_property
    def looks(self) -> Mapping[tuple[str, str | None], int]:
        """Every (detector, column), numbered."""
        return {look: place for place, look in enumerate(dict.fromkeys(key[:2] for key in self))}

    @cached_property
    def look(self) -> Int64Array:
        """``[k]``: the number of each stream's (detector, column)."""
        return np.array([self.looks[key[:2]] for key in self], dtype=np.int64)

    @cached_property
    def pools(self) -> list[list[int]]:
        """Scores of one detector and label over all columns: draws from one population of laws."""
        found: dict[tuple[str, str], list[int]] = {}
        for place, (detector, _, label) in enumerate(self):
            found.setdefault((detector, label), []).append(place)
        return list(found.values())

    @cached_property
    def of_columns(self) -> BoolArray:
        """``[k]``: streams that speak for one column."""
        return np.array([column is not None for _, column, _ in self], dtype=np.bool_)

    def whose(self, names: frozenset[str]) -> BoolArray:
        """``[k]``: streams of these owners."""
        if not names:
            return np.zeros(len(self), dtype=np.bool_)
        each = np.zeros(len(self.owners), dtype=np.bool_)
        each[[self.owner_places[name] for name in names if name in self.owner_places]] = True
        return each[self.owner] if len(self) else each


def _same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, bytes) and one == other)


def owner_of(key: StreamKey) -> str:
    """Who the streams of that name speak for."""
    return joint_owner(key[0]) if key[1] is None else key[1]


def joint_owner(detector: str) -> str:
    """The name a joint detector goes by among columns.

    >>> joint_owner("mmd")
    'joint:mmd'
    """
    return f"joint:{detector}"
