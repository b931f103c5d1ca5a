"""Counts of all columns in one concatenated array, so that tiles add in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from driftwatch.core.arrays import Int64Array
from driftwatch.errors import SummaryMismatch
from driftwatch.summary.counts import SPECIAL, Counts


class Layout:
    """Names of columns and the number of their cells; sums share one layout."""

    def __init__(self, names: tuple[str, ...], sizes: tuple[int, ...]) -> None:
        self.names = names
        self.sizes = sizes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and (self.names, self.sizes) == (other.names, other.sizes)

    def __hash__(self) -> int:
        return hash((self.names, self.sizes))

    # Computed on demand: sums of tiles do not need it.
    @cached_property
    def spans(self) -> Mapping[str, tuple[int, int, int]]:
        """Each column's row, and first and end position of its cells."""
        ends = list(accumulate(self.sizes))
        spans = zip(range(len(ends)), [0, *ends], ends, strict=False)
        return dict(zip(self.names, spans, strict=True))

    @cached_property
    def starts(self) -> Int64Array:
        sizes = np.array(self.sizes, dtype=np.int64)
        return np.cumsum(sizes) - sizes

    def reduce_columns(self, ufunc: np.ufunc, cells: Int64Array) -> Int64Array:
        return np.asarray(ufunc.reduceat(cells, self.starts)) if self.sizes else np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnCounts(Mapping[str, Counts]):
    """A mapping of column names to ``Counts`` that adds exactly, in any order.

    Addition raises ``SummaryMismatch`` if columns or cells differ.
    """

    layout: Layout
    #: Cells of all columns, concatenated in the layout's order.
    cells: Int64Array
    #: ``special[columns, SPECIAL]``: rows with a special value.
    special: Int64Array

    @classmethod
    def from_mapping(cls, counts: Mapping[str, Counts]) -> ColumnCounts:
        if isinstance(counts, ColumnCounts):
            return counts
        empty = np.empty(0, dtype=np.int64)
        return cls.from_arrays(
            list(counts),
            [len(item.cells) for item in counts.values()],
            np.concatenate([empty, *(item.cells for item in counts.values())]),
            np.concatenate([empty, *(item.special for item in counts.values())]).reshape(-1, len(SPECIAL)),
        )

    @classmethod
    def from_arrays(
        cls, names: Sequence[str], sizes: Sequence[int], cells: Int64Array, special: Int64Array
    ) -> ColumnCounts:
        return cls(layout=Layout(tuple(names), tuple(sizes)), cells=cells, special=special)

    def __getitem__(self, name: str) -> Counts:
        row, start, end = self.layout.spans[name]
        return Counts(cells=self.cells[start:end], special=self.special[row])

    def positions(self, names: tuple[str, ...]) -> Int64Array:
        """Return the row index of each column in ``special``. Raises ``KeyError``."""
        if names == self.layout.names:
            return np.arange(len(names))
        spans = self.layout.spans
        return np.array([spans[name][0] for name in names], dtype=np.int64)

    def cell_positions(self, names: Iterable[str], width: int) -> Int64Array:
        """Return each column's cell indices, padded with ``len(cells)``. Raises ``KeyError``."""
        spans = [self.layout.spans[name] for name in names]
        positions = np.full((len(spans), width), len(self.cells), dtype=np.int64)
        for row, (_, start, end) in zip(positions, spans, strict=True):
            row[: end - start] = np.arange(start, end)
        return positions

    def cumulative(self, positions: Int64Array) -> Int64Array:
        """Return running sums of the cells at the given ``cell_positions``."""
        sums: Int64Array = np.append(self.cells, 0).take(positions)
        np.cumsum(sums, axis=1, out=sums)
        return sums

    def present_rows(self) -> Int64Array:
        """Count the rows with a usable value, by column."""
        return self.layout.reduce_columns(np.add, self.cells)

    def max_cell_rows(self) -> Int64Array:
        """Count the rows in the fullest cell, by column."""
        return self.layout.reduce_columns(np.maximum, self.cells)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.names)

    def __len__(self) -> int:
        return len(self.layout.names)

    def __add__(self, right: ColumnCounts) -> ColumnCounts:
        self._check(right)
        return ColumnCounts(
            layout=self.layout, cells=self.cells + right.cells, special=self.special + right.special
        )

    def __sub__(self, right: ColumnCounts) -> ColumnCounts:
        self._check(right)
        return ColumnCounts(
            layout=self.layout, cells=self.cells - right.cells, special=self.special - right.special
        )

    @classmethod
    def total(cls, parts: Sequence[ColumnCounts], subtracted: Sequence[ColumnCounts] = ()) -> ColumnCounts:
        """Return the sum of one or more ``parts`` minus those ``subtracted``."""
        first, cells, special = parts[0], parts[0].cells.copy(), parts[0].special.copy()
        for part in (*parts[1:], *subtracted):
            first._check(part)
        for part in parts[1:]:
            cells += part.cells
            special += part.special
        for part in subtracted:
            cells -= part.cells
            special -= part.special
        return cls(layout=first.layout, cells=cells, special=special)

    def _check(self, right: ColumnCounts) -> None:
        if self.layout is not right.layout and self.layout != right.layout:
            raise SummaryMismatch(
                f"counts of {len(self.cells)} cells of {len(self)} columns cannot be combined with counts of "
                f"{len(right.cells)} cells of {len(right)}: expected the same columns and cells."
            )


def special_counts(counts: Mapping[str, Counts], names: tuple[str, ...]) -> Int64Array:
    """Return counts of null, infinite and other special values by column. Raises ``KeyError``."""
    if isinstance(counts, ColumnCounts):
        return counts.special[counts.positions(names)]
    return np.array([counts[name].special for name in names], dtype=np.int64).reshape(-1, len(SPECIAL))
