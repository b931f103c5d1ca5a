"""What every engine is: a plan and rows go in, one summary per tile and segment comes out.

An engine module defines ``ENGINE``, an object with the members of ``Engine``. Every engine gives what the
local one gives, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Summaries by (start of the tile in nanoseconds, segment); segment None is all rows together.

    ``rows`` were counted in a tile, ``outside`` lie before the first boundary or at and after the last,
    ``untimed`` have no usable event time. ``newest_row`` is the newest event time that was counted.
    """

    tiles: dict[tuple[int, str | None], Summary]
    rows: int
    newest_row: int | None
    outside: int
    untimed: int


class Engine(Protocol):
    """Something that counts rows."""

    name: str

    def summarise(
        self, plan: Plan, batches: Iterable[pa.RecordBatch], boundaries: Sequence[int], *, seal: bool = True
    ) -> Counted:
        """Count rows in the tiles ``[boundaries[i], boundaries[i + 1])``."""
