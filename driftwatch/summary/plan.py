"""What to count: sent to whoever reads the rows; a ``Summary`` comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from driftwatch.core.schema import Column
from driftwatch.summary.grid import Grid
from driftwatch.summary.projection import Projection
from driftwatch.summary.sample import SAMPLE_ROWS

#: The segment that takes every level beyond ``segment_by.most``.
OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """Split rows by ``column``: one segment for each of ``levels``, one named ``other`` for the rest."""

    column: str
    levels: tuple[str, ...]

    def names(self) -> tuple[str, ...]:
        """Every segment's name, ``other`` last."""
        return (*self.levels, OTHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The frozen cells of every watched column, in order, with all else that fixes a summary.

    ``carried`` are columns that are read only to tell rows apart (time, ids). ``fingerprint`` is a sha256
    over everything here: summaries of different plans are never added.
    """

    columns: tuple[Column, ...]
    grids: Mapping[str, Grid]
    carried: tuple[str, ...] = ()
    time_column: str | None = None
    timezone: str = "UTC"
    segmentation: Segmentation | None = None
    projection: Projection | None = None
    sample_rows: int = SAMPLE_ROWS
    salt: int = 0
    fingerprint: str = ""

    def column(self, name: str) -> Column:
        """The watched column of that name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def segments(self) -> tuple[str | None, ...]:
        """Every segment there can be; None is all rows together."""
        return (None, *(self.segmentation.names() if self.segmentation else ()))
