"""Stream identifiers, and the column or joint detector that owns each stream."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.results.streams import LOCATION, StreamKey, joint_owner

#: The combined score, computed from the scores of all columns.
COMBINED_SCORE: StreamKey = ("together", None, "together")
#: The score of the shift that many columns have in common.
COMMON_SHIFT: StreamKey = ("together", None, "direction")


class StreamIndex(tuple[StreamKey, ...]):
    """The stream keys of a history, and where each is found."""

    @cached_property
    def positions(self) -> Mapping[StreamKey, int]:
        return {key: position for position, key in enumerate(self)}

    def find(self, keys: tuple[StreamKey, ...]) -> Int64Array:
        """Return the positions of ``keys``, -1 for unknown ones."""
        return np.array([self.positions.get(key, -1) for key in keys], dtype=np.int64)

    @cached_property
    def location_scores(self) -> Int64Array:
        positions = [
            position
            for position, (_, column, label) in enumerate(self)
            if label == LOCATION and column is not None
        ]
        return np.array(positions, dtype=np.int64)

    @cached_property
    def owners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(owner_of(key) for key in self))

    @cached_property
    def owner_positions(self) -> Mapping[str, int]:
        return {name: position for position, name in enumerate(self.owners)}

    @cached_property
    def stream_owners(self) -> Int64Array:
        return np.array([self.owner_positions[owner_of(key)] for key in self], dtype=np.int64)

    @cached_property
    def targets(self) -> Mapping[tuple[str, str | None], int]:
        return {target: number for number, target in enumerate(dict.fromkeys(key[:2] for key in self))}

    @cached_property
    def stream_targets(self) -> Int64Array:
        return np.array([self.targets[key[:2]] for key in self], dtype=np.int64)

    @cached_property
    def pools(self) -> list[list[int]]:
        """Positions of scores by detector and label; the models of each group form one population."""
        pools: dict[tuple[str, str], list[int]] = {}
        for position, (detector, _, label) in enumerate(self):
            pools.setdefault((detector, label), []).append(position)
        return list(pools.values())

    @cached_property
    def has_column(self) -> BoolArray:
        return np.array([column is not None for _, column, _ in self], dtype=np.bool_)

    def owned_by(self, names: frozenset[str]) -> BoolArray:
        if not names:
            return np.zeros(len(self), dtype=np.bool_)
        is_listed = np.zeros(len(self.owners), dtype=np.bool_)
        is_listed[[self.owner_positions[name] for name in names if name in self.owner_positions]] = True
        return is_listed[self.stream_owners] if len(self) else is_listed


def owner_of(key: StreamKey) -> str:
    """Return the stream's column, or the name of its joint detector."""
    return joint_owner(key[0]) if key[1] is None else key[1]
