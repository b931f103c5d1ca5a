"""The plan of a summary: all that a reader process needs to summarise rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from driftwatch.core.schema import Column, Kind
from driftwatch.core.spellings import Form
from driftwatch.summary.grid import Grid, LevelGrid
from driftwatch.summary.projection import Projection
from driftwatch.summary.sample import SAMPLE_ROWS

#: The segment of every level beyond ``segment_by.most``.
OTHER_SEGMENT = "other"
#: By numpy character of a grid's precision.
_FORMS = {"e": Form.HALF, "f": Form.SINGLE, "d": Form.NUMBER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    column: str
    levels: tuple[str, ...]

    def names(self) -> tuple[str, ...]:
        return (*self.levels, OTHER_SEGMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The frozen cells of every watched column, in order, and all else that determines a summary."""

    columns: tuple[Column, ...]
    grids: Mapping[str, Grid]
    #: Columns that are read only to tell rows apart: times, ids.
    identity_columns: tuple[str, ...] = ()
    time_column: str | None = None
    timezone: str = "UTC"
    segmentation: Segmentation | None = None
    projection: Projection | None = None
    sample_rows: int = SAMPLE_ROWS
    salt: int = 0
    #: sha256 over everything else: summaries of different plans are never added.
    fingerprint: str = ""

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def segments(self) -> tuple[str | None, ...]:
        """Names of the segments; None is all rows together."""
        return (None, *(self.segmentation.names() if self.segmentation else ()))

    @property
    def segment_grid(self) -> LevelGrid | None:
        """Cells of the segments' levels, so that equal values of another type are of one segment."""
        if self.segmentation is None:
            return None
        name = self.segmentation.column
        grid = self.grids.get(name)
        if isinstance(grid, LevelGrid):
            form = grid.form
        else:
            is_number = grid is not None and self.column(name).kind is Kind.NUMERIC
            form = _FORMS[grid.precision] if grid is not None and is_number else Form.TEXT
        return LevelGrid(levels=self.segmentation.levels, form=form)
