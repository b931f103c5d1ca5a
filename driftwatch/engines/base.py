"""The interface of engines, which count rows by a plan into one summary per tile and segment.

An engine module defines ``ENGINE``, an object with the members of ``Engine``. All count alike, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The result of counting: summaries of tiles, and numbers of rows."""

    #: By (start of the tile in nanoseconds, segment); segment None is all rows.
    tiles: Mapping[tuple[int, str | None], Summary]
    #: Rows counted in a tile.
    rows: int
    #: Newest counted event time in nanoseconds.
    newest_row: int | None
    #: Rows before the first boundary, or at and after the last.
    outside: int
    #: Rows without a usable event time.
    untimed: int


class Engine(Protocol):
    name: str

    def summarise(
        self, plan: Plan, batches: Iterable[pa.RecordBatch], boundaries: Sequence[int], *, seal: bool = True
    ) -> Counted:
        """Count rows in the tiles ``[boundaries[i], boundaries[i + 1])``."""
